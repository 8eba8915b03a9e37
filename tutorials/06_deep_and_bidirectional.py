# %% [markdown]
# # Deeper, and in both directions
#
# One recurrent layer reads a sequence from left to right and keeps one state. Two things
# can be added to it, and they serve two different ends:
#
# - **Depth.** A second layer reads the states of the first as its sequence. The first can
#   work on what is quick and close, the second on what the first has made of it.
#
#       h_t  =  cell( x_t,  h_{t-1})             first level
#       h'_t =  cell'(h_t, h'_{t-1})             second level, with weights of its own
#
# - **Direction.** A second layer reads the same sequence from its end. What comes *after*
#   a step then counts for that step as well.
#
#       ahead_t = cell( x_t, ahead_{t-1})        from the beginning
#       back_t  = cell'(x_t, back_{t+1})         from the end
#       y_t     = [ahead_t, back_t]
#
# When does which of them help, and what does it cost? We build both, see that they do
# what they say, and then try each combination on three tasks: one that needs the future,
# one with slow and fast structure, and handwritten digits.
#
#     python tutorials/06_deep_and_bidirectional.py

# %%
import dataclasses
import statistics
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
from keras_rnn.gradient_flow import state_gradients

# %% [markdown]
# ## The choices

# %%
CELLS = {"elman": keras_rnn.ElmanRNN, "lstm": keras_rnn.LSTM, "gru": keras_rnn.GRU}
TASKS = ("future", "slow and fast", "digits")
QUICK = {"depth": 1, "units": 4, "epochs": 2}


@dataclasses.dataclass(kw_only=True)
class Settings(command_line.Settings):
    """What decides the results."""

    cell: str
    depth: int
    units: int
    epochs: int
    seed: int
    tasks: tuple = TASKS
    timesteps: int = 50
    batches: int = 50  # in an epoch
    batch_size: int = 32
    rate: float = 5e-3

    small = {"tasks": ("slow and fast",), "timesteps": 10, "batches": 5}


def read_options(argv):
    """The options of the command line."""
    parser = command_line.Options(
        "Deep and bidirectional networks, and what they are worth.",
        Path("output/deep_and_bidirectional"),
    )
    parser.add_argument("--cell", choices=CELLS, default="elman", help="what remembers")
    parser.count("--depth", 4, "of the deepest network")
    parser.count("--units", 12, "in each level and direction")
    parser.count("--epochs", 6, "of 50 batches")
    return parser.parse(argv, QUICK)


# %% [markdown]
# ## Depth, in two ways
#
# **A stack of layers.** The first layer runs along the whole sequence and returns each of
# its states (`return_sequences=True`); then the second runs along those.
#
# **A stack of cells.** One layer runs along the sequence, and at each step the cells work
# one after the other. `keras_rnn.RNN([cell, cell])` is that, and so is Keras's
# `RNN(StackedRNNCells([cell, cell]))`.
#
#     layers:   h_1 h_2 h_3 h_4            cells:   h_1   h_2   h_3   h_4
#               then h'_1 h'_2 ...                  h'_1  h'_2  h'_3  h'_4
#                                                   step by step, both levels at once
#
# It is the same arithmetic in another order, so the numbers are the same. We give all
# three the same weights, and look.


# %%
def stacks_compared(settings):
    """The largest differences between the outputs of three stacks with equal weights."""
    keras.utils.set_random_seed(settings.seed)
    x = np.random.default_rng(settings.seed).normal(size=(3, settings.timesteps, 5))
    cell = type(CELLS[settings.cell](1).cell)
    of_layers = keras.Sequential(
        [
            CELLS[settings.cell](settings.units, return_sequences=True),
            CELLS[settings.cell](settings.units, return_sequences=True),
        ]
    )
    expected = of_layers(x)
    differences = {}
    for name, make in (
        ("keras_rnn.RNN of two cells", keras_rnn.RNN),
        (
            "Keras's RNN of StackedRNNCells",
            lambda cells, **kw: layers.RNN(layers.StackedRNNCells(cells), **kw),
        ),
    ):
        cells = [cell(settings.units), cell(settings.units)]
        layer = make(cells, return_sequences=True)
        layer.build(x.shape)
        for own, other in zip(cells, of_layers.layers):
            own.set_weights(other.cell.get_weights())
        differences[name] = float(np.max(np.abs(layer(x) - expected)))
    return differences


