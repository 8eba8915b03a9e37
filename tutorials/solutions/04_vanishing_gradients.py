# %% [markdown]
# # Solutions: vanishing and exploding gradients
#
# The exercises of [lesson 04](../04_vanishing_gradients.py), one after the other.

# %%
import sys

sys.path += ["tutorials", ".", ".."]  # where `workshop` is, seen from where we may be

from workshop import drawings_of_gates, lesson, memory_tasks

# isort: split
import keras
import numpy as np
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 32  # size of the hidden state
timesteps = 50  # length of the sequences
batches = 400  # of 32 sequences, to train each network on
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/solutions/vanishing_gradients"  # folder for the figures

# %%
lesson.begin(globals(), quick={"units": 8, "timesteps": 20, "batches": 40})

# %% [markdown]
# ## 1. Both marks near the end
#
# If the two numbers stand in the last ten steps, nothing has to be kept for long.


# %%
def adding_late(count, timesteps, random):
    """The adding problem with noise before it: unmarked numbers."""
    x, y = memory_tasks.adding(count, 10, random)
    noise = np.zeros((count, timesteps - 10, 2), "float32")
    noise[:, :, 0] = random.random((count, timesteps - 10))
    return np.concatenate([noise, x], axis=1), y


def trained(layer, task, optimizer, timesteps, callbacks=()):
    """A network, and its errors on new sequences in ten parts of the training."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((timesteps, 2)), layer, layers.Dense(1)])
    model.compile(optimizer, "mse")
    fresh = memory_tasks.Fresh(task, timesteps, batches // 10, 32, seed)
    fit = {"epochs": 10, "callbacks": list(callbacks), "verbose": 0}
    return model, model.fit(fresh, **fit).history["loss"]


marks = {"anywhere": memory_tasks.adding, "in the last ten steps": adding_late}
late = {}
for name, task in marks.items():
    adam = keras.optimizers.Adam(3e-3, global_clipnorm=1.0)
    _, late[name] = trained(keras_rnn.ElmanRNN(units), task, adam, timesteps)
lesson.table([{"marks": name, "error": line[-1]} for name, line in late.items()])
print(f"always 1: {memory_tasks.ADDING_BASELINE:.3f}")

# %% [markdown]
# The sequences are as long in both rows. What is hard is the distance.
#
# ## 2. One millionth
#
# If the gain were the only factor, $g^k = 10^{-6}$, so $k = -6 / \log_{10} g$. The slopes
# of $\tanh$ are factors below 1, too, so it comes sooner.

# %%
x, _ = memory_tasks.adding(1, 140, np.random.default_rng(seed))
millionth = []
for gain in (0.5, 0.9):
    start = keras.initializers.Orthogonal(gain, seed=seed)
    layer = keras_rnn.ElmanRNN(units, recurrent_initializer=start)
    k = int(np.ceil(-6 / np.log10(gain)))
    spectrum = keras_rnn.jacobian_spectrum(layer, x[:, :k], steps=k)
    left = spectrum.singular_values[0, 0, 0]
    millionth.append({"gain": gain, "steps, at most": k, "then measured": left})
lesson.table(millionth)

# %% [markdown]
# ## 3. A GRU that starts by keeping
#
# The bias of a GRU has two rows, and in each of them a third for $z_t$, $r_t$ and the
# candidate. With 3 in the first third, $z_t$ starts near $\sigma(3) = 0.95$.


# %%
def gru(update_bias):
    """A GRU whose update gates start with this bias."""
    bias = np.zeros((2, 3 * units), "float32")
    bias[0, :units] = update_bias
    return keras_rnn.GRU(
        units,
        bias_initializer=lambda shape, dtype: keras.ops.convert_to_tensor(bias, dtype),
    )


lines = {}
for bias in (0, 3):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([gru(bias), layers.Dense(1)])
    model.compile(loss="mse")
    x, y = memory_tasks.adding(32, timesteps, np.random.default_rng(seed))
    (norms,) = keras_rnn.state_gradients(model, x, y).values()
    lines[f"$b_z$ = {bias}"] = norms / norms[-1]
panel = {"GRU, before training": lines}
figure = drawings_of_gates.draw_lines(panel, "time step t", "norm of dL/dh_t")
lesson.show(figure, "update_bias.png")
first = {name: norms[0] for name, norms in lines.items()}
lesson.table([{"GRU": name, "at step 1": norm} for name, norm in first.items()])

# %% [markdown]
# ## 4. The profile, then the error
#
# `flow.records` has both: the profile, and the loss of the probe.

# %%
x, y = memory_tasks.adding(64, timesteps, np.random.default_rng(seed + 2))
flow = keras_rnn.GradientFlow(x, y, every=max(1, batches // 10), verbose=False)
adam = keras.optimizers.Adam(1e-2, global_clipnorm=1.0)
layer = keras_rnn.LSTM(units, name="lstm")
trained(layer, memory_tasks.adding, adam, timesteps, [flow])
watched = []
for record in flow.records:
    norms = record["state_gradient_norms"]["lstm"]
    row = {"batch": record["batch"], "error": record["loss"]}
    watched.append(row | {"step 1 / last step": norms[0] / norms[-1]})
lesson.table(watched)

# %% [markdown]
# The profile rises first, while the error still stands where it was. Then the error falls.
#
# ## 5. How long may a gradient be?
#
# Clipped to 0.1, the steps are so short that the network has not got far in these batches.
# With 10, some of them are as long as they were without clipping.

# %%
sizes = {}
for size in (0.1, 1.0, 10.0):
    on_the_edge = keras_rnn.ElmanRNN(
        units,
        activation="relu",
        recurrent_initializer="identity",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01, seed=seed),
    )
    sgd = keras.optimizers.SGD(0.03, momentum=0.9, global_clipnorm=size)
    _, sizes[size] = trained(on_the_edge, memory_tasks.adding, sgd, 10)
lesson.table([{"clipped to": size, "error": e[-1]} for size, e in sizes.items()])

# %%
lesson.record(
    late=late,
    millionth=millionth,
    first=first,
    watched=watched,
    sizes=list(sizes.values()),
)
