# %% [markdown]
# # The five shapes
#
# **How can one small network read a sequence of any length, write one, or do both?**
#
# It does one *step* again and again. At step $t$ it reads the input $x_t$ and its own
# *hidden state* $h_{t-1}$, which is what it keeps of the steps before. It computes a new
# hidden state, and from that its output $y_t$:
#
# $$h_t = g_h(x_t W_{xh} + h_{t-1} W_{hh} + b_h) \qquad y_t = g_y(h_t W_{hy} + b_y)$$
#
# Vectors are rows in this course. The matrices $W$ and the *biases* $b$ are the weights,
# which training finds; $g_h$ and $g_y$ are *activations*, such as $\tanh$. (Lesson 02
# computes with them, number by number.) The two equations stay the same in all the
# pictures below. What changes is at which steps there is an input, and at which steps we
# look at the output.

# %%
from workshop import drawings_of_shapes, french_numbers, lesson

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 32  # size of the hidden state
sequences = 2000  # to train on, in each task
epochs = 20  # passes over them
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/five_shapes"  # folder for the figures

# %%
lesson.begin(globals(), quick={"units": 8, "sequences": 100, "epochs": 2})
lesson.show(drawings_of_shapes.draw_shapes(), "five_shapes.png")

# %% [markdown]
# *Folded*, the network is one cell with a loop: this is what we build. *Unfolded*, each
# step stands beside the one before: this is what is computed. The orange boxes all have
# the same weights $W_{xh}, W_{hh}, b_h, W_{hy}, b_y$; the purple boxes are a second
# network with weights of its own.
#
# Before the first step there is no $h_{t-1}$. The network starts from the *initial state*
# $h_0$, a vector that is random at first and is then trained like every other weight.
#
# | shape | a real task | lesson |
# |---|---|---|
# | one to one | one picture, one label: any dense network | 02 |
# | one to many | a class or a picture, and a text about it | 10 |
# | many to one | a review, and whether it is good | 07, 08, 12 |
# | many to many, aligned | for each word: is it a name? | 09 |
# | many to many, encoder and decoder | a sentence, and its translation | 11 |
#
# Now we build each of them on a toy task.
#
# ## 1. One to one
#
# With one time step the network is an ordinary dense network with one hidden layer. Let
# it learn $y = x^2$. The layer expects inputs of the shape (batch, time steps, features):
# a *batch* is several sequences side by side, the features are the numbers of one step.
# Here this is (`sequences`, 1, 1). `output_units=1` gives the cell its second equation.
#
# `compile` says what to make small, the *loss*: here the mean squared error (`mse`). It also
# says how: by an *optimizer*, here Adam with a learning rate of 0.01. `fit` trains.

# %%
random = np.random.default_rng(seed)
x = random.uniform(-1, 1, (sequences, 1, 1)).astype("float32")
y = x[:, 0] ** 2

one_to_one = keras.Sequential([keras_rnn.ElmanRNN(units, output_units=1)])
one_to_one.compile(keras.optimizers.Adam(0.01), "mse")
one_to_one.fit(x, y, epochs=epochs, verbose=0)
square_error = one_to_one.evaluate(x, y, verbose=0)
print(f"mean squared error {square_error:.5f}; always to say the mean: {y.var():.5f}")

# %% [markdown]
# We write the dense network with the same weights ($g_h$ is $\tanh$ by default). The
# term $h_0 W_{hh}$ does not depend on the input: here it is only a part of the bias.

# %%
kernel, recurrent_kernel, bias, output_kernel, output_bias, initial_state = (
    one_to_one.layers[0].get_weights()
)
hidden = np.tanh(x[:, 0] @ kernel + (initial_state @ recurrent_kernel + bias))
dense = hidden @ output_kernel + output_bias
apart = np.abs(dense - one_to_one.predict(x, verbose=0)).max()
print(f"The largest difference between the two networks is {apart:.1e}.")