# %% [markdown]
# Which one to take? Layers, as a rule: they combine with `Bidirectional`, which must have
# read to the end before the next level may begin, and with dropout or normalisation
# between the levels. Cells, where the whole stack is one step of something larger: a
# decoder that is fed its own output has to finish a step on all levels before the next.
#
# ## Both directions
#
# `Bidirectional(layer)` makes a copy of the layer that reads from the end, and puts the
# two outputs side by side, *each at the step that it belongs to*. To see what that does,
# change the last input and look at which outputs move. Reading ahead, only the last can.
# In both directions, all can.


# %%
def reach_of_the_last_step(settings):
    """How far each output moves if the last input does, for one direction and for two."""
    x = np.random.default_rng(settings.seed).normal(size=(1, settings.timesteps, 5))
    changed = x.copy()
    changed[0, -1] += 1
    moves = {}
    for name, both in (("one direction", False), ("both directions", True)):
        keras.utils.set_random_seed(settings.seed)
        layer = level(settings, both)
        moves[name] = np.linalg.norm(layer(changed) - layer(x), axis=-1)[0].tolist()
    return moves


def level(settings, both, **arguments):
    """One level of a network."""
    layer = CELLS[settings.cell](settings.units, return_sequences=True, **arguments)
    return layers.Bidirectional(layer) if both else layer


def tell_building(differences, moves):
    """Prints what was seen of the two ways to stack, and of the two directions."""
    print("\nThe same two levels, and how far from two layers the outputs are at most")
    for name, difference in differences.items():
        print(f"  {name:32} {difference:.1e}")
    print("\nThe last input changes. Which outputs move, and how far?")
    for name, move in moves.items():
        moved = np.count_nonzero(move)
        print(
            f"  {name:16} {moved:3} of {len(move)} (the first by {move[0]:.1e}, "
            f"the last by {move[-1]:.1e})"
        )


# %% [markdown]
# ## The tasks
#
# **The future.** At each step there is a number, and the label is the sign of a sum of
# two of them, one two steps back and one *two steps ahead*:
#
#     label_t = 1 if x_{t-2} + x_{t+2} > 0, else 0
#
# (before the beginning and after the end, x is 0). Who has not seen x_{t+2} can only go by
# x_{t-2}, and is then right three times in four: two independent normal numbers, of which
# you know one. (The angle between x_{t-2} and the sum is 45 degrees, and the signs differ
# with a probability of 45/180.) At the first two steps it can only guess, at the last two
# it knows all, which makes up for it. So 0.75 is the *ceiling* for any network that reads
# ahead only, however large.
#
# **Slow and fast.** Two inputs, one quick and one slow. The quick one is +1 or -1 at each
# step. The slow one is mostly silent, and now and then sets a switch s to +1 or -1. The
# label is the sign of the product of the quick input, of what it was two steps ago, and
# of the switch:
#
#     label_t = 1 if x_t x_{t-2} s_t > 0, else 0
#
# So the switch has to be kept for a long time, the quick input for two steps, and then
# the two meet in a product, which no weighted sum can give.
#
# **Digits.** The 8 x 8 pixels of handwritten digits, row by row: 8 steps of 8 numbers.
# One label for each step is asked here, too: the digit, given what was read so far. (With
# both directions, all has been read at each step.)

# %%
CEILING = 0.75  # of one direction in the task of the future


def future(count, timesteps, random):
    """Numbers (count, timesteps, 1), and the signs of what is before and after."""
    x = np.zeros((count, timesteps + 4))
    x[:, 2:-2] = random.normal(size=(count, timesteps))
    labels = x[:, :-4] + x[:, 4:] > 0
    return x[:, 2:-2, None].astype("float32"), labels[..., None].astype("float32")


def slow_and_fast(count, timesteps, random):
    """Inputs (count, timesteps, 2) and labels (count, timesteps, 1)."""
    quick = random.choice([-1.0, 1.0], (count, timesteps))
    sets = random.random((count, timesteps)) < 1 / 12
    sets[:, 0] = True
    slow = np.where(sets, random.choice([-1.0, 1.0], (count, timesteps)), 0)
    last = np.maximum.accumulate(np.where(sets, np.arange(timesteps), 0), axis=1)
    switch = np.take_along_axis(slow, last, axis=1)
    before = np.concatenate([np.ones((count, 2)), quick[:, :-2]], axis=1)
    labels = (quick * before * switch > 0)[..., None]
    return np.stack([quick, slow], -1).astype("float32"), labels.astype("float32")


