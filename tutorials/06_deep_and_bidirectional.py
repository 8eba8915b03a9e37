# %% [markdown]
# # Deep and bidirectional networks
#
# **What does a second level bring, what does a second direction bring, and do they help
# with very long sequences?**
#
# A *deep* recurrent network has several levels. The second level reads the states of the
# first as its inputs, and has weights of its own (the level stands in brackets):
#
# $$h^{(1)}_t = g_h(x_t W^{(1)}_{xh} + h^{(1)}_{t-1} W^{(1)}_{hh} + b^{(1)}_h) \qquad
# h^{(2)}_t = g_h(h^{(1)}_t W^{(2)}_{xh} + h^{(2)}_{t-1} W^{(2)}_{hh} + b^{(2)}_h)$$
#
# Each output reads the states of the highest level.

# %%
import time

from workshop import drawings_of_gates, drawings_of_levels, lesson, tasks_of_levels
from workshop.memory_tasks import Fresh

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 12  # size of the hidden state, in each level and direction
batches = 300  # of 32 sequences, to train each network on
far = 300  # steps of the very long sequences
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/deep_and_bidirectional"  # folder for the figures

# %%
lesson.begin(globals(), quick={"units": 4, "batches": 10, "far": 30})
lesson.show(drawings_of_levels.draw_stack(), "stack.png")

# %% [markdown]
# A *bidirectional* network has two chains. One reads the sequence from its beginning, the
# other from its end. They have weights of their own, and initial states of their own:
#
# $$\overrightarrow{h}_t = g_h(x_t \overrightarrow{W}_{xh} +
# \overrightarrow{h}_{t-1} \overrightarrow{W}_{hh} + \overrightarrow{b}_h) \qquad
# \overleftarrow{h}_t = g_h(x_t \overleftarrow{W}_{xh} +
# \overleftarrow{h}_{t+1} \overleftarrow{W}_{hh} + \overleftarrow{b}_h)$$
#
# The chains never meet. Only the output of a step reads both states of that step, side by
# side: $y_t = g_y([\overrightarrow{h}_t, \overleftarrow{h}_t] W_{hy} + b_y)$.

# %%
lesson.show(drawings_of_levels.draw_both(), "both.png")

# %% [markdown]
# ## In Keras
#
# Levels are layers, one after the other. In a many-to-one network all but the last one
# return the states of all steps (`return_sequences=True`). `Bidirectional(layer)`
# copies a layer, lets the copy read from the end, and puts each of its states back
# beside the state of the same step.


# %%
def levels(depth, both, cell=keras_rnn.ElmanRNN, last=True):
    """The recurrent layers of a network. `last`: whether the last one has all its steps."""
    stack = []
    for level in range(depth):
        layer = cell(units, return_sequences=last or level < depth - 1)
        stack.append(layers.Bidirectional(layer) if both else layer)
    return stack


kinds = {
    "one level": (1, False),
    "two levels": (2, False),
    "both directions": (1, True),
    "two levels, both": (2, True),
}
x, rows = np.random.default_rng(seed).normal(size=(1, 12, 3)), []
for name, kind in kinds.items():
    network = keras.Sequential(levels(*kind))
    shape = str(tuple(network(x).shape))
    rows.append({"network": name, "output": shape, "weights": network.count_params()})
lesson.table(rows)

# %% [markdown]
# ## Which output hears of which input?
#
# We change one input at a time, and look at which outputs move.


# %%
figure, all_axes = plt.subplots(1, 3, figsize=(13, 4.6), sharey=True)
reach = {}
for axes, name in zip(all_axes, ("one level", "two levels", "both directions")):
    network = keras.Sequential(levels(*kinds[name]))
    as_it_was = np.repeat(x, 12, axis=0)
    changed = as_it_was.copy()
    changed[range(12), range(12)] += 1  # in row t, the input of step t
    moved = np.linalg.norm(network(changed) - network(as_it_was), axis=-1) > 1e-6
    reach[name] = moved.mean()
    frame = {"extent": (0.5, 12.5, 12.5, 0.5), "aspect": "auto"}
    axes.imshow(moved.T, cmap="Blues", vmin=0, vmax=2, **frame)
    axes.set(title=name, xlabel="changed: input of step")
