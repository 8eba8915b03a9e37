# %% [markdown]
# # How far back does it remember? Vanishing and exploding gradients
#
# A recurrent network can carry something from the first step to the last. *Learning* to
# carry it is another matter: the error at the last step has to find its way back to the
# first. The chain rule hands it from step to step (`03_backpropagation_through_time.py` has
# the numbers):
#
#     dL/dh_{t-1}  =  dL/dh_t @ dh_t/dh_{t-1}          + what h_{t-1} does at its own step
#
# For an Elman cell, dh_t/dh_{t-1} = diag(1 - h_t^2) W_hh^T. Over 200 steps that is a
# product of 200 matrices. If each of them shrinks what it is given by a tenth, 0.9^200 is
# one part in a billion left: the gradient has *vanished*. If each stretches it by a tenth,
# 1.1^200 is 190 million times too much: it *explodes*. Between the two there is little
# room.
#
# In this script we look at the product itself, then at the gradient in networks as they
# start, and then we let them race: up to which length does each of them learn? Then the
# two remedies, clipping for explosions and the forget bias against vanishing, and at last
# a task with real data.
#
#     python tutorials/04_vanishing_gradients.py          (some minutes on two cores)
#     python tutorials/04_vanishing_gradients.py --quick  (does everything work?)

# %%
import dataclasses
import time
from pathlib import Path

# Before Keras: it keeps TensorFlow's own lines off the screen.
from workshop import command_line, errors, files, memory_tasks, plots, runs

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import keras_rnn
from keras_rnn.gradient_flow import GradientFlow, jacobian_spectrum, state_gradients

# %% [markdown]
# ## The networks
#
# Four of them, each with one layer and a unit on its last state:
#
# - **Elman**: h_t = tanh(x_t W_xh + h_{t-1} W_hh + b_h). W_hh starts orthogonal.
# - **ReLU, identity**: the same with max(0, .) in place of tanh, and W_hh starts as the
#   identity matrix. At the start, an open unit hands on what it has, unchanged: its slope
#   is 1 and so is its weight (Le, Jaitly and Hinton, 2015).
# - **LSTM**: c_t = f_t c_{t-1} + i_t g_t. Along c the gradient is multiplied by the forget
#   gate f_t, a number that the network can push to 1.
# - **GRU**: h_t = z_t h_{t-1} + (1 - z_t) n_t. The same idea with one state.
#
# Every network gets the same budget, so many batches of Adam with the whole gradient
# clipped to length 1, and the learning rate that its kind bears: the gates bear large
# steps, and a W_hh without gates does not. A network that has solved its task stops.

# %%
RATES = {"Elman": 1e-3, "ReLU, identity": 3e-4, "LSTM": 1e-2, "GRU": 1e-2}
COLOURS = dict(zip(RATES, (plots.ORANGE, plots.GREEN, plots.BLUE, plots.GREY)))
MARKERS = dict(zip(RATES, "osD^"))
LINES = dict(zip(RATES, ("-", "--", "-.", (0, (1, 1)))))


@dataclasses.dataclass(kw_only=True)
class Settings(command_line.Settings):
    """What decides the results."""

    lengths: list
    cells: list
    units: int
    batches: int
    seed: int
    batch_size: int = 32
    digits_epochs: int = 10

    small = {"digits_epochs": 0}


QUICK = {"lengths": [6], "cells": ["GRU"], "units": 8, "batches": 10}


def read_options(argv):
    """The options of the command line."""
    parser = command_line.Options(
        "Up to which length does a recurrent network learn?",
        Path("output/vanishing_gradients"),
    )
    parser.add_argument(
        "--lengths",
        type=length,
        nargs="+",
        default=[25, 50, 100, 200],
        metavar="STEPS",
        help="of the sequences, two or more steps each",
    )
    parser.add_argument(
        "--cells", choices=RATES, nargs="+", default=list(RATES), help="that race"
    )
    parser.count("--units", 64, "size of the state")
    parser.count("--batches", 640, "the budget of each network")
    options = parser.parse(argv, QUICK)
    options.lengths = sorted(set(options.lengths))
    options.cells = [name for name in RATES if name in options.cells]
    return options


