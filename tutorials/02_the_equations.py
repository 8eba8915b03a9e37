# %% [markdown]
# # The two equations, number by number
#
# **What does the network compute at each step, and can we predict it with a pocket
# calculator?**
#
# $$h_t = g_h(x_t W_{xh} + h_{t-1} W_{hh} + b_h) \qquad y_t = g_y(h_t W_{hy} + b_y)$$
#
# The picture shows everything that these two lines do in one step. The network is small:
# two numbers come in, the hidden state has two numbers, one number goes out. It is drawn
# from the first step of the sequence `xs` in the code below.

# %%
import time

from workshop import drawings_of_steps, lesson

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import keras_rnn

# %% tags=["parameters"]
longest = 4096  # steps, up to which the time is measured
seed = 1  # of all randomness
quick = False  # short sequences, to see that everything works
output = "output/the_equations"  # folder for the figures

# %%
lesson.begin(globals(), quick={"longest": 64})

W_xh = np.array([[0.5, -0.3], [0.8, 0.2]])  # from the input to the hidden state
W_hh = np.array([[0.1, 0.4], [-0.6, 0.7]])  # from the hidden state to the next one
b_h = np.array([0.1, -0.2])
W_hy = np.array([[0.9], [-0.4]])  # from the hidden state to the output
b_y = np.array([0.2])
h_0 = np.array([0.3, -0.5])  # the initial state
xs = np.array([[1.0, 0.5], [-0.5, 1.0], [0.2, -1.0]])  # x_1, x_2, x_3

weights = W_xh, W_hh, b_h, W_hy, b_y
lesson.show(drawings_of_steps.draw_inside(xs[0], h_0, weights), "inside.png")

# %% [markdown]
# Each number of the hidden state is made by one *unit*. Read unit 1 from left to right.
# It takes all four numbers on the left, multiplies each by a *weight*, and adds the four
# products and one more number, its *bias*. The sum is the *pre-activation* $a_{t,1}$. The
# *activation* $g_h$, here $\tanh$, makes $h_{t,1}$ from it. Then the road forks: $h_t$
# goes to the output, and $h_t$ goes to the next step. Here $g_y$ does nothing:
# $y_t = h_t W_{hy} + b_y$. Training finds the weights, the biases and the initial state
# $h_0$; here we choose them ourselves.
#
# ## Vectors are rows
#
# $x_t$ is a row of two numbers, $x_t = (x_{t,1}, x_{t,2})$; $h_t$ is one, too. So the
# vector stands to the *left* of the matrix, and one number of the product is
#
# $$(x_t W_{xh})_j = \sum_i x_{t,i}\, W_{xh,ij}$$
#
# The weight $W_{ij}$ leads *from* number $i$ *to* unit $j$. Row $i$ of the matrix is what
# number $i$ sends out. Column $j$ is what unit $j$ takes in. Below is the part of unit 1,
# then both units at once. (Python counts from 0: unit 1 is column 0.)

# %%
x = xs[0]
print("unit 1:", x[0] * W_xh[0, 0] + x[1] * W_xh[1, 0], " both units:", x @ W_xh)

# %% [markdown]
# The whole first equation is then a sum for each unit:
#
# $$a_{t,j} = \sum_i x_{t,i}\, W_{xh,ij} + \sum_i h_{t-1,i}\, W_{hh,ij} + b_{h,j}
# \qquad h_{t,j} = \tanh(a_{t,j})$$
#
# $\tanh(a) = (e^a - e^{-a}) / (e^a + e^{-a})$ rises smoothly from $-1$ to $1$. Near 0
# it is nearly $a$ itself. Far out it hardly changes any more.

# %%
figure, axes = plt.subplots(figsize=(9, 3.6))
a = np.linspace(-4, 4, 200)
axes.plot(a, np.tanh(a), label=r"$\tanh(a)$")
axes.plot([-1, 1], [-1, 1], "--", label="$a$")
first = x @ W_xh + h_0 @ W_hh + b_h
axes.plot(first, np.tanh(first), "o", color="black", label="the two units at step 1")
axes.set(xlabel="pre-activation $a$", ylabel="$h$", yticks=[-1, 0, 1])
axes.legend()
lesson.show(figure, "tanh.png")

