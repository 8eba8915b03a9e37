# %% [markdown]
# # Solutions: forecasting
#
# The exercises of [lesson 12](../12_forecasting.py), one after the other.

# %%
import sys

sys.path += ["tutorials", ".", ".."]  # where `workshop` is, seen from where we may be

from workshop import footfall, lesson

# isort: split
import keras
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

import keras_rnn

# %% tags=["parameters"]
units = 32  # size of the hidden state
epochs = 10  # passes over the training part
seed = 1  # of all randomness
quick = False  # a small network and little training, to see that everything works
output = "output/solutions/forecasting"  # folder for the figures

# %%
lesson.begin(globals(), quick={"units": 8, "epochs": 1})
horizon, week = 24, 168
people = footfall.load("261 Queen Street", years=[2023, 2024])
validation, test = people.index.searchsorted(["2024-01-01", "2024-07-01"])
mean, sd = people.iloc[:validation].mean(), people.iloc[:validation].std()
scaled = ((people - mean) / sd).to_numpy("float32")
clock = footfall.clock(people.index).astype("float32")
hours = np.arange(week, len(people) - horizon)  # with a week before, a day after
in_2023, in_test = hours[hours < validation - horizon], hours[hours >= test]


def ahead(series):
    """The 24 values that come after each hour."""
    return np.lib.stride_tricks.sliding_window_view(series[1:], horizon)


def windows(series, length):
    """The window that ends at each hour, (hours, length); from `length - 1` on."""
    filled = np.concatenate([np.repeat(series[:1], length - 1, axis=0), series])
    return np.lib.stride_tricks.sliding_window_view(filled, length, axis=0)


def mae_of_network(series, target, length=48, back=lambda y: y, trained_on=in_2023):
    """Trains a direct Elman network, and gives its MAE on the test half, in people."""
    keras.utils.set_random_seed(seed)
    x = np.concatenate([series[:, None], clock], axis=1).astype("float32")
    x = windows(x, length).transpose(0, 2, 1)
    model = keras.Sequential([keras_rnn.ElmanRNN(units, output_units=horizon)])
    model.compile(keras.optimizers.Adam(0.003), "mse")
    model.fit(x[trained_on], target[trained_on], 128, epochs, verbose=0)
    forecast = back(model.predict(x[in_test], 512, verbose=0))
    return np.abs(forecast - ahead(people.to_numpy())[in_test]).mean()


def in_people(y):
    """A scaled forecast, in people."""
    return mean + sd * y


# %% [markdown]
# ## 1. Without scaling
#
# The inputs are hundreds: $a_t$ is far from 0, where $\tanh$ is flat, so hardly a gradient
# comes through. And $W_{hy}$ would have to grow from below 1 to hundreds, which Adam does
# in small steps.

# %%
raw = people.to_numpy("float32")
scaling = {
    "scaled": mae_of_network(scaled, ahead(scaled), back=in_people),
    "not scaled": mae_of_network(raw, ahead(raw)),
}
lesson.table([{"Elman, direct": name, "MAE": mae} for name, mae in scaling.items()])

# %% [markdown]
# ## 2. Shuffled across time
#
# Ridge has few weights, and can hardly make use of the leak; its error is even larger, for
# the random tenth has the busier hours of 2023 in it. The model that looks for the most
# similar windows looks better than it is: beside each test window, one hour away, there is
# a training window with nearly the same solution.

# %%
x, y = windows(scaled, week), ahead(scaled)
mixed = np.random.default_rng(seed).permutation(hours)
tenth = len(mixed) // 10
leak = {}
for name, model in (("ridge", Ridge(alpha=10)), ("similar", KNeighborsRegressor(5))):
    for split, fitted, tested in (
        ("in time", in_2023, in_test),
        ("shuffled", mixed[tenth:], mixed[:tenth]),
    ):
        forecast = model.fit(x[fitted], y[fitted]).predict(x[tested])
        leak[f"{name}, {split}"] = sd * np.abs(forecast - y[tested]).mean()
lesson.table([{"split": name, "MAE": mae} for name, mae in leak.items()])

# %% [markdown]
# ## 3. The length of the window

# %%
lengths = {
    length: mae_of_network(scaled, ahead(scaled), length, in_people)
    for length in (6, 24, 96)
}
lesson.table([{"hours": name, "MAE": mae} for name, mae in lengths.items()])

# %% [markdown]
# ## 4. The difference from a week before
#
# The network reads the difference from a week before, and forecasts that of the next 24
# hours. A forecast in people is the count of a week before plus this difference.

# %%
difference = np.zeros_like(scaled)
difference[week:] = scaled[week:] - scaled[:-week]
a_week_before = ahead(scaled)[in_test - week]
differences = mae_of_network(
    difference, ahead(difference), back=lambda y: in_people(y + a_week_before)
)
print(f"MAE {differences:.1f}; the counts themselves: {scaling['scaled']:.1f}")

# %% [markdown]
# ## 5. A year that is not like the last one
#
# On 26 March 2020 the country went into lockdown, and nearly nobody was in the street. The
# forecast of a week before is wrong for one week, and then it is right: it has nothing to
# unlearn. Ridge keeps the habits of 2019 in its weights.

# %%
old = footfall.load("261 Queen Street", years=[2019, 2020])
first = old.index.searchsorted("2020-01-01")
scale = old.iloc[:first].agg(["mean", "std"])
series = ((old - scale["mean"]) / scale["std"]).to_numpy("float32")
x, y = windows(series, week), ahead(series)
ridge = Ridge(alpha=10).fit(x[week : first - horizon], y[week : first - horizon])
at = np.arange(first, len(y))
month = old.index[at].month
error = {
    "ridge": np.abs(ridge.predict(x[at]) - y[at]),
    "a week before": np.abs(y[at - week] - y[at]),
    "a day before": np.abs(y[at - horizon] - y[at]),
}
lockdown = [
    {"month": int(number), "people": old.iloc[at][month == number].mean()}
    | {name: scale["std"] * e[month == number].mean() for name, e in error.items()}
    for number in range(1, 8)
]
lesson.table(lockdown)

# %%
lesson.record(
    scaling=scaling,
    leak=leak,
    lengths=lengths,
    differences=differences,
    lockdown=lockdown,
)