def length(text):
    """The type of `--lengths`."""
    if command_line.positive(text) < 2:
        raise command_line.argparse.ArgumentTypeError(f"must be 2 or more, not {text}")
    return int(text)


# %%
def make(name, units, **arguments):
    """A recurrent layer by its name."""
    if name == "Elman":
        return keras_rnn.ElmanRNN(units, name="memory", **arguments)
    if name == "ReLU, identity":
        return keras_rnn.ElmanRNN(
            units,
            activation="relu",
            recurrent_initializer="identity",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            name="memory",
            **arguments,
        )
    layer = {"LSTM": keras_rnn.LSTM, "GRU": keras_rnn.GRU}[name]
    return layer(units, name="memory", **arguments)


def build(cell, layer, classes, settings):
    """A network with one output (`classes=None`) or a probability for each class."""
    keras.utils.set_random_seed(settings.seed)
    head = layers.Dense(1) if classes is None else layers.Dense(classes, "softmax")
    model = keras.Sequential([layer, head])
    model.compile(
        keras.optimizers.Adam(RATES[cell], global_clipnorm=1.0),
        "mse" if classes is None else "sparse_categorical_crossentropy",
        metrics=[] if classes is None else ["accuracy"],
    )
    return model


# %% [markdown]
# ## The product of the Jacobians
#
# `jacobian_spectrum` goes along a real sequence, takes dh_t/dh_{t-1} at each step, and
# multiplies k of them. The largest singular value of the product is the most that can be
# left of a change k steps later. Here for Elman networks as they start, whose W_hh is an
# orthogonal matrix times a number g, and for the identity with ReLU.
#
# An orthogonal matrix turns and does not stretch: alone, it would hand everything on for
# ever, and g^k is left after k steps. The slopes of tanh, at most 1, come on top. So g
# below 1 always forgets, g = 1 forgets slowly, and with g above 1 the stretching and the
# slopes fight it out.

# %%
GAINS = (0.5, 0.9, 1.0, 1.5)


def measure_matrices(settings):
    """For each start of W_hh and each k the largest singular value, the median over t."""
    timesteps = max(settings.lengths[0], min(50, settings.lengths[-1]))
    x, _ = memory_tasks.adding(1, timesteps, np.random.default_rng(settings.seed))
    ks = sorted(
        {round(k) for k in np.geomspace(1, timesteps, 6 if timesteps > 9 else 2)}
    )
    starts = {
        f"tanh, orthogonal x {gain}": keras_rnn.ElmanRNN(
            settings.units, recurrent_initializer=keras.initializers.Orthogonal(gain)
        )
        for gain in GAINS
    }
    starts["ReLU, identity"] = make("ReLU, identity", settings.units)
    table = {}
    for name, layer in starts.items():
        keras.utils.set_random_seed(settings.seed)
        spectra = [jacobian_spectrum(layer, x, steps=k).singular_values for k in ks]
        table[name] = {
            k: float(np.median(values[0, :, 0])) for k, values in zip(ks, spectra)
        }
    return table


def tell_matrices(table):
    """Prints the table of `measure_matrices`."""
    ks = list(next(iter(table.values())))
    print(
        "\nWhat is left of a change after k steps, at most, in networks as they start"
    )
    print(f"  {'k':22}" + "".join(f"{k:>10}" for k in ks))
    for name, row in table.items():
        print(f"  {name:22}" + "".join(f"{value:10.2g}" for value in row.values()))


# %% [markdown]
# ## The gradient as it starts
#
# `state_gradients` shows what this does to learning: the norm of dL/dh_t at each step,
# here in the adding problem, before any training. What does not reach the first steps
# cannot teach the network anything about them.


# %%
def profile(model, x, y):
    """The norm of dL/dh_t at each step, as a part of what it is at the last step."""
    norms = state_gradients(model, x, y)["memory"]
    return norms / (norms[-1] or 1.0)


