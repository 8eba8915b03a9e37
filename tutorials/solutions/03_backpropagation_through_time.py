# %% [markdown]
# # Solutions: back-propagation through time
#
# The exercises of [lesson 03](../03_backpropagation_through_time.py), one after the other.

# %%
import sys

sys.path += ["tutorials", ".", ".."]  # where `workshop` is, seen from where we may be

from workshop import lesson

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers, ops

import keras_rnn

# %% tags=["parameters"]
batches = 500  # of 64 sequences, to train each network of the last exercise on
seed = 1  # of all randomness
quick = False  # little training, to see that everything works
output = "output/solutions/backpropagation_through_time"  # folder for the figures

# %%
lesson.begin(globals(), quick={"batches": 10})

W_xh, W_hh = np.array([[0.5, -0.3], [0.8, 0.2]]), np.array([[0.1, 0.4], [-0.6, 0.7]])
b_h, W_hy, b_y = np.array([0.1, -0.2]), np.array([[0.9], [-0.4]]), np.array([0.2])
h_0 = np.array([0.3, -0.5])
xs = np.array([[1.0, 0.5], [-0.5, 1.0], [0.2, -1.0]])
targets = np.array([[1.0], [0.5], [0.5]])
w = [W_xh, W_hh, b_h, W_hy, b_y, h_0]


def forward(w, xs):
    """All hidden states and outputs of a batch, (batch, steps, features)."""
    W_xh, W_hh, b_h, W_hy, b_y, h_0 = w
    hs = [np.tile(h_0, (len(xs), 1))]
    for t in range(xs.shape[1]):
        hs.append(np.tanh(xs[:, t] @ W_xh + hs[-1] @ W_hh + b_h))
    hs = np.stack(hs, axis=1)
    return hs, hs[:, 1:] @ W_hy + b_y


def loss(w, xs, targets):
    """Half the squared error, summed over steps and sequences."""
    return 0.5 * np.sum((forward(w, xs)[1] - targets) ** 2)


def difference(loss, w, n, place, e):
    """How fast a loss grows with one number of the weight n."""
    losses = []
    for move in (e, -e):
        moved = [value.copy() for value in w]
        moved[n][place] += move
        losses.append(loss(moved))
    return (losses[0] - losses[1]) / (2 * e)


print(f"L = {loss(w, xs[None], targets):.4f}")

# %% [markdown]
# ## 1. The gradient of the input weights
#
# In $a_{t,j} = \sum_i x_{t,i} W_{xh,ij} + \dots$ the weight stands beside $x_{t,i}$, so
# $\partial a_{t,j} / \partial W_{xh,ij} = x_{t,i}$. With a copy for each step and part 2 of
# the chain rule
#
# $$\frac{dL}{dW_{xh,ij}} = \sum_t x_{t,i} \frac{dL}{da_{t,j}}, \quad\text{that is}\quad
# \frac{dL}{dW_{xh}} = \sum_t x_t^\top \frac{dL}{da_t}$$
#
# $x_t$ is given; no weight has made it. The later steps are in $dL/da_t$, and the
# $W_{hh}^\top$ is in there. For the one number $W_{xh,11}$, from the picture:
# $1 \cdot 0.0829 + (-0.5) \cdot 0.1510 + 0.2 \cdot (-0.4854) = -0.0897$.

# %%
first = difference(lambda w: loss(w, xs[None], targets), w, 0, (0, 0), 1e-6)
print(f"finite difference: {first:.4f}")

# %% [markdown]
# ## 2. Without tanh
#
# All slopes are 1, and only $W_{hh}^\top$ is left on the road, once for each of the three
# steps:
#
# $$\frac{dL}{dh_0} = (y_3 - \text{target}_3)\, W_{hy}^\top (W_{hh}^\top)^3$$
#
# The power is the number of steps. What becomes of a high power of a matrix is the theme
# of lesson 04.


# %%
def linear_output(h):
    """y_3 of the network without tanh, from h_0."""
    for x in xs:
        h = x @ W_xh + h @ W_hh + b_h
    return h @ W_hy + b_y


error = linear_output(h_0) - targets[2]
one_line = error @ W_hy.T @ np.linalg.matrix_power(W_hh.T, 3)
moves = 1e-6 * np.eye(2)
by_difference = [
    (
        0.5 * np.sum((linear_output(h_0 + move) - targets[2]) ** 2)
        - 0.5 * np.sum((linear_output(h_0 - move) - targets[2]) ** 2)
    )
    / 2e-6
    for move in moves
]
linear_apart = np.abs(one_line - by_difference).max()
print(f"dL/dh_0 = {one_line.round(4)}, finite differences {np.round(by_difference, 4)}")

# %% [markdown]
# ## 3. A batch
#
# Every sequence has its own $y_t$, $h_t$, $a_t$, and their gradients: a row for each
# sequence, and `@ W_hh.T` works on all rows at once. The *weights* are shared by the
# sequences as they are by the steps, and $h_0$, too: their gradients get a sum over the
# batch. $H^\top D$ of two matrices with a row for each sequence is just that sum.


