# %% [markdown]
# # Back-propagation through time, with every number on the page
#
# A recurrent network learns by the same rule as any other: work out how the loss changes
# with each weight, and take a small step downhill. What is special is that one weight is
# used at every time step. Unfold the network along time, and it is an ordinary deep
# network, with one layer for each step and the *same* weights in each layer:
#
#       y_1        y_2        y_3        y_4
#        |          |          |          |
#     h_0 -> h_1 ----> h_2 ----> h_3 ----> h_4
#             |          |          |          |
#            x_1        x_2        x_3        x_4
#
# Back-propagation through time is the chain rule on this picture. There is nothing else
# to it, and the best way to believe it is to do it once with numbers. Here a network of
# two units reads four numbers. Everything is worked out by hand, in NumPy, in twenty
# lines. Then the same comes from three other sides: from the pass that `keras_rnn` uses,
# from automatic differentiation of Keras's own loop, and from finite differences.
#
#     python tutorials/03_backpropagation_through_time.py
#     python tutorials/03_backpropagation_through_time.py --seed 7     (another page)

# %%
import functools
from pathlib import Path

# Before Keras: it keeps TensorFlow's own lines off the screen.
from workshop import command_line, errors, files, machine, plots

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers, ops

import keras_rnn
from keras_rnn.gradient_flow import state_gradients

STEPS, UNITS = 4, 2


# %%
def read_options(argv):
    """The options of the command line."""
    parser = command_line.Options(
        "Back-propagation through time with every number on the page.",
        Path("output/backpropagation_through_time"),
        resumes=False,
    )
    parser.add_argument(
        "--batches",
        type=command_line.positive,
        default=500,
        help="of training for each network of the last chapter",
    )
    return parser.parse(argv, {"batches": 40})


# %% [markdown]
# ## The network
#
# The equations of the article, a state and an output at each step:
#
#     z_t = x_t W_xh + h_{t-1} W_hh + b_h
#     h_t = tanh(z_t)
#     y_t = h_t W_hy + b_y
#
# | symbol | in the code | shape |
# |---|---|---|
# | W_xh | `kernel` | (1, 2) |
# | W_hh | `recurrent_kernel` | (2, 2) |
# | b_h | `bias` | (2,) |
# | h_0 | `initial_state` | (2,) |
# | W_hy | `output_kernel` | (2, 1) |
# | b_y | `output_bias` | (1,) |
#
# and the loss is half the squared error, summed over the steps:
#
#     L = 1/2 (y_1 - target_1)^2 + ... + 1/2 (y_4 - target_4)^2
#
# All numbers have one decimal, so that you can follow with a pencil.

# %%
SHAPES = {
    "kernel": (1, UNITS),
    "recurrent_kernel": (UNITS, UNITS),
    "bias": (UNITS,),
    "output_kernel": (UNITS, 1),
    "output_bias": (1,),
    "initial_state": (UNITS,),
}


def draw_numbers(seed):
    """The weights by name, the inputs (4, 1) and the targets (4, 1)."""
    random = np.random.default_rng(seed)

    def numbers(shape):
        return random.integers(1, 10, shape) / 10 * random.choice([-1, 1], shape)

    weights = {name: numbers(shape) for name, shape in SHAPES.items()}
    return weights, numbers((STEPS, 1)), numbers((STEPS, 1))


# %% [markdown]
# ## Forward
#
# From the first step to the last. What the way back needs is kept: each h_t.


# %%
def forward(w, x):
    """The states before and after each step, (5, 2), and the outputs, (4, 1)."""
    h, y = [w["initial_state"]], []
    for t in range(STEPS):
        z = x[t] @ w["kernel"] + h[-1] @ w["recurrent_kernel"] + w["bias"]  # (2,)
        h.append(np.tanh(z))
        y.append(h[-1] @ w["output_kernel"] + w["output_bias"])  # (1,)
    return np.array(h), np.array(y)


