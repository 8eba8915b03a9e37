# %% [markdown]
# # Many to one: is this review good or bad?
#
# A review of a film comes in, some two hundred words. Out comes one number: the
# probability that its writer liked the film. Many inputs, one output: this is the
# *many-to-one* shape of a recurrent network.
#
#                           y               one opinion per review
#                           |
#               mean of all y_t x_t
#              /         |          \
#            y_1        y_2   ...   y_T      how much each word counts
#             |          |           |
#     h_0 -> h_1 -----> h_2 -> ... -> h_T      the memory
#             |          |           |
#            x_1        x_2   ...   x_T      the vector of each word
#            not         a         success
#
# The cell reads one word after the other. It mixes the word's vector x_t with what it
# remembers, h_{t-1}:
#
#     h_t = tanh(x_t W_xh + h_{t-1} W_hh + b_h)
#
# The same three weights serve each word of each review. They learn from nothing but the
# one label at the very end: the error of y flows back through the pooling to each y_t,
# and from there, step by step, down the chain of the h_t. The memory before the first
# word, h_0, is learned as well.
#
# What does a memory buy here? Most reviews give themselves away by single words
# ("awful", "wonderful") in whatever order. A network that only averages its words'
# vectors is fast and strong, and it is trained beside the recurrent one, as a yardstick.
# But to it "not good, bad" and "not bad, good" are the same text. To a network with a
# memory they need not be.
#
# The script downloads nothing. Its defaults take a few minutes on two CPU cores:
#
#     python examples/train_sentiment.py
#     python examples/train_sentiment.py --predict "not bad at all"

# %%
import csv
import dataclasses
import functools
import sys
import textwrap
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tutorials"))

# Before Keras: it keeps TensorFlow's own lines off the screen.
from workshop import (
    command_line,
    data_sets,
    devices,
    errors,
    files,
    models,
    plots,
    runs,
)
from workshop.batches import ByLength
from workshop.errors import UsageError

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from keras import layers, ops

import keras_rnn
import keras_rnn.datasets  # registers movie_reviews

# %% [markdown]
# ## The choices
#
# The defaults are the ones to start with; `--quick` is for trying whether all works.

# %%
DATASETS = {
    "movie_reviews": "movie_reviews/imdb",
    "movie_reviews/imdb": "movie_reviews/imdb",
    "movie_reviews/rotten_tomatoes": "movie_reviews/rotten_tomatoes",
    "imdb_reviews": "imdb_reviews/plain_text",
}
CELLS = {"elman": keras_rnn.ElmanRNN, "lstm": keras_rnn.LSTM, "gru": keras_rnn.GRU}
QUICK = {"units": 8, "epochs": 2}


@dataclasses.dataclass(kw_only=True)
class Settings(command_line.Settings):
    """What decides the networks, beside what they learn from."""

    cell: str
    units: int
    layers: int
    bidirectional: bool
    epochs: int
    batch_size: int
    seed: int
    words: int = 20_000  # in the list; the rest is unknown
    length: int = 640  # of a review, in words; the rest is not read
    vector: int = 64  # size of a word's vector
    average_epochs: int = 10

    small = {"words": 2_000, "length": 100, "vector": 8, "average_epochs": 2}


def read_options(argv):
    """The options of the command line, checked as far as they go on their own."""
    parser = command_line.Options(
        "Tells good reviews from bad ones.", Path("output/sentiment")
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--dataset", choices=DATASETS, help="the reviews; without it movie_reviews"
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="let imdb_reviews, which no package carries, be downloaded (80 MB)",
    )
    source.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="your own reviews instead: columns text and label (0 or 1, neg or pos)",
    )
    parser.add_argument("--cell", choices=CELLS, default="elman", help="what remembers")
    parser.count("--units", 16, "size of the memory")
    parser.count("--layers", 1, "recurrent layers")
    parser.switch("--bidirectional", True, "read each review from its end, too")
    parser.count("--epochs", 3, "passes over the reviews")
    parser.count("--batch-size", 64, "reviews per step")
    parser.add_argument(
        "--predict", metavar="TEXT", help="only ask the network trained in DIR"
    )
    devices.add_option(parser)
    options = parser.parse(argv, QUICK)
    if options.csv is None and options.dataset is None:
        options.dataset = "movie_reviews"
    if options.predict is not None and not options.predict.strip():
        raise UsageError("--predict: the text is empty")
    return options