all_axes[0].set_ylabel("moved (blue): output of step")
lesson.show(figure, "reach.png")
print({name: f"{share:.0%}" for name, share in reach.items()})

# %% [markdown]
# A second level changes nothing here: an output hears of its own step and of all before
# it. Only the second direction lets it hear of what comes later. The price: the first
# output is there only when the last input has come.
#
# ## Layers or cells, and what can run side by side
#
# One can run the first level to the end, then the second: a stack of layers. Or both
# levels of step 1, then both of step 2: one layer over a stack of cells. It is the same
# arithmetic in another order.

# %%
keras.utils.set_random_seed(seed)
stack = keras.Sequential(levels(2, False))
expected = stack(x)
cells = [keras_rnn.ElmanCell(units), keras_rnn.ElmanCell(units)]
layer = keras_rnn.RNN(cells, return_sequences=True)
layer.build(x.shape)
for cell, level in zip(cells, stack.layers):
    cell.set_weights(level.cell.get_weights())
apart = float(np.abs(np.array(layer(x)) - np.array(expected)).max())
print(f"largest difference between layers and cells: {apart:.1e}")

# %% [markdown]
# Take layers, unless the whole stack is one step of something larger, as in a decoder that
# is fed its own output.
#
# Follow the arrows of the first drawing: $h^{(2)}_t$ waits for $h^{(1)}_t$ and
# $h^{(2)}_{t-1}$ only. While the first level does step $t + 1$, the second can do step $t$.
# So two levels of one direction can run side by side, one step apart. The two chains of
# the second drawing can run side by side, too: neither needs anything of the other. But a
# second level *over both directions* has to wait until both chains have come to their
# end. And within one chain each step waits for the step before. Only the work inside a
# step can be shared out there.
#
# ## Two tasks
#
# **The future.** The input is one number at each step. The label of step $t$ says if
# $x_{t-2} + x_{t+2}$ is positive. A network that reads from left to right knows only one
# of the two numbers, and is right three times in four. So 0.75 is a ceiling for it,
# however large it is.
#
# **Slow and fast.** The quick input is $\pm 1$ at each step. Another sets a switch to
# $\pm 1$, once in about twelve steps; at the others it is 0. The label says if the product of
# the quick input, of the quick input two steps ago, and of the switch is positive. It
# is a product of three things: two of them have to be joined before the third can be.
# All batches are new, so the accuracy in training is the accuracy on new sequences.


# %%
tasks = {
    "the future": tasks_of_levels.future,
    "slow and fast": tasks_of_levels.slow_and_fast,
}
for task, function in tasks.items():
    (inputs,), (labels,) = function(1, 8, np.random.default_rng(seed))
    print(f"{task}:", *inputs.T.round(1), f"labels {labels[:, 0]}", sep="\n")