# %% [markdown]
# ## The race
#
# **The adding problem.** At each step there is a number in [0, 1] and a mark. Two of the
# marks are 1, one in each half. At the end the network says the sum of the two numbers:
#
#     number  0.3  0.7  0.1  0.9  0.5  0.2
#     mark     0    1    0    0    1    0      ->   0.7 + 0.5 = 1.2
#
# Who does nothing says 1, and is off by the variance of a sum of two uniform numbers:
# 2 x 1/12 = 1/6 = 0.1667 is the mean squared error to beat. (Le et al., and many after
# them, quote "around 0.1767". Derived and measured, it is 0.1667.) Learning shows as a
# sudden drop: a long time nothing, then the network finds the marks.
#
# **The recall problem.** The first step shows one of eight symbols, the rest is noise. At
# the end: which one was it? Who guesses is right one time in eight.
#
# All sequences are new: nobody can learn them by heart. A network is told to stop when
# it has solved its task: an error below 0.005, or 99 of 100 symbols.

# %%
CHECKS = 20  # how often a network is looked at within its budget
TASKS = {
    "adding": (memory_tasks.adding, None),
    "recall": (memory_tasks.recall, memory_tasks.SYMBOLS),
}


def lengths_of(task_name, settings):
    """Every length for the adding problem, every second one for recall."""
    return settings.lengths[:: 1 if task_name == "adding" else 2]


