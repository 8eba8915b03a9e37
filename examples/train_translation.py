"""Trains a network that translates, with attention: your own pairs of texts, or dates.

    python examples/train_translation.py --pairs fra.txt       # sentences, minutes
    python examples/train_translation.py --predict "Come with me." --beam-width 4
    python examples/train_translation.py --output output/dates # dates of a dozen languages

Each line of the file has a source, a tab and its target; further columns do not matter
(files as at manythings.org/anki have a third one, for the licence). A source may be there
several times: it is then in one part of the data only, and its targets are all right.

What is read and written are pieces of words (`keras_rnn.learn_pieces`), or characters
with `--merges 0`. Lesson 11 explains the network.
"""

import collections
import dataclasses
import sys
import textwrap
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tutorials"))

# Before Keras: it keeps TensorFlow's own lines off the screen.
from workshop import (
    command_line,
    data_sets,
    dates,
    drawings_of_translation,
    errors,
    files,
    models,
    phrases,
    plots,
    runs,
)
from workshop.batches import ByLength
from workshop.errors import UsageError

# isort: split
import keras
import numpy as np
import sacrebleu
import tensorflow_datasets as tfds

import keras_rnn
from keras_rnn import EncoderDecoder, ExactMatch
from keras_rnn.pieces import vocabulary_of

CELLS = {
    "elman": keras_rnn.ElmanCell,
    "lstm": keras_rnn.LSTMCell,
    "gru": keras_rnn.GRUCell,
}
DEFAULTS = {  # of sentences, and of dates
    True: {
        "units": 256,
        "epochs": 20,
        "merges": 2_000,
        "dropout": 0.3,
        "batch_size": 64,
    },
    False: {"units": 128, "epochs": 8, "merges": 0, "dropout": 0.0, "batch_size": 128},
}
QUICK = {"units": 32, "epochs": 2, "most": 2_000}
UNKNOWN = "\ufffd"  # what is read in the place of a character that is not known


@dataclasses.dataclass(kw_only=True)
class Settings(command_line.Settings):
    """What decides the network, beside what it learns from."""

    cell: str
    units: int
    vector: int
    bidirectional: bool
    attention: str
    dropout: float
    merges: int
    epochs: int
    batch_size: int
    seed: int
    rate: float = 3e-3  # the highest learning rate


def read_options(argv):
    """The options of the command line, checked as far as they go on their own."""
    parser = command_line.Options(
        "Learns to translate your own pairs of texts, or dates of a dozen languages. The "
        "defaults are those for dates; sentences have others.",
        Path("output/train_translation"),
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--pairs",
        type=Path,
        metavar="FILE",
        help="your own pairs: source, tab, target; further columns do not matter",
    )
    source.add_argument(
        "--dataset",
        metavar="NAME",
        help="a translation set of TensorFlow Datasets: ted_hrlr_translate/pt_to_en",
    )
    parser.add_argument(
        "--download", action="store_true", help="let that set be downloaded"
    )
    parser.count("--most", 40_000, "pairs to train on, at most")
    parser.count(
        "--longest", 60, "characters of a text; pairs with a longer one are left out"
    )
    parser.add_argument(
        "--merges",
        type=command_line.whole,
        help="pieces of words beside the characters, in each language; 0: characters",
    )
    parser.add_argument("--cell", choices=CELLS, default="gru", help="the kind of cell")
    parser.count("--units", None, "size of the hidden state")
    parser.count("--vector", 128, "size of the vector of a piece")
    parser.switch("--bidirectional", True, "read each text from its end, too")
    parser.add_argument(
        "--attention",
        choices=["none", "dot", "additive"],
        default="dot",
        help="how the decoder looks back at what was read",
    )
    parser.add_argument(
        "--dropout",
        type=command_line.fraction,
        help="share of x_t left out in training",
    )
    parser.count("--epochs", None, "passes over the pairs")
    parser.count("--batch-size", None, "pairs per step")
    parser.count("--beam-width", 4, "texts to follow at once")
    parser.add_argument(
        "--predict", metavar="TEXT", help="only ask the network trained in DIR"
    )
    parser.set_defaults(**DEFAULTS[False])
    options = parser.parse_args(argv)
    parser.set_defaults(**DEFAULTS[bool(options.pairs or options.dataset)])
    options = parser.parse(argv, QUICK)
    if options.predict is not None and not options.predict.strip():
        raise UsageError("--predict: the text is empty")
    if options.bidirectional and options.units % 2:
        raise UsageError(
            "--units must be even with --bidirectional: half for each side"
        )
    return options