# %% [markdown]
# ## The reviews
#
# `movie_reviews` comes with the package: 20,000 reviews to train on and 5,000 to test,
# half of them good. The test reviews are of *other films* than the training reviews, so
# that a network gains nothing there by remembering that people liked "Alien".
#
# From the training reviews an eighth is set aside for validation. They choose the epoch
# at which to stop. The test reviews choose nothing: they are looked at once, at the end.
# (The validation reviews do share films with the rest, so expect a few points less on
# the test.)


# %%
def load_reviews(options):
    """The reviews to train on, to validate and to test: a (texts, labels) for each."""
    if options.csv:
        train, test = read_csv(options.csv, options.seed)
    else:
        train, test = read_tfds(DATASETS[options.dataset], options.download)
    if options.quick:
        train, test = [(t[:400], y[:400]) for t, y in (train, test)]
    train, validation = divide(*train, part=1 / 8, seed=options.seed)
    return train, validation, test


def divide(texts, labels, part, seed):
    """Cuts a random part of each label off the reviews, and shuffles both heaps."""
    random = np.random.default_rng(seed)
    heaps = [random.permutation(np.flatnonzero(labels == label)) for label in (0, 1)]
    sizes = [max(1, round(part * len(heap))) for heap in heaps]
    cut = random.permutation(
        np.concatenate([heap[:size] for heap, size in zip(heaps, sizes)])
    )
    rest = random.permutation(
        np.concatenate([heap[size:] for heap, size in zip(heaps, sizes)])
    )
    return [([texts[i] for i in heap], labels[heap]) for heap in (rest, cut)]


def read_tfds(name, download):
    """The training and the test reviews of a data set of TensorFlow Datasets."""
    builder = tfds.builder(name)
    data_sets.prepare(builder, name, download or builder.name == "movie_reviews")
    reviews = []
    for split in ("train", "test"):
        texts, labels = builder.as_dataset(
            split=split, batch_size=-1, as_supervised=True
        )
        texts = [text.decode("utf-8") for text in texts.numpy()]
        reviews.append((texts, labels.numpy().astype("float32")))
    return reviews


# %% [markdown]
# Your own reviews come as a table, with the columns `text` and `label`. A fifth of them
# becomes the test. Whatever is wrong with the table is said before anything is trained.

# %%
LABELS = {"0": 0, "neg": 0, "negative": 0, "1": 1, "pos": 1, "positive": 1}
FEWEST = 10  # reviews of each label in a table


def read_csv(path, seed):
    """The training and the test reviews of the user's own table."""
    texts, labels = [], []
    csv.field_size_limit(2**31 - 1)
    with files.reading(path, "CSV file", newline="") as file:
        table = csv.DictReader(file)
        for column in ("text", "label"):
            if column not in (table.fieldnames or []):
                raise UsageError(f"{path}: there is no column {column!r}")
        for row in table:
            where = f"{path}, line {table.line_num}"
            text, label = row["text"] or "", (row["label"] or "").strip()
            if not text.strip():
                raise UsageError(f"{where}: the text is empty")
            if label.lower() not in LABELS:
                raise UsageError(f"{where}: the label is {label!r}, not 0 or 1")
            texts.append(text)
            labels.append(LABELS[label.lower()])
    labels = np.array(labels, "float32")
    for label in (0, 1):
        if np.sum(labels == label) < FEWEST:
            raise UsageError(
                f"{path}: {np.sum(labels == label)} reviews have the label {label}; "
                f"at least {FEWEST} are needed"
            )
    return divide(texts, labels, part=1 / 5, seed=seed)


# %% [markdown]
# ## From text to numbers
#
# A network multiplies numbers, so each word becomes one: its place in a list of the
# commonest words of the training reviews. `TextVectorization` makes the list ("adapts")
# and looks words up in it. Upper case goes, and each mark is a word of its own: Keras's
# usual cleaning deletes marks and would read "so good.But" as "so goodbut". Words that
# are not in the list become number 1, and 0 fills up what is shorter than the longest.
#
# This reader is a part of the model that is saved in the end. Who loads it passes plain
# strings, and there is no second program to keep in step with the first. One detail is
# for that day: a text with no word at all counts as one unknown word, because a mean
# over no words has no value.