def loss_of(y, targets):
    """L: half the squared error, summed over the steps."""
    return 0.5 * np.sum((y - targets) ** 2)


def tell_forward(x, targets, h, y):
    """Prints the forward pass."""
    print(
        "\nForward\n  t      x_t             h_t            y_t    target  half error^2"
    )
    print(f"  0              {pair(h[0])}")
    for t in range(1, STEPS + 1):
        error = y[t - 1, 0] - targets[t - 1, 0]
        print(
            f"  {t}  {x[t - 1, 0]:+7.4f}  {pair(h[t])}  {y[t - 1, 0]:+7.4f}  "
            f"{targets[t - 1, 0]:+7.4f}  {0.5 * error**2:7.4f}"
        )
    print(f"  L = {loss_of(y, targets):.4f}")


def pair(values):
    """Two numbers as text."""
    return " ".join(f"{value:+7.4f}" for value in values)


# %% [markdown]
# ## Backward
#
# Write d v for dL/dv: how much the loss changes with v. Go from the last step to the
# first, and at each step ask one question: *through what does the loss see this?*
#
# **The output.** L sees y_t through its own error alone:
#
#     d y_t = y_t - target_t
#
# **The state.** L sees h_t in two ways: through y_t = h_t W_hy + b_y, and through the next
# step, z_{t+1} = ... + h_t W_hh + .... The chain rule adds the two ways:
#
#     d h_t = d y_t W_hy^T  +  d z_{t+1} W_hh^T           (the second is 0 at the last step)
#
# This is the whole of "through time": the error of step 4 comes to step 3 by way of
# W_hh, from there to step 2, and so on.
#
# **Inside the tanh.** Its slope is 1 - tanh^2, and h_t is that tanh:
#
#     d z_t = d h_t (1 - h_t^2)
#
# So an error that travels k steps back is multiplied k times by W_hh^T and k times by
# slopes that are at most 1. If these products shrink, the gradient *vanishes*; if they
# grow, it *explodes*. That is the subject of `04_vanishing_gradients.py`.
#
# **The weights.** A weight that is used at each step is seen through each step, so its
# gradient is a sum over the steps:
#
#     d W_hh = sum of  h_{t-1}^T d z_t          d W_hy = sum of  h_t^T d y_t
#     d W_xh = sum of  x_t^T d z_t              d b_y  = sum of  d y_t
#     d b_h  = sum of  d z_t
#
# **The initial state.** h_0 is seen through the first step alone, and learned like any
# weight:
#
#     d h_0 = d z_1 W_hh^T


# %%
def backward(w, x, targets, h, y, reach=STEPS):
    """The gradients by y_t, h_t, z_t, and by each weight.

    `reach` says how many steps back an error may travel: all of them is the truth, fewer
    is truncated back-propagation.
    """
    d_y = y - targets  # (4, 1)
    d_h, d_z = np.zeros((STEPS, UNITS)), np.zeros((STEPS, UNITS))
    d_first = np.zeros(UNITS)
    for source in reversed(range(STEPS)):  # the error of one output ...
        flow = d_y[source] @ w["output_kernel"].T  # (2,)
        for t in reversed(
            range(max(0, source - reach + 1), source + 1)
        ):  # ... goes back
            d_h[t] += flow
            delta = flow * (1 - h[t + 1] ** 2)  # h[t + 1] is the state after step t
            d_z[t] += delta
            flow = delta @ w["recurrent_kernel"].T
        if source < reach:
            d_first += flow
    gradients = {
        "kernel": x.T @ d_z,
        "recurrent_kernel": h[:-1].T @ d_z,
        "bias": d_z.sum(axis=0),
        "output_kernel": h[1:].T @ d_y,
        "output_bias": d_y.sum(axis=0),
        "initial_state": d_first,
    }
    return d_y, d_h, d_z, gradients