# The pairs.


@dataclasses.dataclass
class Corpus:
    """Lists of pairs to train on and to validate, and one or more to test, by name."""

    train: list
    validation: list
    tests: dict


def compose_dates(options):
    """Dates: days never seen are tested, and a language never seen."""
    random = np.random.default_rng(options.seed)
    few = 300 if options.quick else 2_000
    train, validation, test = dates.cut(random)

    def pairs(*arguments, **how):
        return [each[:2] for each in dates.compose(*arguments, random, **how)]

    other = f"a language never seen ({dates.name(dates.UNSEEN)})"
    return Corpus(
        train=pairs(options.most, train, dates.LANGUAGES),
        validation=pairs(few, validation, dates.LANGUAGES),
        tests={
            "dates never seen": pairs(few, test, dates.LANGUAGES),
            other: pairs(few, test, [dates.UNSEEN], only_in_words=True),
        },
    )


def short_enough(pairs, options, where):
    """The pairs without a text that is longer than `--longest`, with plain spaces."""
    pairs = [tuple(" ".join(text.split()) for text in pair) for pair in pairs]
    kept = [pair for pair in pairs if max(map(len, pair)) <= options.longest]
    different = len({source for source, _ in kept})
    if different < phrases.FEWEST:
        raise UsageError(
            f"{where}: {different} different sources in pairs of at most "
            f"{options.longest} characters (--longest); at least {phrases.FEWEST} are "
            "needed"
        )
    if len(kept) < len(pairs):
        print(
            f"{len(pairs) - len(kept):,} of {len(pairs):,} pairs are left out: a text "
            f"has more than {options.longest} characters."
        )
    return kept


def read_pairs(options):
    """The pairs of a file: a tenth of the sources to validate, a tenth to test."""
    pairs = short_enough(phrases.read(options.pairs), options, options.pairs)
    random = np.random.default_rng(options.seed)
    train, validation, test = phrases.cut(pairs, random)
    return Corpus(train[: options.most], validation, {"sentences never seen": test})


def read_tfds(options):
    """The pairs of a translation set of TensorFlow Datasets."""
    name = options.dataset
    try:
        builder = tfds.builder(name)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"--dataset {name}: {reason}") from error
    if not isinstance(builder.info.features, tfds.features.Translation):
        raise UsageError(f"--dataset {name} is no translation set")
    data_sets.prepare(builder, name, options.download)
    parts = []
    for split in ("train", "validation", "test"):
        if split not in builder.info.splits:
            raise UsageError(f"--dataset {name} has no split {split!r}")
        most = options.most if split == "train" else 2_000
        pairs = builder.as_dataset(
            split=split, as_supervised=True, shuffle_files=False
        ).take(4 * most)
        pairs = [tuple(t.decode("utf-8") for t in p) for p in tfds.as_numpy(pairs)]
        parts.append(
            short_enough(pairs, options, f"--dataset {name}, split {split}")[:most]
        )
    train, validation, test = parts
    return Corpus(train, validation, {"sentences never seen": test})


def load(options):
    """The pairs that the options ask for."""
    if options.pairs:
        return read_pairs(options)
    return read_tfds(options) if options.dataset else compose_dates(options)


# The network.


class Batches(ByLength):
    """Batches of pairs that are about equally long, ready for `fit`."""

    def __init__(self, model, pairs, batch_size, seed=None):
        (source, previous), target = model.encode(*map(list, zip(*pairs)))
        self.columns = source, previous, target
        lengths = np.count_nonzero(source, axis=1), np.count_nonzero(target, axis=1)
        # One width for both: see `ByLength` on what Keras takes for fixed.
        super().__init__(np.maximum(*lengths), batch_size, seed, blur=4.0)

    def take(self, indices, random):
        width = self.lengths[indices].max()
        source, previous, target = (
            each[indices, :width]
            if each.shape[1] >= width
            else np.pad(each[indices], ((0, 0), (0, width - each.shape[1])))
            for each in self.columns
        )
        return (source, previous), target


