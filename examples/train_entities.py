"""Trains a recurrent network to find the names in sentences, and of what they are.

    python examples/train_entities.py                    # composed sentences
    python examples/train_entities.py --conll train.txt valid.txt test.txt
    python examples/train_entities.py --predict "Ada Byron met Babbage in Turin."

A corpus of your own comes in the column format of the CoNLL shared tasks: one word a
line, its tag in the last column, an empty line after each sentence. The folder `--output`
gets the network and its lists (`tagger`), `metrics.json`, `history.csv`,
`learning_curves.png`, and some sentences with their names in colours (`tagged.html`,
`tagged.png`). A run that was interrupted goes on with `--resume`. The lesson is
`tutorials/09_named_entities.py`.
"""

import collections
import dataclasses
import json
import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tutorials"))

# Before Keras: it keeps TensorFlow's own lines off the screen.
from workshop import command_line, data_sets, errors, files, models, plots, runs
from workshop import sentences as composed
from workshop.errors import UsageError
from workshop.tagged_text import beside_truth, colours_of, draw_lines, spans, write_html
from workshop.tagging import Batches, Lists

# isort: split
import keras
import numpy as np
import seqeval.metrics
import tensorflow_datasets as tfds
from keras import layers, ops
from seqeval.scheme import IOB2

import keras_rnn

CELLS = {"elman": keras_rnn.ElmanRNN, "lstm": keras_rnn.LSTM, "gru": keras_rnn.GRU}
QUICK = {"units": 16, "epochs": 2}
FREE_TEXT = [  # of no template
    "In the spring of 1843 Ada Byron sent her notes on the engine to Babbage, who was in "
    "Turin at the time.",
    "The harbour of Rotterdam belongs to the largest in the world.",
    "Lufthansa hired Keiko Tanaka away from the University of Helsinki on 3 May 2019.",
    "May I ask when Will and Rose will arrive?",
]


@dataclasses.dataclass(kw_only=True)
class Settings(command_line.Settings):
    """What decides the network, beside what it learns from."""

    cell: str
    units: int
    letters: bool
    bidirectional: bool
    epochs: int
    batch_size: int
    seed: int
    vector: int = 64  # size of a word's vector
    letter_vector: int = 24
    letter_units: int = 32  # in each direction
    word_length: int = 16  # in letters; the rest is not read
    fewest: int = 3  # times that a word must occur to be in the list
    hidden: float = 0.35  # share of words that are hidden in training
    dropout: float = 0.5  # of what goes into the recurrent layer, and of what comes out

    small = {"vector": 16, "letter_vector": 8, "letter_units": 8}


def read_options(argv):
    """The options of the command line, checked as far as they go on their own."""
    parser = command_line.Options(
        "Finds the names in a text, and of what they are.",
        Path("output/train_entities"),
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--conll",
        type=Path,
        nargs=3,
        metavar=("TRAIN", "VALID", "TEST"),
        help="your own corpus instead: three files in the column format of CoNLL",
    )
    source.add_argument(
        "--dataset",
        choices=["composed", "conll2003"],
        help="the sentences: composed here, as without it, or of TensorFlow Datasets",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="let conll2003, which no package carries, be downloaded (1 MB)",
    )
    parser.add_argument("--cell", choices=CELLS, default="elman", help="which layers")
    parser.count("--units", 64, "size of the hidden state")
    parser.switch("--letters", True, "read the letters of each word, too")
    parser.switch("--bidirectional", True, "read each sentence from its end, too")
    parser.count("--epochs", 6, "passes over the sentences")
    parser.count("--batch-size", 32, "sentences per step")
    parser.add_argument(
        "--predict", metavar="TEXT", help="only ask the network trained in DIR"
    )
    options = parser.parse(argv, QUICK)
    if options.conll is None and options.dataset is None:
        options.dataset = "composed"
    if options.predict is not None and not options.predict.strip():
        raise UsageError("--predict: the text is empty")
    return options


# ------------------------------------------------------------------------- sentences