# %% [markdown]
# The code follows the error of each output by itself, because that is what one can cut
# short below. The sums come out the same as in the formulas above, where all errors
# travel together, in one pass. (Why? Because the way back is linear in them.)


# %%
def tell_backward(w, h, d_y, d_h, d_z):
    """Prints the backward pass: what comes to h_t by each way, and their sum."""
    print("\nBackward")
    print(
        "  t    d y_t     through y_t        through h_t+1            d h_t"
        "         1 - h_t^2           d z_t"
    )
    for t in reversed(range(STEPS)):
        own = d_y[t] @ w["output_kernel"].T
        later = d_z[t + 1] @ w["recurrent_kernel"].T if t + 1 < STEPS else np.zeros(2)
        print(
            f"  {t + 1}  {d_y[t, 0]:+7.4f}  {pair(own)}  {pair(later)}  {pair(d_h[t])}  "
            f"{pair(1 - h[t + 1] ** 2)}  {pair(d_z[t])}"
        )
    print("\nWhat each step adds to d W_hh = sum of h_{t-1}^T d z_t, row by row")
    for t in range(STEPS):
        rows = np.outer(h[t], d_z[t])
        print(f"  {t + 1}  {pair(rows[0])}   {pair(rows[1])}")
    total = h[:-1].T @ d_z
    print(f"  =  {pair(total[0])}   {pair(total[1])}")


# %% [markdown]
# ## The same by three other ways
#
# **The fast pass.** `keras_rnn.RNN` has the formulas above in its code, for any batch and
# any number of units: see `keras_rnn/bptt.py`.
#
# **Automatic differentiation.** TensorFlow writes down each operation of Keras's own loop
# as it runs, and applies the chain rule to what it wrote down. It knows nothing of time.
#
# **Finite differences.** The definition: move one weight by a little, e, to both sides,
# and see how far the loss moves:
#
#     dL/dw = (L(w + e) - L(w - e)) / 2e
#
# It needs two whole forward passes for each weight, so nobody trains with it. But it
# knows nothing of the chain rule, so it is the best of all checks. Use it whenever you
# write a gradient by hand.


# %%
def by_keras(make, w, x, targets):
    """The gradients by name, from TensorFlow, of a Keras layer with these weights."""
    cell = keras_rnn.ElmanCell(UNITS, output_units=1, dtype="float64")
    layer = make(cell, return_sequences=True, dtype="float64")
    layer.build((1, STEPS, 1))
    for variable in cell.weights:
        variable.assign(w[variable.name])
    with tf.GradientTape() as tape:
        y = layer(tf.constant(x[None]))  # (1, 4, 1): a batch of one sequence
        loss = 0.5 * tf.reduce_sum((y - targets) ** 2)
    gradients = tape.gradient(loss, [v.value for v in cell.weights])
    return {v.name: g.numpy() for v, g in zip(cell.weights, gradients)}


def by_differences(w, x, targets, e=1e-6):
    """The gradients by name, from the loss alone."""
    gradients = {}
    for name, value in w.items():
        gradients[name] = np.zeros_like(value)
        for place in np.ndindex(value.shape):
            losses = []
            for move in (e, -e):
                moved = value.copy()
                moved[place] += move
                losses.append(loss_of(forward({**w, name: moved}, x)[1], targets))
            gradients[name][place] = (losses[0] - losses[1]) / (2 * e)
    return gradients


def tell_gradients(ways):
    """Prints the gradient of each weight, a column for each way, and how far they agree."""
    print("\nThe gradient of each weight")
    print(" " * 26 + "".join(f"{way:>20}" for way in ways))
    first, *others = ways.values()
    for name, value in first.items():
        for place in np.ndindex(value.shape):
            label = f"{name}[{', '.join(map(str, place))}]"
            row = "".join(f"{g[name][place]:+20.10f}" for g in ways.values())
            print(f"  {label:24}{row}")
    for way, gradients in zip(list(ways)[1:], others):
        print(f"  by hand and {way}: differ by {apart(first, gradients):.1e} at most")


