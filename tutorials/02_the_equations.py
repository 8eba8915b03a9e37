# %% [markdown]
# # One to one: the two equations, number by number
#
# A recurrent network reads a sequence, one x after the other. At each step it mixes what
# it reads, x_t, with what it remembers, h_{t-1}, and has a new memory and an answer:
#
#     h_t = g_h(x_t W_xh + h_{t-1} W_hh + b_h)      the memory
#     y_t = g_y(h_t W_hy + b_y)                     the answer
#
# That is all. This script takes a network that is small enough for a pocket calculator
# and does four things with it:
#
# 1. It writes out every sum, and compares each number with what the cell gives.
# 2. It draws the network twice: folded, as it is built, and unfolded, as it runs.
# 3. It cuts time down to a single step, *one to one*: one x, one y. What is left is an
#    ordinary dense network, with the same outputs and the same gradients.
# 4. It lets time grow: the weights stay as many as they were, the time and the memory
#    that they take do not.
#
# It needs some seconds, and nothing but Python:
#
#     python tutorials/02_the_equations.py

# %%
import math
import pathlib
import threading
import time

# Before Keras: it keeps TensorFlow's own lines off the screen.
from workshop import command_line, errors, files, machine, plots

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
import psutil
import tensorflow as tf
from keras import layers
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.path import Path

import keras_rnn

# %% [markdown]
# ## The choices


# %%
def read_options(argv):
    """The options of the command line."""
    parser = command_line.Options(
        "The equations of a recurrent network, number by number.",
        pathlib.Path("output/the_equations"),
        resumes=False,
    )
    parser.add_argument(
        "--longest",
        type=command_line.positive,
        default=4096,
        metavar="STEPS",
        help="how far to measure what grows with the length",
    )
    return parser.parse(argv, {"longest": 64})


# %% [markdown]
# ## The network
#
# Two numbers come in at each step, two are remembered, one goes out. These are the
# weights, 15 numbers in all:
#
# | in the equations | what it does | in the code | shape | numbers |
# |---|---|---|---|---|
# | W_xh | x_t to the memory | `kernel` | (2, 2) | 4 |
# | W_hh | the last memory to the next | `recurrent_kernel` | (2, 2) | 4 |
# | b_h | | `bias` | (2,) | 2 |
# | W_hy | the memory to the answer | `output_kernel` | (2, 1) | 2 |
# | b_y | | `output_bias` | (1,) | 1 |
# | h_0 | the memory before the first step | `initial_state` | (2,) | 2 |
#
# The last row is easily forgotten: at the first step there is no last memory. Many
# programs put zeros there. In this package h_0 is a weight like the others.
#
# g_h is the hyperbolic tangent, which keeps each memory between -1 and 1, and g_y lets
# the answer be any number. All weights and inputs are drawn by lot and rounded to two
# digits, so that you can check each line below by hand.

# %%
FEATURES, UNITS, OUTPUTS, STEPS = 2, 2, 1, 3


def build_cell(random):
    """The cell of the equations, with weights that are easy to copy."""
    cell = keras_rnn.ElmanCell(UNITS, activation="tanh", output_units=OUTPUTS)
    cell.build((None, FEATURES))
    for weight in cell.weights:
        weight.assign(draw(random, weight.shape))
    return cell


def draw(random, shape):
    """Numbers of two digits, none of them too small to be seen in a picture."""
    return (random.uniform(0.2, 0.9, shape) * random.choice([-1, 1], shape)).round(2)


def weights_of(cell):
    """The weights by name, as NumPy arrays of 64-bit numbers with two digits."""
    return {w.name: w.numpy().astype("float64").round(2) for w in cell.weights}


# %% [markdown]
# ## By hand
#
# A product of a vector with a matrix is nothing but a row of sums. The entry j of
# x W is x[1] W[1, j] + x[2] W[2, j]: each input times the weight of the connection that
# leads from it to unit j. Here are these sums, without a matrix anywhere. What is printed
# is rounded to four digits; the next line goes on with all of them.


