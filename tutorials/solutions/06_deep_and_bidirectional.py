# %% [markdown]
# # Solutions: deep and bidirectional networks
#
# The exercises of [lesson 06](../06_deep_and_bidirectional.py), one after the other.

# %%
import sys

sys.path += ["tutorials", ".", ".."]  # where `workshop` is, seen from where we may be

from workshop import drawings_of_gates, lesson, memory_tasks, tasks_of_levels

# isort: split
import keras
import numpy as np
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 12  # size of the hidden state, in each level and direction
batches = 300  # of 32 sequences, to train each network on
far = 300  # steps of the very long sequences
epochs = 6  # passes over the digits
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/solutions/deep_and_bidirectional"  # folder for the figures

# %%
lesson.begin(globals(), quick={"units": 4, "batches": 10, "far": 30, "epochs": 1})

# %% [markdown]
# ## 1. The same number of weights
#
# A level over $m$ inputs has $n(m + n + 1)$ weights and the $n$ of its $h_0$. We look for
# the number of units with which one level has as many as two.


# %%
def trained(task, network, timesteps, count, optimizer, **how):
    """A network, and its measures in the last of ten parts of the training."""
    keras.utils.set_random_seed(seed)
    shape = task(1, timesteps, np.random.default_rng(seed))[0].shape[1:]
    model = keras.Sequential([keras.Input(shape), *network])
    model.compile(optimizer, **how)
    fresh = memory_tasks.Fresh(task, timesteps, max(1, count // 10), 32, seed)
    history = model.fit(fresh, epochs=10, verbose=0).history
    return model, {name: values[-1] for name, values in history.items()}


def of_labels(task, network):
    """The number of weights and the accuracy of a network with a label at each step."""
    how = {"loss": "binary_crossentropy", "metrics": ["accuracy"]}
    adam = keras.optimizers.Adam(5e-3, global_clipnorm=1.0)
    model, measured = trained(
        task, [*network, layers.Dense(1, "sigmoid")], 50, batches, adam, **how
    )
    return model.count_params(), measured["accuracy"]


def level(size):
    return keras_rnn.ElmanRNN(size, return_sequences=True)


wide = units
while (
    wide * (wide + 5) + 1 < units * (3 * units + 7) + 1
):  # 2 inputs, and the dense map
    wide += 1
rows = []
for name, network in {
    f"two levels of {units}": [level(units), level(units)],
    f"one level of {wide}": [level(wide)],
}.items():
    count, accuracy = of_labels(tasks_of_levels.slow_and_fast, network)
    rows.append({"network": name, "weights": count, "accuracy": accuracy})
lesson.table(rows)

# %% [markdown]
# ## 2. Wait before you answer
#
# With a delay of two steps, a network that reads from left to right has seen
# $x_{t+2}$ when it says the label of step $t$. The ceiling is gone. That is how a
# network can look a little ahead where it cannot wait for the end.


# %%
def delayed(count, timesteps, random):
    """The task of the future, with the label of step t at step t + 2."""
    x, labels = tasks_of_levels.future(count, timesteps, random)
    return x, np.concatenate([labels[:, :2] * 0, labels[:, :-2]], axis=1)


delays = {
    name: of_labels(task, [level(units)])[1]
    for name, task in {"at once": tasks_of_levels.future, "delayed": delayed}.items()
}
print(delays)

# %% [markdown]
# ## 3. The middle of a long sequence
#
# $\sigma(5) = 0.993$: a GRU whose $z_t$ starts there keeps about a third over 150 steps,
# where $0.5^{150}$ is nothing.


# %%
def gru(update_bias):
    """A GRU whose update gates start with this bias."""
    bias = np.zeros((2, 3 * units), "float32")
    bias[0, :units] = update_bias
    return keras_rnn.GRU(
        units,
        bias_initializer=lambda shape, dtype: keras.ops.convert_to_tensor(bias, dtype),
    )


middle = {}
for update_bias in (0, 5):
    adam = keras.optimizers.Adam(1e-2, global_clipnorm=1.0)
    network = [gru(update_bias), layers.Dense(1)]
    task = tasks_of_levels.marked("middle")
    _, measured = trained(task, network, far, 2 * batches // 3, adam, loss="mse")
    middle[f"b_z = {update_bias}"] = measured["loss"]
lesson.table([{"start": name, "error": error} for name, error in middle.items()])

# %% [markdown]
# ## 4. Digits, pixel by pixel
#
# 64 steps of one number. Each network reads the same digits.

# %%
train, test = memory_tasks.digits("pixel", np.random.default_rng(seed))
digits = []
for name, network in {
    "one level": [keras_rnn.GRU(units)],
    "two levels": [keras_rnn.GRU(units, return_sequences=True), keras_rnn.GRU(units)],
    "both directions": [layers.Bidirectional(keras_rnn.GRU(units))],
}.items():
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([*network, layers.Dense(10, "softmax")])
    adam = keras.optimizers.Adam(1e-2, global_clipnorm=1.0)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*train, epochs=epochs, verbose=0)
    accuracy = model.evaluate(*test, verbose=0)[1]
    digits.append({"GRU": name, "accuracy": accuracy})
lesson.table(digits)

# %% [markdown]
# ## 5. A short cut around each level
#
# The sum of a level's input and output is what the next level reads. So the gradient has
# a way down to the first level on which nothing multiplies it.


# %%
def eight(short_cuts):
    """Eight levels, with or without short cuts around them, not trained."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((20, 2))
    y = layers.Dense(units)(inputs)
    for number in range(1, 9):
        states = keras_rnn.ElmanRNN(
            units, return_sequences=True, name=f"level_{number}"
        )(y)
        y = layers.Add()([y, states]) if short_cuts else states
    model = keras.Model(inputs, layers.Dense(1)(y[:, -1]))
    model.compile(loss="mse")
    return model


x, y = memory_tasks.adding(32, 20, np.random.default_rng(seed))
lines = {}
for name, short_cuts in {"plain": False, "with short cuts": True}.items():
    norms = keras_rnn.state_gradients(eight(short_cuts), x, y)
    lines[name] = np.array([norms[f"level_{n}"][-1] for n in range(1, 9)])
    lines[name] /= lines[name][-1]
panel = {"Before training, at the last step (level 8: 1)": lines}
figure = drawings_of_gates.draw_lines(panel, "level", "norm of dL/dh")
lesson.show(figure, "short_cuts.png")
first = {name: norms[0] for name, norms in lines.items()}
print(first)

# %%
lesson.record(
    same_weights=rows, delays=delays, middle=middle, digits=digits, first=first
)
