# %% [markdown]
# # Gates: LSTM and GRU
#
# **How can a network keep a number for fifty steps, and how does it learn to?**
#
# An Elman network writes its whole state anew at each step. An LSTM has a second state
# beside $h_t$, the *cell state* $c_t$, and only corrects it:
#
# $$c_t = f_t \odot c_{t-1} + i_t \odot g_t$$
#
# ($\odot$ multiplies number by number.) The *gates* $f_t$ and $i_t$ are numbers from 0 to
# 1 that the network computes itself. $f_t$ says how much of the old content stays, $i_t$
# how much of the new content $g_t$ comes in. With $f_t = 1$ and $i_t = 0$ nothing changes.
# In the picture $c$ is the green line; it is drawn from the numbers of one real step.

# %%
import time

from workshop import cells_by_hand, drawings_of_gates, lesson, memory_tasks

# isort: split
import keras
import numpy as np
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 32  # size of the hidden state
timesteps = 50  # length of the sequences
batches = 600  # of 32 sequences, to train each network on
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/gates"  # folder for the figures

# %%
lesson.begin(globals(), quick={"units": 8, "timesteps": 20, "batches": 40})


def sigmoid(a):
    """From any number to one between 0 and 1."""
    return 1 / (1 + np.exp(-a))


def lstm_step(x, h, c, weights, held=None):
    """All that a step computes. `held` puts other values in place of gates."""
    kernel, recurrent_kernel, bias = weights
    i, f, g, o = np.split(x @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)
    new = {"i": sigmoid(i), "f": sigmoid(f), "g": np.tanh(g), "o": sigmoid(o)}
    new |= held or {}
    new["c"] = new["f"] * c + new["i"] * new["g"]
    return new | {"h": new["o"] * np.tanh(new["c"])}


before = {"x_t": 1.0, "h_{t-1}": 0.5, "c_{t-1}": 0.8}
x, h, c = (np.array([value]) for value in before.values())
weights = np.array([[0.6, 0.4, 0.9, 1.0]]), np.array([[0.2, 0.8, -0.4, 0.3]])
step = lstm_step(x, h, c, (*weights, np.array([0.0, 1.0, 0.0, 0.0])))
lesson.show(drawings_of_gates.draw_lstm(before, step), "lstm.png")
print({name: round(value.item(), 3) for name, value in step.items()})

# %% [markdown]
# ## All equations of the LSTM
#
# $$i_t = \sigma(x_t W_i + h_{t-1} R_i + b_i) \quad \text{input gate}$$
# $$f_t = \sigma(x_t W_f + h_{t-1} R_f + b_f) \quad \text{forget gate}$$
# $$g_t = \tanh(x_t W_g + h_{t-1} R_g + b_g) \quad \text{new content}$$
# $$o_t = \sigma(x_t W_o + h_{t-1} R_o + b_o) \quad \text{output gate}$$
# $$c_t = f_t \odot c_{t-1} + i_t \odot g_t \qquad h_t = o_t \odot \tanh(c_t)$$
#
# $\sigma(a) = 1 / (1 + e^{-a})$ is the *sigmoid*. Each $W$ is like $W_{xh}$, each $R$
# like $W_{hh}$. ($g_t$ is a vector, no function.) All $W$ are in `kernel`, all $R$ in
# `recurrent_kernel`, all $b$ in `bias`, in the order $i, f, g, o$. In the picture, by
# hand: $f_t = \sigma(1 \cdot 0.4 + 0.5 \cdot 0.8 + 1) = \sigma(1.8)$, and so on. The
# cell of the library, with several units, must give the same as `lstm_step`.

# %%
random = np.random.default_rng(seed)
how = {"learn_initial_state": False, "dtype": "float64"}
apart = {"LSTM": cells_by_hand.apart(keras_rnn.LSTMCell(3, **how), lstm_step, random)}
print(f"largest difference to keras_rnn.LSTMCell: {apart['LSTM']:.1e}")