# %%
def build_reader(texts, words, length):
    """A model from strings to the numbers of their first `length` words, (batch, T)."""
    vectorizer = layers.TextVectorization(
        words, standardize=keras_rnn.words_and_marks, output_sequence_length=length
    )
    vectorizer.adapt(tf.constant(texts))
    text = keras.Input((), dtype="string", name="text")
    numbers = vectorizer(text)
    first = ops.maximum(numbers[:, :1], 1)
    numbers = ops.concatenate([first, numbers[:, 1:]], axis=1)
    return keras.Model(text, numbers, name="reader")


def read(reader, texts):
    """The numbers of the words of some texts, (batch, T)."""
    if keras.backend.backend() == "tensorflow":
        return reader.predict(tf.constant(texts), batch_size=500, verbose=0)
    # Strings are TensorFlow's alone. Beside another backend it looks the words up.
    numbers = np.asarray(reader.layers[1](tf.constant(texts)))
    return np.concatenate([np.maximum(numbers[:, :1], 1), numbers[:, 1:]], axis=1)


# %% [markdown]
# Reviews differ in length, a batch is a rectangle. If reviews of about the same length
# share a batch, little of it is padding: the network takes half as many steps. Which
# reviews meet, and which batch comes first, is drawn anew for each epoch. The draw
# depends on the seed and the number of the epoch alone, so that a run that was
# interrupted goes on as it would have.
#
# What padding is left is *masked*: `Embedding(mask_zero=True)` tells the layers that
# follow which steps are no words. The recurrent layer keeps its memory as it is there,
# and the mean does not count them.
#
# With `--distribute` several devices share a batch, and each process takes no more than
# its own part of it (`distributed_training.md`).


# %%
STEPS = {"jax": 64}  # JAX compiles anew for each length: so there are but a few