def apart(a, b):
    """The largest difference between two dictionaries of gradients."""
    return max(float(np.max(np.abs(a[name] - b[name]))) for name in a)


# %% [markdown]
# ## How much does the loss depend on the memory?
#
# d h_t is the most telling number of all: the total derivative of the loss by the state
# at step t. No layer returns it, but `keras_rnn.gradient_flow.state_gradients` finds its
# length for any recurrent layer in any model, a stacked LSTM as well as this. On the page
# above it is sqrt(d h_t . d h_t).


# %%
def lengths(w, x, targets):
    """The length of d h_t at each step, from `state_gradients`."""
    layer = keras_rnn.ElmanRNN(
        UNITS, output_units=1, return_sequences=True, dtype="float64"
    )
    model = keras.Sequential([keras.Input((STEPS, 1), dtype="float64"), layer])
    squares = keras.losses.MeanSquaredError(reduction="sum", dtype="float64")
    model.compile(loss=squares, loss_weights=0.5)
    for variable in layer.cell.weights:
        variable.assign(w[variable.name])
    (norms,) = state_gradients(model, x[None], targets[None]).values()
    return norms


def tell_lengths(d_h, norms):
    """Prints the length of d h_t by hand and by the instrument."""
    print("\nThe length of d h_t    by hand    state_gradients")
    for t in range(STEPS):
        print(
            f"  t = {t + 1}           {np.linalg.norm(d_h[t]):10.6f} {norms[t]:18.6f}"
        )


# %% [markdown]
# ## Learning where to start
#
# Keras starts each sequence from h_0 = 0. Here h_0 is a weight, with the gradient d h_0.
# One step of gradient descent on h_0 *alone* lowers the loss, with all else as it was.
# The chain rule even says by how much, as long as the step is small: by the rate times
# the squared length of d h_0.


# %%
def learn_initial_state(w, x, targets, gradient, rate=0.1):
    """The loss before and after a step on h_0 alone, and what the chain rule expects."""
    before = loss_of(forward(w, x)[1], targets)
    moved = {**w, "initial_state": w["initial_state"] - rate * gradient}
    after = loss_of(forward(moved, x)[1], targets)
    return before, after, before - rate * float(gradient @ gradient)


def tell_initial_state(w, gradient, losses):
    """Prints the step on h_0."""
    before, after, expected = losses
    print(f"\nThe learned initial state: h_0 = {pair(w['initial_state'])}")
    print(f"  d h_0 = {pair(gradient)}")
    print(f"  after h_0 <- h_0 - 0.1 d h_0: L = {after:.6f}, before {before:.6f}")
    print(f"  (to first order: {expected:.6f})")


# %% [markdown]
# ## Truncated back-propagation
#
# A sequence of a million steps does not fit into memory, and its gradient takes a
# million steps to work out. So one cuts: forward, the state is carried on as ever;
# backward, an error travels k steps at most. In `fit` this is what `stateful=True` does
# with a sequence that is cut into pieces.
#
# What is left is no longer the gradient of the loss. How wrong is it? Here for the page
# above: d W_hh if errors reach k steps, and the cosine of the angle to the true one (1 is
# the same direction, 0 is at right angles, below 0 is uphill).


# %%
def truncate(w, x, targets, h, y):
    """For each reach k: d W_hh, its cosine to the true one, and d h_0."""
    true = backward(w, x, targets, h, y)[3]["recurrent_kernel"]
    table = []
    for reach in range(1, STEPS + 1):
        gradients = backward(w, x, targets, h, y, reach)[3]
        cut = gradients["recurrent_kernel"]
        cosine = np.sum(cut * true) / (np.linalg.norm(cut) * np.linalg.norm(true))
        table.append(
            {
                "reach": reach,
                "recurrent_kernel": cut.tolist(),
                "cosine": float(cosine),
                "initial_state": gradients["initial_state"].tolist(),
            }
        )
    return table