# %% [markdown]
# ## 2. One to many
#
# One input, a digit, and the network writes its name: `3` gives `t`, `h`, `r`, `e`, `e`.
# From the second step on there is no input left. So we *feed back* its own output: the
# letter that it has just written is what it reads next. The full stop says: done.
#
# In training we know the right letters. So we let it read those, and ask at each step for
# the next one. (This is called *teacher forcing*.) Each symbol is a *one-hot* vector: all
# zeros, and a 1 at the place of the symbol.

# %%
names = "zero one two three four five six seven eight nine".split()
symbols = sorted(set("0123456789." + "".join(names)))
length = 6
read = [
    f"{digit}{name}".ljust(length, ".")[:length] for digit, name in enumerate(names)
]
write = [name.ljust(length, ".") for name in names]
one_hot = dict(zip(symbols, np.eye(len(symbols), dtype="float32")))
x = np.array([[one_hot[symbol] for symbol in text] for text in read])
y = np.array([[symbols.index(symbol) for symbol in text] for text in write])
print(f"it reads {read[3]!r} and is to write {write[3]!r}; inputs {x.shape}")

# %%
layer = keras_rnn.ElmanRNN(
    units,
    return_sequences=True,  # the outputs of all steps, not of the last alone
    output_units=len(symbols),
    output_activation="softmax",  # a probability for each symbol
)
one_to_many = keras.Sequential([layer])
one_to_many.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
often = np.tile(x, (20, 1, 1)), np.tile(y, (20, 1))  # an epoch sees each name 20 times
history = one_to_many.fit(*often, batch_size=10, epochs=epochs, verbose=0)
print(f"loss: {history.history['loss'][0]:.3f}, then {history.history['loss'][-1]:.3f}")

# %% [markdown]
# To write, we call the *cell*, which does one step. It takes an input and the state, and
# returns the output and the new state. The loop is the picture "one to many", word for
# word: the arrow from $y_t$ to the next input is the line `x = one_hot[symbol]`.

# %%
cell = layer.cell
written = []
for digit in range(10):
    state = cell.get_initial_state(batch_size=1)  # h_0
    x, text = one_hot[str(digit)], ""
    for _ in range(length):
        y, state = cell(x[None], state)
        symbol = symbols[np.argmax(y)]
        x, text = one_hot[symbol], text + symbol
    written.append(text)
    print(digit, text)

# %% [markdown]
# Ten names are little: it has learned them by heart. Lesson 10 trains the same loop on
# film reviews, and *samples* the next letter: at random, with these probabilities.
#
# ## 3. Many to one
#
# Many inputs, one output at the end. The inputs are bits, and the question is: *are there
# two ones in a row?* To count the ones is not enough; the order matters. Without
# `return_sequences=True` the layer returns the last step alone, and without
# `output_units` that is its state $h_t$. A `Dense` reads it.


# %%
def bits(count, timesteps):
    """Random bits, and whether two ones stand side by side: about half of the time."""
    share = np.sqrt(0.8 / timesteps)  # of ones, fewer in long sequences
    x = (random.random((count, timesteps, 1)) < share).astype("float32")
    return x, np.max(x[:, 1:] * x[:, :-1], axis=1)


x, y = bits(sequences, 10)
print(*x[0, :, 0].astype(int), "->", int(y[0, 0]), f"({y.mean():.0%} of all are 1)")

# %%
many_to_one = keras.Sequential(
    [keras_rnn.ElmanRNN(units), layers.Dense(1, activation="sigmoid")]
)
many_to_one.compile(
    keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=["accuracy"]
)
many_to_one.fit(x, y, epochs=epochs, verbose=0)
_, found = many_to_one.evaluate(*bits(1000, 10), verbose=0)
print(f"accuracy on new sequences: {found:.3f}")

# %% [markdown]
# ## 4. Many to many, aligned
#
# An output at each step. The task is to add two binary numbers as at school, from the
# lowest digit on. At each step the network reads one bit of each number and writes one
# bit of the sum. What it must keep in $h_t$ is the *carry*.