# %%
def backward(w, xs, hs, dL_dys):
    """The gradient with respect to each weight, for a batch."""
    _, W_hh, _, W_hy, *_ = w
    gradients = [np.zeros_like(value) for value in w]
    of_next = np.zeros_like(hs[:, 0])  # (batch, units)
    for t in reversed(range(xs.shape[1])):
        dL_da = (dL_dys[:, t] @ W_hy.T + of_next) * (1 - hs[:, t + 1] ** 2)
        gradients[0] += xs[:, t].T @ dL_da
        gradients[1] += hs[:, t].T @ dL_da
        gradients[2] += dL_da.sum(axis=0)
        gradients[3] += hs[:, t + 1].T @ dL_dys[:, t]
        gradients[4] += dL_dys[:, t].sum(axis=0)
        of_next = dL_da @ W_hh.T
    gradients[5] += of_next.sum(axis=0)
    return gradients


random = np.random.default_rng(seed)
batch, wanted = random.normal(size=(4, 7, 2)), random.normal(size=(4, 7, 1))
hs, ys = forward(w, batch)
of_batch = backward(w, batch, hs, ys - wanted)
of_sequences = [backward(w, batch[[n]], hs[[n]], (ys - wanted)[[n]]) for n in range(4)]
batch_apart = max(np.abs(a - sum(b)).max() for a, *b in zip(of_batch, *of_sequences))
differences_apart = max(
    abs(
        gradient[place]
        - difference(lambda w: loss(w, batch, wanted), w, n, place, 1e-6)
    )
    for n, gradient in enumerate(of_batch)
    for place in np.ndindex(gradient.shape)
)
print(f"the batch and the sum of its four sequences differ by {batch_apart:.0e}")
print(f"the batch and finite differences differ by {differences_apart:.0e}")

# %% [markdown]
# ## 4. How small is small?
#
# For a large $e$ the loss is no straight line between the two points: that error falls with
# $e^2$. For a tiny $e$ two nearly equal losses are subtracted. Each has some 16 digits, and
# the digits that are equal are gone: that error grows with $1/e$. The best is between, near
# $10^{-5}$ or $10^{-6}$.

# %%
hs, ys = forward(w, xs[None])
true = backward(w, xs[None], hs, ys - targets)[1][0, 1]
sizes = 10.0 ** -np.arange(1, 14)
errors = [
    abs(difference(lambda w: loss(w, xs[None], targets), w, 1, (0, 1), e) - true)
    for e in sizes
]
figure, axes = plt.subplots(figsize=(9, 4.5))
axes.loglog(sizes, errors, "o-", label="error of the finite difference")
axes.loglog(
    sizes[:6], errors[0] * (sizes[:6] / sizes[0]) ** 2, "--", label="like $e^2$"
)
axes.loglog(sizes[4:], 1e-16 / sizes[4:], ":", label="$10^{-16} / e$")
axes.set(xlabel="e", ylabel="error", title="One number of dL/dW_hh")
axes.legend()
lesson.show(figure, "finite_differences.png")
best = sizes[int(np.argmin(errors))]
print(f"the best e: {best:.0e}, error {min(errors):.0e}; at 1e-13 {errors[-1]:.0e}")

# %% [markdown]
# ## 5. Truncated
#
# The first of 20 numbers is $+1$ or $-1$, noise follows, and at the end the network is
# asked for the first. In Keras one call cuts the backward pass: `stop_gradient` on the
# state that is handed on. Forward nothing changes.


# %%
def signs(count, random):
    """Sequences (count, 20, 1), and the sign of the first number, (count, 1)."""
    x = random.normal(size=(count, 20, 1))
    x[:, 0] = random.choice([-1, 1], (count, 1))
    return x, x[:, 0]


def share_right(k):
    """The share of signs told right, if the gradient goes k steps back in training."""
    keras.utils.set_random_seed(seed)
    layer = keras_rnn.ElmanRNN(8, learn_initial_state=False)  # it would get no gradient
    x = keras.Input((20, 1))
    if k < 20:
        carried = ops.stop_gradient(layer(x[:, :-k]))
        state = layer(x[:, -k:], initial_state=[carried])
    else:
        state = layer(x)
    model = keras.Model(x, layers.Dense(1)(state))
    model.compile(keras.optimizers.Adam(3e-3, global_clipnorm=1.0), "mse")
    x, y = signs(64 * batches, np.random.default_rng(seed))
    model.fit(x, y, batch_size=64, verbose=0)
    x, y = signs(1000, np.random.default_rng(seed + 1))
    return np.mean((model.predict(x, verbose=0) > 0) == (y > 0))


reached = {k: share_right(k) for k in (1, 10, 15, 20)}
lesson.table([{"steps back": k, "told right": share} for k, share in reached.items()])

# %% [markdown]
# (`global_clipnorm` shortens a gradient that is too long: lesson 04.) A guess is right in
# half of the cases; with $k$ of 1 and 10 the network does little better. With 15 it
# succeeds. The gradient ends a few steps after the sign, where the state still has
# something of it left, and from there on it teaches the network to keep it. With a smaller
# $k$ too little is left where the gradient ends, and nothing teaches the network to keep
# more.

# %%
lesson.record(
    first=first,
    linear_apart=linear_apart,
    batch_apart=batch_apart,
    differences_apart=differences_apart,
    errors=errors,
    reached=reached,
)