def tell_truncated(table):
    """Prints the table of `truncate`."""
    print("\nIf errors travel k steps at most")
    print("  k     d W_hh, row by row                     cosine         d h_0")
    for row in table:
        first, second = row["recurrent_kernel"]
        print(
            f"  {row['reach']}  {pair(first)}   {pair(second)}  {row['cosine']:+7.4f}  "
            f"{pair(row['initial_state'])}"
        )


# %% [markdown]
# ## What it forgets
#
# The angle may look harmless. Here is a task where it is not. The first number of a
# sequence is +1 or -1, then noise follows, and at the end the network is asked for the
# sign of the first:
#
#     +1   0.3  -1.1   0.6 ...  0.9         ->  +1
#
# To learn this, the error at the end has to reach the first step, and tell W_xh and W_hh
# to write the sign down and to keep it. If it travels k steps only, the network can
# still *read* whatever happens to be left of the sign in its state. But nothing teaches
# it to *keep* it.
#
# In Keras the cut is one call: `stop_gradient` on the state that is handed on. The state
# goes through, and the error does not. With k = 20, nothing is cut.

# %%
LENGTH = 20
REACHES = (1, 5, 10, 15, 18, 20)


def draw_task(count, seed):
    """Sequences (count, 20, 1) and the sign of their first number (count, 1)."""
    random = np.random.default_rng(seed)
    signs = random.choice([-1.0, 1.0], (count, 1))
    x = random.normal(size=(count, LENGTH, 1))
    x[:, 0] = signs
    return x.astype("float32"), signs.astype("float32")


def build(reach, seed):
    """A network of which the errors travel `reach` steps back."""
    keras.utils.set_random_seed(seed)
    layer = keras_rnn.ElmanRNN(8, learn_initial_state=False)
    x = keras.Input((LENGTH, 1))
    if reach == LENGTH:
        state = layer(x)  # (batch, 8)
    else:
        carried = ops.stop_gradient(layer(x[:, :-reach]))
        state = layer(x[:, -reach:], initial_state=[carried])
    model = keras.Model(x, layers.Dense(1)(state))
    model.compile(keras.optimizers.Adam(3e-3, clipnorm=1.0), "mse")
    return model


def train_truncated(batches, reaches, seed):
    """For each reach the share of signs that are told right, and the weights."""
    x, signs = draw_task(64 * batches, seed)
    test_x, test_signs = draw_task(1000, seed + 1_000_000)
    accuracies, weights = {}, {}
    print(f"\nWhat was the first of {LENGTH} numbers? ({64 * batches} sequences each)")
    for reach in reaches:
        model = build(reach, seed)
        model.fit(x, signs, batch_size=64, epochs=1, shuffle=False, verbose=0)
        said = model(test_x).numpy()
        accuracies[reach] = float(np.mean((said > 0) == (test_signs > 0)))
        names = ("kernel", "recurrent_kernel", "bias", "dense_kernel", "dense_bias")
        for name, value in zip(names, model.get_weights()):
            weights[f"{reach}/{name}"] = value
        print(
            f"  errors travel {reach:2} steps back: {accuracies[reach]:.3f} of "
            f"{len(test_x)} right"
        )
    return accuracies, weights


# %% [markdown]
# ## The pictures
#
# The unfolded network with all its numbers: forward in blue, from left to right; backward
# in orange, from right to left.


