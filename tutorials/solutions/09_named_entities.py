# %% [markdown]
# # Solutions: named entities
#
# The exercises of [lesson 09](../09_named_entities.py), one after the other. The networks
# are trained on fewer sentences than there.

# %%
import sys

sys.path += ["tutorials", ".", ".."]  # where `workshop` is, seen from where we may be

import collections
import time

from workshop import lesson, sentences
from workshop.models import TimeDistributed
from workshop.tagging import Batches, Lists, f1

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 64  # size of the hidden state, in each direction
count = 1000  # sentences to train on
epochs = 8  # passes over them
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/solutions/named_entities"  # folder for the figures

# %%
lesson.begin(globals(), quick={"units": 8, "count": 64, "epochs": 1})
random = np.random.default_rng(seed)
templates, _, new_templates = sentences.split_templates(random)
known, new = sentences.Names(new=False), sentences.Names(new=True)
train = sentences.compose(templates, known, count, random)
some = 100 if quick else 400
test = sentences.compose(new_templates, new, some, random)
easy = sentences.compose(new_templates, known, some, random)
new_words, truth = (list(column) for column in zip(*test))
word_length = 12

# %% [markdown]
# ## 1. A dictionary
#
# It knows names that it has seen, and some words that stand in many names. Of new names it
# knows next to nothing.

# %%
seen = collections.defaultdict(collections.Counter)
for words, tags in train:
    for word, tag in zip(words, tags):
        seen[word][tag] += 1
dictionary = {word: tags.most_common(1)[0][0] for word, tags in seen.items()}
looked_up = []
for name, rows in (("known names", easy), ("new names", test)):
    found = [[dictionary.get(word, "O") for word in words] for words, _ in rows]
    looked_up.append({"test": name, "F1": f1([tags for _, tags in rows], found)})
lesson.table(looked_up)

# %% [markdown]
# ## 2. Without capitals
#
# First the network of the lesson. We need it with two kinds of layers and with several
# sizes of the training.


# %%
def trained(layer, train):
    """The network of the lesson, and its lists."""
    keras.utils.set_random_seed(seed)
    lists = Lists.of(train, fewest=3)
    word = keras.Input((None,), dtype="int32")
    letters = keras.Input((None, word_length), dtype="int32")
    spelling = keras.Sequential(
        [
            keras.Input((word_length,), dtype="int32"),
            layers.Embedding(2 + len(lists.letters), 24, mask_zero=True),
            layers.Bidirectional(layer(units // 2)),
        ]
    )
    spelled = layers.Masking()(TimeDistributed(spelling)(letters))
    vectors = layers.Embedding(2 + len(lists.words), 64, mask_zero=True)(word)
    x = layers.Dropout(0.5)(layers.Concatenate()([vectors, spelled]))
    h = layers.Bidirectional(layer(units, return_sequences=True))(x)
    h = layers.Dropout(0.5)(h)
    y = layers.Dense(1 + len(lists.tags), activation="softmax")(h)
    model = keras.Model([word, letters], y)
    batches = Batches(train, lists, word_length, 32, seed=seed, hidden=0.35)
    model.compile(
        keras.optimizers.Adam(0.003, global_clipnorm=1.0),
        "sparse_categorical_crossentropy",
        run_eagerly=quick,  # for a few batches no graph pays
    )
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0)
    return model, lists


def tag(model, lists, of):
    """The tags that a network says, for each of some sentences."""
    return lists.tags_of(model.predict(lists.inputs(of, word_length), verbose=0), of)


began = time.perf_counter()
elman, lists = trained(keras_rnn.ElmanRNN, train)
seconds = {"Elman": time.perf_counter() - began}
said = tag(elman, lists, new_words)
print(f"F1 as it is: {f1(truth, said):.3f}")

# %% [markdown]
# The vectors of words are of words in lower case, so that only the letters tell of
# capitals. The first word of a sentence keeps its capital in the second row.

# %%
names_small = [
    [word.lower() if tag != "O" else word for word, tag in zip(words, tags)]
    for words, tags in test
]
all_small = [[word.lower() for word in words] for words in new_words]
capitals = [
    {"test": name, "F1": f1(truth, tag(elman, lists, of))}
    for name, of in (
        ("as it is", new_words),
        ("names without capitals", names_small),
        ("no capitals", all_small),
    )
]
lesson.table(capitals)

# %% [markdown]
# ## 3. How many sentences
#
# Fewer sentences are also fewer training steps, since the number of epochs is the same.

# %%
counts = [count // 4, count // 2, count]
curve = [
    f1(truth, tag(*trained(keras_rnn.ElmanRNN, train[:n]), new_words))
    for n in counts[:2]
]
curve.append(f1(truth, said))
figure, axes = plt.subplots(figsize=(9, 5))
axes.plot(counts, curve, "o-")
axes.set(xlabel="sentences to train on", ylabel="F1", ylim=(0, 1))
lesson.show(figure, "sentences.png")
lesson.table([{"sentences": n, "F1": value} for n, value in zip(counts, curve)])

# %% [markdown]
# ## 4. Tags that make no name
#
# An I continues a name of its class. Where there is none, we let it begin one.


# %%
def mended(tags):
    """The tags, with a B for each I that continues nothing."""
    pairs = zip(["O", *tags], tags)
    return [
        "B" + tag[1:] if tag[0] == "I" and before[1:] != tag[1:] else tag
        for before, tag in pairs
    ]


better = [mended(tags) for tags in said]
stray = sum(a != b for old, new in zip(said, better) for a, b in zip(old, new))
stray = {"stray I": stray, "F1": f1(truth, said), "F1, mended": f1(truth, better)}
lesson.table([stray])

# %% [markdown]
# ## 5. A GRU
#
# What bears on a name stands near it, mostly next to it. There is little to keep for long,
# and gates are for keeping. The seconds are those of the whole training, on this machine.

# %%
began = time.perf_counter()
gru, _ = trained(keras_rnn.GRU, train)
seconds["GRU"] = time.perf_counter() - began
gates = []
for name, model in (("Elman", elman), ("GRU", gru)):
    found = f1(truth, tag(model, lists, new_words))
    row = {"layers": name, "F1": found, "weights": model.count_params()}
    gates.append(row | {"seconds": seconds[name]})
lesson.table(gates)

# %%
lesson.record(
    looked_up=looked_up,
    capitals=capitals,
    sentences=dict(zip(map(str, counts), curve)),
    stray=stray,
    gates=gates,
)