# %%
def additions(count, timesteps):
    """Bits of two numbers, the lowest first, and the bits of their sum."""
    x = random.integers(0, 2, (count, timesteps, 2))
    x[:, -1] = 0  # room for the last carry
    y, carry = np.zeros((count, timesteps, 1)), 0
    for t in range(timesteps):
        total = x[:, t].sum(axis=1) + carry
        y[:, t, 0], carry = total % 2, total // 2
    return x.astype("float32"), y


x, y = additions(sequences, 8)
for name, line in (("a", x[0, :, 0]), ("b", x[0, :, 1]), ("a + b", y[0, :, 0])):
    print(f"{name:>5}:", *line.astype(int))

# %%
layer = keras_rnn.ElmanRNN(
    units, return_sequences=True, output_units=1, output_activation="sigmoid"
)
aligned = keras.Sequential([keras.Input((None, 2)), layer])  # any number of steps
aligned.compile(
    keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"]
)
h_0_before = layer.cell.initial_state.numpy()
aligned.fit(x, y, epochs=epochs, verbose=0)
_, right_bits = aligned.evaluate(*additions(1000, 8), verbose=0)
print(f"share of right bits in new sums: {right_bits:.4f}")

# %% [markdown]
# ### The initial state has learned, too
#
# $h_0$ began as small random numbers. But it has a meaning now: *at the start there is
# nothing to carry*. Back-propagation has found values for that. We look at them, and then
# give the trained network zeros instead.

# %%
h_0 = layer.cell.initial_state.numpy()
figure, axes = plt.subplots(figsize=(12, 3.8))
places = np.arange(1, units + 1)
axes.bar(places - 0.2, h_0_before, 0.4, label="before training")
axes.bar(places + 0.2, h_0, 0.4, label="after training")
axes.axhline(0, color="black", linewidth=1)
axes.set(xlabel="unit", ylabel="$h_0$", title="The initial state of the adding network")
axes.legend()
lesson.show(figure, "initial_state.png")

# %%
x, y = additions(1000, 8)
first_bit = {}
for name, start in (("the learned h_0", h_0), ("zeros", 0 * h_0)):
    bits_of_sum = layer(x, initial_state=np.tile(start, (1000, 1)))
    right = (np.array(bits_of_sum) > 0.5) == y
    first_bit[name] = {"first bit": right[:, 0].mean(), "all bits": right.mean()}
lesson.table([{"started from": name, **row} for name, row in first_bit.items()])

# %% [markdown]
# ## 5. Encoder and decoder
#
# Aligned shapes have as many outputs as inputs. In a translation the numbers differ, and
# often its first word depends on the end of the sentence. So one network, the *encoder*,
# reads everything, and its last state is the *initial state* of a second one, the
# *decoder*, which writes. Our toy translation is from digits to French: 92 is *quatre vingt
# douze*, four twenties and twelve. The numbers have three digits and one to six words.

# %%
numbers = random.permutation(1000)
words, french = french_numbers.indexed(numbers)  # (1000, the most words and the end)
digits = np.eye(10)[[[int(digit) for digit in f"{n:03}"] for n in numbers]]
before = np.pad(french[:, :-1], ((0, 0), (1, 0)))  # what the decoder reads
length, one_hot = french.shape[1], np.eye(len(words), dtype="float32")
text = " ".join(french_numbers.in_french(numbers[0]))
print(f"{numbers[0]:03} {text!r} -> {french[0]}, of {len(words)} words")

# %%
source, target = keras.Input((3, 10)), keras.Input((length, len(words)))
encoder = keras_rnn.ElmanRNN(2 * units, return_state=True)
decoder = keras_rnn.ElmanRNN(
    2 * units,
    return_sequences=True,
    output_units=len(words),
    output_activation="softmax",
    learn_initial_state=False,  # it gets the encoder's state
)
_, state = encoder(source)
translator = keras.Model([source, target], decoder(target, initial_state=state))
translator.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy")
translator.fit(
    [digits[:800], one_hot[before[:800]]], french[:800], epochs=2 * epochs, verbose=0
)
print(f"{translator.count_params():,} weights, trained on 800 of the 1,000 numbers")

# %% [markdown]
# To translate, the encoder reads, and the decoder writes as in the loop of section 2.