def load_sentences(options):
    """Sentences to train on, to validate, and to test: a list, a list, a dict of lists.

    A sentence is a list of words and a list of their tags.
    """
    if options.conll:
        train, validation, test = read_corpus(options.conll)
        return train, validation, {"test": test}
    if options.dataset == "conll2003":
        train, validation, test = read_tfds("conll2003", options.download)
        return train, validation, {"test": test}
    random = np.random.default_rng(options.seed)
    templates = composed.split_templates(random)
    known, new = composed.Names(new=False), composed.Names(new=True)
    count = 600 if options.quick else 8000
    train = composed.compose(templates[0], known, count, random)
    validation = composed.compose(templates[1], known, count // 10, random)
    tests = {
        "unseen templates": composed.compose(templates[2], known, count // 10, random),
        "unseen templates and names": composed.compose(
            templates[2], new, count // 10, random
        ),
    }
    return train, validation, tests


def read_corpus(paths):
    """The sentences of three files in CoNLL's format. Classes must be in the first."""
    corpora, known = [], None
    for path in paths:
        found, first_lines = read_conll(path)
        known = first_lines if known is None else known
        for name, line in first_lines.items():
            if name not in known:
                raise UsageError(
                    f"{path}, line {line}: the class {name} does not occur in {paths[0]}"
                )
        corpora.append(found)
    if not known:
        raise UsageError(f"{paths[0]}: all tags are O, so there is nothing to learn")
    return corpora


def read_conll(path):
    """The sentences of a file, and the first line of each class.

    `-DOCSTART-` lines, which part the documents, are no sentences.
    """
    sentences, first_lines, columns = [], {}, None
    words, tags = [], []
    with files.reading(path, "text file") as file:
        for number, line in enumerate(file, start=1):
            where, fields = f"{path}, line {number}", line.split()
            if not fields or fields[0] == "-DOCSTART-":
                if words:
                    sentences.append((words, to_iob2(tags)))
                words, tags = [], []
                continue
            if len(fields) < 2:
                raise UsageError(f"{where}: {fields[0]!r} has no tag")
            if columns not in (None, len(fields)):
                raise UsageError(
                    f"{where}: {len(fields)} columns, but {columns} in the lines before"
                )
            columns = len(fields)
            if not re.fullmatch(r"O|[BI]-\S+", fields[-1]):
                raise UsageError(
                    f"{where}: the tag is {fields[-1]!r}, not O, B-CLASS or I-CLASS"
                )
            if fields[-1] != "O":
                first_lines.setdefault(fields[-1][2:], number)
            words.append(fields[0])
            tags.append(fields[-1])
    if words:
        sentences.append((words, to_iob2(tags)))
    if not sentences:
        raise UsageError(f"{path}: there is no sentence in it")
    return sentences, first_lines


def to_iob2(tags):
    """The same names, each of which begins with B.

    The files of CoNLL-2003 have a B only where a name touches another one of its class.
    """
    return [
        "B" + tag[1:] if tag[0] == "I" and before[1:] != tag[1:] else tag
        for before, tag in zip(["O", *tags], tags)
    ]


def read_tfds(name, download):
    """The sentences of a data set of TensorFlow Datasets: three lists."""
    builder = tfds.builder(name)
    data_sets.prepare(builder, name, download)
    names = builder.info.features["ner"].feature.names
    return [
        [
            (
                [word.decode("utf-8") for word in row["tokens"]],
                to_iob2([names[tag] for tag in row["ner"]]),
            )
            for row in tfds.as_numpy(builder.as_dataset(split=split))
            if len(row["tokens"])
        ]
        for split in ("train", "dev", "test")
    ]


# ----------------------------------------------------------------------- the network


@keras.saving.register_keras_serializable("keras_rnn_tutorials")
class WordAccuracy(keras.metrics.Mean):
    """The share of words with the right tag, where tag 0 is padding.

    Keras's own metrics weigh each batch by all of its steps, padding included.
    """

    def update_state(self, tags, probabilities, sample_weight=None):
        chosen = 1 + ops.cast(ops.argmax(probabilities[..., 1:], axis=-1), "int32")
        right = ops.equal(ops.cast(tags, "int32"), chosen)
        real = ops.reshape(tags > 0, (-1,))  # (batch * T,)
        super().update_state(ops.reshape(right, (-1,)), sample_weight=real)


def build(settings, lists, steps):
    """The network, compiled for a training of so many steps."""
    words = keras.Input((None,), dtype="int32", name="words")
    letters = keras.Input((None, None), dtype="int32", name="letters")
    vectors = layers.Embedding(
        2 + len(lists.words), settings.vector, mask_zero=True, name="vectors"
    )(words)  # (batch, T, vector)
    if settings.letters:
        spelling = models.TimeDistributed(read_letters(settings, lists))(letters)
        # What has no mask would count as real everywhere beside what has one.
        spelling = layers.Masking()(spelling)  # (batch, T, 2 letter_units)
        vectors = layers.Concatenate()([vectors, spelling])
    vectors = layers.Dropout(settings.dropout)(vectors)
    recurrent = CELLS[settings.cell](
        settings.units,
        # It forgets soon at first, and learns to keep what pays.
        recurrent_initializer=keras.initializers.Orthogonal(0.2),
        return_sequences=True,
    )
    if settings.bidirectional:
        recurrent = layers.Bidirectional(recurrent)
    states = recurrent(vectors)  # (batch, T, units or 2 units)
    states = layers.Dropout(settings.dropout)(states)
    tags = layers.Dense(1 + len(lists.tags), activation="softmax", name="tags")(states)
    network = keras.Model([words, letters], tags, name="tagger")
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    network.compile(
        keras.optimizers.Adam(rate, clipnorm=1.0),
        "sparse_categorical_crossentropy",
        metrics=[WordAccuracy(name="word_accuracy")],
    )
    return network


def read_letters(settings, lists):
    """The network over the letters of a word: (batch, letters) to (batch, 2 units)."""
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(
                2 + len(lists.letters), settings.letter_vector, mask_zero=True
            ),
            layers.Bidirectional(CELLS[settings.cell](settings.letter_units)),
        ],
        name="spelling",
    )