# %% [markdown]
# ## The GRU: one state, two gates
#
# $$z_t = \sigma(x_t W_z + b_z + h_{t-1} R_z + b'_z) \quad \text{update gate}$$
# $$r_t = \sigma(x_t W_r + b_r + h_{t-1} R_r + b'_r) \quad \text{reset gate}$$
# $$n_t = \tanh(x_t W_n + b_n + r_t \odot (h_{t-1} R_n + b'_n)) \quad \text{candidate}$$
# $$h_t = z_t \odot h_{t-1} + (1 - z_t) \odot n_t$$
#
# The *gated recurrent unit* has no second state: $h_t$ itself is the road. The update gate
# $z_t$ does the work of $f_t$ and of $i_t$: what is not kept is replaced. The reset gate
# $r_t$ says how much of the state the candidate sees. In the code the order is
# $z, r, n$, and $b$ and $b'$ are the two rows of `bias`.


# %%
def gru_step(x, h, weights, held=None):
    """All that a step computes."""
    kernel, recurrent_kernel, bias = weights
    x_z, x_r, x_n = np.split(x @ kernel + bias[0], 3, axis=-1)
    h_z, h_r, h_n = np.split(h @ recurrent_kernel + bias[1], 3, axis=-1)
    new = {"z": sigmoid(x_z + h_z), "r": sigmoid(x_r + h_r)} | (held or {})
    new["n"] = np.tanh(x_n + new["r"] * h_n)
    return new | {"h": new["z"] * h + (1 - new["z"]) * new["n"]}


weights = np.array([[1.2, 0.4, 0.9]]), np.array([[0.8, 0.6, -0.4]]), np.zeros((2, 3))
lesson.show(drawings_of_gates.draw_gru(before, gru_step(x, h, weights)), "gru.png")
apart["GRU"] = cells_by_hand.apart(keras_rnn.GRUCell(3, **how), gru_step, random)
print(f"largest difference to keras_rnn.GRUCell: {apart['GRU']:.1e}")

# %% [markdown]
# ## Why $c_t$ is a road
#
# What is left of a change after $k$ steps is a product of $k$ Jacobians (lesson 04). For
# the Elman network and for the direct path along $c$ they are
#
# $$\frac{\partial h_t}{\partial h_{t-1}} = \mathrm{diag}(1 - h_t^2)\, W_{hh}^\top
# \qquad \frac{\partial c_t}{\partial c_{t-1}} = \mathrm{diag}(f_t)$$
#
# ("Direct" leaves out that the gates depend on $h_{t-1}$, too.) For the GRU the direct
# path is $\mathrm{diag}(z_t)$. There is no matrix, no $\tanh$, and each unit has a road of
# its own for the gradient. But it is only as good as its gate: numbers below 1 have a small
# product. We measure it *before training*: in LSTMs whose $b_f$ is 0, 1 or 3, and in a GRU.
# (It has no such bias in Keras; its $z_t$ starts near 1/2.) For the Elman network we take
# the largest singular value of the product: the most that can be left of a change.


# %%
def lstm(forget_bias):
    """An LSTM whose forget gates start with this bias, the other biases with 0."""
    bias = np.repeat([0.0, forget_bias, 0.0, 0.0], units)
    return keras_rnn.LSTM(
        units,
        unit_forget_bias=False,
        bias_initializer=lambda shape, dtype: keras.ops.convert_to_tensor(bias, dtype),
    )


example, _ = memory_tasks.adding(1, 100, random)
starts = {f"LSTM, b_f = {bias}": (lstm(bias), "f") for bias in (0, 1, 3)}
starts["GRU"] = keras_rnn.GRU(units), "z"
roads = {}
for name, (layer, gate) in starts.items():
    layer.build(example.shape)
    step = gru_step if name == "GRU" else lstm_step
    gates = cells_by_hand.along(layer, step, example)[gate][0]  # (steps, units)
    roads[name] = np.median(np.cumprod(gates, axis=0), axis=-1)  # f_1, f_1 f_2, ...
    print(f"{name}: {gate}_t is {np.median(gates):.2f} (the median)")