def run_one(task_name, cell, timesteps, settings, layer=None, label=None):
    """Trains one network. Returns its figures."""
    task, classes = TASKS[task_name]
    model = build(cell, layer or make(cell, settings.units), classes, settings)
    x, y = task(1000, timesteps, np.random.default_rng(settings.seed + 1_000_000))
    every = max(1, settings.batches // CHECKS)
    checks = -(-settings.batches // every)
    before = profile(model, x[:32], y[:32])

    def solved(value):
        return value < 0.005 if classes is None else value > 0.99

    start = time.perf_counter()
    progress = memory_tasks.Progress(
        f"{task_name}, {timesteps} steps: {label or cell}", checks, (x, y), solved
    )
    fresh = memory_tasks.Fresh(
        task, timesteps, every, settings.batch_size, settings.seed
    )
    model.fit(fresh, epochs=checks, callbacks=[progress], verbose=0)
    curve = [[(n + 1) * every, value] for n, value in enumerate(progress.values)]
    return {
        "task": task_name,
        "cell": label or cell,
        "timesteps": timesteps,
        "value": curve[-1][1],
        "batches": curve[-1][0],
        "seconds": round(time.perf_counter() - start, 1),
        "curve": curve,
        "profile_before": before.tolist(),
        "profile_after": profile(model, x[:32], y[:32]).tolist(),
    }


def do_nothing(task_name, timesteps, settings):
    """What the best constant answer gets, measured on the same sequences."""
    task, classes = TASKS[task_name]
    _, y = task(1000, timesteps, np.random.default_rng(settings.seed + 1_000_000))
    if classes is None:
        return float(np.mean((y - 1) ** 2))
    return float(np.max(np.bincount(y)) / len(y))


# %% [markdown]
# ## What the forget bias does
#
# The forget gate is f_t = sigmoid(... + b_f). With b_f = 0 it starts half closed: what is
# stored in c is halved at each step, and 0.5^100 is nothing. Keras starts with b_f = 1
# (`unit_forget_bias`), sigmoid(1) = 0.73, which is 0.73^100 = 2e-14: better, not good.
#
# If we know that the task spans T steps, we can say so. A gate with sigmoid(b) = 1 - 1/s
# forgets over about s steps, and b = log(s - 1) makes it so. Draw s evenly from 2 to T,
# one for each unit, and let the input gate start as closed as the forget gate is open,
# b_i = -b_f. This is the *chrono* start of Corentin Tallec and Yann Ollivier (2018, Can
# recurrent neural networks warp time?).


# %%
def forget_biases(units, timesteps, seed):
    """The arguments of LSTMs whose forget gates start in other ways, by name."""
    span = np.random.default_rng(seed).uniform(1, max(2, timesteps - 1), units)
    chrono = np.zeros(4 * units, "float32")  # the gates i, f, g, o
    chrono[:units], chrono[units : 2 * units] = -np.log(span), np.log(span)

    def given(shape, dtype=None):
        return keras.ops.convert_to_tensor(chrono, dtype)

    return {
        "forget bias 0": {"unit_forget_bias": False},
        "chrono": {"unit_forget_bias": False, "bias_initializer": given},
    }


# %% [markdown]
# ## When it explodes: two ways to clip
#
# The identity with ReLU is on the edge: nothing is lost, and nothing holds it. One step of
# gradient descent that makes W_hh stretch a little, and the states of the next batch are
# large after 50 steps, their gradient is larger, and the step after that is the last.
# Clipping cuts the length of the gradient before the optimizer sees it, and Keras offers
#
# - `clipnorm=1.0`: the gradient of *each variable* is cut to length 1 by itself;
# - `global_clipnorm=1.0`: all of them together are cut to length 1.
#
# Both bound the step. Only the second keeps its direction: the first cuts the long parts
# and leaves the short ones, which turns it. The cosine of the angle to the true gradient
# says how far.


# %%
def clip_compared(settings):
    """Trains with each way of clipping by plain gradient descent, watched."""
    timesteps = 50
    random = np.random.default_rng(settings.seed)
    x, y = memory_tasks.adding(settings.batch_size * 60, timesteps, random)
    found = {}
    for name, clip in (
        ("nothing", {}),
        ("clipnorm=1.0", {"clipnorm": 1.0}),
        ("global_clipnorm=1.0", {"global_clipnorm": 1.0}),
    ):
        keras.utils.set_random_seed(settings.seed)
        layer = make("ReLU, identity", 64)
        model = keras.Sequential([layer, layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.01, **clip), "mse")
        losses = []
        each = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs, model=model: model.reset_metrics(),
            on_train_batch_end=lambda batch, logs, losses=losses: losses.append(
                float(logs["loss"])
            ),
        )
        flow = GradientFlow(x[:16], y[:16], every=1, verbose=False)
        watched = [] if clip else [flow]  # what explodes, and where
        model.fit(
            x,
            y,
            batch_size=settings.batch_size,
            shuffle=False,
            callbacks=[each, *watched],
            verbose=0,
        )
        if not clip:
            norms = np.array(list(flow.records[0]["gradient_norms"].values()))
        found[name] = {
            "losses": losses,
            "cosine": cosine_after(name, norms),
            "messages": flow.messages,
        }
    return found


def cosine_after(name, norms):
    """The cosine between the gradient of the first batch and what clipping makes of it.

    Clipping a variable scales its part of the gradient, so the norms of the parts are
    all that is needed.
    """
    scale = np.ones_like(norms)
    if name == "clipnorm=1.0":
        scale = np.minimum(1, 1 / norms)
    clipped = norms * scale
    return float(norms @ clipped / np.linalg.norm(norms) / np.linalg.norm(clipped))


def tell_clipping(found):
    """Prints what `clip_compared` found."""
    print("\nThe identity with ReLU, 50 steps, and gradient descent: does it explode?")
    print("  clipping                 loss, after 5, 20, 60 batches   cosine")
    for name, row in found.items():
        losses = "".join(f"{row['losses'][n]:9.3g}" for n in (0, 5, 20, -1))
        print(f"  {name:20}{losses}   {row['cosine']:9.3f}")
    for message in found["nothing"]["messages"]:
        print(f"  {message}")


# %% [markdown]
# ## A benchmark with real data: digits, pixel by pixel
#
# Handwritten digits of 8 x 8 pixels, read one pixel after the other: 64 steps of one
# number. (The well-known benchmark does so with the 784 pixels of MNIST. These come with
# scikit-learn, so nothing is downloaded.) Read row by row they are 8 steps of 8 numbers,
# and easy for all.


# %%
def run_digits(by, cell, settings):
    """Trains one network on the digits. Returns its figures."""
    random = np.random.default_rng(settings.seed)
    (x, y), test = memory_tasks.digits(by, random)
    model = build(cell, make(cell, settings.units), 10, settings)
    progress = memory_tasks.Progress(
        f"digits by {by}: {cell}",
        settings.digits_epochs,
        test,
    )
    start = time.perf_counter()
    model.fit(
        x,
        y,
        batch_size=32,
        epochs=settings.digits_epochs,
        callbacks=[progress],
        verbose=0,
    )
    return {
        "task": f"digits by {by}",
        "cell": cell,
        "timesteps": x.shape[1],
        "value": progress.values[-1],
        "seconds": round(time.perf_counter() - start, 1),
    }


# %% [markdown]
# ## The table and the yardsticks
#
# Published figures for the adding problem are for longer sequences and much more
# training; they show where this leads to.

# %%
YARDSTICKS = """
Published, for comparison (other lengths, sizes and budgets than here)
  Bai, Kolter and Koltun 2018, An empirical evaluation of generic convolutional and
  recurrent networks for sequence modeling, table 1:
    adding, 600 steps, 70,000 weights, loss:  RNN 0.177, LSTM 0.164, GRU 5.3e-5
    copy, 1,000 steps, 16,000 weights, loss:  RNN 0.0202, LSTM 0.0204, GRU 0.0197
  Le, Jaitly and Hinton 2015, A simple way to initialize recurrent networks of rectified
  linear units: with the identity matrix, ReLU networks learn the adding problem at
  lengths at which tanh networks do not."""


def tell_race(results, baselines, settings):
    """Prints what each network reached at each length."""
    titles = {
        "adding": "Adding: mean squared error (below 0.005 a network stops)",
        "recall": "Recall: share of first symbols told right (above 0.99 it stops)",
    }
    for task, title in titles.items():
        print(f"\n{title}, and batches\n  {'steps':16}", end="")
        lengths = lengths_of(task, settings)
        print("".join(f"{n:>18}" for n in lengths))
        baseline = (f"{baselines[task][n]:10.4f}        " for n in lengths)
        print(f"  {'do nothing':16}" + "".join(baseline))
        for name in settings.cells:
            rows = {
                r["timesteps"]: r
                for r in results
                if r["task"] == task and r["cell"] == name
            }
            cells = (
                f"{rows[n]['value']:10.4f} {rows[n]['batches']:6} " for n in lengths
            )
            print(f"  {name:16}" + "".join(cells))
    print(YARDSTICKS)


def tell_rest(results, settings):
    """Prints the forget biases and the digits."""
    rows = with_biases(results, settings)
    print(f"\nLSTM, adding, {settings.lengths[-1]} steps: what the forget bias does")
    for row in rows:
        print(f"  {row['cell']:16} {row['value']:10.4f} after {row['batches']} batches")
    if settings.digits_epochs:
        print("\nDigits: accuracy on 360 that were not trained on")
    for row in results:
        if row["task"].startswith("digits"):
            print(f"  {row['task'] + ': ' + row['cell']:32} {row['value']:.3f}")


def with_biases(results, settings):
    """The LSTMs with their forget biases: the usual one took part in the race."""
    longest = [r for r in results if r["timesteps"] == settings.lengths[-1]]
    usual = [r for r in longest if (r["task"], r["cell"]) == ("adding", "LSTM")]
    usual = [{**r, "cell": "forget bias 1"} for r in usual]
    return usual + [r for r in longest if r["cell"] in ("forget bias 0", "chrono")]


# %% [markdown]
# ## The pictures


# %%
def draw_matrices(table, path):
    """What is left after k steps, by the start of W_hh."""
    figure, axes = plt.subplots(figsize=(9, 5.5))
    styles = ("o-", "s-", "D-", "^-", "v--")
    colours = (plots.GREY, plots.GREEN, plots.BLUE, plots.ORANGE, "black")
    for (name, row), style, colour in zip(table.items(), styles, colours):
        axes.loglog(list(row), list(row.values()), style, label=name, color=colour)
    axes.axhline(1, color=plots.GREY, linewidth=1, linestyle=":")
    axes.set_xlabel("steps k")
    axes.set_ylabel(r"largest singular value of d$h_t$/d$h_{t-k}$")
    axes.set_title("What is left of a change, at most, as networks start")
    axes.legend()
    plots.save_figure(figure, path)


def draw_race(results, baselines, task, settings, path):
    """For each length the learning curves, and under them the gradient's profiles."""
    lengths = lengths_of(task, settings)
    columns = len(lengths)
    figure, grid = plt.subplots(
        3, columns, figsize=(4.6 * columns + 1, 11), squeeze=False, sharey="row"
    )
    for column, timesteps in enumerate(lengths):
        curves, before, after = grid[:, column]
        for row in results:
            if (row["task"], row["timesteps"]) != (task, timesteps):
                continue
            if row["cell"] not in RATES:
                continue
            cell = row["cell"]
            look = {"color": COLOURS[cell], "linestyle": LINES[cell], "label": cell}
            batches, values = zip(*row["curve"])
            curves.plot(batches, values, marker=MARKERS[cell], markersize=4, **look)
            for axes, key in ((before, "profile_before"), (after, "profile_after")):
                norms = np.where(np.array(row[key]) > 1e-12, row[key], np.nan)
                axes.semilogy(np.arange(1, timesteps + 1), norms, **look)
        curves.axhline(
            baselines[task][timesteps], color="black", linestyle=":", label="do nothing"
        )
        curves.set_title(f"{timesteps} steps")
        curves.set_xlabel("batches")
        before.set_xlabel("time step t, before training")
        after.set_xlabel("time step t, after training")
        for axes in (before, after):
            axes.set_ylim(1e-12, 1e6)
    if task == "adding":
        grid[0, 0].set_yscale("log")
        grid[0, 0].set_ylim(1e-3, 1)
        grid[0, 0].set_ylabel("mean squared error")
    else:
        grid[0, 0].set_ylabel("share told right")
    for axes in grid[1:, 0]:
        axes.set_ylabel("norm of dL/dh_t\n(at the last step: 1)")
    figure.legend(
        *grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5
    )
    plots.save_figure(figure, path)


def draw_remedies(rows, clipping, path):
    """The forget bias, and the norms of gradients with each way of clipping."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(14, 5.5))
    for row, style in zip(rows, ("o-", "s-", "D-")):
        left.semilogy(*zip(*row["curve"]), style, label=row["cell"])
    left.axhline(memory_tasks.ADDING_BASELINE, color="black", linestyle=":")
    left.set_title(f"LSTM, adding, {rows[0]['timesteps']} steps")
    left.set_xlabel("batches")
    left.set_ylabel("mean squared error")
    left.legend()
    for (name, row), style in zip(clipping.items(), ("-", "--", "-.")):
        losses = np.array(row["losses"])
        losses[~np.isfinite(losses)] = np.nan  # where the line ends, so did the network
        right.semilogy(losses, style, label=f"{name}")
    right.set_ylim(0.03, 1e3)
    right.set_title("ReLU, identity: clipping")
    right.set_xlabel("batches of gradient descent")
    right.set_ylabel("mean squared error")
    right.legend()
    plots.save_figure(figure, path)


# %% [markdown]
# ## All together
#
# Each network that has finished is written down at once, so that `--resume` trains only
# what is left.


# %%
def train_all(run, settings):
    """The figures of all networks, each of them trained or read from before."""
    jobs = {}
    for task in TASKS:
        for timesteps in lengths_of(task, settings):
            for cell in settings.cells:
                jobs[f"{task}-{timesteps}-{cell}"] = (
                    lambda t=task, n=timesteps, c=cell: run_one(t, c, n, settings)
                )
    timesteps = settings.lengths[-1]
    for name, arguments in forget_biases(
        settings.units, timesteps, settings.seed
    ).items():
        jobs[f"lstm-{name}"] = lambda n=name, a=arguments: run_one(
            "adding", "LSTM", timesteps, settings,
            layer=make("LSTM", settings.units, **a), label=n,
        )  # fmt: skip
    for by in ("row", "pixel") if settings.digits_epochs else ():
        for cell in settings.cells:
            jobs[f"digits-{by}-{cell}"] = lambda b=by, c=cell: run_digits(
                b, c, settings
            )
    return memory_tasks.finish(jobs, run.folder)


@errors.reported
def main(argv=None):
    """Looks, trains, tells and draws. Returns the exit code."""
    options = read_options(argv)
    errors.need_tensorflow("This tutorial")
    settings = Settings.of(options)
    memory_tasks.digits("row", np.random.default_rng(0))  # is scikit-learn there?
    files.make_writable(options.output)
    chosen = dataclasses.asdict(settings)
    run = runs.Run(options.output, chosen, options.resume, options.discard)
    start = time.perf_counter()

    matrices = measure_matrices(settings)
    tell_matrices(matrices)
    clipping = clip_compared(settings)
    tell_clipping(clipping)
    results = train_all(run, settings)
    baselines = {
        task: {n: do_nothing(task, n, settings) for n in lengths_of(task, settings)}
        for task in TASKS
    }
    tell_race(results, baselines, settings)
    tell_rest(results, settings)

    output = options.output
    draw_matrices(matrices, output / "matrices.png")
    for task in TASKS:
        draw_race(results, baselines, task, settings, output / f"{task}.png")
    draw_remedies(with_biases(results, settings), clipping, output / "remedies.png")
    seconds = time.perf_counter() - start
    run.record(
        {
            "do_nothing": baselines,
            "do_nothing_derived": {
                "adding": memory_tasks.ADDING_BASELINE,
                "recall": 1 / memory_tasks.SYMBOLS,
            },
            "matrices": matrices,
            "clipping": clipping,
            "results": results,
            "seconds": round(seconds, 1),
        }
    )
    run.finish()
    print(f"\nThe pictures and the numbers are in {output}. ({seconds:.0f} s)")


# %% [markdown]
# ## What to take along
#
# 1. Back through time means a product of Jacobians, and a product of many things is
#    either nothing or far too much, unless each is close to 1.
# 2. Look before you train: `state_gradients` tells within a second how far back the first
#    batches will be heard. It is no verdict for a gate. A GRU may start with less of a
#    gradient than an Elman network and still learn: its late steps do hear the loss, they
#    open its gates, and the gradient gets further back with each batch. Compare the two
#    rows of profiles in `adding.png`.
# 3. Gates (LSTM, GRU) and the identity matrix put a factor near 1 on the way. That is
#    their whole secret.
# 4. Clip explosions, and clip them globally: the step keeps its direction.
# 5. If you know how far back a task reaches, tell the forget bias.
# 6. No cell is the best at everything. Recall may turn the order of the table round: an
#    orthogonal W_hh hands the first symbol on by itself, while gates that start half open
#    halve it at each step, and have to learn to shut.
# 7. A network that seems to learn nothing may be a hundred batches from the drop, or may
#    have no gradient to learn from. The curve does not tell these apart; the profile does.
#
# ## Exercises
#
# 1. Put the two marks of the adding problem into the last ten steps. Who learns now, at
#    any length? What does that say about what was hard?
# 2. Start the Elman network with `Orthogonal(0.9)` and with `Orthogonal(1.1)`. Predict
#    from `matrices.png` up to which length each will learn recall. Then race.
# 3. Give the GRU a chrono start: its z_t is the gate that keeps. Which half of which row
#    of its `bias` is that?
# 4. Watch the race with `GradientFlow`: after how many batches does the profile of the
#    LSTM at its longest length straighten, and does the loss drop before or after?
# 5. Read the digits column by column, or in a fixed random order of the pixels. Why is the
#    second so much harder for all?

# %%
if __name__ == "__main__":
    errors.start(main)