def by_step(digits):
    """Digits with their label at each row."""
    x, labels = digits
    return x, np.repeat(labels[:, None], x.shape[1], axis=1)


# %%
def build(settings, depth, both, classes):
    """A network with a label for each step."""
    keras.utils.set_random_seed(settings.seed)
    levels = [level(settings, both, name=f"level_{n + 1}") for n in range(depth)]
    head = (
        layers.Dense(1, "sigmoid")
        if classes is None
        else layers.Dense(classes, "softmax")
    )
    model = keras.Sequential([*levels, head])
    model.compile(
        keras.optimizers.Adam(settings.rate, global_clipnorm=1.0),
        "binary_crossentropy" if classes is None else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


class Clock(keras.callbacks.Callback):
    """The time of each epoch."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.began)


def run_one(task, depth, both, settings):
    """Trains one network. Returns its figures."""
    random = np.random.default_rng(settings.seed + 1_000_000)
    if task == "digits":
        classes, every = 10, 45
        train, test = map(by_step, memory_tasks.digits("row", random))
    else:
        function = {"future": future, "slow and fast": slow_and_fast}[task]
        classes, every = None, settings.batches
        test = function(500, settings.timesteps, random)
        fresh = memory_tasks.Fresh(
            function, settings.timesteps, every, settings.batch_size, settings.seed
        )
    model = build(settings, depth, both, classes)
    clock = Clock()
    progress = memory_tasks.Progress(
        f"{task}: depth {depth}, {'both directions' if both else 'one direction'}",
        settings.epochs,
        test,
    )
    fit = {"epochs": settings.epochs, "callbacks": [clock, progress], "verbose": 0}
    if task == "digits":
        model.fit(*train, batch_size=settings.batch_size, **fit)
    else:
        model.fit(fresh, **fit)
    # The first epoch compiles, and is not counted if there is another.
    seconds = statistics.median(clock.seconds[1:] or clock.seconds)
    norms = state_gradients(model, test[0][:32], test[1][:32])
    return {
        "task": task,
        "depth": depth,
        "both": both,
        "weights": model.count_params(),
        "curve": progress.values,
        "accuracy": progress.values[-1],
        "milliseconds_per_batch": 1e3 * seconds / every,
        "gradients": {name: norm.tolist() for name, norm in norms.items()},
    }


# %% [markdown]
# ## The ablation
#
# Each combination of a depth and a direction, on each task, with the same budget.


# %%
def tell_ablation(results, settings):
    """Prints a table for each task."""
    early = max(0, settings.epochs // 3 - 1)
    for task in settings.tasks:
        print(f"\n{task.capitalize()}: accuracy after {early + 1} and after all epochs")
        print("  depth  directions   weights    early    in the end   ms per batch")
        for row in results:
            if row["task"] == task:
                print(
                    f"  {row['depth']:5}  {'two' if row['both'] else 'one':10} "
                    f"{row['weights']:9} {row['curve'][early]:8.3f} "
                    f"{row['accuracy']:13.3f} {row['milliseconds_per_batch']:14.1f}"
                )
    print(
        f"\n(Reading ahead only, {CEILING} is the ceiling of the task of the future.)"
    )


# %% [markdown]
# ## The pictures


# %%
def draw_ablation(results, settings, path):
    """Accuracy by depth for each task, and the time that it costs."""
    columns = len(settings.tasks)
    figure, axes = plt.subplots(
        2, columns, figsize=(4.5 * columns + 1.5, 9), sharex=True, squeeze=False
    )
    looks = {False: ("one direction", "o-"), True: ("both directions", "s--")}
    for task, (above, below) in zip(settings.tasks, axes.T):
        for both, (label, style) in looks.items():
            rows = [r for r in results if (r["task"], r["both"]) == (task, both)]
            depths = [r["depth"] for r in rows]
            above.plot(depths, [r["accuracy"] for r in rows], style, label=label)
            below.plot(
                depths, [r["milliseconds_per_batch"] for r in rows], style, label=label
            )
        above.set_title(task.capitalize())
        above.set_ylim(0, 1.03)
        below.set_ylim(0, None)
        below.set_xticks(depths)
        below.set_xlabel("depth")
        if task == "future":
            above.axhline(CEILING, color=plots.GREY, linestyle=":", linewidth=1.5)
            above.text(
                1, CEILING, "ceiling of one direction", color=plots.GREY, va="bottom"
            )
    axes[0, 0].set_ylabel("accuracy of the labels")
    axes[1, 0].set_ylabel("milliseconds per batch")
    axes[0, 0].legend(loc="lower right")
    plots.save_figure(figure, path)


def draw_learning(results, path):
    """The learning curves of one direction on slow and fast, and the gradient by level."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(14, 5.5))
    rows = [r for r in results if (r["task"], r["both"]) == ("slow and fast", False)]
    for row, style in zip(rows, ("o-", "s--", "D-.", "^:") * len(rows)):
        epochs = range(1, len(row["curve"]) + 1)
        left.plot(epochs, row["curve"], style, label=f"depth {row['depth']}")
    left.set_title("Slow and fast, one direction")
    left.set_xlabel("epochs")
    left.set_ylabel("accuracy of the labels")
    left.legend()
    deepest = rows[-1]["gradients"]
    for (name, norms), style in zip(
        deepest.items(), ("-", "--", "-.", ":") * len(rows)
    ):
        right.semilogy(
            range(1, len(norms) + 1), norms, style, label=name.replace("_", " ")
        )
    right.set_title(
        f"The deepest, trained: gradient in each of its {len(deepest)} levels"
    )
    right.set_xlabel("time step t")
    right.set_ylabel("norm of dL/dh_t")
    right.legend()
    plots.save_figure(figure, path)


# %% [markdown]
# ## All together


# %%
@errors.reported
def main(argv=None):
    """Builds, trains, tells and draws. Returns the exit code."""
    options = read_options(argv)
    errors.need_tensorflow("This tutorial")
    settings = Settings.of(options)
    if "digits" in settings.tasks:  # is scikit-learn there?
        memory_tasks.digits("row", np.random.default_rng(0))
    files.make_writable(options.output)
    chosen = {**dataclasses.asdict(settings), "tasks": list(settings.tasks)}
    run = runs.Run(options.output, chosen, options.resume, options.discard)

    differences = stacks_compared(settings)
    moves = reach_of_the_last_step(settings)
    tell_building(differences, moves)
    jobs = {}
    for task in settings.tasks:
        for depth in range(1, settings.depth + 1):
            for both in (False, True):
                jobs[f"{task}-{depth}-{both}"] = lambda t=task, d=depth, b=both: (
                    run_one(t, d, b, settings)
                )
    results = memory_tasks.finish(jobs, run.folder)
    tell_ablation(results, settings)

    output = options.output
    draw_ablation(results, settings, output / "ablation.png")
    draw_learning(results, output / "learning.png")
    run.record(
        {
            "stacks_differ_by": differences,
            "last_input_moves": moves,
            "ceiling_of_one_direction": CEILING,
            "results": results,
        }
    )
    run.finish()
    print(f"\nThe pictures and the numbers are in {output}.")


# %% [markdown]
# ## What to take along
#
# 1. Layers on layers, or cells on cells: the same numbers. Take layers, unless the whole
#    stack is one step of something else.
# 2. Two directions help where a label depends on what comes after it, and then no size
#    makes up for them. They need the whole sequence before the first answer: for what
#    has to answer at once, as a forecast, they are no choice.
# 3. Depth helps where something has to be made of something else first. What it brings is
#    often speed of learning, less often a better end.
# 4. Each level, and each direction, costs its time: look at the lower row of
#    `ablation.png` before you add one. Beyond two or three levels there is rarely a gain.
# 5. The time of one level is spent step by step, and cannot be shared out over cores. Two
#    directions can run side by side, and two levels cannot.
#
# ## Exercises
#
# 1. Give each depth the same number of *weights* instead of the same number of units per
#    level. What is left of the gain on "slow and fast"?
# 2. Make the future lie four steps ahead instead of two. Why does one direction not care?
#    Delay its answers by four steps (label_t at step t + 4) and let it try again.
# 3. `--cell gru`: what has become of the difference between the depths?
# 4. Take digits pixel by pixel, 64 steps. Is it depth or direction that helps now?
# 5. Add each level's input to its output (`layers.Add`). What does that do to the gradient
#    in the first level of a network of eight?

# %%
if __name__ == "__main__":
    errors.start(main)