# %%
def by_hand(x, h, w):
    """One step in plain numbers: the new h, y, and the lines of the calculation."""
    new_h, y, lines = [], [], []
    for j in range(UNITS):
        products = [(x[i], w["kernel"][i, j]) for i in range(FEATURES)]
        products += [(h[i], w["recurrent_kernel"][i, j]) for i in range(UNITS)]
        z = sum(a * b for a, b in products) + w["bias"][j]
        new_h.append(math.tanh(z))
        lines.append(f"{written_out(products, w['bias'][j])} = {z:.4f}")
        lines.append(f"h[{j + 1}] = tanh({z:.4f}) = {new_h[j]:.4f}")
    for j in range(OUTPUTS):
        products = [(new_h[i], w["output_kernel"][i, j]) for i in range(UNITS)]
        y.append(sum(a * b for a, b in products) + w["output_bias"][j])
        lines.append(
            f"y    = {written_out(products, w['output_bias'][j])} = {y[j]:.4f}"
        )
    return new_h, y, lines


def written_out(products, bias):
    """A sum of products as one writes it on paper."""
    products = [f"({digits(a)})({digits(b)})" for a, b in products]
    return " + ".join([*products, f"({digits(bias)})"])


def digits(value):
    """Four digits, or two where there are no more."""
    return f"{value:.4f}".removesuffix("00")


# %% [markdown]
# The cell does one step in the same way, for a whole batch at a time, and hands its
# state over explicitly: the old state goes in, the new one comes out. The step is called
# once for each x. The *weights* are those of the first step, each time.


# %%
def tell_steps(cell, sequence):
    """Prints each step by hand beside the cell's. Returns h and y of all steps."""
    w = weights_of(cell)
    h = list(w["initial_state"])
    states = cell.get_initial_state(batch_size=1)  # h_0, as a list of one (1, units)
    memories, answers, apart = [h], [], 0.0
    for t, x in enumerate(sequence, start=1):
        now, before = (", ".join(digits(v) for v in values) for values in (x, h))
        print(f"\nStep {t}: x_{t} = ({now}), h_{t - 1} = ({before})")
        h, y, lines = by_hand(x, h, w)
        output, states = cell(tf.constant(x[None], "float32"), states)  # (1, outputs)
        for line in lines:
            print("   ", line)
        computed = [*states[0].numpy()[0], *output.numpy()[0]]
        print("    the cell:", *(f"{v:.6f}" for v in computed))
        apart = max(apart, *(abs(a - b) for a, b in zip([*h, *y], computed)))
        memories.append(h)
        answers.append(y)
    print(f"\nBy hand and by the cell, the largest difference: {apart:.1e}")
    return np.array(memories), np.array(answers), apart


# %% [markdown]
# ## Folded and unfolded
#
# There are two pictures of the same network. *Folded* it shows what is built: one cell,
# whose memory leads back into itself. *Unfolded* it shows what happens: the step at
# t = 1, to its right the step at t = 2, and so on. The arrows that leave the memory at
# one step are those that enter it at the next.
#
# In the code the first picture is a loop, the second is the loop written out:
#
#     for x in sequence:                      y_1, h = cell(x_1, h)
#         y, h = cell(x, h)                   y_2, h = cell(x_2, h)
#                                             y_3, h = cell(x_3, h)
#
# Look at the unfolded picture as at a feed-forward network: it is one, with a layer for
# each step. It has two peculiarities. Each layer has an input of its own. And all layers
# have the *same* weights: an arrow has the same colour and width at each step.

# %%
RADIUS = 0.36
# Where the units of one step stand. Unfolded, the two memories stand aslant, so that the
# arrows from step to step go past each other.
FOLDED = {"x": [(-1, -2), (1, -2)], "h": [(-1, 0), (1, 0)], "y": [(0, 2)]}
UNFOLDED = {
    "x": [(-0.5, -2), (0.5, -2)],
    "h": [(-0.5, 0.4), (0.5, -0.4)],
    "y": [(0, 2)],
}
APART = 3.2  # from one step to the next