# %%
def draw_unfolded(x, targets, h, y, d_y, d_h, d_first, path):
    """The unfolded graph, with each number of both passes."""
    figure, axes = plt.subplots(figsize=(16, 8))
    axes.set_axis_off()
    axes.set_xlim(-0.45, STEPS + 0.65)
    axes.set_ylim(-0.55, 2.45)

    def box(at, text, colour="white"):
        axes.text(
            *at, text, ha="center", va="center", fontsize=14, linespacing=1.5,
            bbox={"boxstyle": "round,pad=0.5", "facecolor": colour, "edgecolor": "black"},
        )  # fmt: skip

    def arrow(start, end, colour, text="", offset=(0, 0), **where):
        axes.annotate(
            "", end, start,
            arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 2.5},
        )  # fmt: skip
        middle = (np.add(start, end)) / 2 + offset
        axes.text(*middle, text, color=colour, fontsize=13, linespacing=1.4, **where)

    def column(values):
        return "\n".join(f"{value:+.4f}" for value in values)

    blue, orange = plots.BLUE, plots.ORANGE
    for t in range(STEPS + 1):
        box((t, 1), f"$h_{t}$\n{column(h[t])}", "#eaf3fa")
        gradient = d_first if t == 0 else d_h[t - 1]
        axes.text(
            t + (0 if t == 0 else 0.28), 0.58, f"d$h_{t}$\n{column(gradient)}",
            color=orange, fontsize=13, ha="center", va="center", linespacing=1.4,
        )  # fmt: skip
        if t == 0:
            continue
        box((t, 0), f"$x_{t}$\n{x[t - 1, 0]:+.1f}")
        error = y[t - 1, 0] - targets[t - 1, 0]
        box(
            (t, 2),
            f"$y_{t}$ {y[t - 1, 0]:+.4f}\ntarget {targets[t - 1, 0]:+.1f}\n"
            f"loss {0.5 * error**2:.4f}",
        )
        arrow((t - 0.06, 0.2), (t - 0.06, 0.7), blue)
        arrow((t - 0.72, 1.08), (t - 0.28, 1.08), blue)
        arrow((t - 0.06, 1.3), (t - 0.06, 1.68), blue)
        arrow(
            (t + 0.06, 1.68), (t + 0.06, 1.3), orange,
            f"d$y_{t}$ {d_y[t - 1, 0]:+.4f}", (0.05, 0), va="center",
        )  # fmt: skip
        arrow((t - 0.28, 0.92), (t - 0.72, 0.92), orange)
    axes.text(0.5, 1.2, "$W_{hh}$", ha="center", fontsize=14)
    axes.text(0.8, 0.45, "$W_{xh}$", ha="center", fontsize=14)
    axes.text(0.8, 1.48, "$W_{hy}$", ha="center", fontsize=14)
    axes.text(
        -0.35, 2,
        f"L = {loss_of(y, targets):.4f},\nthe sum of the losses", fontsize=15,
        va="center",
    )  # fmt: skip
    axes.text(-0.35, 0.05, "forward: values", color=blue, fontsize=15)
    axes.text(
        -0.35,
        -0.2,
        "backward:\nd v = dL/dv, in all",
        color=orange,
        fontsize=15,
        va="top",
    )
    axes.set_title("The network unfolded over four steps")
    plots.save_figure(figure, path)


