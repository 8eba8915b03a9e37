# %% [markdown]
# # Vanishing and exploding gradients
#
# **Up to which length of a sequence can each cell learn?**
#
# Let the loss $L$ look at the last state $h_T$ alone. An early state changes $L$ through
# all the states between. The chain rule goes back through them, one step at a time:
#
# $$\frac{\partial L}{\partial h_{t-1}} =
# \frac{\partial L}{\partial h_t}\,\frac{\partial h_t}{\partial h_{t-1}}
# \qquad\text{so}\qquad
# \frac{\partial L}{\partial h_1} = \frac{\partial L}{\partial h_T}\,
# \frac{\partial h_T}{\partial h_{T-1}} \cdots \frac{\partial h_2}{\partial h_1}$$
#
# Think of numbers first. A product of 100 factors 0.9 is 0.00003: the gradient
# *vanishes*. With 1.1 it is 14,000: it *explodes*. The picture shows three networks of
# twelve steps. Under each state is the *norm* (the length) of
# $\partial L / \partial h_t$, the $dL/dh_t$ of lesson 03. Black arrows go forward,
# orange ones back.

# %%
from workshop import drawings_of_gates, drawings_of_gradients, lesson, memory_tasks

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 32  # size of the hidden state
longest = 100  # steps of the longest sequences
batches = 1000  # of 32 sequences, to train each network on at most
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/vanishing_gradients"  # folder for the figures

# %%
lesson.begin(
    globals(),
    quick={"units": 8, "longest": 10, "batches": 40},
    choices={"longest": (10, 25, 50, 100, 200)},
)
random = np.random.default_rng(seed)
orthogonal, _ = np.linalg.qr(random.normal(size=(8, 8)))
chains = {}
for gain in (0.5, 1.0, 1.5):
    W_hh, h, states = gain * orthogonal, np.zeros(8), []
    while len(states) < 12:
        h = np.tanh(0.02 * random.normal(size=8) + h @ W_hh)
        states.append(h)
    gradient = random.normal(size=8)
    gradient /= np.linalg.norm(gradient)  # dL/dh_12, of length 1
    norms = [1.0]
    for h in states[:0:-1]:  # h_12, ..., h_2
        gradient = gradient @ np.diag(1 - h**2) @ W_hh.T
        norms.append(np.linalg.norm(gradient))
    chains[f"$W_{{hh}}$ is {gain} times an orthogonal matrix"] = norms[::-1]
lesson.show(drawings_of_gradients.draw_chains(chains), "chains.png")

# %% [markdown]
# An *orthogonal* matrix turns a vector and keeps its length. So the number before it, the
# *gain*, is all that $W_{hh}$ does to a length. (In the last row the gradient grows less
# near the end, where the states are large and $\tanh$ is flat.)
#
# ## Jacobian and singular values
#
# The factor $\partial h_t / \partial h_{t-1}$ is a matrix, the *Jacobian* of the step. In
# row $i$ and column $j$ it has the derivative of the $i$-th number of $h_t$ with respect
# to the $j$-th number of $h_{t-1}$. For the Elman cell,
#
# $$h_t = \tanh(x_t W_{xh} + h_{t-1} W_{hh} + b_h) \qquad
# \frac{\partial h_t}{\partial h_{t-1}} = \mathrm{diag}(1 - h_t^2)\, W_{hh}^\top$$
#
# $\mathrm{diag}$ is a matrix with these numbers on its diagonal; $1 - h_t^2$ is the slope
# of $\tanh$, at most 1. A matrix does not stretch all directions alike. Take all small
# changes of $h_0$ of the same length: a circle. One step makes an ellipse of it, the next
# step another one. Its half axes are the *singular values* of the product of the
# Jacobians. The largest is the most that can be left of a change, the smallest the least.

# %%
W_hh, h = np.array([[0.9, 0.5], [-0.3, 0.8]]), np.zeros(2)
angles = np.linspace(0, 2 * np.pi, 200)
circle = np.stack([np.cos(angles), np.sin(angles)])  # a change is a column here
product, axis = np.eye(2), []
figure, axes = plt.subplots(figsize=(6.5, 5.5))
axes.plot(*circle, color="black", label="changes of $h_0$")
for k in range(1, 9):
    h = np.tanh(random.uniform(-0.5, 0.5, 2) + h @ W_hh)
    product = np.diag(1 - h**2) @ W_hh.T @ product
    if k in (1, 3, 8):
        largest, smallest = np.linalg.svd(product, compute_uv=False)
        axis.append({"steps": k, "largest": largest, "smallest": smallest})
        axes.plot(*(product @ circle), label=f"of $h_{k}$")
