"""Trains a network that writes, character by character.

    python examples/train_characters.py                          # film reviews
    python examples/train_characters.py --write "The film" --condition positive
    python examples/train_characters.py --corpus tiny_shakespeare --download
    python examples/train_characters.py --corpus folk_tunes      # the extra [music]
    python examples/train_characters.py --text novel.txt --cell lstm

Each corpus has defaults of its own, for some minutes on two cores; `--quick` is for trying
whether all works. Lesson 10 explains the network. What is said of it here is measured in
bits per character on texts held out, beside n-grams.
"""

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
    parser.add_argument("--cell", choices=CELLS, help="the kind of cell")
    parser.count("--units", None, "size of the hidden state")
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
        type=command_line.fraction,
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
        type=lambda text: command_line.number(text, 0, 100),
        default=0.7,
        help="0 writes the likeliest, 1 as it learned, more is bolder",
    )
    parser.add_argument(
        "--judge",
        type=Path,
        metavar="DIR",
        help="let the network that train_sentiment.py trained in DIR judge 100 written "
        "reviews",
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


def build(settings, corpus, steps):
    """The network, ready to train: the learning rate rises shortly, then falls to 0.

    What it starts from decides how soon it learns. The vectors of characters are as large
    as the states, so that they are heard from the start. The initial states of the kinds
    are far apart, so that there is something to hold on to. The gates keep (`keep`).
    """
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
    """Sets the biases of the gates so that units keep what they hold for 1 to `longest`.

    Source: Corentin Tallec and Yann Ollivier, 2018, Can recurrent neural networks warp
    time?
    """
    keeps = np.log(np.random.uniform(1, longest, cell.units))
    bias = keras.ops.convert_to_numpy(cell.bias).copy()
    if isinstance(cell, keras_rnn.GRUCell):
        bias[0, : cell.units] = keeps  # z: keep
    elif isinstance(cell, keras_rnn.LSTMCell):
        bias[: cell.units] = -keeps  # i: take in
        bias[cell.units : 2 * cell.units] = keeps  # f: keep
    cell.bias.assign(bias)


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


def surprises(generator, corpus, split, rows=64, window=100):
    """The surprise of each character but the first of each text, in nats.

    The texts are read from their beginnings, with the state carried along.
    """
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
    """What `train_sentiment.py` wrote to the folder: a function of texts."""
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

    metrics |= {
        "validation_nats_per_character": min(row["val_loss"] for row in history),
        "seconds_per_epoch": runs.seconds_per_epoch(history),
    }
    folder = options.output
    draw_curve(progress, bits, settings, folder / "learning_curve.png")
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
