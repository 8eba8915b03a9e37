# %% [markdown]
# # Solutions: gates
#
# The exercises of [lesson 05](../05_gates.py), one after the other.

# %%
import sys

sys.path += ["tutorials", ".", ".."]  # where `workshop` is, seen from where we may be

from workshop import lesson, memory_tasks

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 32  # size of the hidden state
timesteps = 30  # length of the sequences
batches = 300  # of 32 sequences, to train each network on
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/solutions/gates"  # folder for the figures

# %%
lesson.begin(globals(), quick={"units": 8, "timesteps": 20, "batches": 20})

# %% [markdown]
# ## 1. Half of a change after 100 steps
#
# $f^{100} = 1/2$ gives $f = 2^{-1/100}$, and $\sigma(b) = f$ gives
# $b = \ln(f / (1 - f))$. A forget gate has to be nearly open.

# %%
f = 0.5 ** (1 / 100)
bias = np.log(f / (1 - f))
print(f"f = {f:.4f}, b_f = {bias:.2f}")

# %% [markdown]
# ## 2. A GRU that starts by keeping
#
# $b_z$ is the first third of the first row of `bias`; Keras lets us set both rows with an
# initializer.


# %%
def marked_numbers(marks):
    """A task with so many marks, which asks for the number at the last one."""

    def task(count, timesteps, random):
        x = np.zeros((count, timesteps, 2), "float32")
        x[:, :, 0] = random.uniform(-1, 1, (count, timesteps))
        at = random.random((count, timesteps)).argsort(axis=1)[:, :marks]
        np.put_along_axis(x[:, :, 1], at, 1, axis=1)
        return x, x[np.arange(count), at.max(axis=1), :1]

    return task


def trained(layer, rate, task):
    """A network, and its errors on test sequences in ten parts of the training."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((timesteps, 2)), layer, layers.Dense(1)])
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), "mse")
    fresh = memory_tasks.Fresh(task, timesteps, batches // 10, 32, seed)
    test = task(500, timesteps, np.random.default_rng(seed + 1))
    history = model.fit(fresh, epochs=10, validation_data=test, verbose=0)
    return model, history.history["val_loss"]


def gru(update_bias):
    """A GRU whose update gates start with this bias."""
    bias = np.zeros((2, 3 * units))
    bias[0, :units] = update_bias
    return keras_rnn.GRU(
        units,
        bias_initializer=lambda shape, dtype: keras.ops.convert_to_tensor(bias, dtype),
    )


errors = {b: trained(gru(b), 1e-2, marked_numbers(1))[1] for b in (0, 3)}
lesson.table(
    [
        {"batches": (part + 1) * (batches // 10), "b_z = 0": zero, "b_z = 3": three}
        for part, (zero, three) in enumerate(zip(errors[0], errors[3]))
    ]
)

# %% [markdown]
# ## 3. The last of two marks
#
# Now the network must not keep the first number for ever. At each mark the forget gates
# of the units that keep the number have to close: the old one goes, the new one comes. We
# compute $f_t$ from the states and the weights.

# %%
task = marked_numbers(2)
model, last_errors = trained(keras_rnn.LSTM(units, return_sequences=False), 1e-2, task)
x, y = task(200, timesteps, np.random.default_rng(seed + 2))
layer = model.layers[0]
states = keras_rnn.LSTM(units, return_sequences=True)
states.build(x.shape)
states.set_weights(layer.get_weights())
kernel, recurrent_kernel, bias, h_0, _ = layer.get_weights()
h = np.concatenate([np.tile(h_0, (len(x), 1, 1)), np.array(states(x))[:, :-1]], axis=1)
forget = 1 / (1 + np.exp(-(x @ kernel + h @ recurrent_kernel + bias)))
forget = forget[:, :, units : 2 * units]
marked = x[:, :, 1] == 1
drop = forget[~marked].mean(axis=0) - forget[marked].mean(axis=0)
unit = int(np.argmax(drop))
at_marks, elsewhere = forget[marked][:, unit].mean(), forget[~marked][:, unit].mean()
print(f"f of unit {unit + 1}: {at_marks:.3f} at the marks, {elsewhere:.3f} elsewhere")
print(f"mean squared error: {last_errors[-1]:.4f}")

# %% [markdown]
# ## 4. All paths
#
# The whole Jacobian of an LSTM has $h$ and $c$ side by side. Its largest singular value
# is above the direct path's $f_t$: the paths through the gates and through $h$ are added,
# and "largest" looks for the best direction.

# %%
keras.utils.set_random_seed(seed)
layer = keras_rnn.LSTM(units)
x, _ = memory_tasks.adding(1, timesteps, np.random.default_rng(seed))
ks = np.unique(np.geomspace(1, timesteps, 5).round().astype(int))
whole = [
    keras_rnn.jacobian_spectrum(layer, x, steps=k).singular_values[0, 0, 0] for k in ks
]
direct = (1 / (1 + np.exp(-1))) ** ks  # f is near sigmoid(1) at the start
figure, axes = plt.subplots(figsize=(10, 5))
axes.semilogy(ks, whole, "o-", label="all paths, at most")
axes.semilogy(ks, direct, "s--", label="$0.73^k$, the direct path")
axes.set(xlabel="steps k", ylabel="left of a change")
axes.legend()
lesson.show(figure, "paths.png")
lesson.table(
    [{"steps": k, "all paths": a, "direct": d} for k, a, d in zip(ks, whole, direct)]
)

# %% [markdown]
# ## 5. As many weights as an LSTM
#
# An LSTM has $4n(n + 3)$ weights here, and two initial states. About twice the units give
# the Elman network as many. What it lacks is not weights.

# %%
pairs = []
for name, layer, rate in (
    ("LSTM", keras_rnn.LSTM(units), 1e-2),
    ("Elman", keras_rnn.ElmanRNN(2 * units + 2), 1e-3),
):
    model, curve = trained(layer, rate, marked_numbers(1))
    pairs.append({"network": name, "weights": layer.count_params(), "error": curve[-1]})
lesson.table(pairs)

# %%
lesson.record(
    half={"f": f, "bias": float(np.log(f / (1 - f)))},
    gru=list(errors.values()),
    forget={"marks": at_marks, "elsewhere": elsewhere},
    whole=whole,
    same_weights=pairs,
)