# %% [markdown]
# ## Step 1 by hand
#
# We print each sum as one writes it on paper, with four decimals. (The program goes on
# with all of them.) Check a line or two, and find each product in the picture above.


# %%
def number(value):
    """Four decimals at most, and brackets around what is negative."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return f"({text})" if value < 0 else text


def on_paper(values, column, bias):
    """A sum of products, as one writes it."""
    products = [f"{number(v)}*{number(w)}" for v, w in zip(values, column)]
    return " + ".join([*products, number(bias)])


def step_by_hand(x, h, t):
    """Prints step t, a line for each unit, and returns the new h and y."""
    values, new_h = [*x, *h], []  # x first, then h: four numbers
    for j in range(2):
        column = [*W_xh[:, j], *W_hh[:, j]]
        a = sum(v * w for v, w in zip(values, column)) + b_h[j]
        new_h.append(np.tanh(a))
        print(f"a_{t},{j + 1} = {on_paper(values, column, b_h[j])} = {a:.4f}")
        print(f"h_{t},{j + 1} = tanh({a:.4f}) = {new_h[j]:.4f}")
    y = new_h[0] * W_hy[0, 0] + new_h[1] * W_hy[1, 0] + b_y[0]
    print(f"y_{t}   = {on_paper(new_h, W_hy[:, 0], b_y[0])} = {y:.4f}")
    return new_h, y


# %%
h_1, y_1 = step_by_hand(xs[0], h_0, t=1)

# %% [markdown]
# ## Step 2: your turn
#
# The second step reads $x_2 = (-0.5, 1)$ and $h_1$. *The weights are the same.* Compute
# $a_2$, $h_2$ and $y_2$ on paper, and only then look at the lines below.

# %%
h_2, y_2 = step_by_hand(xs[1], h_1, t=2)

# %%
h_3, y_3 = step_by_hand(xs[2], h_2, t=3)
by_hand = np.array([y_1, y_2, y_3])

# %% [markdown]
# ## The same in NumPy, and in the library
#
# With matrices a step is two lines, and a sequence is a loop around them.

# %%
hs, ys = [h_0], []
for x in xs:
    hs.append(np.tanh(x @ W_xh + hs[-1] @ W_hh + b_h))
    ys.append(hs[-1] @ W_hy + b_y)
ys = np.array(ys)
print("outputs:", ys[:, 0].round(4))

# %% [markdown]
# The layer of the library has the same weights under these names. (All numbers that are
# trained are called weights, the biases and $h_0$ among them.)
#
# | here | in the code | shape | how many |
# |---|---|---|---|
# | $W_{xh}$ | `kernel` | (features, units) | 2 · 2 |
# | $W_{hh}$ | `recurrent_kernel` | (units, units) | 2 · 2 |
# | $b_h$ | `bias` | (units,) | 2 |
# | $W_{hy}$ | `output_kernel` | (units, outputs) | 2 · 1 |
# | $b_y$ | `output_bias` | (outputs,) | 1 |
# | $h_0$ | `initial_state` | (units,) | 2 |
#
# A layer reads a *batch*, several sequences side by side: (batch, steps, features). They
# share the weights and $h_0$, and nothing else. Our batch has two sequences: `xs`, and
# `xs` with all signs changed. (Keras's own `SimpleRNN` has the first three rows alone,
# and always starts from zeros.)

# %%
layer = keras_rnn.ElmanRNN(2, output_units=1, return_sequences=True, dtype="float64")
batch = np.stack([xs, -xs])
layer.build(batch.shape)
layer.set_weights([*weights, h_0])
found = keras.ops.convert_to_numpy(layer(batch))
apart = {
    "by hand": np.abs(by_hand - found[0, :, 0]).max(),
    "NumPy": np.abs(ys - found[0]).max(),
}
print(f"{layer.count_params()} weights; inputs {batch.shape}, outputs {found.shape}")
print("outputs:", found[0, :, 0].round(4), "and", found[1, :, 0].round(4))
print(f"largest difference: by hand {apart['by hand']:.0e}, NumPy {apart['NumPy']:.0e}")

# %% [markdown]
# ## Unfolded
#
# Now all three steps in one picture, with the weights as arrows. The orange ones carry the
# hidden state from step to step. Each arrow has the same width at each step.

# %%
figure = drawings_of_steps.draw_unfolded(xs, hs, ys, (W_xh, W_hh, W_hy))
lesson.show(figure, "unfolded.png")

# %% [markdown]
# It is a dense network with a hidden layer for each step. But each layer has an input of
# its own, and all have the same weights. How can $y_3$ know $x_1$? By one road, over
# $h_1$, $h_2$ and $h_3$. We change $x_{1,1}$ from 1 to $-1$, and see what moves.

# %%
changed = xs.copy()
changed[0, 0] = -1
other = keras.ops.convert_to_numpy(layer(changed[None]))[0]
moved = np.abs(other - found[0])[:, 0]
print("outputs before:", found[0, :, 0].round(3), "after:", other[:, 0].round(3))
print("moved by:      ", moved.round(3))

# %% [markdown]
# ## One step is a dense network
#
# With one step only, $h_0 W_{hh} + b_h$ does not depend on the input. It is a constant,
# so it is a bias. By hand, the first number of it is
# $0.3 \cdot 0.1 + (-0.5) \cdot (-0.6) + 0.1 = 0.43$. What is left is a dense network with
# one hidden layer: the shape *one to one* of lesson 01.

# %%
dense = keras.Sequential([layers.Dense(2, activation="tanh"), layers.Dense(1)])
dense.build((None, 2))
dense.set_weights([W_xh, h_0 @ W_hh + b_h, W_hy, b_y])
y_dense = dense.predict(xs[:1], verbose=0).item()
print(f"the bias: {h_0 @ W_hh + b_h}; y_1: dense {y_dense:.4f}, recurrent {y_1:.4f}")

# %% [markdown]
# ## Softmax: an output of probabilities
#
# To choose among classes (three letters, say) the network needs an output for each of
# them. $W_{hy}$ then has three columns (`W_hs` below). The sums $s = h_t W_{hy} + b_y$
# may be any numbers; they are called *logits*. The *softmax* is the $g_y$ that makes
# probabilities of them: positive numbers whose sum is 1.
#
# $$p_k = \frac{e^{s_k}}{e^{s_1} + e^{s_2} + e^{s_3}}$$
#
# By hand, for $h_1$: the logits, $e$ to the power of each, and that divided by the sum.

# %%
W_hs = np.array([[1.0, -0.5, 0.2], [0.4, 0.8, -1.0]])
b_s = np.array([0.0, 0.3, -0.1])
for k in range(3):
    print(f"s_{k + 1} = {on_paper(h_1, W_hs[:, k], b_s[k])}")
s = h_1 @ W_hs + b_s
powers = np.exp(s)
p = powers / powers.sum()
lines = [{"k": str(k + 1), "s": s[k], "e^s": powers[k], "p": p[k]} for k in range(3)]
lesson.table([*lines, {"k": "sum", "e^s": powers.sum(), "p": p.sum()}])

classes = keras_rnn.ElmanCell(
    2, output_units=3, output_activation="softmax", dtype="float64"
)
classes.build((None, 2))
classes.set_weights([W_xh, W_hh, b_h, W_hs, b_s, h_0])
p_cell, _ = classes(xs[:1], h_0[None])
apart["softmax"] = np.abs(keras.ops.convert_to_numpy(p_cell)[0] - p).max()
print(f"largest difference to the cell: {apart['softmax']:.0e}")

# %% [markdown]
# The larger the logit, the larger the probability. $s_1$ and $s_3$ are nearly equal, and
# so are $p_1$ and $p_3$.
#
# ## What the recurrent weight does
#
# One unit, $W_{xh} = 1$, no bias, $h_0 = 0$. It reads $x_1 = 1$, and then nothing but
# zeros. So after step 1 all that happens is $h_t = \tanh(h_{t-1} w)$, and $w = W_{hh}$
# decides what becomes of the input. Guess first: what will $w = 0$ do, what $w = -0.9$?

# %%
figure, axes = plt.subplots(figsize=(11, 4.4))
last = {}
for w, style in ((0, "o-"), (0.9, "s-"), (2, "^-"), (-0.9, "v-")):
    line = [np.tanh(1)]  # h_1
    while len(line) < 15:
        line.append(np.tanh(line[-1] * w))
    axes.plot(range(1, 16), line, style, label=f"w = {w}")
    last[str(w)] = line[-1]
axes.axhline(0, color="black", linewidth=1)
axes.set(xlabel="time step t", ylabel="$h_t$", title="What is left of one input")
axes.legend(ncols=2)
lesson.show(figure, "one_input.png")

# %% [markdown]
# With $w = 0$ the unit forgets at once. With 0.9 the input fades, with $-0.9$ it fades and
# changes its sign at each step. With 2 it stays: $\tanh$ stops the growth at the number
# with $h = \tanh(2h)$. Training has to find such weights; lesson 03 shows how.
#
# ## What grows with the length
#
# The weights are as many for any length. But the steps are taken one after the other,
# since $h_t$ waits for $h_{t-1}$. And training keeps every $h_t$ until the backward pass
# (lesson 03). We take a larger network (16 features, 64 units, 32 sequences) and measure
# how long a training step takes here. The size of all $h_t$ is computed, 4 bytes a number.

# %%
random = np.random.default_rng(seed)
growth, steps = [], 1
while steps <= longest:
    model = keras.Sequential([keras_rnn.ElmanRNN(64, output_units=1)])
    model.compile("sgd", "mse")
    x, y = random.normal(size=(32, steps, 16)), random.normal(size=(32, 1))
    times = [time.perf_counter()]
    for _ in range(8):  # the first ones also compile
        model.train_on_batch(x, y)
        times.append(time.perf_counter())
    row = {"steps": steps, "weights": model.count_params()}
    row["ms"] = 1000 * np.diff(times).min()
    row["times the row above"] = row["ms"] / growth[-1]["ms"] if growth else ""
    growth.append(row | {"all h_t, MiB": 32 * steps * 64 * 4 / 2**20})
    steps *= 4
lesson.table(growth)

# %% [markdown]
# Each row has four times the steps of the row above. A call costs something before its
# first step. So the time of short sequences grows much more slowly than their length; only
# in long ones does it grow about as fast.
#
# ## Summary
#
# 1. $W_{ij}$ leads from number $i$ to unit $j$; vectors are rows and stand to the left.
# 2. A unit multiplies, adds, adds its bias, and applies its activation.
# 3. $h_t$ goes two ways: to the output $y_t$, and to the next step.
# 4. All steps use the same weights; unfolded, each is a layer of a dense network.
# 5. Softmax: $e$ to the power of each logit, divided by the sum of all.
# 6. Longer sequences take more time and memory, but no more weights.

# %%
measured = {
    "largest difference, by hand": apart["by hand"],
    "largest difference, softmax": apart["softmax"],
    "y_3 moved by, when x_1,1 changes": moved[2],
    "left of one input at step 15, w = 0.9": last["0.9"],
    "left of one input at step 15, w = 2": last["2"],
}
lesson.table([{"measured": name, "": value} for name, value in measured.items()])
lesson.record(measured=measured, outputs=ys, softmax=p, dense=y_dense, growth=growth)

# %% [markdown]
# ## Exercises
#
# 1. Let $x_1 = (-1, 0.5)$. Compute $h_1$ and $y_1$ on paper; only one product of each unit
#    changes. Then check with `step_by_hand`.
# 2. Put $W_{hh} = 0$. Which arrows of the unfolded picture are gone? What does $y_3$ still
#    know of $x_1$?
# 3. Let $W_{xh}$ and $W_{hh}$ be the identity matrix, $b_h = 0$, $h_0 = 0$, and leave out
#    $\tanh$. What is $h_t$, in words?
# 4. How many weights has a network with $n$ features, $m$ units and $k$ outputs? Check
#    with `count_params`. Which term grows fastest with $m$?
# 5. Add 10 to all logits: why does the softmax not change? And show that for two classes
#    $p_1 = 1 / (1 + e^{-(s_1 - s_2)})$, the *sigmoid* of their difference.
#
# To try other numbers, open [two units, unfolded](../docs/explore/index.html): a page on
# which each of them can be changed. The exercises are solved in
# [solutions/02_the_equations.py](solutions/02_the_equations.py). The
# next lesson goes through the same network in the other direction:
# [Back-propagation through time](03_backpropagation_through_time.py).