# %%
def trained(task, network, timesteps, count, rate, **how):
    """A network that is trained in ten parts, and its measures in each of them."""
    keras.utils.set_random_seed(seed)
    shape = task(1, timesteps, np.random.default_rng(seed))[0].shape[1:]
    model = keras.Sequential([keras.Input(shape), *network])
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), **how)
    fresh = Fresh(task, timesteps, max(1, count // 10), 32, seed)
    return model, model.fit(fresh, epochs=10, verbose=0).history


panels, models, rows = {task: {} for task in tasks}, {}, []
how = {"loss": "binary_crossentropy", "metrics": ["accuracy"]}
for name, kind in kinds.items():
    row = {"network": name}
    for task, function in tasks.items():
        network = [*levels(*kind), layers.Dense(1, "sigmoid")]
        models[name], history = trained(function, network, 50, batches, 5e-3, **how)
        panels[task][name] = history["accuracy"]
        row[f"{task}, early"] = history["accuracy"][1]
        row[f"{task}, in the end"] = history["accuracy"][-1]
    rows.append(row)
lesson.table(rows)

# %%
parts = np.arange(1, 11) * max(1, batches // 10)
panels = {
    task: {name: (parts, line) for name, line in lines.items()}
    for task, lines in panels.items()
}
panels["the future"]["ceiling"] = parts, np.full(10, tasks_of_levels.CEILING)
figure = drawings_of_gates.draw_lines(panels, "batches", "accuracy", log=False)
lesson.show(figure, "learning.png")

# %% [markdown]
# **The future.** A network that reads in one direction stays at the ceiling (but for
# chance), with one level or two. Both directions come above it, and soon.
#
# **Slow and fast.** Here the second direction is of little use, since no label needs what
# comes later. Two levels learn it in fewer batches. In the end one level is nearly as good.
#
# ## What they cost
#
# We time a training step of each network, as a multiple of the first one's.

# %%
x, y = tasks_of_levels.slow_and_fast(
    32 * max(1, batches // 10), 50, np.random.default_rng(seed)
)
seconds = {name: [] for name in models}
for _ in range(3):
    for name, model in models.items():
        start = time.perf_counter()
        model.fit(x, y, batch_size=32, verbose=0)
        seconds[name].append(time.perf_counter() - start)
costs = [
    {
        "network": name,
        "weights": model.count_params(),
        "time / one level": min(seconds[name]) / min(seconds["one level"]),
    }
    for name, model in models.items()
]
print("On this machine:")
lesson.table(costs)

# %% [markdown]
# ## Very long sequences
#
# It is often said that deep and bidirectional networks are useful for very long sequences.
# We put that to the test. In a sequence of 300 steps one number is marked, and the network
# has to say it at the end. In three tasks the mark is near the beginning, in the middle,
# or near the end. The cell is a GRU (lesson 05). A bidirectional network gives its dense
# layer the last state of each chain: at step $T$ of the one, at step 1 of the other.

# %%
places = ("beginning", "middle", "end")
long = []
for name in ("one level", "two levels", "both directions"):
    row = {"GRU": name}
    for place in places:
        network = [*levels(*kinds[name], keras_rnn.GRU, last=False), layers.Dense(1)]
        task = tasks_of_levels.marked(place)
        _, history = trained(task, network, far, 2 * batches // 3, 1e-2, loss="mse")
        row[place] = history["loss"][-1]
    long.append(row)
long.append({"GRU": "always 0"} | dict.fromkeys(places, 1 / 3))
lesson.table(long)

# %% [markdown]
# All networks find a mark near the end. A second level does not help with the others: it
# stands *above* the first, and a number from far away has to come through as many steps
# as before. The second direction finds the mark near the beginning at once, because there
# its chain ends. But the middle of a long sequence is far from both ends, and there both
# directions fail as one does.
#
# So the verdict: a second direction helps with a long sequence if what counts stands near
# one of its ends, or near the step that needs it. In general, neither depth nor direction
# lets a network keep a number for longer. Gates do. Exercise 3 changes one number of the
# GRU's start, and *one* level finds the middle.
#
# ## Summary
#
# 1. A second level reads the states of the first. Its outputs hear of no other inputs.
# 2. A second direction lets an output hear of what comes later, and no size of one
#    direction makes up for it. It has to wait for the end of the sequence.
# 3. Two levels learned a task of two stages in fewer batches. In the end one did, too.
# 4. Each level and each direction costs weights and time.
# 5. For very long sequences look at the gates, and at how far back the gradient reaches
#    (lessons 04 and 05), before you add levels.

# %%
lesson.table(rows)
print()
lesson.table(long)
lesson.record(reach=reach, apart=apart, accuracy=rows, costs=costs, long=long)

# %% [markdown]
# ## Exercises
#
# 1. Give one level as many *weights* as two levels have. What is left of the gain on "slow
#    and fast"?
# 2. Let one direction wait: ask for the label of step $t$ at step $t + 2$. Where is the
#    ceiling now?
# 3. Let the update gates of a GRU of one level start at $\sigma(5)$, and try the mark in
#    the middle again.
# 4. Read the digits of scikit-learn pixel by pixel, 64 steps. Is it depth or direction
#    that helps?
# 5. Add each level's input to its output (`layers.Add`). What does that do to the gradient
#    in the first level of a network of eight levels?
#
# They are solved in
# [solutions/06_deep_and_bidirectional.py](solutions/06_deep_and_bidirectional.py). The
# next lesson reads real text: [Sentiment](07_sentiment_classification.py).