def vocabularies(settings, corpus):
    """What the network reads, and what it can write."""
    sources, targets = zip(*corpus.train)
    every = {*"".join(targets), *"".join(target for _, target in corpus.validation)}
    if not settings.merges:
        return {*"".join(sources), UNKNOWN}, every
    learn = keras_rnn.learn_pieces
    return (
        {*learn(sources, settings.merges), UNKNOWN},
        {*learn(targets, settings.merges), *every},
    )


def build(settings, pieces, longest, steps):
    """The encoder-decoder, ready to train."""
    keras.utils.set_random_seed(settings.seed)
    network = EncoderDecoder(
        *pieces,
        CELLS[settings.cell](settings.units, dropout=settings.dropout),
        embedding_units=settings.vector,
        bidirectional=settings.bidirectional,
        attention=None if settings.attention == "none" else settings.attention,
        max_length=longest,
        unknown=UNKNOWN,
    )
    network.compile(
        keras.optimizers.Adam(models.rise_and_fall(settings.rate, steps), clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
        metrics=[ExactMatch()],
    )
    return network


def train(run, settings, corpus):
    """Trains the network. Returns it with its best weights, and its figures."""
    pieces = vocabularies(settings, corpus)
    longest = max(len(target) for _, target in corpus.train)
    sketch = build(settings, pieces, longest, 1)
    batches = Batches(sketch, corpus.train, settings.batch_size, settings.seed)
    validation = Batches(sketch, corpus.validation, 500)
    print(f"{sketch.count_params():,} weights, {len(batches):,} steps in an epoch")

    def new():
        return build(settings, pieces, longest, len(batches) * settings.epochs)

    return run.train("network", new, batches, validation, settings.epochs)


# How good is it?


def judge(texts, references, sentences):
    """The figures of translations.

    - Exact match: the share of translations that are one of the true ones.
    - Character error rate: the edits to the nearest true one, per character of it.
    - BLEU, for sentences: the words and runs of two to four words that are right, from 0
      to 100, by sacrebleu's usual settings.

    Args:
        texts: List of strings.
        references: Lists of as many true translations, `None` where there is none.
        sentences: Whether to compute BLEU.
    """
    nearest = []
    for text, *truths in zip(texts, *references):
        found = [(distance(text, truth), len(truth)) for truth in truths if truth]
        nearest.append(min(found))
    edits, sizes = map(sum, zip(*nearest))
    figures = {
        "exact_match": float(np.mean([edit == 0 for edit, _ in nearest])),
        "character_error_rate": edits / sizes,
    }
    if sentences:
        figures["bleu"] = sacrebleu.corpus_bleu(texts, references).score
    return figures


def distance(a, b):
    """The fewest characters to put in, take out or replace to make `b` of `a`."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        corner, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            best = min(row[j] + 1, row[j - 1] + 1, corner + (x != y))
            corner, row[j] = row[j], best
    return row[-1]


def evaluate(network, corpus, beam_width, sentences):
    """The translations of each test, greedy and by a beam, and their figures.

    The yardstick has learned nothing: always the commonest target.
    """
    counts = collections.Counter(target for _, target in corpus.train)
    ((commonest, _),) = counts.most_common(1)
    written, figures = [], {}
    for test, pairs in corpus.tests.items():
        sources, references = phrases.references(pairs)
        always = [commonest] * len(sources)
        figures[test] = {"always the commonest": judge(always, references, sentences)}
        found = {}
        for way, width in {"greedy": 1, f"beam {beam_width}": beam_width}.items():
            network.translate(sources[:2], width)  # compiles
            began = time.perf_counter()
            texts = found[way] = network.translate(sources, width)
            seconds = time.perf_counter() - began
            logs = network.log_probability(sources, texts)
            figures[test][way] = {
                **judge(texts, references, sentences),
                "log_probability": float(np.mean(logs)),
                "milliseconds": 1000 * seconds / len(sources),
            }
        for source, target, *texts in zip(sources, references[0], *found.values()):
            row = {"test": test, "source": source, "target": target}
            written.append({**row, **dict(zip(found, texts))})
    return written, figures


def tell_figures(figures):
    """Prints the table of figures of each test."""
    columns = {
        "exact_match": "exact",
        "character_error_rate": "errors",
        "bleu": "BLEU",
        "log_probability": "log p",
        "milliseconds": "ms/text",
    }
    for test, rows in figures.items():
        used = [key for key in columns if any(key in row for row in rows.values())]
        print(f"\n{test:36}" + "".join(f"{columns[key]:>9}" for key in used))
        for name, row in rows.items():
            cells = [f"{row[key]:9.3f}" if key in row else " " * 9 for key in used]
            print(f"  {name:34}" + "".join(cells))


def tell_corpus(corpus):
    """Prints how many pairs there are, and the first of them."""
    print(
        f"{len(corpus.train):,} pairs to train on, {len(corpus.validation):,} to choose "
        "the epoch, and to test"
    )
    for name, pairs in corpus.tests.items():
        print(f"  {len(pairs):,}: {name}")
    for source, target in corpus.train[:5]:
        print(f"  {textwrap.shorten(source, 44):46}{textwrap.shorten(target, 40)}")


def draw(folder, network, history, corpus):
    """Draws how it learned, and where it looks in the first text of each test."""
    labels = {
        "loss": "loss (nats per piece that is written)",
        "exact_match": "exact match (share of texts)",
    }
    figure, (_, matches) = plots.draw_curves({"the network": history}, labels)
    matches.set_ylim(0, 1)
    plots.save_figure(figure, folder / "learning_curves.png")
    if network.attention is None:
        return
    read, written = (
        vocabulary_of(units, unknown)
        for units, unknown in (
            (network.source_vocabulary, UNKNOWN),
            (network.target_vocabulary, None),
        )
    )
    examples = []
    for pairs in corpus.tests.values():
        source, _ = pairs[0]
        text = network.translate(source)
        weights = network.alignment(source, text)
        examples.append((read.split(source), written.split(text), weights))
    figure = drawings_of_translation.draw_alignments(examples)
    plots.save_figure(figure, folder / "alignment.png")


@errors.reported
def main(argv=None):
    options = read_options(argv)
    errors.need_tensorflow("a model that is served strings")
    if options.predict is not None:
        return predict(options)
    corpus = load(options)
    texts = "\0".join(text for pair in corpus.train for text in pair)
    run = runs.Run.of(options, pairs=texts.encode())
    settings = Settings.of(options)
    tell_corpus(corpus)
    network, history = train(run, settings, corpus)
    sentences = bool(options.pairs or options.dataset)
    written, figures = evaluate(network, corpus, options.beam_width, sentences)
    for row in written[:8]:
        told = row["greedy"]
        right = "right" if told == row["target"] else f"given: {row['target']}"
        print(f"  {row['source']}\n    {told}    {right}")
    tell_figures(figures)

    folder = options.output
    draw(folder, network, history, corpus)
    with files.replacing(folder / "model.keras") as new:
        network.save(new)
    with files.replacing(folder / "saved_model") as new:
        network.export(new, beam_width=options.beam_width)
    files.write_csv(folder / "history.csv", history)
    files.write_csv(folder / "translations.csv", written)
    run.record(
        {
            "tests": figures,
            "weights": network.count_params(),
            "best_epoch": runs.best_epoch(history),
            "seconds_per_epoch": runs.seconds_per_epoch(history),
        }
    )
    run.finish()
    print(f"\nThe model, its figures and the pictures are in {folder}")


def predict(options):
    """Prints what the network trained in the folder makes of a text."""
    network = models.trained(
        options.output, "--predict", lambda network: isinstance(network, EncoderDecoder)
    )
    text = options.predict
    strange = sorted(set(text) - set("".join(network.source_vocabulary)))
    if strange:
        print(f"Read as unknown characters: {' '.join(strange)}")
    translation = network.translate(text, options.beam_width)
    (log_probability,) = network.log_probability([text], [translation])
    print(f"{translation}    (probability {np.exp(log_probability):.3f})")


if __name__ == "__main__":
    errors.start(main)