# %%
layer = keras_rnn.ElmanRNN(units)  # its W_hh starts orthogonal
layer.build(example.shape)
W_xh, W_hh, b_h, h = layer.get_weights()
product, roads["Elman, at most"] = np.eye(units), []
for x in example[0]:
    h = np.tanh(x @ W_xh + h @ W_hh + b_h)
    product = np.diag(1 - h**2) @ W_hh.T @ product
    roads["Elman, at most"].append(np.linalg.norm(product, 2))

left = {name: road[-1] for name, road in roads.items()}
lesson.table([{"path": name, "left after 100 steps": v} for name, v in left.items()])
panel = {"Before training": roads}
figure = drawings_of_gates.draw_lines(panel, "steps k", "left of a change")
lesson.show(figure, "roads.png")

# %% [markdown]
# So gates do not save the gradient by themselves. As Keras starts them, the LSTM and the
# GRU lose *more* than the Elman network, whose orthogonal $W_{hh}$ does not shrink
# anything. What gates bring is another thing: the network can **learn** a factor near 1.
#
# ## Learning to keep a number
#
# At each step there is a number from -1 to 1 and a mark. The mark is 1 at one step, and 0
# at all others. At the end the network has to say the number that stood at the mark. All
# three networks see the same batches, and the gradient is clipped (lesson 04). The gated
# ones can take a ten times larger learning rate.

# %%
task = memory_tasks.marked_number
test = task(500, timesteps, np.random.default_rng(seed + 1))
print("the last ten steps of one sequence, and what to say at the end:")
print(test[0][0, -10:].T.round(2), test[1][0].round(2))


# %%
def profile(model):
    """The norm of dL/dh_t at each step (of an LSTM, dL/dc_t); the largest is 1."""
    state = 1 if isinstance(model.layers[0], keras_rnn.LSTM) else 0
    x, y = test[0][:32], test[1][:32]
    (norms,) = keras_rnn.state_gradients(model, x, y, state=state).values()
    return norms / norms.max()