def batches_of(sentences, lists, settings, training=False):
    """The sentences as batches; in training with other ones and hidden words each time."""
    return Batches(
        sentences,
        lists,
        settings.word_length,
        settings.batch_size,
        seed=settings.seed if training else None,
        hidden=settings.hidden,
    )


def fit(run, settings, lists, train, validation):
    """Trains the network. Returns it with its best weights, and its figures."""
    batches = batches_of(train, lists, settings, training=True)

    def new():
        keras.utils.set_random_seed(settings.seed)
        return build(settings, lists, len(batches) * settings.epochs)

    validation = batches_of(validation, lists, settings)
    return run.train("tagger", new, batches, validation, settings.epochs)


def tag(network, lists, settings, sentences):
    """The tags of each sentence, a list of words, by the network."""
    inputs = lists.inputs(sentences, settings.word_length)
    said = network.predict(inputs, batch_size=256, verbose=0)
    return lists.tags_of(said, sentences)


# ------------------------------------------------------------------------ the figures


def build_dictionary(sentences):
    """The commonest tag of each word: what the network is compared with."""
    count = collections.defaultdict(collections.Counter)
    for words, tags in sentences:
        for word, tag in zip(words, tags):
            count[word][tag] += 1
    return {word: tags.most_common(1)[0][0] for word, tags in count.items()}


def look_up(dictionary, sentences):
    """The tags of each sentence, by the dictionary."""
    return [[dictionary.get(word, "O") for word in words] for words in sentences]


def score(truth, found):
    """Precision, recall, F1 and the number of names, per class and over all names."""
    report = seqeval.metrics.classification_report(
        truth, found, mode="strict", scheme=IOB2, output_dict=True, zero_division=0
    )
    names = {"precision": "precision", "recall": "recall", "f1-score": "f1"}
    return {
        ("all" if name == "micro avg" else name): {
            **{short: float(row[long]) for long, short in names.items()},
            "names": int(row["support"]),
        }
        for name, row in report.items()
        if name not in ("macro avg", "weighted avg")
    }


def tell_scores(scores, baselines):
    """Prints the tables of the scores, one for each test."""
    for test, rows in scores.items():
        print(f"\n{test.capitalize():32} precision   recall       F1    names")
        rows = rows | {"all, by the dictionary": baselines[test]["all"]}
        for name, row in rows.items():
            print(
                f"  {name:30} {row['precision']:9.3f} {row['recall']:8.3f}"
                f" {row['f1']:8.3f} {row['names']:8,}"
            )


