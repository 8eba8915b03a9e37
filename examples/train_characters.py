# %% [markdown]
# # One to many: a network that writes
#
# One thing goes in: "positive". A review comes out, character by character. One input,
# many outputs: this is the *one-to-many* shape of a recurrent network.
#
#      positive    T         h         i              what is written
#         |       ^ \       ^ \       ^ \
#         |       |  \      |  \      |  \
#         |      y_1  |    y_2  |    y_3  |            how likely each character is
#         v       |    \    |    \    |    \
#        h_0 --> h_1 ----> h_2 ----> h_3 ---> ...      the memory
#                 |     \   |     \   |     \
#                x_1     > x_2     > x_3     > ...     the character before
#               (start)     T         h
#
# The input sets h_0, the memory before the first step. After that the network lives on
# what it wrote itself: a character is drawn from y_t, and comes back as x_{t+1}.
#
#     h_t = tanh(x_t W_xh + h_{t-1} W_hh + b_h)
#     y_t = softmax(h_t W_hy + b_y)                   x_{t+1} drawn from y_t
#
# To learn this, nothing is drawn at all. The network reads texts that people wrote, and
# at each character it is asked for the next one, which is known (*teacher forcing*). The
# loss is the surprise, -ln y_t[next], the mean over all characters. In nats it is what
# Keras prints; divided by ln 2 it is in *bits per character*, how many bits a
# compressor would need that uses this network's guesses.
#
# The network knows no words. It has to find out that characters make words, that
# sentences end and quotes close, and what people say of a film they liked.
#
# The script downloads nothing. Its defaults take a few minutes on two CPU cores:
#
#     python examples/train_characters.py
#     python examples/train_characters.py --write "The film" --condition positive

# %%
import argparse
import dataclasses
import math
import sys
import textwrap
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tutorials"))

# Before Keras: it keeps TensorFlow's own lines off the screen.
from workshop import (
    command_line,
    corpora,
    devices,
    errors,
    files,
    models,
    plots,
    runs,
    tunes,
)
from workshop.errors import UsageError
from workshop.n_grams import n_gram

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import keras_rnn
from keras_rnn import ConsecutiveWindows, Generator

# %% [markdown]
# ## The choices
#
# Each corpus has defaults of its own. `--quick` is for trying whether all works.

# %%
CELLS = {
    "elman": keras_rnn.ElmanCell,
    "lstm": keras_rnn.LSTMCell,
    "gru": keras_rnn.GRUCell,
}
RATES = {"elman": 2e-3, "lstm": 5e-3, "gru": 4e-3}  # the highest learning rate
DEFAULTS = {
    "reviews": {"cell": "gru", "units": 512, "epochs": 2, "window": 100},
    "tiny_shakespeare": {"cell": "gru", "units": 512, "epochs": 5, "window": 64},
    "folk_tunes": {"cell": "gru", "units": 256, "epochs": 3, "window": 64},
    "text": {"cell": "gru", "units": 256, "epochs": 5, "window": 64},
}
QUICK = {"units": 32, "epochs": 2, "batch_size": 8, "length": 100}
QUICK_PART = {"train": 60_000, "validation": 5_000, "test": 10_000}  # characters
TEST = 200_000  # characters to test on, enough for the third digit


@dataclasses.dataclass(kw_only=True)
class Settings(command_line.Settings):
    """What decides the network, beside what it learns from."""

    cell: str
    units: int
    layers: int
    epochs: int
    batch_size: int
    window: int
    carry: bool
    dropout: float
    seed: int
    embedding: int = 64  # size of a character's vector


def read_options(argv):
    """The options of the command line, checked as far as they go on their own."""
    parser = command_line.Options(
        "Learns to write. The defaults are those for the reviews; other texts have "
        "others.",
        Path("output/train_characters"),
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--corpus",
        choices=["reviews", "tiny_shakespeare", "folk_tunes"],
        help="what to learn to write; without it reviews",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="let tiny_shakespeare, which no package carries, be downloaded (1 MB)",
    )
    source.add_argument(
        "--text", type=Path, metavar="FILE", help="your own text instead, in UTF-8"
    )
    parser.add_argument("--cell", choices=CELLS, help="what remembers")
    parser.count("--units", None, "size of the memory")
    parser.count("--layers", 1, "recurrent layers")
    parser.count("--epochs", None, "passes over the text")
    parser.count("--batch-size", 32, "rows that are read side by side")
    parser.count("--window", None, "characters that the gradient flows back over")
    parser.switch(
        "--carry",
        True,
        "start a window from the state in which the one before it ended",
    )
    parser.add_argument(
        "--dropout",
        type=fraction,
        default=0.0,
        help="share of h_t left out in training",
    )
    parser.add_argument(
        "--write", metavar="PROMPT", help="only let the network trained in DIR go on"
    )
    parser.add_argument(
        "--condition", metavar="KIND", help="the kind of text to write (with --write)"
    )
    parser.count("--length", 500, "characters to write at most")
    parser.add_argument(
        "--temperature",
        type=temperature,
        default=0.7,
        help="0 writes the likeliest, 1 as it learned, more is bolder",
    )
    parser.add_argument(
        "--judge",
        type=Path,
        metavar="DIR",
        help="let the network that examples/train_sentiment.py trained in DIR judge 100 "
        "written reviews",
    )
    devices.add_option(parser)
    parser.set_defaults(**DEFAULTS["reviews"])
    options = parser.parse_args(argv)
    name = "text" if options.text else options.corpus or "reviews"
    parser.set_defaults(**DEFAULTS[name])
    options = parser.parse(argv, QUICK)
    if options.text is None and options.corpus is None:
        options.corpus = "reviews"
    if options.condition is not None and options.write is None:
        raise UsageError("--condition goes with --write: the network learns all kinds")
    if options.judge is not None:
        if options.text or options.corpus != "reviews" or options.write is not None:
            raise UsageError("--judge goes with the corpus reviews: it judges reviews")
        if not (options.judge / "saved_model").is_dir():
            raise UsageError(f"--judge: there is no saved_model in {options.judge}")
    return options