# %%
_, state = encoder(digits)
state, word = [state], np.zeros(1000, int)
said = np.zeros_like(french)
for t in range(length):
    y, state = decoder.cell(one_hot[word], state)
    word = said[:, t] = np.argmax(y, axis=-1)

exact = np.all(said == french, axis=1)  # each word of it is right
print(f"right: {exact[:800].mean():.3f} of those trained on")
print(f"right: {exact[800:].mean():.3f} of the others")
for row in range(800, 806):
    print(f"{numbers[row]:03}", " ".join(words[word] for word in said[row]))

# %% [markdown]
# ## Any length, the same weights
#
# A network has as many weights for one step as for a thousand, since each step uses the
# same ones. We count, beside a dense network that reads all steps at once.

# %%
rows = []
for timesteps in (1, 10, 100, 1000):
    entrance = keras.Input((timesteps, 2))
    recurrent = keras.Sequential([entrance, keras_rnn.ElmanRNN(units)]).count_params()
    flat = keras.Sequential([entrance, layers.Flatten(), layers.Dense(units)])
    rows.append(
        {"steps": timesteps, "recurrent": recurrent, "dense": flat.count_params()}
    )
lesson.table(rows)

# %% [markdown]
# So the same network reads sequences that are longer than those it was trained on. The
# network that adds has seen 8 bits at a time. The one that looks for two ones has seen 10.
# (In one batch all have the same length: lesson 07 fills up shorter ones.)

# %%
longer = []
for timesteps in (8, 16, 50, 200):
    _, adding = aligned.evaluate(*additions(500, timesteps), verbose=0)
    _, finding = many_to_one.evaluate(*bits(500, timesteps), verbose=0)
    longer.append({"steps": timesteps, "bits of sums": adding, "two ones": finding})
lesson.table(longer)

# %% [markdown]
# Adding is the same work at each step, however long the numbers are. Nothing promises
# that of every task. How far back a network *learns* to look is the question of lesson 04.
#
# ## Summary
#
# 1. A recurrent network is one step, done again and again with the same weights.
# 2. Its shape says at which steps there is an input, and at which an output is looked at.
# 3. One to many feeds each output back as the next input.
# 4. Encoder and decoder are two networks; a state goes from one to the other.
# 5. $h_0$ is a weight: random at the start, then trained.
# 6. The number of weights does not depend on the number of steps.

# %%
names_right = np.mean([w == n.ljust(len(w), ".") for w, n in zip(written, names)])
measured = {
    "one to one": ("mean squared error", square_error),
    "one to many": ("names written right", names_right),
    "many to one": ("accuracy", found),
    "many to many, aligned": ("right bits", right_bits),
    "encoder and decoder": ("new numbers right", exact[800:].mean()),
}
lesson.table([{"shape": s, "measured": m, "": v} for s, (m, v) in measured.items()])
lesson.record(
    measured=measured,
    dense_apart=apart,
    first_bit=first_bit,
    weights=rows,
    longer=longer,
)

# %% [markdown]
# ## The map of the course
#
# The upper row goes step by step into the network. Each lesson of the lower row takes it
# to real data; an arrow says what it builds on.

# %%
lesson.show(drawings_of_shapes.draw_map(), "map.png")

# %% [markdown]
# ## Exercises
#
# 1. Train the network that looks for two ones with `learn_initial_state=False`. Does it
#    become worse? Why is the answer different from that of the adding network, given
#    zeros?
# 2. Change `bits` so that the target is the *parity*: is the number of ones odd? Train on
#    10 bits and test on 10, 20 and 50.
# 3. Let a network of the aligned shape say at each step the largest number so far.
# 4. One to many without a loop: let `RepeatVector` show the digit at each step, so that
#    nothing needs to be fed back. Are the ten names still right?
# 5. Train the translator from French to digits. Only two lines of the model change.
#
# They are solved in [solutions/01_five_shapes.py](solutions/01_five_shapes.py). The next
# lesson looks at every number of one step: [The two equations](02_the_equations.py).
