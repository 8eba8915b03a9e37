# %% [markdown]
# # Solutions: the five shapes
#
# The exercises of [lesson 01](../01_five_shapes.py), one after the other.

# %%
import sys

sys.path += ["tutorials", ".", ".."]  # where `workshop` is, seen from where we may be

from workshop import lesson
from workshop.french_numbers import in_french

# isort: split
import keras
import numpy as np
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 32  # size of the hidden state
sequences = 2000  # to train on, in each task
epochs = 20  # passes over them
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/solutions/five_shapes"  # folder for the figures

# %%
lesson.begin(globals(), quick={"units": 8, "sequences": 100, "epochs": 2})
random = np.random.default_rng(seed)


def trained(model, x, y, rate=0.01, times=1):
    """The model, trained to say yes or no."""
    model.compile(
        keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"]
    )
    model.fit(x, y, epochs=times * epochs, verbose=0)
    return model


# %% [markdown]
# ## 1. Two ones in a row, from zeros
#
# Zeros do as well here. Each network learns to live with the initial state that it has
# while it is trained. The adding network lost because its state was taken from it *after*
# the training. A learned $h_0$ helps where a good start is far from zeros, or where it
# takes several steps to get there.


# %%
def two_ones(count, timesteps):
    """Random bits, and whether two ones stand side by side."""
    x = (random.random((count, timesteps, 1)) < 0.3).astype("float32")
    return x, np.max(x[:, 1:] * x[:, :-1], axis=1)


x, y = two_ones(sequences, 10)
test = two_ones(1000, 10)
rows = []
for learned in (True, False):
    keras.utils.set_random_seed(seed)
    layer = keras_rnn.ElmanRNN(units, learn_initial_state=learned)
    model = keras.Sequential([layer, layers.Dense(1, activation="sigmoid")])
    trained(model, x, y, rate=0.003)
    rows.append(
        {"h_0 is learned": learned, "accuracy": model.evaluate(*test, verbose=0)[1]}
    )
lesson.table(rows)

# %% [markdown]
# ## 2. Parity
#
# One bit changes the answer, wherever it stands. Nothing can be learned piece by piece:
# for a long time the loss does not move, and then it falls. So we train longer.


# %%
def parity(count, timesteps):
    """Random bits, and whether the number of ones is odd."""
    x = random.integers(0, 2, (count, timesteps, 1)).astype("float32")
    return x, x.sum(axis=1) % 2


model = keras.Sequential(
    [keras_rnn.ElmanRNN(units), layers.Dense(1, activation="sigmoid")]
)
trained(model, *parity(sequences, 10), rate=0.003, times=4)
parities = [
    {"steps": steps, "accuracy": model.evaluate(*parity(1000, steps), verbose=0)[1]}
    for steps in (10, 20, 50)
]
lesson.table(parities)

# %% [markdown]
# ## 3. The largest number so far
#
# The output is the state of things, not a class: a linear output and the squared error.

# %%
x = random.random((sequences, 10, 1)).astype("float32")
model = keras.Sequential(
    [keras_rnn.ElmanRNN(units, return_sequences=True, output_units=1)]
)
model.compile(keras.optimizers.Adam(0.005), "mse")
model.fit(x, np.maximum.accumulate(x, axis=1), epochs=2 * epochs, verbose=0)
largest = np.mean(
    np.abs(model.predict(x, verbose=0) - np.maximum.accumulate(x, axis=1))
)
print(f"off by {largest:.3f} on average")
print("numbers:", *(f"{number:.2f}" for number in x[0, :, 0]))
print(
    "largest:", *(f"{number:.2f}" for number in model.predict(x[:1], verbose=0).ravel())
)

# %% [markdown]
# ## 4. One to many, the same input at each step
#
# The state alone tells the network how far it has got. That works where the text is fixed
# by its first input. It cannot work where letters are drawn at random: the network has to
# read which one was drawn.

# %%
names = "zero one two three four five six seven eight nine".split()
letters = sorted(set("." + "".join(names)))
y = np.array([[letters.index(c) for c in name.ljust(6, ".")] for name in names])
model = keras.Sequential(
    [
        layers.RepeatVector(6),
        keras_rnn.ElmanRNN(
            units,
            return_sequences=True,
            output_units=len(letters),
            output_activation="softmax",
        ),
    ]
)
model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
x = np.eye(10)
model.fit(
    np.tile(x, (20, 1)), np.tile(y, (20, 1)), batch_size=10, epochs=epochs, verbose=0
)
written = [
    "".join(letters[i] for i in row) for row in model.predict(x, verbose=0).argmax(-1)
]
repeated = np.mean([text == name.ljust(6, ".") for text, name in zip(written, names)])
print(*written)

# %% [markdown]
# ## 5. From French to digits
#
# The encoder reads up to six words, the decoder writes three digits: the two inputs have
# other sizes, and the output has ten classes. The shorter numbers are filled up with the
# empty word at the front, so that the last word is the last step.

# %%
numbers = random.permutation(1000)
words = ["", *sorted({word for number in numbers for word in in_french(number)})]
french = np.zeros((1000, 6, len(words)), "float32")
for row, number in enumerate(numbers):
    texts = ([""] * 6 + in_french(number))[-6:]
    french[row, range(6), [words.index(word) for word in texts]] = 1
digits = np.array([[int(digit) for digit in f"{number:03}"] for number in numbers])
before = np.pad(digits + 1, ((0, 0), (1, 0)))[:, :-1]  # 0 is the start, 1 the digit 0

source, target = keras.Input((6, len(words))), keras.Input((3, 11))
encoder = keras_rnn.ElmanRNN(2 * units, return_state=True)
decoder = keras_rnn.ElmanRNN(
    2 * units,
    return_sequences=True,
    output_units=10,
    output_activation="softmax",
    learn_initial_state=False,
)
_, state = encoder(source)
model = keras.Model([source, target], decoder(target, initial_state=state))
model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy")
model.fit(
    [french[:800], np.eye(11)[before[:800]]], digits[:800], epochs=2 * epochs, verbose=0
)

# %%
_, state = encoder(french)
state, read = [state], np.zeros(1000, int)
said = np.zeros((1000, 3), int)
for t in range(3):
    y, state = decoder.cell(np.eye(11, dtype="float32")[read], state)
    said[:, t] = np.argmax(y, axis=-1)
    read = said[:, t] + 1
back = np.all(said == digits, axis=1)[800:].mean()
print(f"right: {back:.3f} of the numbers that it has not been trained on")

# %%
lesson.record(
    two_ones=rows, parity=parities, largest=largest, repeated=repeated, to_digits=back
)