def draw_network(w, sequence, memories, answers):
    """The picture of the network, folded on the left and unfolded on the right."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(18, 7), width_ratios=[5.8, 2 + APART * (len(sequence) + 0.1)]
    )
    draw_folded(left, w)
    draw_unfolded(right, w, sequence, memories, answers)
    for axes in (left, right):
        axes.set_aspect("equal")
        axes.set_ylim(-3.0, 2.6)
        axes.axis("off")
    signs = {"positive": plots.BLUE, "negative": plots.ORANGE}
    figure.legend(
        [plt.Line2D([], [], color=colour, linewidth=4) for colour in signs.values()],
        [f"{sign} weight" for sign in signs],
        title="The wider an arrow, the larger its weight.",
        loc="outside lower center",
        ncols=2,
    )
    return figure


def draw_folded(axes, w):
    """One step, whose memory leads back into itself, with the number of each weight."""
    (one, two), (y,) = FOLDED["h"], FOLDED["y"]
    draw_inside(axes, w, FOLDED, 0, numbers=True)
    recurrent = w["recurrent_kernel"]
    arrow(axes, [one, (-3.1, 1.1), (-3.1, -1.1), one], recurrent[0, 0], number=0.5)
    arrow(axes, [two, (3.1, 1.1), (3.1, -1.1), two], recurrent[1, 1], number=0.5)
    arrow(axes, [one, (0, 0.8), two], recurrent[0, 1], number=0.5)
    arrow(axes, [two, (0, -0.7), one], recurrent[1, 0], number=0.5)
    for i, place in enumerate(FOLDED["x"]):
        unit(axes, place, f"$x[{i + 1}]$")
    for i, place in enumerate(FOLDED["h"]):
        unit(axes, place, f"$h[{i + 1}]$\n{w['bias'][i]:+.2f}")
    unit(axes, y, f"$y$\n{w['output_bias'][0]:+.2f}")
    axes.set_xlim(-2.9, 2.9)
    axes.set_title("Folded: what is built, with its weights")
    axes.text(0, -2.85, "in a unit: its bias", ha="center")


def draw_unfolded(axes, w, sequence, memories, answers):
    """The steps side by side, with the number in each unit."""
    for t, h in enumerate(memories):
        at = t * APART
        if t > 0:
            draw_inside(axes, w, UNFOLDED, at)
            draw_layer(
                axes,
                w["recurrent_kernel"],
                UNFOLDED["h"],
                UNFOLDED["h"],
                at - APART,
                at,
            )
            rows = {"x": sequence[t - 1], "h": h, "y": answers[t - 1]}
        else:
            rows = {"h": h}
        for layer, values in rows.items():
            for value, (x, y) in zip(values, UNFOLDED[layer]):
                unit(axes, (at + x, y), f"{value:.2f}", shade(value))
            x, y = UNFOLDED[layer][0]
            axes.text(at + x - 0.45, y + 0.2, f"${layer}_{t}$", ha="right", size=17)
        axes.text(
            at, -2.85, f"step {t}" if t else "before the\nfirst step", ha="center"
        )
    axes.set_xlim(-1.4, len(sequence) * APART + 1.1)
    axes.set_title("Unfolded: what happens, with its numbers")


def draw_inside(axes, w, places, at, numbers=False):
    """The arrows within one step: from x to h and from h to y."""
    draw_layer(axes, w["kernel"], places["x"], places["h"], at, at, numbers)
    draw_layer(axes, w["output_kernel"], places["h"], places["y"], at, at, numbers)


def draw_layer(axes, kernel, sources, targets, start, end, numbers=False):
    """An arrow for each weight of a kernel, from its input to its unit."""
    for i, (x, y) in enumerate(sources):
        for j, (other_x, other_y) in enumerate(targets):
            number = (0.45 if i == j else 0.25) if numbers else None  # where none cross
            ends = [(start + x, y), (end + other_x, other_y)]
            arrow(axes, ends, kernel[i, j], number)


def arrow(axes, points, weight, number=None):
    """An arrow from unit to unit, straight or bent towards the points between.

    `number` is where on it to write the weight, from 0 to 1.
    """
    points = np.array(points, "float64")
    for end, neighbour in ((0, 1), (-1, -2)):  # from rim to rim, not centre to centre
        way = points[neighbour] - points[end]
        points[end] += RADIUS * way / np.linalg.norm(way)
    bend = {2: Path.LINETO, 3: Path.CURVE3, 4: Path.CURVE4}[len(points)]
    axes.add_patch(
        FancyArrowPatch(
            path=Path(points, [Path.MOVETO] + [bend] * (len(points) - 1)),
            arrowstyle="-|>,head_length=9,head_width=5",
            linewidth=1 + 4 * abs(weight),
            color=colour_of(weight),
            shrinkA=0,
            shrinkB=0,
        )
    )
    if number is not None:
        while len(points) > 1:  # de Casteljau: a point of a Bezier curve
            points = (1 - number) * points[:-1] + number * points[1:]
        box = {"fc": "white", "ec": "none", "pad": 1}
        axes.text(
            *points[0], f"{weight:.2f}", ha="center", va="center", size=13, bbox=box
        )


def unit(axes, place, text, colour="white"):
    """A unit: a disc with a text in it."""
    axes.add_patch(Circle(place, RADIUS, fc=colour, ec="black", lw=1.5, zorder=3))
    axes.text(*place, text, ha="center", va="center", size=13, zorder=4)


def colour_of(value):
    return plots.BLUE if value > 0 else plots.ORANGE


def shade(value):
    """White for 0, and the more of the colour of its sign the larger the number."""
    full = np.array(to_rgb(colour_of(value)))
    return 1 - (1 - full) * 0.5 * min(abs(value), 1)


# %% [markdown]
# ## One time step: an ordinary dense network
#
# Let the sequence have one x only. The unfolded picture ends after step 1, and the two
# equations are used once:
#
#     h_1 = tanh(x_1 W_xh + (h_0 W_hh + b_h))
#     y_1 = h_1 W_hy + b_y
#
# What stands in the inner brackets does not depend on x. It is a constant: a bias. So
# this is a dense layer with the kernel W_xh and that bias, and on it a second dense layer
# with W_hy and b_y. A recurrent network over one time step *is* a feed-forward network
# with one hidden layer.


# %%
def dense_twin(cell):
    """Two dense layers that compute what the cell does at its first step."""
    twin = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(UNITS, activation="tanh"),
            layers.Dense(OUTPUTS),
        ]
    )
    w = {weight.name: weight.numpy() for weight in cell.weights}
    bias = w["bias"] + w["initial_state"] @ w["recurrent_kernel"]
    twin.set_weights([w["kernel"], bias, w["output_kernel"], w["output_bias"]])
    return twin


# %% [markdown]
# The same outputs are half of the claim. The networks are the same to a trainer, too, if
# they have the same *gradients*. Four weights of the cell have their counterpart in the
# dense network: W_xh, b_h, W_hy and b_y. The other two, W_hh and h_0, are hidden in its
# bias, b = h_0 W_hh + b_h, and the chain rule gives their gradients from that of b:
#
#     dL/dW_hh = h_0^T dL/db          dL/dh_0 = dL/db W_hh^T
#
# Two things can be read off the first one. With h_0 = 0 it is zero: a network that
# starts from zeros learns nothing about W_hh from its first step. And W_hh, b_h and h_0
# do one job between them here, namely b. It takes a second step to tell them apart.


# %%
def gradients(network, weights, x, target):
    """The gradients of the mean squared error by some weights, and the outputs."""
    with tf.GradientTape() as tape:
        y = network(x)
        loss = tf.reduce_mean(tf.square(y - target))
    values = [weight.value for weight in weights]
    return [tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, values)], y


def compare_with_twin(cell, x, target):
    """Outputs and gradients at one time step: (name, dense, recurrent) of each."""
    network = keras_rnn.RNN(cell)  # (batch, timesteps, features) to (batch, outputs)
    twin = dense_twin(cell)
    names = ["kernel", "bias", "output_kernel", "output_bias"]
    names += ["recurrent_kernel", "initial_state"]
    weights = [getattr(cell, name) for name in names]
    recurrent, y = gradients(network, weights, x[:, None], target)  # one time step
    dense, twin_y = gradients(twin, twin.weights, x, target)
    h_0, W_hh = cell.initial_state.numpy(), cell.recurrent_kernel.numpy()
    dense += [np.outer(h_0, dense[1]), dense[1] @ W_hh.T]
    signs = ["W_xh", "b_h", "W_hy", "b_y", "W_hh", "h_0"]
    return [
        ("y", twin_y.numpy(), y.numpy()),
        *((f"dL/d{sign}", a, b) for sign, a, b in zip(signs, dense, recurrent)),
    ]


def tell_twin(compared):
    """Prints what the two networks gave. Returns the largest difference."""
    print("\nOne time step, and the dense network of the same weights")
    for name, dense, recurrent in compared:
        for kind, values in (("dense", dense), ("recurrent", recurrent)):
            numbers = " ".join(f"{v:+.6f}" for v in values.ravel()[:4])
            print(f"    {name:8} {kind:10} {numbers}")
            name = ""
    apart = max(float(np.abs(a - b).max()) for _, a, b in compared)
    print(f"The largest difference: {apart:.1e}")
    return apart


# %% [markdown]
# ## What grows with the length, and what does not
#
# Now the other way: let the sequence be long. A dense network that is to see all of it
# at once needs a weight for each number of each step, and it can read that length only.
# The recurrent network reads any length with the weights that it has.
#
# But it has to take the steps one by one, since h_t waits for h_{t-1}: the *time* grows
# with the length. And the way back needs each h_t again (the slope of the tanh at step t
# is 1 - h_t^2, and the gradient of W_hh is a sum over h_{t-1}). So a training step keeps
# them all: the *memory* of the computer grows with the length.
#
# The network here is larger than the one above, so that there is something to measure. A
# thread looks at the memory of the process, again and again, while the training step
# runs.

# %%
BATCH, WIDTH, MEMORY = 32, 16, 64  # sequences, features, units


def measure(longest):
    """Weights, time and memory at growing lengths: a dict for each."""
    network = keras_rnn.ElmanRNN(MEMORY, output_units=1)
    network.build((None, None, WIDTH))
    sequences = tf.TensorSpec((BATCH, None, WIDTH))

    @tf.function(input_signature=[sequences])
    def forward(x):
        return network(x)

    @tf.function(input_signature=[sequences])
    def forward_and_back(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(network(x, training=True)))
        return tape.gradient(loss, [w.value for w in network.trainable_weights])

    lengths = [4**n for n in range(math.ceil(math.log(longest, 4)))] + [longest]
    bar = keras.utils.Progbar(len(lengths), unit_name="length")
    rows = []
    for call in (forward, forward_and_back):
        call(tf.zeros((BATCH, 2, WIDTH)))  # what is done once is not measured
    before = psutil.Process().memory_info().rss
    for done, length in enumerate(lengths, start=1):
        x = tf.random.normal((BATCH, length, WIDTH))
        dense = keras.Sequential(
            [keras.Input((length, WIDTH)), layers.Flatten(), layers.Dense(MEMORY)]
        )
        row = {
            "steps": length,
            "weights": network.count_params(),
            "weights_dense": dense.count_params(),
            "milliseconds_forward": milliseconds(lambda x=x: forward(x)),
            "milliseconds_training": milliseconds(lambda x=x: forward_and_back(x)),
            "mebibytes_training": (peak(lambda x=x: forward_and_back(x)) - before) / 2**20,
            "mebibytes_states": 4 * BATCH * length * MEMORY / 2**20,
        }  # fmt: skip
        rows.append(row)
        bar.update(done)
    return rows


def milliseconds(call, repeats=9):
    """How long a call takes, at best: what else the computer does can only add to it."""
    samples = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        samples.append(1000 * (time.perf_counter() - start))
    return min(samples)


def peak(call):
    """The bytes of resident memory of this process, at most, during a call."""
    process, over, most = psutil.Process(), threading.Event(), [0]

    def watch():
        while not over.is_set():
            most[0] = max(most[0], process.memory_info().rss)
            time.sleep(0.0005)

    thread = threading.Thread(target=watch)
    thread.start()
    call()
    over.set()
    thread.join()
    return most[0]


def draw_growth(rows):
    """A picture of weights, time and memory against the number of steps."""
    figure, (weights, duration, memory) = plt.subplots(1, 3, figsize=(18, 5.5))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    steps = columns["steps"]
    weights.plot(steps, columns["weights"], "o-", label="recurrent")
    weights.plot(
        steps, columns["weights_dense"], "s--", label="dense, all steps at once"
    )
    weights.set(title="Weights: as many as ever", ylabel="number of weights")
    duration.plot(
        steps, columns["milliseconds_training"], "o-", label="forward and back"
    )
    duration.plot(steps, columns["milliseconds_forward"], "s--", label="forward")
    duration.set(title="Time: grows", ylabel=f"ms for {BATCH} sequences")
    memory.plot(steps, columns["mebibytes_training"], "o-", label="forward and back")
    memory.plot(steps, columns["mebibytes_states"], "s--", label="all $h_t$ alone")
    memory.set(title="Memory: grows", ylabel=f"MiB for {BATCH} sequences")
    for axes in (weights, duration, memory):
        axes.loglog()
        axes.set_xticks(steps, [f"{n:,}" for n in steps])
        axes.minorticks_off()
        axes.set_xlabel("time steps (each tick: four times as many)")
        axes.legend(loc="upper left")
    return figure


# %% [markdown]
# ## All of it


# %%
@errors.reported
def main(argv=None):
    options = read_options(argv)
    errors.need_tensorflow("a look at the gradients")
    files.make_writable(options.output)
    keras.utils.set_random_seed(options.seed)
    random = np.random.default_rng(options.seed)

    sequence = draw(random, (STEPS, FEATURES))
    cell = build_cell(random)
    print("The weights")
    for name, values in weights_of(cell).items():
        print(f"    {name:17} {str(values.shape):8} {values.tolist()}")
    memories, answers, apart = tell_steps(cell, sequence)
    x, target = draw(random, (16, FEATURES)), draw(random, (16, OUTPUTS))
    apart_from_twin = tell_twin(
        compare_with_twin(cell, x.astype("float32"), target.astype("float32"))
    )

    print("\nWhat grows with the length", flush=True)
    rows = measure(options.longest)
    print("     steps   weights   forward (ms)   and back (ms)   memory (MiB)")
    for row in rows:
        print(
            f"  {row['steps']:8,} {row['weights']:9,} {row['milliseconds_forward']:14.2f}"
            f" {row['milliseconds_training']:15.2f} {row['mebibytes_training']:14.1f}"
        )

    folder = options.output
    figure = draw_network(weights_of(cell), sequence, memories, answers)
    plots.save_figure(figure, folder / "folded_and_unfolded.png")
    plots.save_figure(draw_growth(rows), folder / "growth.png")
    files.write_json(
        folder / "metrics.json",
        {
            "weights": cell.count_params(),
            "by_hand_and_cell_differ_by": float(apart),
            "one_step_and_dense_differ_by": apart_from_twin,
            "growth": rows,
            "seed": options.seed,
            "options": {"quick": options.quick, "longest": options.longest},
            "versions": machine.versions(),
        },
    )
    print(f"\nThe pictures and the figures are in {folder}")
    return 0


if __name__ == "__main__":
    errors.start(main)

# %% [markdown]
# ## Summary
#
# 1. A recurrent network is two equations. In the first the new memory comes from the
#    input *and* the old memory. In the second the answer comes from the memory alone.
# 2. Unfolded in time it is a feed-forward network with a layer for each step, an input
#    at each layer and the same weights in all of them.
# 3. Over one time step it is a dense network with one hidden layer, whose bias is
#    h_0 W_hh + b_h. All that is new comes with the second step.
# 4. The number of weights has nothing to do with the length of the sequence. The time of
#    a step forward and back grows with it, and so does the memory that it takes. Once the
#    fixed costs of a call are small beside the rest, both grow in proportion: on the
#    scales of the picture that is a line as steep as the one of the h_t. The h_t are a
#    part of that memory; the sums inside the tanh and all gradients are there as well.
#
# Where y is read, and where x is fed in, makes the five shapes:
#
# | shape | x | y | for instance |
# |---|---|---|---|
# | one to one | one | one | this script |
# | one to many | one | one at each step | a text or a tune: `10_character_generation.py` |
# | many to one | one at each step | one, at the end | `07_sentiment_classification.py`, `08_video_classification.py` |
# | many to many, aligned | one at each step | one for each x | `09_named_entities.py` |
# | many to many | a sequence | then another one | `11_translation.py` |
#
# How the gradient gets through more than one step is a story of its own:
# `03_backpropagation_through_time.py` tells it.
#
# ## Exercises
#
# 1. Take a pocket calculator and a step of the output above, and check one line of it.
#    Then change the sign of x_1 and see which lines of steps 2 and 3 change. Why all?
# 2. Set h_0 to zero, by `cell.initial_state.assign([0, 0])`. Which of the six gradients
#    of the single step is zero now? Which one is not, so that h_0 does not stay there?
# 3. Choose W_hh = 0 in `build_cell`. What does the unfolded picture look like now, and
#    what does y_3 still know of x_1?
# 4. Choose W_xh and W_hh as the identity, b_h as 0 and a linear g_h. What is h_t? What
#    can such a network remember, what not, and for how long?
# 5. How many weights has a cell with n features, m units and k outputs? Check with
#    `count_params()`. Which term grows fastest when the memory gets larger?