class Batches(ByLength):
    """Batches of the words and labels of reviews that are about equally long."""

    def __init__(self, words, labels, batch_size, seed=None, shared=None):
        """With a `seed` the order changes from epoch to epoch, without it never."""
        lengths = np.maximum(np.count_nonzero(words, axis=1), 1)
        super().__init__(lengths, batch_size, seed, blur=20)
        self.words, self.labels = words, labels
        self.shared = shared or devices.Alone()

    def take(self, heap, random):
        steps = STEPS.get(keras.backend.backend(), 1)
        longest = -(-self.lengths[heap].max() // steps) * steps
        own, weights = self.shared.share(heap)
        return self.words[own, :longest], self.labels[own], *weights


# %% [markdown]
# ## The yardsticks
#
# The first takes no training: always the commonest label of the training reviews.
#
# The second reads everything and remembers nothing. Each word has a vector, a review is
# the mean of its words' vectors, and one `Dense` unit weighs that mean:
#
#     y = sigmoid(mean(x_1 ... x_T) w + b)
#
# What makes it work on *other* films is little trust in rare words, names above all:
#
# - Half of the words are left out in training (`Dropout` with a `noise_shape` that has
#   one draw for each word).
# - Adam divides the gradient of each weight by its usual size, sqrt(v) + epsilon. With
#   its tiny default epsilon the vector of an actor's name learns as fast as that of
#   "bad". With 1e-4 rare words learn little from their few occasions.


# %%
def build_average(settings, steps):
    """The mean of the embeddings of a review, weighed."""
    numbers, vectors = read_words(settings)
    mean = layers.GlobalAveragePooling1D()(vectors)  # (batch, vector)
    network = keras.Model(numbers, judge(mean), name="average")
    return compiled(network, rate=1e-2, epsilon=1e-4, steps=steps)


def read_words(settings):
    """The words of a batch of reviews, (batch, T), and their vectors."""
    numbers = keras.Input((None,), dtype="int32", name="numbers")
    vectors = layers.Embedding(
        settings.words, settings.vector, mask_zero=True, name="vectors"
    )(numbers)  # (batch, T, vector)
    return numbers, layers.Dropout(0.5, noise_shape=(None, None, 1))(vectors)


def judge(mean):
    """The probability of "positive", from one vector for each review."""
    mean = layers.Dropout(0.3)(mean)
    return layers.Dense(1, activation="sigmoid", name="verdict")(mean)  # (batch, 1)


def compiled(network, rate, epsilon, steps):
    """The network, ready to train: the learning rate rises shortly, then falls to 0."""
    network.compile(
        keras.optimizers.Adam(
            models.rise_and_fall(rate, steps), epsilon=epsilon, clipnorm=1.0
        ),
        "binary_crossentropy",
        weighted_metrics=["accuracy"],
    )
    return network


# %% [markdown]
# ## The network
#
# The recurrent network weighs each word by what stands around it:
#
#     x_t = vector of word t                               (batch, T, vector)
#     h_t = tanh(x_t W_xh + h_{t-1} W_hh + b_h)            (batch, T, units)
#     y_t = h_t W_hy + b_y, how much word t counts         (batch, T, 1)
#     y   = sigmoid(mean(y_1 x_1 ... y_T x_T) w + b)       (batch, 1)
#
# With y_t = 1 for each word this is the yardstick, formula for formula. So the network
# starts as the yardstick, *trained*: it takes over its vectors, w and b, and its W_hy is
# 0 and its b_y is 1. From there it learns that some words count more than others: those
# of a verdict more than those of a plot, those after "but" more than those before. It
# can let a word count less than nothing: with y_t < 0, the "good" of "not good" speaks
# against the film.
#
# Four more choices make it work on reviews:
#
# - **A smaller epsilon.** Its own weights, unlike the vectors, are at work on every
#   word: 1e-5 lets them learn. The vectors have nearly learned already.
# - **Both directions.** `Bidirectional` runs a second cell from the end to the
#   beginning, and adds the y_t of the two: what comes after a word bears on it as well.
# - **Pooling.** With the last step alone, the label's error has to travel back over
#   hundreds of steps to reach the first words, and on the way it shrinks: each step
#   multiplies it by W_hh and by the slope of the tanh. The mean over all steps gives
#   each word a direct line to the label. It is still many to one: one y per review.
# - **A short memory to begin with.** W_hh starts as an orthogonal matrix times 0.2:
#   each h_t is at first little more than its own word, and the network learns how far
#   back it pays to look.


# %%
def build_network(settings, steps, average=None):
    """Words, their vectors, how much each one counts, the weighed mean, one y."""
    numbers, vectors = read_words(settings)
    states = vectors
    for _ in range(settings.layers - 1):
        states = recurrent(settings)(states)  # (batch, T, units or 2 units)
    counts = weigh(settings, states)  # (batch, T, 1)
    weighed = layers.Multiply()([counts, vectors])  # (batch, T, vector)
    mean = layers.GlobalAveragePooling1D()(weighed)  # (batch, vector)
    network = keras.Model(numbers, judge(mean), name=settings.cell)
    if average is not None:
        for name in ("vectors", "verdict"):
            network.get_layer(name).set_weights(average.get_layer(name).get_weights())
    return compiled(network, rate=2e-3, epsilon=1e-5, steps=steps)


def recurrent(settings, merge="concat", **arguments):
    """One recurrent layer, from (batch, T, features) to an output for each word."""
    layer = CELLS[settings.cell](
        settings.units,
        recurrent_initializer=keras.initializers.Orthogonal(0.2),
        return_sequences=True,
        **arguments,
    )
    if settings.bidirectional:
        return layers.Bidirectional(layer, merge_mode=merge)
    return layer


def weigh(settings, sequences):
    """The last recurrent layer: y_t, how much each word counts, (batch, T, 1)."""
    share = 0.5 if settings.bidirectional else 1.0  # both directions add up to 1
    return recurrent(
        settings,
        merge="sum",
        output_units=1,
        output_kernel_initializer="zeros",
        output_bias_initializer=keras.initializers.Constant(share),
    )(sequences)


# %% [markdown]
# ## Training
#
# Both networks learn by the same rules: cross-entropy, Adam, a learning rate that falls
# to zero, and in the end the weights of the epoch with the least validation loss. First
# the script prints the shapes, from a batch of two reviews to their two probabilities.
#
# The state is saved after each epoch (the weights, the optimizer's memory, the best
# weights so far, the figures), so that `--resume` can go on after an interruption. The
# learning rate goes on as well: it depends on the optimizer's count of steps.


# %%
def train(run, name, build, settings, reviews, epochs):
    """Trains one network. Returns it with its best weights, and its figures."""
    (words, labels), (other_words, other_labels) = reviews
    size, shared = settings.batch_size, run.devices
    batches = Batches(words, labels, size, settings.seed, shared)
    validation = Batches(other_words, other_labels, size, shared=shared)

    def new():
        keras.utils.set_random_seed(settings.seed)
        return build(settings, len(batches) * epochs)

    return run.train(name, new, batches, validation, epochs)


# %% [markdown]
# The trained network and the reader become one model: strings in, probabilities out.
# It is saved twice. `model.keras` is for Keras: `import keras_rnn`, then
# `keras.saving.load_model`. `saved_model` is for TensorFlow alone, in a server for
# instance, where there is neither Keras nor this package:
#
#     served = tf.saved_model.load("saved_model").signatures["serving_default"]
#     served(tf.constant(["What a film!", "What a waste."]))["positive"]
#
# A server is asked about short texts, too: it leaves out the steps that are padding for
# all texts of a call. `examples/serve` is such a server.


# %%
def with_reader(reader, network):
    """One model, from strings (batch,) to the probability of "positive" (batch,)."""
    text = keras.Input((), dtype="string", name="text")
    positive = layers.Reshape((), name="positive")(network(reader(text)))
    return keras.Model(text, positive, name="sentiment")


def export(model, path):
    """Writes the model as a SavedModel that takes no more steps than there are words."""
    _, reader, network, _ = model.layers

    def serve(text):
        numbers = reader(text)  # (batch, length)
        longest = tf.reduce_max(tf.math.count_nonzero(numbers, axis=1))
        return {"positive": network(numbers[:, : tf.maximum(longest, 1)])[:, 0]}

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", serve, [tf.TensorSpec((None,), tf.string, "text")])
    archive.write_out(path, verbose=False)


def opinions(model, texts, batch_size=100):
    """The probability of "positive" for each of the texts, (batch,)."""
    # Batches all of one shape: TensorFlow makes a graph for each shape it meets.
    full = [*texts, *[""] * (-len(texts) % batch_size)]
    if keras.backend.backend() == "tensorflow":
        positive = model.predict(tf.constant(full), batch_size=batch_size, verbose=0)
    else:
        _, reader, network, positive = model.layers
        positive = network.predict(read(reader, full), batch_size, verbose=0)[:, 0]
    return positive[: len(texts)]


def predict(folder, text):
    """Prints what the network trained in the folder thinks of a text."""
    model = models.trained(folder, "--predict", lambda m: m.name == "sentiment")
    (positive,) = opinions(model, [text])
    print(
        f"P(positive) = {positive:.3f}: {'positive' if positive > 0.5 else 'negative'}"
    )


# %% [markdown]
# ## How good is it?
#
# The accuracy is the share of the test reviews for which the more probable label is the
# right one. With 5,000 of them it is uncertain by about half a point, so two networks
# should be compared on the *same* reviews: where one is right and the other wrong, who
# is right more often? If the order of the words gave nothing, it would be a coin toss,
# and n tosses give a difference of about the square root of n by luck.


# %%
def evaluate(probabilities, labels):
    """For each network its accuracy, and how they differ review by review."""
    right = {name: (p > 0.5) == labels for name, p in probabilities.items()}
    accuracy = {name: float(r.mean()) for name, r in right.items()}
    recurrent, average = right.values()
    gained = int(np.sum(recurrent & ~average))
    lost = int(np.sum(average & ~recurrent))
    return accuracy, gained, lost


def tell_result(accuracy, gained, lost):
    """Prints the accuracies and what recurrence bought."""
    print("\nAccuracy on the test reviews")
    for name, value in accuracy.items():
        print(f"  {name:22} {value:.3f}")
    print(
        f"\nThe recurrent network is right where the mean is wrong {gained} times, and "
        f"wrong\nwhere the mean is right {lost} times (luck: a difference of about "
        f"{np.sqrt(gained + lost):.0f})."
    )
    if gained - lost > 2 * np.sqrt(gained + lost):
        print("The order of the words is worth something here.")
    elif lost - gained > 2 * np.sqrt(gained + lost):
        print("The mean of the embeddings is better here: see the last chapter.")
    else:
        print("That is no clear difference: see the last chapter.")


# %% [markdown]
# ## Looking inside: word by word
#
# What does the network think after the first word, after the second, and so on? It is
# asked about each beginning of a review. That is an honest question to any network, one
# that reads in both directions and pools, too. The picture shows it for short test
# reviews that have a turn in them, a "but" or a "not", and for both networks: where the
# bars leave the line, the order of the words is at work.

# %%
TURNS = {"but", "not", "although", "however", "never", "despite"}


def courses(model, texts):
    """For each text the opinions after its first word, its first two, ..., all."""
    beginnings, ends = [], []
    for text in texts:
        words = text.split()
        beginnings += [" ".join(words[: n + 1]) for n in range(len(words))]
        ends.append(len(beginnings))
    return np.split(opinions(model, beginnings), ends[:-1])


def choose_turning(texts, labels, model, most_words=36, count=3):
    """Short reviews with a turn, on which the network changes its mind the most.

    One of each label leads; those that it judges rightly in the end go before others.
    """
    split = [text.replace("<br />", " ").split() for text in texts]
    turning = [i for i in range(len(split)) if TURNS & {w.lower() for w in split[i]}]
    shortest = sorted(turning, key=lambda i: len(split[i]))[:40]
    if not shortest:
        return []
    short = [" ".join(split[i][:most_words]) for i in shortest]
    merits = [
        ((course[-1] > 0.5) == labels[i], np.ptp(course))
        for i, course in zip(shortest, courses(model, short))
    ]
    best = sorted(range(len(short)), key=merits.__getitem__, reverse=True)
    reviews = [(short[n], labels[shortest[n]]) for n in best]
    first = [next((r for r in reviews if r[1] == label), None) for label in (1, 0)]
    chosen = [review for review in first if review is not None]
    return (chosen + [review for review in reviews if review not in chosen])[:count]


def draw_opinions(reviews, model, average, path):
    """A picture of the probability of "positive" after each word."""
    figure, rows = plt.subplots(
        len(reviews), 1, figsize=(13, 4.4 * len(reviews)), squeeze=False
    )
    texts = [text for text, _ in reviews]
    both = zip(courses(model, texts), courses(average, texts))
    for axes, (text, label), (course, without) in zip(rows[:, 0], reviews, both):
        words, at = text.split(), np.arange(len(course))
        for side, colour in ((1, plots.BLUE), (-1, plots.ORANGE)):
            part = np.maximum(side * (course - 0.5), 0) * side
            what = "positive" if side > 0 else "negative"
            axes.bar(at, part, bottom=0.5, color=colour, label=f"recurrent: {what}")
        axes.plot(
            at, without, ".-", color="black", linewidth=1.5, label="mean of embeddings"
        )
        axes.axhline(0.5, color=plots.GREY, linewidth=1)
        names = [word if len(word) < 15 else word[:13] + "…" for word in words]
        axes.set_xticks(at, names, rotation=50, ha="right", rotation_mode="anchor")
        axes.set_xlim(-0.6, len(words) - 0.4)
        axes.set_ylim(0, 1)
        axes.set_ylabel("P(positive)\nafter this word")
        axes.set_title(f"Its writer says: {'positive' if label else 'negative'}")
    handles, names = rows[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3)
    plots.save_figure(figure, path)


# %% [markdown]
# ## Looking inside: the same words in another order
#
# Each pair below consists of the same words. The mean of embeddings cannot tell the two
# apart, whatever it learned. What does the recurrent network make of them? So short a
# text makes both networks very sure of themselves, so the table has the logarithm of
# P(positive) / P(negative): 0 is no opinion, above it is positive, below negative.

# %%
PAIRS = [
    ("not good, bad", "not bad, good"),
    ("it is not a good film, it is a bad film", "it is not a bad film, it is a good film"),
    ("the plot is bad but the actors are great", "the actors are bad but the plot is great"),
    ("i thought it would be great but it was boring",
     "i thought it would be boring but it was great"),
]  # fmt: skip


def tell_order(model, average):
    """Prints both networks' opinions of pairs of texts that differ in order alone."""
    texts = [text for pair in PAIRS for text in pair]
    print("\nLog-odds of positive, the same words in another order: recurrent     mean")
    for text, p, q in zip(texts, opinions(model, texts), opinions(average, texts)):
        print(f"  {text:52} {log_odds(p):9.2f} {log_odds(q):8.2f}")


def log_odds(p):
    """0 if both are as likely, positive or negative as the opinion is."""
    p = np.clip(p, 1e-30, 1 - 1e-7)  # what float32 can tell from 0 and 1
    return np.log(p / (1 - p))


# %% [markdown]
# ## Looking inside: the memory before the first word
#
# Keras starts each sequence from h_0 = 0. Here h_0 is a weight: small random numbers at
# first, and then whatever makes the first words best understood. The picture shows it
# before and after the training, sorted, for the cell that reads forwards.


# %%
def first_state(network):
    """h_0 of the first recurrent layer, or `None` if it has no learned one."""
    for layer in network.layers:
        layer = getattr(layer, "forward_layer", layer)
        if isinstance(layer, keras_rnn.RNN):
            return keras.ops.convert_to_numpy(layer.cell.initial_state)
    return None


def draw_first_state(before, after, path):
    """A picture of h_0 before and after training, unit by unit."""
    order = np.argsort(after)
    figure, axes = plt.subplots(figsize=(10, 5))
    unit = np.arange(1, len(order) + 1)
    axes.bar(unit, after[order], color=plots.BLUE, label="after training")
    axes.plot(unit, before[order], "o", color=plots.ORANGE, label="before (random)")
    axes.axhline(0, color=plots.GREY, linewidth=1)
    axes.set_xlabel("unit, sorted by its value after training")
    axes.set_ylabel("value of the unit in h_0")
    axes.set_title("The learned memory before the first word")
    axes.legend()
    plots.save_figure(figure, path)


# %% [markdown]
# ## Looking inside: the mistakes
#
# The reviews on which the network is surest and wrong are worth reading. Some are
# ironic. Some praise another film, or the book. Some have the wrong label.


# %%
def tell_wrong(texts, labels, probabilities, count=3):
    """Prints the reviews on which the network is surest and wrong."""
    print("\nSurest and wrong")
    for i in np.argsort(-np.abs(probabilities - labels))[:count]:
        text = " ".join(texts[i].replace("<br />", " ").split())
        short = text if len(text) <= 300 else text[:150] + " ... " + text[-150:]
        says = "positive" if labels[i] else "negative"
        print(f"  P(positive) {probabilities[i]:.2f}, but its writer says {says}:")
        print(textwrap.fill(short, 86, initial_indent="    ", subsequent_indent="    "))


# %% [markdown]
# ## All of it
#
# First everything that can be wrong is checked, then the networks are trained, then the
# results are written: each file under another name that becomes its own when it is
# whole, so that an earlier result is never half overwritten.


# %%
@errors.reported
def main(argv=None):
    options = read_options(argv)
    errors.need_tensorflow("a network that reads strings", or_jax=True)
    if options.predict is not None:
        return predict(options.output, options.predict)
    shared = devices.find(options)
    train_set, validation, test = load_reviews(options)
    settings = Settings.of(options)
    with shared:
        texts, labels = train_set
        content = labels.tobytes() + "\0".join(texts).encode()
        run = runs.Run.of(options, shared, reviews=content)
        keras.utils.set_random_seed(options.seed)
        print(
            f"{len(train_set[0]):,} reviews to train on, {len(validation[0]):,} to "
            f"choose the epoch, {len(test[0]):,} to test."
        )
        reader = build_reader(train_set[0], settings.words, settings.length)
        reviews = [
            (read(reader, texts), labels) for texts, labels in (train_set, validation)
        ]
        sketch, two = build_network(settings, 1), reviews[0][0][:2]
        models.tell_shapes(sketch, two, "Shapes, for two reviews")

        print("\nThe yardstick: the mean of embeddings", flush=True)
        average, average_history = train(
            run, "average", build_average, settings, reviews, settings.average_epochs
        )
        print(f"\nThe recurrent network ({settings.cell})")
        build = functools.partial(build_network, average=average)
        network, history = train(
            run, "network", build, settings, reviews, settings.epochs
        )
    if not shared.first:
        return 0

    model, average = with_reader(reader, network), with_reader(reader, average)
    texts, labels = test
    probabilities = {
        f"{settings.cell} network": opinions(model, texts),
        "mean of embeddings": opinions(average, texts),
    }
    accuracy, gained, lost = evaluate(probabilities, labels)
    commonest = float(np.mean(train_set[1]) >= 0.5)
    accuracy["always the commonest"] = float(np.mean(labels == commonest))
    tell_result(accuracy, gained, lost)
    tell_order(model, average)
    tell_wrong(texts, labels, probabilities[f"{settings.cell} network"])

    histories = {settings.cell: history, "mean of embeddings": average_history}
    draw(options.output, test, model, average, network, settings, histories)
    write(options.output, model, history)
    run.record(
        {
            "test_accuracy": accuracy[f"{settings.cell} network"],
            "baselines": {
                "commonest label": accuracy["always the commonest"],
                "mean of embeddings": accuracy["mean of embeddings"],
            },
            "best_epoch": runs.best_epoch(history),
            "seconds_per_epoch": runs.seconds_per_epoch(history),
        }
    )
    run.finish()
    print(f"\nThe model, its figures and the pictures are in {options.output}")


def draw(folder, test, model, average, network, settings, histories):
    """Draws all pictures."""
    labels = {
        "loss": "loss (cross-entropy, nats)",
        "accuracy": "accuracy (share of reviews)",
    }
    figure, _ = plots.draw_curves(histories, labels)
    plots.save_figure(figure, folder / "learning_curves.png")
    turning = choose_turning(*test, model)
    if turning:
        draw_opinions(turning, model, average, folder / "opinions.png")
    after = first_state(network)
    if after is not None:
        keras.utils.set_random_seed(settings.seed)
        before = first_state(build_network(settings, 1))
        draw_first_state(before, after, folder / "initial_state.png")


def write(folder, model, history):
    """Writes the model, for Keras and for TensorFlow, and how it learned."""
    with files.replacing(folder / "model.keras") as new:
        model.save(new)
    if keras.backend.backend() == "tensorflow":
        with files.replacing(folder / "saved_model") as new:
            export(model, new)
    else:
        models.no_saved_model(folder)
    files.write_csv(folder / "history.csv", history)


if __name__ == "__main__":
    errors.start(main)

# %% [markdown]
# ## What order adds, and what it costs
#
# Read the three accuracies again. The commonest label gives a half. The mean of the
# embeddings is far above it, and takes seconds per epoch: single words say most of what
# a review says. The recurrent network started there, and lands near it. Do not be
# disappointed, but look at why:
#
# - **Films.** In the learning curves the validation loss falls on below the point at
#   which the network took over from the mean. The test accuracy hardly follows. The
#   validation reviews are of the same films as the training reviews, and the test
#   reviews are not: some of what a network with more freedom learns is what people
#   said of *these* films. That is why so much of this chapter is about not learning:
#   words left out, an epsilon, few units, a start at the yardstick.
# - **Length.** Over two hundred words, what a "not" turns around is outvoted by all the
#   rest. In a review of one sentence it decides. Try
#   `--dataset movie_reviews/rotten_tomatoes`.
# - **Labels.** One bit for each review is all that the network is told. The pairs of
#   texts with the same words show how much of "not" and "but" it made out from that;
#   the mean cannot make out any, however long it is trained.
# - **The price.** The mean takes all words at once, the recurrent network one after the
#   other: compare the seconds per epoch.
#
# What to take along:
#
# 1. Many to one is a recurrent layer, a pooling over its steps and a `Dense` unit.
# 2. Pad, mask, and keep reviews of the same length together.
# 3. Train the simplest thing that could work beside it, with the same care.
# 4. Choose on validation data, test once, and ask whether a difference could be luck.
# 5. Put the reader of the text into the model that is saved.
#
# ## Exercises
#
# 1. Read the label off the last step alone: a layer without `output_units` and with
#    `return_sequences=False`, and its h_T to the last unit. How much is lost, and how
#    much of that comes back if a review is cut at 50 words? Where does the error have
#    to travel to?
# 2. `--cell gru` and `--cell lstm` have gates that let a memory last. Do they gain on
#    long reviews, on short ones, or not at all? Compare over three values of `--seed`.
# 3. Give the mean of embeddings pairs of words too: `ngrams=2` in `TextVectorization`,
#    and a longer list of words. What does it know of order now, and what not?
# 4. Set epsilon to Adam's default 1e-7 and the share of words left out to 0. What
#    happens to the accuracies in training, in validation and on the test reviews? Why
#    does the test suffer more than the validation?
# 5. Print y_t for each word of a review: make a `keras.Model` from the network's input
#    to the output of its `Bidirectional` layer. Which words count most? Which count
#    less than nothing?