def number(text, least, most, what):
    """A number of the command line, from `least` to `most`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"must be {what}, not {text!r}")
    return value


def fraction(text):
    """The type of an option that is a share."""
    return number(text, 0.0, 0.99, "a number from 0 to 0.99")


def temperature(text):
    """The type of an option that is a temperature."""
    return number(text, 0.0, 100.0, "a number from 0 to 100")


# %% [markdown]
# ## The texts
#
# The default ones are the ends of 22,000 film reviews: the last sentences, two hundred
# characters at most, where a reviewer says what to think of the film. Each is labelled,
# positive or negative. The test reviews are of other films than the rest.
#
# `corpora.py` has the other texts: `--corpus tiny_shakespeare`, `--corpus folk_tunes`
# (music in letters: notes are A to G, a bar line is |), and `--text` takes your own.
#
# A network reads numbers: each character is its place in the sorted list of all of them,
# the *vocabulary*. A review begins with a start mark and ends with an end mark, for
# which a line break does. The start mark is the first input, x_1. The end mark is a
# character to be learned like any other: the network learns when to stop.
#
# ## The yardsticks
#
# Is 2 bits per character good? Three yardsticks tell, on the same held-out text:
#
# - *Uniform*: each of V characters is as likely, a surprise of ln V. No network should
#   do worse.
# - *Unigram*: each character is as likely as it was common in the training text.
# - *5-gram*: the last four characters, looked up in the training text: what came after
#   them there, how often? This is the strongest that counting can do at little cost, and
#   has no memory beyond those four.
#
# Counting has to say something about what it never saw. `n_grams.py` has how: what was
# seen gives a part of its probability away, by the method of Kneser and Ney.


# %%
def yardsticks(generator, corpus):
    """The bits per character of the test texts, by each yardstick."""
    train, test = (
        [generator.encode(text) for text in corpus.texts[split]]
        for split in ("train", "test")
    )
    size = len(generator.vocabulary)
    return {"uniform": math.log2(size)} | {
        name: float(np.mean(n_gram(train, test, order, size))) / math.log(2)
        for name, order in (("unigram", 1), ("5-gram", 5))
    }


# %% [markdown]
# ## The network
#
# A character's number becomes a vector (`Embedding`), the cell reads it, and y_t says
# how likely each character of the vocabulary is to come next. `Generator` is these
# three, with `fit` as any Keras model, and `generate` to write.
#
#     e_t = embedding[x_t]                                   (batch, T, 64)
#     h_t = cell(e_t, h_{t-1})                               (batch, T, units)
#     logits_t = h_t W_hy + b_y,  y_t = softmax(logits_t)    (batch, T, V)
#
# The one input, the kind of text, sets h_0. In the other tutorials h_0 is one learned
# vector. Here each kind has its own, and back-propagation trains it: each review that
# is read moves the h_0 of its label towards whatever makes such reviews less
# surprising. Nothing tells the network later on what the label was. If it is to matter
# at the end of a review, the network has to learn to hold on to it.
#
# The default cell is the GRU. Its update gate z_t can keep what is in the memory as it
# is, which the plain cell cannot (`--cell elman` shows how far that one gets):
#
#     h_t = z_t h_{t-1} + (1 - z_t) h~_t
#
# Where a network starts from decides how soon it learns, and what. Three choices:
#
# - **Characters that are heard.** Keras draws their vectors from -0.05 to 0.05. Next to
#   an h_t of hundreds of numbers that is a whisper. With a standard deviation of 1 the
#   network hears from the start what it reads.
# - **Kinds that differ.** The h_0 of the kinds are drawn with a standard deviation of
#   0.5: they are far apart before anything is learned, so there is something to hold on
#   to.
# - **Gates that keep.** A unit with the gate z forgets half of what it holds within
#   about 0.7 / (1 - z) steps. With a bias of 0, z is 1/2, and after ten characters
#   nothing is left of h_0, nor of a gradient to it. A bias of ln u with u drawn from 1 to
#   100 gives units that keep for 1 to 100 steps from the start. (Corentin Tallec, Yann
#   Ollivier, 2018, Can recurrent neural networks warp time?) The LSTM's gates get the
#   same; the plain cell has none.


# %%
def build(settings, corpus, steps):
    """The network, ready to train: the learning rate rises shortly, then falls to 0."""
    generator = Generator(
        corpus.characters,
        [
            CELLS[settings.cell](
                settings.units,
                initial_state_initializer=keras.initializers.RandomNormal(stddev=0.5),
            )
            for _ in range(settings.layers)
        ],
        embedding_units=settings.embedding,
        dropout=settings.dropout,
        conditions=corpus.kinds or None,
        start=corpus.start,
    )
    (vectors,) = generator.embedding.get_weights()
    generator.embedding.set_weights([keras.random.normal(vectors.shape)])
    for level in generator.levels:
        keep(level.cell, longest=100)
    rate = models.rise_and_fall(RATES[settings.cell], steps)
    generator.compile(
        keras.optimizers.Adam(rate, beta_2=0.99, global_clipnorm=1.0),
        # The -1 stands where a window is longer than what is left of its text.
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
    )
    return generator


def keep(cell, longest):
    """Sets the biases of the gates so that units keep what they hold for 1 to `longest`."""
    keeps = np.log(np.random.uniform(1, longest, cell.units))
    bias = keras.ops.convert_to_numpy(cell.bias).copy()
    if isinstance(cell, keras_rnn.GRUCell):
        bias[0, : cell.units] = keeps  # z: keep
    elif isinstance(cell, keras_rnn.LSTMCell):
        bias[: cell.units] = -keeps  # i: take in
        bias[cell.units : 2 * cell.units] = keeps  # f: keep
    cell.bias.assign(bias)


# %% [markdown]
# ## Truncated back-propagation through time
#
# A play has a million characters. To carry the gradient from its end to its beginning,
# all h_t between would have to be kept, and one step of learning would take as long as
# reading the play. So the text is read in *windows* of some hundred characters: forward
# through a window, back through it, a step of learning, the next window.
#
#     h_0 -> [x_1 ... x_100] -> h_100 -> [x_101 ... x_200] -> h_200 -> ...
#             <--- gradient |             <----- gradient |
#
# The *state* is carried over from window to window, so the network reads the second
# window with all that it knows from the first. The *gradient* is cut at the border. What
# the network cannot learn this way is to keep something for more than a window *because*
# it is needed there; what it keeps anyway it may use. `--no-carry` starts each window
# from h_0 instead: compare. `--window` sets where to cut.
#
# A batch has 32 rows, and each row reads its own texts, one after the other. Where a
# text begins, the row starts from the h_0 of its kind. `ConsecutiveWindows` does the
# cutting, and marks these rows as `fresh`.


# %%
class Windows(ConsecutiveWindows):
    """Windows, of which each process reads its own rows (with `--distribute`)."""

    shared = devices.Alone()

    def __getitem__(self, index):
        inputs, y = super().__getitem__(index)
        own, _ = self.shared.share(np.arange(len(y)))
        return {name: each[own] for name, each in inputs.items()}, y[own]


class SeparateWindows(Windows):
    """Windows that all start from h_0, wherever in a text they are."""

    def __getitem__(self, index):
        inputs, y = super().__getitem__(index)
        del inputs["fresh"]
        return inputs, y


def cut(generator, corpus, split, batch_size, window, carry=True, seed=None):
    """The texts of a split in windows."""
    kind = Windows if carry else SeparateWindows
    texts = [generator.encode(text) for text in corpus.texts[split]]
    if corpus.end is None:  # one long text: each row reads its own part
        (text,) = texts
        rows = min(batch_size, max(1, (len(text) - 1) // window))
        texts = np.array_split(text, rows)
        texts = [np.append(a, b[:1]) for a, b in zip(texts, [*texts[1:], texts[0][:0]])]
    labels = corpus.labels and corpus.labels[split]
    return kind(texts, batch_size, window, conditions=labels, seed=seed)


# %% [markdown]
# ## Watching it learn to spell
#
# Most of what there is to see happens in the first minutes. So after 8, 16, 32, ...
# batches the network writes a line, and its surprise at some held-out text is measured.
# First it learns which characters are common, then which follow which, then short
# words, then longer ones.


# %%
class Progress(keras.callbacks.Callback):
    """Writes a line after 8, 16, 32, ... batches, and measures the surprise.

    What was measured is kept in a file, so that a run that is resumed has it all.
    """

    def __init__(self, corpus, path, shared):
        super().__init__()
        self.path, self.shared, self.copy = path, shared, None
        self.part = corpus.part(validation=10_000)
        self.kind = corpus.kinds[-1] if corpus.kinds else None
        self.prompt = corpus.prompt

    def on_train_begin(self, logs=None):
        done = int(self.model.optimizer.iterations)
        self.rows = []
        if self.path.exists():
            with runs.telling_of_damage(self.path.parent):
                self.rows = [
                    {name: row[name] for name in ("batches", "bits", "line")}
                    for row in files.read_json(self.path, list)
                    if row["batches"] <= done
                ]
        self.batches = done

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        if self.batches >= 8 and self.batches & (self.batches - 1) == 0:
            self.tell()

    def on_train_end(self, logs=None):
        if not self.rows or self.rows[-1]["batches"] < self.batches:
            self.tell()

    def tell(self):
        if not self.shared.first:
            return
        self.copy = self.shared.local(self.model, self.copy)
        with self.shared.apart():
            bits = bits_per_character(self.copy, self.part, "validation")
            line = self.copy.generate(
                self.prompt, 60, temperature=0.7, seed=1, condition=self.kind
            )
        self.rows.append({"batches": self.batches, "bits": bits, "line": line})
        files.write_json(self.path, self.rows)
        print(f"\r{self.batches:6} batches, {bits:.2f} bits: {line!r}".ljust(88))


def train(run, settings, corpus):
    """Trains the network. Returns it, the figures of the epochs, and its progress."""
    keras.utils.set_random_seed(settings.seed)
    size = (settings.batch_size, settings.window)
    model = build(settings, corpus, 1)  # to encode the texts
    batches = cut(model, corpus, "train", *size, settings.carry, settings.seed)
    validation = cut(model, corpus, "validation", *size, run.devices.carries)
    batches.shared = validation.shared = run.devices
    progress = Progress(corpus, run.folder / "progress.json", run.devices)

    def new():
        keras.utils.set_random_seed(settings.seed)
        return build(settings, corpus, settings.epochs * len(batches))

    generator, history = run.train(
        "network", new, batches, validation, settings.epochs, callbacks=[progress]
    )
    return generator, history, progress.rows


# %% [markdown]
# ## How good is it?
#
# The surprise at each character of the held-out texts, read from their beginnings with
# the state carried along: the network's guess for a character rests on all that came
# before in the text.


# %%
def surprises(generator, corpus, split, rows=64, window=100):
    """The surprise of each character but the first of each text, in nats."""
    found, states = [], None
    batches = cut(generator, corpus, split, rows, window)
    for inputs, y in (batches[i] for i in range(len(batches))):
        given, kinds = inputs["tokens"], None
        if corpus.kinds:
            kinds = inputs["conditions"]
            given = {"tokens": given, "conditions": kinds}
        first = generator.get_initial_state(len(y), kinds)
        if states is not None:
            fresh = inputs["fresh"][:, None]  # (batch, 1)
            first = [
                [keras.ops.where(fresh, a, b) for a, b in zip(*level)]
                for level in zip(first, states)
            ]
        nats, states = read(generator, given, first, np.maximum(y, 0))
        found.append(keras.ops.convert_to_numpy(nats)[y >= 0])
    return np.concatenate(found)


def read(generator, inputs, states, y):
    """One batch: the surprise at each y, (batch, window), and the states after it."""
    logits, states = generator(inputs, initial_state=states, return_state=True)
    nats = keras.ops.sparse_categorical_crossentropy(y, logits, from_logits=True)
    return nats, states


if keras.backend.backend() == "tensorflow":
    read = tf.function(read)


def bits_per_character(generator, corpus, split):
    """The mean surprise at the texts of a split, in bits."""
    return float(np.mean(surprises(generator, corpus, split))) / math.log(2)


def tell_result(bits):
    """Prints the bits per character of network and yardsticks."""
    print("\nBits per character on the test texts (nats in brackets)")
    for name, value in sorted(bits.items(), key=lambda item: -item[1]):
        print(f"  {name:16} {value:6.3f}   ({value * math.log(2):.3f})")


# %% [markdown]
# ## What is the one input worth?
#
# The network can say how likely a text is, *if* it is of a kind: the probabilities of
# its characters multiply. Read a text once as each kind, and Bayes' rule turns that
# around (all kinds being as common):
#
#     P(kind | text) = P(text | kind) / (sum over all kinds of P(text | kind))
#
# So a network that writes is a classifier as well, without having been trained to be
# one. If it tells the kinds of test texts apart no better than a coin, then its one
# input makes no difference to it.


# %%
def log_likelihoods(generator, texts, batch_size=64):
    """The ln P(text | kind) of each text for each kind, (texts, kinds)."""
    longest = max(len(text) for text in texts)
    x = np.zeros((len(texts), longest - 1), "int32")
    y = np.full_like(x, -1)
    for i, text in enumerate(texts):
        ids = generator.encode(text)
        x[i, : len(ids) - 1], y[i, : len(ids) - 1] = ids[:-1], ids[1:]
    found = np.zeros((len(texts), len(generator.conditions)))
    for i in range(0, len(texts), batch_size):
        # The last batch once more to its full size: one shape, one graph.
        batch = np.arange(i, i + batch_size) % len(texts)
        for kind in range(len(generator.conditions)):
            kinds = np.full(batch_size, kind, "int32")
            first = generator.get_initial_state(batch_size, kinds)
            given = {"tokens": x[batch], "conditions": kinds}
            nats, _ = read(generator, given, first, np.maximum(y[batch], 0))
            nats = keras.ops.convert_to_numpy(nats)
            found[batch, kind] = -np.sum(nats, axis=1, where=y[batch] >= 0)
    return found


def recognised(generator, corpus, size=50_000):
    """The share of the test texts whose kind the network finds out by Bayes' rule.

    Each kind counts as much as any other: this is the mean of the kinds' shares.
    """
    corpus = corpus.part(test=size)
    texts, labels = corpus.texts["test"], corpus.labels["test"]
    right = np.argmax(log_likelihoods(generator, texts), axis=1) == labels
    shares = [np.mean(right[labels == kind]) for kind in np.unique(labels)]
    share = float(np.mean(shares))
    print(
        f"\nOf the test texts, the network finds the kind of {share:.1%} by Bayes' rule "
        f"(chance: {1 / len(corpus.kinds):.0%})."
    )
    return share


# %% [markdown]
# ## Writing
#
# A character is drawn from y_t, and fed back in. Before it is drawn, the logits are
# divided by the *temperature*. At 1 the network writes as it learned to. Below 1 the
# likely becomes likelier: fewer slips of the pen, less variety. At 0 it always takes
# the likeliest, and soon goes in circles. Above 1 it becomes bold, and then drunk.


# %%
def write(generator, corpus, kind=None, count=1, length=500, temperature=0.7, seed=1):
    """New texts of a kind."""
    return generator.generate(
        [corpus.prompt] * count,
        length,
        temperature=temperature,
        stop=corpus.end,
        seed=seed,
        condition=kind,
    )


def tell_samples(generator, corpus, options):
    """Prints texts of each kind, and of one kind at several temperatures."""
    length = options.length
    print(f"\nWritten at temperature {options.temperature}")
    for kind in corpus.kinds or [None]:
        for text in write(
            generator, corpus, kind, 2, length, options.temperature, options.seed
        ):
            show(text, kind)
    if corpus.kinds:
        print("\nThe best of eight: the one that is most of its kind")
    for kind in corpus.kinds:
        for text in write_the_best(generator, corpus, kind, 3, options):
            show(text, kind)
    kind = corpus.kinds[-1] if corpus.kinds else None
    print("\nThe same beginning, colder and hotter")
    for temperature in (0, 0.5, 1.0, 1.5):
        (text,) = write(
            generator, corpus, kind, 1, min(length, 200), temperature, options.seed
        )
        show(text, f"temperature {temperature}")


def show(text, title):
    """Prints a text, indented, under a title."""
    if title:
        print(f"  {title}:")
    for line in text.strip("\n").split("\n"):
        print(textwrap.fill(line, 86, initial_indent="    ", subsequent_indent="    "))


# %% [markdown]
# `--write` asks the network of an earlier run. It writes a character at a time, at the
# speed of reading one: a step costs the same however long the text is, since all that
# is kept of the text is h_t.


# %%
def go_on(options):
    """Prints how the network trained in the folder goes on after the prompt."""
    generator = models.trained(
        options.output, "--write", lambda network: isinstance(network, Generator)
    )
    path = options.output / "metrics.json"
    stop = files.read_json(path).get("end", 0)
    if not (stop is None or stop and isinstance(stop, str)):
        raise UsageError(f"--write: {path} is damaged: it has no mark for the end")
    strange = sorted(set(options.write) - set(generator.vocabulary))
    if strange:
        raise UsageError(
            f"--write: this network does not know {', '.join(map(repr, strange))}"
        )
    kinds = generator.conditions
    if options.condition not in (kinds or [None]):
        known = f"one of {', '.join(kinds)}" if kinds else "nothing: it has no kinds"
        raise UsageError(f"--condition: this network takes {known}")
    try:
        written = generator.stream(
            options.write,
            options.length,
            temperature=options.temperature,
            stop=stop,
            seed=options.seed,
            condition=options.condition,
        )
    except ValueError as error:
        raise UsageError(f"--write: {error}") from error
    print(options.write, end="")
    for character in written:
        print(character, end="", flush=True)
    print()


# %% [markdown]
# ## Does it say what it was asked to say?
#
# "Positive" in, a review out. Is it positive? The network of
# `examples/train_sentiment.py`, trained to tell people's reviews apart, may judge
# (`--judge output/sentiment`). It errs on people's reviews as well, most
# of all on short ones, so it is asked about those too.
#
# A review can say much about a film and little about its worth. The network knows which
# of its own reviews do: those of which Bayes' rule is sure. So there is a second way to
# ask. Write eight, and keep the one that is most of its kind.


# %%
def write_the_best(generator, corpus, kind, count, options, tries=8):
    """New texts, each the one of several that most clearly is of its kind."""
    texts = write(
        generator, corpus, kind, count * tries, options.length, options.temperature,
        options.seed,
    )  # fmt: skip
    marked = [f"{corpus.start}{text}{corpus.end}" for text in texts]
    logs = log_likelihoods(generator, marked)  # (count * tries, kinds)
    this = logs[:, corpus.kinds.index(kind)]
    odds = (this - np.logaddexp.reduce(logs, axis=1)).reshape(count, tries)
    return [texts[i * tries + best] for i, best in enumerate(np.argmax(odds, axis=1))]


def load_judge(folder):
    """What `examples/train_sentiment.py` wrote to the folder: a function of texts."""
    try:
        opinion = tf.saved_model.load(folder / "saved_model").signatures[
            "serving_default"
        ]
        (positive,) = opinion(tf.constant(["good"])).values()
        if positive.shape != (1,):
            raise ValueError("it gives more than one number for a text")
    except Exception as error:  # a damaged file, or a network of another program
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"--judge: the network in {folder} judges no texts: {reason}"
        ) from error
    return opinion


def judge(generator, corpus, opinion, options, count=50):
    """The share of reviews that the judge finds to be of the kind that they should be.

    Args:
        generator: The network.
        corpus: The reviews.
        opinion: The judge, from `load_judge`.
        options: The options of the command line.
        count: How many reviews to write of each kind.

    Returns:
        Dict of the shares of reviews that were written, that were the best of eight,
        and that people wrote.
    """

    def agreement(texts, labels):
        texts = [text.strip() for text in texts]
        positive = [
            next(iter(opinion(tf.constant(texts[i : i + 100])).values()))
            for i in range(0, len(texts), 100)
        ]
        return float(np.mean((np.concatenate(positive) > 0.5) == labels))

    labels = np.repeat(range(len(corpus.kinds)), count)
    how = (options.length, options.temperature, options.seed)
    written = [write(generator, corpus, kind, count, *how) for kind in corpus.kinds]
    best = [
        write_the_best(generator, corpus, kind, count, options) for kind in corpus.kinds
    ]
    result = {
        "written": agreement(sum(written, []), labels),
        "best of eight": agreement(sum(best, []), labels),
        "people's": agreement(
            corpus.texts["test"][:1_000], corpus.labels["test"][:1_000]
        ),
    }
    print("\nReviews that the judge finds to be of the kind that they should be")
    for name, share in result.items():
        print(f"  {name:16} {share:.0%}")
    return result


# %% [markdown]
# ## Looking inside: what do the units count?
#
# A unit of h_t is a number between -1 and 1 that moves from character to character.
# Some of them follow something that we have a word for. To find them, write down for
# each character of some held-out texts how far it is from the start of its word, whether
# a quote is open, what kind of text it is in, ... and correlate each of these series with
# each unit. The unit that fits best is picked on one half of the texts. The correlation
# that is told is that on the other half: among hundreds of units one always fits a
# little, by luck.
#
# (Andrej Karpathy, Justin Johnson, Li Fei-Fei, 2015, Visualizing and understanding
# recurrent networks, found units for quotes and line lengths; Alec Radford, Rafal
# Jozefowicz, Ilya Sutskever, 2017, Learning to generate reviews and discovering
# sentiment, one for the sentiment.)


# %%
def since(text, marks):
    """For each character, how many have passed since one of the marks."""
    at = np.arange(len(text))
    is_mark = np.isin(list(text), list(marks))
    return at - np.maximum.accumulate(np.where(is_mark, at, 0))


def between(text, opening, closing):
    """For each character, whether it is between two marks: 1 or 0."""
    inside, found = False, []
    for character in text:
        inside = character != closing if inside else character == opening
        found.append(inside)
    return np.array(found, float)


def properties(text, corpus):
    """What can be said of each character of a text: a dict of arrays (len(text),)."""
    letters = list(text)
    music = corpus.name == "folk_tunes"
    told = {
        "characters since the last space": since(text, " \n"),
        "a digit": np.array([c.isdigit() for c in letters], float),
    }
    if corpus.end is not None:
        told["characters since the text began"] = np.arange(len(text))
    if corpus.end != "\n":
        told["characters since the line began"] = since(text, "\n")
    if music:
        return told | {"characters since the bar line": since(text, "|\n")}
    return told | {
        "characters since the sentence began": since(text, ".!?"),
        "a quote is open": between(text, '"', '"'),
        "a bracket is open": between(text, "(", ")"),
        "a capital letter": np.array([c.isupper() for c in letters], float),
        "a vowel": np.isin(letters, list("aeiouAEIOU")).astype(float),
    }


def states(generator, corpus, text, label=None, longest=200):
    """h_t of the first level after each character of a text, (len(text), units)."""
    kind = None if label is None else corpus.kinds[label]
    # What comes later changes nothing, and texts of one length need one graph.
    padded = text[corpus.start is not None :].ljust(longest, text[0])
    _, (h, *_) = generator.read(padded, kind)
    return h[: len(text)]


def find_units(generator, corpus, size=20_000, least=0.1):
    """For each property the unit that follows it best.

    Units that hardly move, with a standard deviation below `least`, do not count.

    Returns:
        Dict from the property to the unit and its correlation on other texts than those
        on which it was picked, the best first.
    """
    heaps, corpus = [[], []], corpus.part(test=size)
    texts = pieces(corpus, length=max(10, min(500, len(corpus.texts["test"][0]) // 10)))
    longest = max(len(text) for text, _ in texts)
    for i, (text, label) in enumerate(texts):
        told = properties(text, corpus)
        for number, kind in list(enumerate(corpus.kinds))[len(corpus.kinds) == 2 :]:
            told[f"the kind is {kind}"] = np.full(len(text), float(label == number))
        heaps[i % 2].append((told, states(generator, corpus, text, label, longest)))
    found = {}
    for name in heaps[0][0][0]:
        told = [np.concatenate([each[name] for each, _ in heap]) for heap in heaps]
        h = [np.concatenate([each for _, each in heap]) for heap in heaps]
        if all(np.ptp(values) > 0 for values in told):
            fit = np.abs(correlation(told[0], h[0])) * (h[0].std(axis=0) > least)
            best = int(np.argmax(fit))
            found[name] = best, float(correlation(told[1], h[1])[best])
    return dict(sorted(found.items(), key=lambda item: -abs(item[1][1])))


def pieces(corpus, length):
    """The test texts with their labels; of one long text, pieces of some length."""
    texts = corpus.texts["test"]
    if corpus.end is None:
        (text,) = texts
        texts = [text[i : i + length] for i in range(0, len(text), length)]
    return list(
        zip(texts, corpus.labels["test"] if corpus.kinds else [None] * len(texts))
    )


def correlation(values, h):
    """The correlation of a series (steps,) with each unit (steps, units)."""
    values = values.astype("float64")
    values, h = values - values.mean(), h - h.mean(axis=0)
    scale = np.sqrt(np.sum(values**2) * np.sum(h**2, axis=0))
    return values @ h / np.maximum(scale, 1e-12)


def tell_units(found):
    """Prints which unit follows what."""
    print("\nUnits of h_t that follow something (correlation on texts not searched)")
    for name, (unit, fit) in found.items():
        print(f"  {name:42} unit {unit:4}  {fit:+.2f}")


def choose_text(corpus, most):
    """A held-out text to look at, and its label: with a quote or a bracket, if any."""

    def merit(piece):
        text, _ = piece
        marked = between(text, '"', '"') + between(text, "(", ")")
        return len(text) <= most, text.count('"') in (0, 2), np.sum(marked), len(text)

    text, label = max(pieces(corpus, most), key=merit)
    return text[:most], label


def draw_units(generator, corpus, found, path, count=8):
    """A heat map of the units that follow something best, along a held-out text."""
    text, label = choose_text(corpus, most=150)
    h = states(generator, corpus, text, label)
    rows = list(found.items())[:count]
    figure, axes = plt.subplots(figsize=(19, 1.6 + 0.65 * len(rows)))
    image = axes.imshow(
        h[:, [unit for _, (unit, _) in rows]].T,
        cmap="RdBu_r",  # told apart by all kinds of colour vision
        vmin=-1,
        vmax=1,
        aspect="auto",
    )
    names = [f"{name}\nunit {unit}, {fit:+.2f}" for name, (unit, fit) in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=11)
    shown = [{"\n": "↵", " ": "·"}.get(character, character) for character in text]
    axes.set_xticks(range(len(text)), shown, fontsize=8, family="monospace")
    axes.tick_params(length=0)
    axes.set_xlabel("the text, character by character (· is a space, ↵ a line break)")
    axes.set_title("The unit of h_t that follows each property best (its correlation)")
    figure.colorbar(image, label="value of the unit", pad=0.01)
    plots.save_figure(figure, path)


def draw_curve(progress, bits, settings, path):
    """A picture of the surprise at held-out text while it learns, and the yardsticks."""
    figure, axes = plt.subplots(figsize=(11, 6.5))
    characters = settings.batch_size * settings.window
    read = [row["batches"] * characters for row in progress]
    axes.semilogx(read, [row["bits"] for row in progress], "o-", label="the network")
    for name, style in (("uniform", ":"), ("unigram", "-."), ("5-gram", "--")):
        axes.axhline(bits[name], color=plots.GREY, linestyle=style, label=name)
    axes.set_xlabel("characters read")
    axes.set_ylabel("bits per character")
    axes.set_title("The surprise at validation text")
    axes.set_ylim(bottom=0)
    axes.legend()
    plots.save_figure(figure, path)


# %% [markdown]
# ## Music
#
# With `--corpus folk_tunes` the characters are notes, and the kinds are countries:
#
#     M: 6/8                      the meter
#     L: 1/8                      the length of a note without a number
#     K: G                        the key
#     GBd gdB | c3 BAG |          notes; | ends a bar, a number makes a note longer
#
# Nobody told the network that a bar of 6/8 has six eighths. Whether it found out can be
# measured: `tunes.py` parses the tunes, and adds up each bar. The same is done with
# people's tunes.


# %%
def play(generator, corpus, options, count=20):
    """Writes a tune of each country as ABC and as MIDI. Returns what was measured."""
    figures = {}
    print("\nTunes that parse, bars of the right length, tunes in 2/4")
    for number, country in enumerate(corpus.kinds):
        how = (count, options.length, options.temperature, options.seed)
        written = write(generator, corpus, country, *how)
        texts, labels = corpus.texts["test"], corpus.labels["test"]
        people = [t for t, label in zip(texts, labels) if label == number][:count]
        figures[country] = {}
        for whose, texts in (("network", written), ("people", people)):
            shares = figures[country][whose] = tunes.measure(texts)
            told = "".join(f"{share:7.0%}" for share in shares.values())
            print(f"  {country:12} {whose:9}{told}")
        path = options.output / f"tune_{country.lower()}.abc"
        abc = tunes.save_best(written, path, f"{country}, written by a network")
        if abc:
            show(abc, f"{country}: {path.name}")
    return figures


# %% [markdown]
# ## All of it
#
# First everything that can be wrong is checked, then the network is trained, then the
# results are written: each file under another name that becomes its own when it is
# whole.
#
# The network is saved twice. `model.keras` is for Keras and this package. `saved_model`
# is for TensorFlow alone, and writes by itself, the loop is inside:
#
#     writer = tf.saved_model.load("saved_model").signatures["generate"]


# %%
@errors.reported
def main(argv=None):
    options = read_options(argv)
    errors.need_tensorflow("this program", or_jax=True)
    if options.write is not None:
        return go_on(options)
    opinion = load_judge(options.judge) if options.judge else None
    corpus = corpora.load(
        options.corpus, options.seed, options.download, options.text
    ).part(test=TEST)
    if options.quick:
        corpus = corpus.part(**QUICK_PART)
    shared = devices.find(options)
    if options.carry and not shared.carries:
        raise UsageError(
            "--distribute: on TensorFlow it goes with --no-carry, since each device would "
            "have to carry the state of its own rows; KERAS_BACKEND=jax can"
        )
    settings = Settings.of(options)
    with shared:
        run = runs.Run.of(
            options,
            shared,
            aside=("write", "condition", "judge"),
            content="\0".join(sum(corpus.texts.values(), [])).encode(),
        )
        tell_corpus(corpus)
        generator, history, progress = train(run, settings, corpus)
    if not shared.first:
        return 0
    bits = {"network": bits_per_character(generator, corpus, "test")}
    bits |= yardsticks(generator, corpus)
    metrics = {"test_bits_per_character": bits, "end": corpus.end}
    tell_result(bits)
    if corpus.kinds:
        metrics["kinds_recognised"] = recognised(generator, corpus)
    tell_samples(generator, corpus, options)
    if options.judge:
        metrics["judged_right"] = judge(generator, corpus, opinion, options)
    if corpus.name == "folk_tunes":
        metrics["tunes"] = play(generator, corpus, options)
    found = find_units(generator, corpus)
    tell_units(found)

    metrics |= {
        "validation_nats_per_character": min(row["val_loss"] for row in history),
        "units": {
            name: {"unit": u, "correlation": fit} for name, (u, fit) in found.items()
        },
        "seconds_per_epoch": runs.seconds_per_epoch(history),
    }
    folder = options.output
    draw_curve(progress, bits, settings, folder / "learning_curve.png")
    draw_units(generator, corpus, found, folder / "units.png")
    with files.replacing(folder / "model.keras") as new:
        generator.save(new)
    if keras.backend.backend() == "tensorflow":
        with files.replacing(folder / "saved_model") as new:
            generator.export(new)
    else:
        models.no_saved_model(folder)
    files.write_csv(folder / "history.csv", history)
    files.write_csv(folder / "progress.csv", progress)
    run.record(metrics)
    run.finish()
    print(f"\nThe model, its figures and the pictures are in {folder}")


def tell_corpus(corpus):
    """Prints how much there is to read, and the first text."""
    sizes = {split: sum(map(len, texts)) for split, texts in corpus.texts.items()}
    print(
        f"{sizes['train']:,} characters to learn from, {sizes['validation']:,} to choose "
        f"the epoch, {sizes['test']:,} to test;\n{len(corpus.characters)} different ones. "
        "The first of them:"
    )
    kind = corpus.kinds[corpus.labels["train"][0]] if corpus.kinds else None
    show(corpus.texts["train"][0][:300], kind)


if __name__ == "__main__":
    errors.start(main)

# %% [markdown]
# ## What it learned, and what not
#
# Look at the learning curve with the samples beside it (`progress.csv`). The network
# passes the unigram within some dozens of batches, when it has found out how long words
# are. It needs a good half of its training to pass the 5-gram, which is no weak opponent:
# it has all of the training text at hand, and looks up what it needs. What the network
# has in exchange is a memory that does not end after four characters. In the heat map
# there are units that switch on at a bracket or a quote, and off where it closes.
#
# - **Words.** It invents some. Nothing in its world says which words exist; it has them
#   from their letters.
# - **Sense.** A sentence holds together over a few words, seldom from its beginning to
#   its end.
# - **The kind.** There are units that hold on to it to the end of the review, as their
#   correlation tells. And yet a review need not say what it was asked to say. Knowing
#   the kind saves a fraction of a bit per *review*: a few words give it away, and the
#   others do not depend on it. So the loss has little reason to teach the network to make use of it. Compare
#   the three shares of the judge, and the share that Bayes' rule recognises: the network
#   is a better critic than it is a writer, which is what "the best of eight" lives on.
#
# What to take along:
#
# 1. One to many is a first state that is set, and an output that is fed back in.
# 2. Train on known texts in windows; carry the state, cut the gradient.
# 3. Measure in bits per character on held-out text, with a 5-gram beside it.
# 4. Where a network starts from decides how soon it learns, and what it can keep.
# 5. A model of how texts are written also tells them apart: Bayes' rule.
#
# ## Exercises
#
# 1. `--corpus tiny_shakespeare --cell elman`, and the same with `gru`. What can be told
#    from the units, and from the samples?
# 2. `--window 10`, and then `--window 10 --no-carry`: what does each of the two cost?
# 3. In `build`, leave the vectors of the characters as Keras draws them. How much longer
#    does it take to pass the unigram? Leave out `keep`: what of the kind is recognised?
# 4. Speak up: at each step draw from y + w (y - z), where y are the logits of the kind
#    that is wanted and z those of the other, each with a state of its own
#    (`Generator.step`). With w = 0 it is what `generate` does. What do w = 1 and w = 3 do
#    to the judge's share, and to the English?
# 5. Correlate the units with what comes *next* (a space, a quote that closes) instead of
#    what was. Which is easier to find, and why?