axes.set(aspect="equal", title="What becomes of a small change")
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
lesson.show(figure, "ellipses.png")
lesson.table(axis)

# %% [markdown]
# ## A task that gets harder with its length
#
# In the *adding problem* there is a number from 0 to 1 at each step, and a mark. The mark
# is 1 at two steps, one in each half, and 0 at all others. At the end the network has to
# say the sum of the two marked numbers. A network that has learned nothing does best to say
# 1 each time. The mean squared error is then the variance of a sum of two uniform numbers,
# $2 \cdot \frac{1}{12} = 0.167$.

# %%
x, y = memory_tasks.adding(1000, 8, np.random.default_rng(seed))
print(x[0].T.round(2), "  to say:", y[0].round(2))
nothing = memory_tasks.ADDING_BASELINE
print(f"always 1: {np.mean((y - 1) ** 2):.3f} here, {nothing:.3f} in the long run")

# %% [markdown]
# ## The simplest network
#
# An Elman layer, whose $W_{hh}$ starts orthogonal, and a dense layer on its last state. It
# sees new sequences in each batch, so its training loss is its error on new sequences. It
# may stop when that is below 0.01 over 40 batches. If in the end it is not below half of
# 0.167, we do not go on to longer sequences.


# %%
class Solved(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = logs["loss"] < 0.01


def profile(model, timesteps):
    """The norm of dL/dh_t at each step, as a part of what it is at the last one."""
    x, y = memory_tasks.adding(32, timesteps, np.random.default_rng(seed + 1))
    (norms,) = keras_rnn.state_gradients(model, x, y).values()
    return norms / norms[-1]


def trained(layer, timesteps, rate):
    """The errors while a network is trained, and its dL/dh_t before and after."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((timesteps, 2)), layer, layers.Dense(1)])
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), "mse")
    before = profile(model, timesteps)
    fresh = memory_tasks.Fresh(memory_tasks.adding, timesteps, 40, 32, seed)
    fit = {"epochs": batches // 40, "callbacks": [Solved()], "verbose": 0}
    errors = model.fit(fresh, **fit).history["loss"]
    return errors, before, profile(model, timesteps)


# %%
lengths = [n for n in (10, 25, 50, 100, 200) if n <= longest]
rows, profiles = [], {}


def race(name, layer, rate):
    """Trains at longer and longer sequences, until the network has learned nothing."""
    for timesteps in lengths:
        errors, *both = trained(layer(units), timesteps, rate)
        profiles[name, timesteps] = both
        row = {"network": name, "steps": timesteps, "error": errors[-1]}
        row |= {"batches": 40 * len(errors), "dL/dh_1 at the start": both[0][0]}
        rows.append(row | {"in the end": both[1][0]})
        if errors[-1] > nothing / 2:
            break


race("Elman", keras_rnn.ElmanRNN, 3e-3)
lesson.table(rows)

# %% [markdown]
# In the last row it has learned next to nothing. The last two columns come from
# `keras_rnn.state_gradients(model, x, y)`. It takes any compiled model, and returns a dict:
# under the name of each recurrent layer, ours or Keras's own, an array of shape
# `(time steps,)`, the norm of $\partial L / \partial h_t$ at each step. The columns have
# the norm at step 1, divided by the one at the last step. The longer the sequence, the
# lower it starts.
#
# Could another start of $W_{hh}$ help? `keras_rnn.jacobian_spectrum(layer, x, steps=k)`
# multiplies the Jacobians of $k$ steps of a real sequence. The layer may be Keras's own
# here, too. `singular_values` of the result has the shape (batch, time steps $- k + 1$, size
# of the state): those of each $k$ steps in a row, the largest first. (The state of an LSTM
# is $h$ and $c$ side by side, so its size is twice `units`.)

# %%
x, _ = memory_tasks.adding(1, 50, random)
ks, left = [1, 5, 10, 20, 30, 40, 50], {}
for gain in (0.5, 0.9, 1.0, 1.1, 1.5):
    start = keras.initializers.Orthogonal(gain, seed=seed)
    layer = keras_rnn.ElmanRNN(units, recurrent_initializer=start)
    spectra = [keras_rnn.jacobian_spectrum(layer, x[:, :k], steps=k) for k in ks]
    left[f"gain {gain}"] = np.array([s.singular_values[0, 0, 0] for s in spectra])
lines = {name: (ks, values) for name, values in left.items()}
panel = {"Elman networks before training: the first k steps": lines}
figure = drawings_of_gates.draw_lines(panel, "steps k", "largest singular value")
lesson.show(figure, "gains.png")

# %% [markdown]
# On this scale a constant factor is a straight line. With a gain below 1 the line falls by
# at least that factor at each step. With a gain of 1 it falls, too, since the slopes of
# $\tanh$ are below 1. Above 1, the gain and the slopes work against each other.
#
# So the orthogonal start is not a bad one. At first there *was* some gradient at step 1 of
# the longest sequences, and still next to nothing was learned. A gradient that arrives is
# needed, but it is not enough: one and the same $W_{hh}$ has to keep a number and to
# ignore all others.
#
# ## Gates
#
# Lesson 05 builds the LSTM and the GRU. Here it is enough to know that they multiply what
# they keep by a *gate*, a number from 0 to 1 that they compute themselves at each step.
# They see the same batches. They can take a larger learning rate.

# %%
race("LSTM", keras_rnn.LSTM, 1e-2)
race("GRU", keras_rnn.GRU, 1e-2)
lesson.table(rows)

# %% [markdown]
# They learn where the Elman network has stopped. The LSTM has a limit here, too: at 100
# steps it fails, its error is that of always saying 1 when its batches are used up. The GRU
# learns 100 steps.
#
# And look at the column "at the start". At the same length, the gated networks begin with
# much *less* gradient at the first step, and the GRU with the least. The start alone
# misleads! Here are whole *profiles* (the norm at each step), before and after training,
# at the longest length that both have learned.

# %%
learned = [r["steps"] for r in rows if r["error"] < nothing / 2]
far = max((n for n in lengths if learned.count(n) > 1), default=lengths[0])
elman = keras.Sequential([keras_rnn.ElmanRNN(units), layers.Dense(1)])
elman.compile(loss="mse")
panels = {"before training": {}, "after training": {}}
for name in ("LSTM", "GRU"):
    for lines, norms in zip(panels.values(), profiles[name, far]):
        lines[name] = norms
panels["before training"]["Elman"] = profile(elman, far)
label = "norm of dL/dh_t (last step: 1)"
figure = drawings_of_gates.draw_lines(panels, "time step t", label)
lesson.show(figure, "profiles.png")
for panel, lines in panels.items():
    print(panel, {name: f"{values[0]:.1e}" for name, values in lines.items()})

# %% [markdown]
# At the start the gates are half open, and a product of many such factors is next to 0.
# But the gradient does reach the *last* steps. They open their gates a little, the gradient
# reaches a little further back, and so on. Gates do not come with a factor near 1. They let
# the network **learn** it (lesson 05).
#
# ## See it in your own model
#
# `GradientFlow` is a callback for any model with recurrent layers, ours or Keras's. Every
# so many batches it takes the gradient of a few examples, and it says in words if that
#
# - *vanishes*: before some step it is less than $10^{-6}$ of what it is later, three times
#   in a row (the argument `vanish` sets another limit);
# - *explodes*: it grows in the backward pass by a factor of more than $10^4$ (`explode`);
# - is no longer a number.
#
# Here it watches a GRU that learns.

# %%
keras.utils.set_random_seed(seed)
steps = min(50, longest)
model = keras.Sequential([keras_rnn.GRU(units, name="gru"), layers.Dense(1)])
model.compile(keras.optimizers.Adam(1e-2, global_clipnorm=1.0), "mse")
x, y = memory_tasks.adding(16, steps, random)
flow = keras_rnn.GradientFlow(x, y, every=max(1, batches // 50))
fresh = memory_tasks.Fresh(memory_tasks.adding, steps, batches // 5, 32, seed)
model.fit(fresh, callbacks=[flow], verbose=0)
figure = flow.plot()
figure.set_size_inches(10, 7)
lesson.show(figure, "flow.png")

# %% [markdown]
# In the figure each profile is a line, the darkest the first. In your own model: if it
# falls towards step 1, but rises from one line to the next, wait: the network learns.
# If it stays low, take gates, or shorter sequences. If it grows towards step 1, clip
# the gradient.
#
# ## When it explodes
#
# With $\max(0, a)$ (`relu`) in place of $\tanh$ the slope is 1 or 0. If $W_{hh}$ starts as
# the identity matrix, nothing is lost at first, but nothing holds the state back. We train
# by plain gradient descent, and watch.

# %%
relu = {"activation": "relu", "recurrent_initializer": "identity", "name": "relu"}
keras.utils.set_random_seed(seed)
model = keras.Sequential([keras_rnn.ElmanRNN(units, **relu), layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.03), "mse")
x, y = memory_tasks.adding(32, 50, random)
flow = keras_rnn.GradientFlow(x[:16], y[:16], every=1)
history = model.fit(x, y, epochs=6, batch_size=32, callbacks=[flow], verbose=0)
print("\nloss:", "  ".join(f"{loss:.3g}" for loss in history.history["loss"]))

# %% [markdown]
# One training step was too long: the network is lost. *Clipping* bounds the gradient
# before the optimizer uses it. Keras has three ways, arguments of the optimizer:
#
# - `clipnorm=1.0`: the gradient of *each* weight is shortened to length 1, if it is longer;
# - `global_clipnorm=1.0`: all of them *together* are shortened to length 1;
# - `clipvalue=0.1`: each single number is cut to the range from -0.1 to 0.1.
#
# Only the second keeps the direction. We see it on a gradient of two weights, $(3, 4)$ and
# $(0.5)$. The *cosine* of the angle between two directions is 1 if they are the same.

# %%
ways = {"clipnorm": 1.0, "global_clipnorm": 1.0, "clipvalue": 0.1}
clippings = {"none": {}} | {name: {name: size} for name, size in ways.items()}
gradient = [np.array([3.0, 4.0], "float32"), np.array([0.5], "float32")]
true = np.concatenate(gradient)
clipped = []
for name, clip in clippings.items():
    weights = [keras.Variable(np.zeros_like(part)) for part in gradient]
    optimizer = keras.optimizers.SGD(1.0, **clip)  # a step is minus the gradient
    optimizer.apply([keras.ops.convert_to_tensor(part) for part in gradient], weights)
    used = -np.concatenate([keras.ops.convert_to_numpy(w) for w in weights])
    cosine = true @ used / np.linalg.norm(true) / np.linalg.norm(used)
    clipped.append({"clipping": name, "used": str(used.round(2)), "cosine": cosine})
lesson.table(clipped)

# %%
# In training, at 10 steps, which this network can learn.
curves, parts = {}, np.arange(1, 16) * max(1, batches // 25)
for name, clip in clippings.items():
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras_rnn.ElmanRNN(units, **relu), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.03, momentum=0.9, **clip), "mse")
    fresh = memory_tasks.Fresh(memory_tasks.adding, 10, int(parts[0]), 32, seed)
    curves[name] = model.fit(fresh, epochs=15, verbose=0).history["loss"]
lines = {name: (parts, errors) for name, errors in curves.items()}
lines["always 1"] = parts, np.full(15, nothing)
panel = {"ReLU, 10 steps": lines}
figure = drawings_of_gates.draw_lines(panel, "batches", "mean squared error")
figure.axes[0].set_ylim(1e-3, 10)  # what is above has exploded
lesson.show(figure, "clipping.png")
lesson.table([{"clipping": name, "error": line[-1]} for name, line in curves.items()])

# %% [markdown]
# Without clipping the network ends no better than one that always says 1, or as NaN: an
# early step has thrown it too far. With `global_clipnorm` it learns. The other two bound
# the step as well, but bend its direction: compare their rows. And no clipping helps a
# gradient that vanishes.
#
# ## Summary
#
# 1. The backward pass is a product of Jacobians. Its largest singular value is the most
#    that is left of a change. Most such products vanish or explode.
# 2. LSTM and GRU start with *less* gradient at the first step than Elman. But they learn
#    gates near 1, and with them longer sequences.
# 3. A profile before training is no verdict on a gated network. Look again later.
# 4. Clip an explosion with `global_clipnorm`: it keeps the direction.

# %%
lesson.table(rows)
lesson.record(nothing=nothing, runs=rows, gains=left, clipped=clipped, clipping=curves)

# %% [markdown]
# ## Exercises
#
# 1. Put both marks of the adding problem into the last ten steps. Does the Elman network
#    now learn 50 steps? What was hard, the length or the distance?
# 2. After how many steps is at most one millionth left with a gain of 0.5, of 0.9? Compute
#    it, compare with `gains.png`, and measure it.
# 3. Let the GRU start with update gates that are near 1, as in exercise 2 of
#    [lesson 05](05_gates.py). What does its first profile look like?
# 4. Train an LSTM under `GradientFlow`. Does the profile rise before the error falls?
# 5. Train the ReLU network at 10 steps with a `global_clipnorm` of 0.1, 1 and 10.
#
# Solved in [solutions/04_vanishing_gradients.py](solutions/04_vanishing_gradients.py). The
# next lesson opens the gates: [Gates: LSTM and GRU](05_gates.py).