def draw_truncated(table, accuracies, path):
    """What is lost if errors travel k steps only: on the page, and in training."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(14, 5.5))
    left.plot([r["reach"] for r in table], [r["cosine"] for r in table], "o-")
    left.axhline(1, color=plots.GREY, linewidth=1, linestyle="--")
    left.set_xticks(range(1, STEPS + 1))
    left.set_xlabel("steps k that errors travel back")
    left.set_ylabel("cosine to the true gradient")
    left.set_title(r"The page: direction of d$W_{hh}$")
    right.plot(list(accuracies), list(accuracies.values()), "s-", color=plots.ORANGE)
    right.axhline(0.5, color=plots.GREY, linewidth=1, linestyle="--")
    right.text(1, 0.5, "guessing", va="bottom", color=plots.GREY)
    right.set_xticks(list(accuracies))
    right.set_ylim(0.4, 1.03)
    right.set_xlabel("steps k that errors travel back")
    right.set_ylabel("share of signs told right")
    right.set_title(f"The task: recall the first of {LENGTH} numbers")
    plots.save_figure(figure, path)


# %% [markdown]
# ## All together


# %%
@errors.reported
def main(argv=None):
    """Works the page out, prints it, draws it. Returns the exit code."""
    options = read_options(argv)
    errors.need_tensorflow("This tutorial")
    files.make_writable(options.output)

    w, x, targets = draw_numbers(options.seed)
    print("The weights")
    for name, value in w.items():
        print(f"  {name:17}", " ".join(f"{number:+.1f}" for number in value.flat))
    h, y = forward(w, x)
    tell_forward(x, targets, h, y)
    d_y, d_h, d_z, gradients = backward(w, x, targets, h, y)
    tell_backward(w, h, d_y, d_h, d_z)
    ways = {
        "by hand": gradients,
        "the fast pass": by_keras(keras_rnn.RNN, w, x, targets),
        "autodiff": by_keras(layers.RNN, w, x, targets),
        "finite differences": by_differences(w, x, targets),
    }
    tell_gradients(ways)
    norms = lengths(w, x, targets)
    tell_lengths(d_h, norms)
    step = learn_initial_state(w, x, targets, gradients["initial_state"])
    tell_initial_state(w, gradients["initial_state"], step)
    table = truncate(w, x, targets, h, y)
    tell_truncated(table)
    reaches = (1, LENGTH) if options.quick else REACHES
    accuracies, trained = train_truncated(options.batches, reaches, options.seed)

    output = options.output
    d_first = gradients["initial_state"]
    draw_unfolded(x, targets, h, y, d_y, d_h, d_first, output / "unfolded.png")
    draw_truncated(table, accuracies, output / "truncated.png")
    with files.replacing(output / "truncated.npz") as new, new.open("wb") as file:
        np.savez(file, **trained)
    as_lists = functools.partial(keras.tree.map_structure, np.ndarray.tolist)
    files.write_json(
        output / "metrics.json",
        {
            "options": {"seed": options.seed, "batches": options.batches},
            "loss": float(loss_of(y, targets)),
            "gradients": {way: as_lists(g) for way, g in ways.items()},
            "differ_by": {way: apart(gradients, g) for way, g in ways.items()},
            "state_gradients": norms.tolist(),
            "initial_state_step": dict(zip(("before", "after", "first_order"), step)),
            "truncated": table,
            "accuracy_by_reach": accuracies,
            "versions": machine.versions(),
        },
    )
    print(f"\nThe pictures and the numbers are in {output}.")


# %% [markdown]
# ## What to take along
#
# 1. Unfolded over time, a recurrent network is a deep one with shared weights. The chain
#    rule does the rest.
# 2. The state is seen in two ways, through its own output and through the next step.
#    What comes back is the sum.
# 3. Each step back multiplies by W_hh^T and by the slope of the tanh.
# 4. A shared weight's gradient is a sum over the steps.
# 5. The first state can be learned: it has a gradient like all else.
# 6. Truncation keeps the state and cuts the error. What lies further back than the cut
#    may be read, if it is still there, but the network is not taught to keep it.
# 7. Check a gradient that you wrote by finite differences, in double precision.
#
# ## Exercises
#
# 1. Work out d h_4 and d h_3 with a pencil for `--seed 2`. Then look.
# 2. Put the identity in place of the tanh. Which factor is gone from the way back? Find
#    the gradient of L by h_0 in one line.
# 3. Give the network a loss at the last step only. Which column of the table of the way
#    back is then 0, and what does it do to the length of d h_1?
# 4. Take e = 1e-2 and e = 1e-12 for the finite differences. Both are worse than 1e-6.
#    Why?
# 5. In the last task, make the noise ten times weaker. Networks that are cut short now
#    do better. Where does the sign survive, and who wrote it there?

# %%
if __name__ == "__main__":
    errors.start(main)