def trained(layer, rate):
    """A network trained in ten parts, its test errors, and its dL/dh_t before and after."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((timesteps, 2)), layer, layers.Dense(1)])
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), "mse")
    fresh = memory_tasks.Fresh(task, timesteps, batches // 10, 32, seed)
    before = profile(model)
    history = model.fit(fresh, epochs=10, validation_data=test, verbose=0)
    return model, history.history["val_loss"], before, profile(model)


networks = {
    "Elman": trained(keras_rnn.ElmanRNN(units), 1e-3),
    "LSTM": trained(lstm(1.0), 1e-2),
    "GRU": trained(keras_rnn.GRU(units), 1e-2),
}
rows, panels = [], {"before training": {}, "after training": {}}
for name, (_, errors, *profiles) in networks.items():
    row = {"network": name, "mean squared error": errors[-1]}
    first = {"at step 1, before": profiles[0][0], "at step 1, after": profiles[1][0]}
    rows.append(row | first)
    for lines, norms in zip(panels.values(), profiles):
        lines[name] = norms
lesson.table(rows)
print(f"To say 0 always has the error {np.mean(test[1] ** 2):.3f}.")
label = "norm of dL/dh_t (LSTM: dL/dc_t)"
figure = drawings_of_gates.draw_lines(panels, "time step t", label)
lesson.show(figure, "profiles.png")

# %% [markdown]
# Read both pictures from the right, where the loss is, to the left. Before training next to
# nothing of the gradient reaches the first steps in the gated networks. But it does reach
# the last steps. They open their gates a little, the gradient reaches a little further back,
# and so on. After training the profile is far more level, and the error is small. The Elman
# network started with more gradient, and has not learned.
#
# ## Which gate has learned what?
#
# We look at one sequence, and at one unit: one whose content at the end follows the marked
# number, and whose $f_t$ (of the GRU, $z_t$) is high after the mark.

# %%
marks = test[0][:, :, 1] == 1
row = int(np.argmax(marks[:, : timesteps // 3].any(axis=1)))  # an early mark
at = int(np.argmax(marks[row])) + 1
after = (np.cumsum(marks, axis=1) - marks) > 0
panels, seen = {}, {}
for name, step, wires in (("LSTM", lstm_step, "fic"), ("GRU", gru_step, "zrh")):
    layer = networks[name][0].layers[0]
    gates = seen[name] = cells_by_hand.along(layer, step, test[0])
    last = gates[wires[-1]][:, -1]
    follows = abs(np.corrcoef(last.T, test[1].T)[-1, :-1])  # for each unit
    unit = int(np.argmax(follows * gates[wires[0]][after].mean(axis=0)))
    lines = {f"${wire}_t$": gates[wire][row, :, unit] for wire in wires}
    panels[f"{name}, unit {unit + 1}; mark at step {at}"] = lines
figure = drawings_of_gates.draw_lines(panels, "time step t", "", log=False, mark=at)
lesson.show(figure, "gates.png")

# %% [markdown]
# A picture is no proof. So we take each gate away: at all steps it gets one and the same
# value, its mean over the sequences and the steps, unit by unit. If the error grows, the
# network needs what the gate does *in time*.

# %%
held = []
for name, step, gates in (("LSTM", lstm_step, "ifo"), ("GRU", gru_step, "zr")):
    model, errors, *_ = networks[name]
    layer, (kernel, bias) = model.layers[0], model.layers[1].get_weights()
    for gate in gates:
        mean = {gate: seen[name][gate].mean(axis=(0, 1))}
        h = cells_by_hand.along(layer, step, test[0], held=mean)["h"][:, -1]
        error = np.mean((h @ kernel + bias - test[1]) ** 2)
        held.append({"network": name, "gate held": gate, "error": error})
    held.append({"network": name, "gate held": "none", "error": errors[-1]})
lesson.table(held)

# %% [markdown]
# The gate that keeps, $f_t$ or $z_t$, is the one that the network cannot do without: held,
# it makes the error larger than if the network always said 0. The others help.
#
# ## What the forget bias does
#
# `unit_forget_bias=True`, Keras's default, starts with $b_f = 1$, where
# $\sigma(1) = 0.73$. With 0 the road is worse at the start, with 3 it is better:
# $\sigma(3) = 0.95$. We change that one number, train again, and count the batches until
# the error is below 0.05.

# %%
curves = {"0": trained(lstm(0.0), 1e-2)[1], "1": networks["LSTM"][1]}
curves["3"] = trained(lstm(3.0), 1e-2)[1]
parts = np.arange(1, 11) * (batches // 10)
lines = {f"$b_f$ = {b}": (parts, errors) for b, errors in curves.items()}
lines["always 0"] = parts, np.full(10, 1 / 3)
panel = {"LSTM: the forget bias": lines}
figure = drawings_of_gates.draw_lines(panel, "batches", "mean squared error")
lesson.show(figure, "forget_bias.png")
solved = {}
for name, errors in curves.items():
    below = parts[np.array(errors) < 0.05]
    solved[name] = str(below[0]) if len(below) else "not solved"
lesson.table([{"b_f": name, "batches to 0.05": n} for name, n in solved.items()])

# %% [markdown]
# A forget gate that starts half closed costs many batches. To open it wider than Keras does
# saves some more.
#
# ## What gates cost
#
# For $n$ units and $m$ features an Elman cell has $n(m + n + 1)$ weights and its $h_0$.
# The LSTM has four such sets, the GRU three, with two biases each. We count, and we
# measure how long a training step takes on this machine, as a multiple of Elman's.

# %%
x, y = task(5 * batches, timesteps, random)
models = {name: model for name, (model, *_) in networks.items()}
seconds = {name: [] for name in models}
for name, model in 3 * [*models.items()]:
    start = time.perf_counter()
    model.fit(x, y, batch_size=32, verbose=0)
    seconds[name].append(time.perf_counter() - start)
costs = []
for name, model in models.items():
    row = {"network": name, "weights": model.layers[0].count_params()}
    row["weights / Elman"] = row["weights"] / models["Elman"].layers[0].count_params()
    costs.append(row | {"time / Elman": min(seconds[name]) / min(seconds["Elman"])})
print("On this machine:")
lesson.table(costs)

# %% [markdown]
# Four times the weights need not cost four times the time: in a network as small as this,
# most of a step is not arithmetic.
#
# ## Symptom, measurement, cure
#
# In brackets stands the lesson that measured it.
#
# | symptom | what to measure | cure |
# |---|---|---|
# | the loss stays where it was, the sequences are long | `state_gradients`: does the profile fall on the way to step 1? | gates (here and 04), an orthogonal $W_{hh}$ (04, and Elman's line above) |
# | gated, and nothing happens at first | `GradientFlow` or two calls of `state_gradients`: does the profile rise during training? | a larger forget bias (here), more batches (04) |
# | the loss jumps or becomes NaN | `GradientFlow`: which layer, which step? the norm of the whole gradient | `global_clipnorm=1.0` (04), a smaller start of $W_{hh}$ (04) |
# | a gradient arrives at every step, and still nothing is learned | the share of *saturated* units (`GradientFlow`): where a sigmoid or a $\tanh$ is flat; the outputs: the same for all inputs? ten examples: can it learn them by heart? | scale the inputs (12); another learning rate; labels that belong to the inputs, a loss that fits the output (`from_logits` without a softmax: 10) |
# | a change dies or explodes already in the forward pass | `jacobian_spectrum`: the largest singular value of $k$ steps | orthogonal, or another gain (04) |
# | learns short sequences, not long ones | the error by the number of steps (01, 04) | gates, more batches (04); in a long text, windows with the state carried (10; exercise 5 of 03: what they lose) |
# | the answer needs what comes later | the error by the place in the sequence (09) | `Bidirectional` (06, 09) |
# | sequences of different lengths, hardly anything is learned | `state_gradients`: is the gradient at the padding only? (07) | `mask_zero=True` (07) |
# | good in training, poor on new data | both errors, side by side (07, 09) | leave out words or numbers: dropout (07, 09) |
#
# ## Summary
#
# 1. A gate is a sigmoid that multiplies: it lets through from nothing to all.
# 2. Along $c_t$ the gradient is multiplied by $f_t$, along the $h_t$ of a GRU by $z_t$.
# 3. At the start these factors are near 1/2 or 0.73: over 100 steps, less is left than Elman
#    leaves.
# 4. But they can be learned: near 1, except where the state has to change.
# 5. A forget gate that starts open, with $b_f$ of 1 or more, saves batches.
# 6. An LSTM has four times the weights of an Elman layer, a GRU three times.

# %%
lesson.table(rows)
found = {"apart": apart, "left": left, "networks": rows, "held": held}
lesson.record(**found, forget_bias=curves, costs=costs)

# %% [markdown]
# ## Exercises
#
# 1. With paper: which $f$ leaves half of a change after 100 steps, and which bias gives
#    it?
# 2. Start the GRU with $b_z = 3$. Which part of its `bias` is that? Does it learn in fewer
#    batches?
# 3. Mark *two* steps, and ask for the number at the second mark. Look at $f_t$: what does
#    it do now at the second mark?
# 4. `jacobian_spectrum` takes *all* paths of an LSTM. Compare it with the direct path
#    before training: how much did we leave out?
# 5. Is it the number of weights? Give the Elman network as many as the LSTM has.
#
# They are solved in [solutions/05_gates.py](solutions/05_gates.py). On the page
# [two units, unfolded](../docs/explore/index.html) a gate repairs a gradient that explodes:
# try the button "it explodes", then GRU, then its $b_z$. The next lesson puts
# layers on top of each other, and reads from both ends:
# [Deep and bidirectional networks](06_deep_and_bidirectional.py).