def choose_lines(tests, found, free, count=9, wrong=3):
    """Lines to show: (title or `None`, words, tags) of each.

    These are the first sentences of the last test, and the first ones with an error.
    """
    name, sentences = list(tests.items())[-1]
    rows = [
        (words, truth, tags) for (words, truth), tags in zip(sentences, found[name])
    ]
    erring = [row for row in rows if row[1] != row[2]][:wrong]
    first = rows[: count - len(erring)]
    lines = [(f"Test: {name}", None, None)]
    for words, truth, tags in first + [row for row in erring if row not in first]:
        lines += beside_truth(words, truth, tags)
    lines.append(("Text of no template", None, None))
    return lines + [(None, words, tags) for words, tags in free]


# ------------------------------------------------------------------- the saved network


def save_tagger(folder, network, lists, settings):
    """Writes what `--predict` needs: the network, its lists, the length of words."""
    with files.replacing(folder / "tagger") as new:
        new.mkdir()
        network.save(new / "model.keras")
        kept = {
            "words": lists.words,
            "letters": lists.letters,
            "tags": lists.tags,
            "settings": dataclasses.asdict(settings),
        }
        files.write_json(new / "lists.json", kept)


def load_tagger(folder):
    """What `save_tagger` wrote: the network, its lists, its settings."""
    network = models.trained(folder / "tagger", "--predict")
    path = folder / "tagger" / "lists.json"
    kept = files.read_json(path)
    try:
        lists = Lists(kept["words"], kept["letters"], kept["tags"])
        return network, lists, Settings(**kept["settings"])
    except (KeyError, TypeError) as error:
        raise UsageError(f"--predict: {path} is damaged: {error}") from error


def predict(folder, text):
    """Prints the names in a text."""
    words = composed.split_words(text)
    if not words:
        raise UsageError("--predict: there is no word in the text")
    (tags,) = tag(*load_tagger(folder), [words])
    parts = spans(words, tags)
    print(
        " ".join(part if name is None else f"[{part} | {name}]" for part, name in parts)
    )
    return 0


@errors.reported
def main(argv=None):
    options = read_options(argv)
    if options.predict is not None:
        return predict(options.output, options.predict)
    train, validation, tests = load_sentences(options)
    run = runs.Run.of(options, sentences=json.dumps(train).encode())
    settings = Settings.of(options)
    lists = Lists.of(train, settings.fewest)
    print(
        f"{len(train):,} sentences to train on, {len(validation):,} to choose the epoch. "
        f"{len(lists.words):,} words, {len(lists.letters)} letters, "
        f"{len(lists.tags)} tags."
    )
    network, history = fit(run, settings, lists, train, validation)

    free = [composed.split_words(text) for text in FREE_TEXT]
    asked = [words for sentences in tests.values() for words, _ in sentences]
    tagged = iter(tag(network, lists, settings, asked + free))
    found = {name: [next(tagged) for _ in rows] for name, rows in tests.items()}
    free = list(zip(free, tagged))

    dictionary = build_dictionary(train)
    scores, baselines = {}, {}
    for name, sentences in tests.items():
        words, truth = (list(column) for column in zip(*sentences))
        scores[name] = score(truth, found[name])
        baselines[name] = score(truth, look_up(dictionary, words))
    tell_scores(scores, baselines)

    lines, colours = choose_lines(tests, found, free), colours_of(lists.tags)
    folder = options.output
    write_html(folder / "tagged.html", lines, colours)
    plots.save_figure(draw_lines(lines, colours), folder / "tagged.png")
    labels = {
        "loss": "loss (cross-entropy per word, nats)",
        "word_accuracy": "accuracy (share of words tagged right)",
    }
    curves, _ = plots.draw_curves(
        {settings.cell: history}, labels, training="training, words hidden"
    )
    plots.save_figure(curves, folder / "learning_curves.png")
    save_tagger(folder, network, lists, settings)
    files.write_csv(folder / "history.csv", history)
    run.record(
        {
            "test_f1": {name: rows["all"]["f1"] for name, rows in scores.items()},
            "scores": scores,
            "baselines": {"dictionary": baselines},
            "best_epoch": runs.best_epoch(history),
            "seconds_per_epoch": runs.seconds_per_epoch(history),
        }
    )
    run.finish()
    print(f"\nThe network, its figures and the tagged texts are in {folder}")


if __name__ == "__main__":
    errors.start(main)
