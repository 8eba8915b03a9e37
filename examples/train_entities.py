# %% [markdown]
# # Many to many, aligned: who, where and when?
#
# "Ada Byron met Babbage in Turin": which of these words name a person, which a place? For
# each word that comes in, one tag goes out. Many inputs, as many outputs: this is the
# *aligned many-to-many* shape of a recurrent network.
#
#     y_1     y_2     y_3    y_4       y_5    y_6          one tag for each word
#     B-PER   I-PER   O      B-PER     O      B-LOC
#      |       |      |       |        |       |
#     h_1 <-> h_2 <-> h_3 <-> h_4 <-> h_5 <-> h_6          the memory, both ways
#      |       |      |       |        |       |
#     x_1     x_2     x_3    x_4       x_5    x_6          the vector of each word
#     Ada     Byron   met    Babbage   in     Turin
#
# The tags are in *IOB2*: B begins a name, I is inside of one, O is outside of all. So two
# names can stand side by side and still be told apart.
#
# A name is recognised by what it looks like and by what stands around it. Words *after*
# the name count as much as words before it ("Turin is ..." and "Turin said ..."), so the
# network reads the sentence both ways: `Bidirectional`. And most names are new: nobody
# has seen them all. What an unknown word looks like, its *letters* tell, and letters are
# a sequence, too. A second, smaller recurrent network reads the letters of each word:
#
#     x_t = (vector of the word, last state over its letters)
#
# This is many to one inside many to many.
#
# The script downloads nothing. Its defaults take a minute or two on two CPU cores:
#
#     python examples/train_entities.py
#     python examples/train_entities.py --predict "Ada Byron met Babbage in Turin."

# %%
import collections
import dataclasses
import html
import json
import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tutorials"))

# Before Keras: it keeps TensorFlow's own lines off the screen.
from workshop import command_line, data_sets, errors, files, models, plots, runs
from workshop import sentences as composed
from workshop.batches import ByLength
from workshop.errors import UsageError

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
import seqeval.metrics
import tensorflow_datasets as tfds
from keras import layers, ops
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2

import keras_rnn

# %% [markdown]
# ## The choices

# %%
CELLS = {"elman": keras_rnn.ElmanRNN, "lstm": keras_rnn.LSTM, "gru": keras_rnn.GRU}
QUICK = {"units": 16, "epochs": 2}


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
    dropout: float = 0.5  # of what goes into the memory, and of what comes out

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
    parser.add_argument("--cell", choices=CELLS, default="elman", help="what remembers")
    parser.count("--units", 64, "size of the memory")
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


# %% [markdown]
# ## The sentences
#
# The default is composed on the spot, by `sentences.py`: nearly four hundred templates such as
#
#     {person} , born on {date} , grew up near {place} .
#
# and in their slots names from nineteen countries and dates as they are written there.
#
# How good is a tagger? It depends on what is new to it. So there are two tests:
#
# - **unseen templates**: sentences of templates that were not in the training, with names
#   of the same stock;
# - **unseen templates and names**: no word of any name was in a name in the training.
#
# The second one is the honest figure. A tagger that learned a list of names does well on
# the first and fails on the second.


# %%
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


# %% [markdown]
# Your own corpus comes in the column format of the CoNLL shared tasks: one word a line,
# its tag in the last column, an empty line after each sentence. `-DOCSTART-` lines, which
# part the documents, are no sentences. The original files of CoNLL-2003 begin a name with
# B only where it touches another one of its class (this is *IOB1*); what is read is
# turned into IOB2. A line that does not fit is refused with its number.


# %%
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
    """The sentences of a file, and the first line of each class."""
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
    """The same names, each of which begins with B."""
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


# %% [markdown]
# ## From words to numbers
#
# There are three lists: of words (in lower case), of letters (in both cases: capitals
# matter here) and of tags. 0 is for padding in all of them: a batch is a rectangle, and
# sentences and words are not. 1 is for what is not in the list.
#
# A word has to occur three times to be in the list. And in training a third of the words,
# drawn anew for each epoch, count as unknown: for them the network has to make do with
# the letters and with what stands around, as it will have to for the names of tomorrow.


# %%
class Lists:
    """The words, letters and tags that have a number."""

    def __init__(self, words, letters, tags):
        self.words, self.letters, self.tags = words, letters, tags
        self.word_number = {word: n for n, word in enumerate(words, start=2)}
        self.letter_number = {letter: n for n, letter in enumerate(letters, start=2)}
        self.tag_number = {tag: n for n, tag in enumerate(tags, start=1)}

    @classmethod
    def of(cls, sentences, fewest):
        """Those of some sentences."""
        count = collections.Counter(w.lower() for words, _ in sentences for w in words)
        letters = {letter for words, _ in sentences for w in words for letter in w}
        classes = {tag[2:] for _, tags in sentences for tag in tags if tag != "O"}
        return cls(
            sorted(word for word in count if count[word] >= fewest),
            sorted(letters),
            ["O", *(f"{place}-{name}" for name in sorted(classes) for place in "BI")],
        )

    def encode(self, words, word_length):
        """The numbers of a sentence's words, (T,), and letters, (T, word_length)."""
        numbers = [self.word_number.get(word.lower(), 1) for word in words]
        letters = np.zeros((len(words), word_length), "int32")
        for row, word in zip(letters, words):
            spelled = [self.letter_number.get(letter, 1) for letter in word]
            row[: len(spelled)] = spelled[:word_length]
        return np.array(numbers, "int32"), letters


# %% [markdown]
# As with reviews, sentences of about the same length share a batch, so that there is
# little padding. The draw depends on the seed and the number of the epoch alone.


# %%
class Batches(ByLength):
    """Batches of sentences that are about equally long: ((words, letters), tags)."""

    def __init__(self, sentences, lists, settings, training=False, extra=0):
        """With `training` the batches are others in each epoch, and words are hidden.

        `extra` is how many steps each batch is padded beyond its longest sentence.
        """
        super().__init__(
            [len(words) for words, _ in sentences],
            settings.batch_size,
            settings.seed if training else None,
            blur=2.0,
        )
        encoded = [lists.encode(w, settings.word_length) for w, _ in sentences]
        self.words, self.letters = zip(*encoded)
        self.tags = [
            np.array([lists.tag_number[tag] for tag in tags]) for _, tags in sentences
        ]
        self.hidden, self.extra = settings.hidden, extra

    def take(self, heap, random):
        words, letters, tags = (
            pad([rows[i] for i in heap], self.extra)
            for rows in (self.words, self.letters, self.tags)
        )
        if len(self) > 1 and heap is self.batches[1]:
            # So that Keras takes the number of letters for one that varies: the layer
            # over them would be compiled anew for each number of words.
            letters = np.pad(letters, ((0, 0), (0, 0), (0, 1)))
        if random is not None:
            hidden = random.random(words.shape) < self.hidden
            words = np.where(hidden & (words > 0), 1, words)
        return (words, letters), tags


def pad(rows, extra=0):
    """Arrays of different lengths as one, filled up with zeros."""
    length = max(len(row) for row in rows) + extra
    whole = np.zeros((len(rows), length, *rows[0].shape[1:]), "int32")
    for place, row in zip(whole, rows):
        place[: len(row)] = row
    return whole


# %% [markdown]
# ## The network
#
#     x_t = (vector of word t, last states over its letters)    (batch, T, 64 + 2 * 32)
#     h_t = tanh(x_t W_xh + h_{t-1} W_hh + b_h), both ways      (batch, T, 2 units)
#     y_t = softmax(h_t W_hy + b_y)                             (batch, T, tags)
#
# W_hh starts as an orthogonal matrix times 0.2: the memory is short at first, and learns
# to last where it pays. What bears on a name stands mostly next to it, and a network that
# remembers whole sentences learns whole templates by heart.
#
# `TimeDistributed` applies the network over the letters to each word by itself. To that
# network all words of a batch are one larger batch, and their letters are the steps.
#
# ## What a mask does to the loss
#
# A batch holds sentences of different lengths. The rest is filled up with zeros, and
# `Embedding(mask_zero=True)` marks these steps: the mask. It is `False` where there is no
# word. Each layer hands it on, beside its output. The recurrent layers keep their memory
# as it is at a masked step. In the end the mask arrives at the loss, which Keras
# multiplies by it, and divides by the number of *real* words:
#
#     L = sum over real words of -log y_t[tag] / number of real words
#
# So a masked step costs nothing, whatever stands in it. Adding padding changes neither
# the loss nor any gradient.
#
# There is a trap on the way. `Concatenate` puts the vector of a word and the states over
# its letters together, and takes a step as real if *any* of its inputs does. What has no
# mask counts as real everywhere, and the mask would end there. So both need one. A word
# without a letter leaves zeros in the network over the letters, and `Masking` makes a
# mask of them.
#
# It is different with metrics. To the mean over an epoch each batch contributes what it
# counted, divided by the number of all its steps, padding included: the more padding, the
# less it counts. `WordAccuracy` below counts words, wherever they stand.


# %%
@keras.saving.register_keras_serializable("keras_rnn_tutorials")
class WordAccuracy(keras.metrics.Mean):
    """The share of words with the right tag, where tag 0 is padding."""

    def update_state(self, tags, probabilities, sample_weight=None):
        right = ops.equal(ops.cast(tags, "int32"), choose(probabilities))
        real = ops.reshape(tags > 0, (-1,))  # (batch * T,)
        super().update_state(ops.reshape(right, (-1,)), sample_weight=real)


def choose(probabilities):
    """The number of the most probable tag of each word, never 0 (padding)."""
    return 1 + ops.cast(ops.argmax(probabilities[..., 1:], axis=-1), "int32")


def build(settings, lists, steps):
    """The network, compiled for a training of so many steps."""
    words = keras.Input((None,), dtype="int32", name="words")
    letters = keras.Input((None, None), dtype="int32", name="letters")
    vectors = layers.Embedding(
        2 + len(lists.words), settings.vector, mask_zero=True, name="vectors"
    )(words)  # (batch, T, vector)
    if settings.letters:
        spelling = models.TimeDistributed(read_letters(settings, lists))(letters)
        spelling = layers.Masking()(spelling)  # (batch, T, 2 letter_units)
        vectors = layers.Concatenate()([vectors, spelling])
    vectors = layers.Dropout(settings.dropout)(vectors)
    memory = CELLS[settings.cell](
        settings.units,
        recurrent_initializer=keras.initializers.Orthogonal(0.2),
        return_sequences=True,
    )
    if settings.bidirectional:
        memory = layers.Bidirectional(memory)
    states = memory(vectors)  # (batch, T, units or 2 units)
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


# %% [markdown]
# ## Training
#
# Cross-entropy, Adam, a learning rate that falls to zero, and in the end the weights of
# the epoch with the least validation loss. The state is saved after each epoch, so that
# `--resume` can go on. First the shapes, for two sentences.


# %%
def fit(run, settings, lists, train, validation):
    """Trains the network. Returns it with its best weights, and its figures."""
    batches = Batches(train, lists, settings, training=True)

    def new():
        keras.utils.set_random_seed(settings.seed)
        return build(settings, lists, len(batches) * settings.epochs)

    validation = Batches(validation, lists, settings)
    (words, letters), _ = batches[0]
    models.tell_shapes(new(), [words[:2], letters[:2]])
    print(flush=True)
    return run.train("tagger", new, batches, validation, settings.epochs)


# %% [markdown]
# The mask, seen with one's own eyes: the same sentences in the same batches, without and
# with ten more steps of padding. The loss and the accuracy do not move.


# %%
def tell_padding(network, sentences, lists, settings):
    """Prints loss and accuracy of some sentences, with more and more padding."""
    print("\nThe same sentences, padded further     loss   word accuracy")
    for extra in (0, 10):
        batches = Batches(sentences, lists, settings, extra=extra)
        loss, accuracy = network.evaluate(batches, verbose=0)
        print(f"  {extra:2} steps more {loss:29.6f} {accuracy:15.6f}")


# %% [markdown]
# ## The yardstick
#
# A dictionary: each word gets the tag that it had most often in the training, and a word
# that was not there gets O. It needs no network. On names that everybody knows it is not
# bad at all. On new names it is blind.


# %%
def build_dictionary(sentences):
    """The commonest tag of each word."""
    count = collections.defaultdict(collections.Counter)
    for words, tags in sentences:
        for word, tag in zip(words, tags):
            count[word][tag] += 1
    return {word: tags.most_common(1)[0][0] for word, tags in count.items()}


def look_up(dictionary, sentences):
    """The tags of each sentence, by the dictionary."""
    return [[dictionary.get(word, "O") for word in words] for words in sentences]


def tag(network, lists, settings, sentences):
    """The tags of each sentence, by the network."""
    encoded = [lists.encode(words, settings.word_length) for words in sentences]
    inputs = [pad(rows) for rows in zip(*encoded)]
    numbers = choose(network.predict(inputs, batch_size=256, verbose=0))
    return [
        [lists.tags[n - 1] for n in row[: len(words)]]
        for words, row in zip(sentences, ops.convert_to_numpy(numbers))
    ]


# %% [markdown]
# ## The result
#
# What counts is not words but names. A name is found if all of its words have their tags
# and the words next to it are not taken for a part of it. *Precision* is the share of
# right ones among the names that the network found, *recall* the share of found ones
# among the names that are there, F1 the harmonic mean of the two. The package `seqeval`
# counts, strictly by IOB2.


# %%
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
        for name, row in rows.items():
            print(
                f"  {name:30} {row['precision']:9.3f} {row['recall']:8.3f}"
                f" {row['f1']:8.3f} {row['names']:8,}"
            )
        row = baselines[test]["all"]
        print(
            f"  {'all, by the dictionary':30} {row['precision']:9.3f}"
            f" {row['recall']:8.3f} {row['f1']:8.3f} {row['names']:8,}"
        )


# %% [markdown]
# ## A text in colours
#
# Tables say how often, pictures say what. Some sentences of the hardest test are drawn
# with the names that the network found. Below a sentence with a mistake stands what would
# have been right. The last lines come from no template: nobody knows what the network
# makes of them until it has been asked.

# %%
FREE_TEXT = [
    "In the spring of 1843 Ada Byron sent her notes on the engine to Babbage, who was in "
    "Turin at the time.",
    "The harbour of Rotterdam belongs to the largest in the world.",
    "Lufthansa hired Keiko Tanaka away from the University of Helsinki on 3 May 2019.",
    "May I ask when Will and Rose will arrive?",
]
# Light enough for black letters, and told apart by all kinds of colour vision.
PALETTE = ["#9CCBEA", "#F7C58C", "#A5DCC4", "#E7B8D3", "#F4EA9A", "#CCCCCC"]


def spans(words, tags):
    """A sentence cut where names begin and end: (text, class or `None`) in order."""
    parts, at = [], 0
    for name, first, last in get_entities(tags):
        parts += [(word, None) for word in words[at:first]]
        parts.append((" ".join(words[first : last + 1]), name))
        at = last + 1
    return parts + [(word, None) for word in words[at:]]


def choose_lines(tests, found, free, count=9, wrong=3):
    """Lines to show: (title or `None`, words, tags) of each.

    These are the first sentences of the last test, and the first ones with a mistake.
    """
    name, sentences = list(tests.items())[-1]
    rows = [
        (words, truth, tags) for (words, truth), tags in zip(sentences, found[name])
    ]
    mistaken = [row for row in rows if row[1] != row[2]][:wrong]
    first = rows[: count - len(mistaken)]
    lines = [(f"Test: {name}", None, None)]
    for words, truth, tags in first + [row for row in mistaken if row not in first]:
        lines.append((None, words, tags))
        if tags != truth:
            lines.append(("right would be", words, truth))
    lines.append(("Text of no template", None, None))
    return lines + [(None, words, tags) for words, tags in free]


def colours_of(lists):
    """A colour for each class."""
    classes = sorted({tag[2:] for tag in lists.tags if tag != "O"})
    return {name: PALETTE[n % len(PALETTE)] for n, name in enumerate(classes)}


def write_html(path, lines, colours):
    """The lines as a page for the browser, names in the colour of their class."""
    styles = [f"mark.{name} {{ background: {c} }}" for name, c in colours.items()]
    body = []
    for title, words, tags in lines:
        if words is None:
            body.append(f"<h2>{html.escape(title)}</h2>")
            continue
        parts = [
            html.escape(text)
            if name is None
            else f'<mark class="{html.escape(name)}">{html.escape(text)} '
            f"<small>{html.escape(name)}</small></mark>"
            for text, name in spans(words, tags)
        ]
        note = f"<i>{html.escape(title)}:</i> " if title else ""
        body.append(f"<p{' class=right' if title else ''}>{note}{' '.join(parts)}</p>")
    page = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Named entities</title>
<style>
body {{ font: 18px/1.9 sans-serif; max-width: 52em; margin: 2em auto; color: black }}
mark {{ padding: 0.15em 0.3em; border-radius: 0.3em }}
small {{ font-size: 60%; font-weight: bold }}
p.right {{ margin-left: 3em; color: #444444 }}
{chr(10).join(styles)}
</style>
{chr(10).join(body)}
</html>
"""
    with files.replacing(path) as new:
        new.write_text(page, "utf-8")


def draw_lines(lines, colours, width=15.0):
    """The same lines as a picture."""
    figure = plt.figure(figsize=(width, 1), layout="none")
    pen = figure.canvas.get_renderer()
    inch, gap, line_height = figure.dpi, 0.09, 0.42
    x, y = 0.3, 0.4  # inches from the left and from the top

    def put(text, **style):
        return figure.text(0, 0, text, va="baseline", **style)

    placed = []
    for title, words, tags in lines:
        indent = 0.9 if title and words else 0.3
        x = indent
        parts = [] if words is None else spans(words, tags)
        start = [(title + (":" if words else ""), "")] if title else []
        for text, name in start + parts:
            label = text
            style = {"size": 13}
            if name == "":
                heading = words is None
                style.update(weight="bold" if heading else "normal", color="#555555")
                y += 0.15 if heading else 0.0
            elif name is not None:
                label = f"{text} \u00b7 {name}"
                x += 0.06
                style["bbox"] = {"fc": colours[name], "ec": "none", "pad": 3}
            artist = put(label, **style)
            size = artist.get_window_extent(pen).width / inch
            if x + size > width - 0.3 and x > indent:
                x, y = indent + 0.3, y + line_height
            placed.append((artist, x, y))
            x += size + gap + (0.08 if name else 0)
        y += line_height
    height = y + 0.1
    figure.set_size_inches(width, height)
    for artist, x, y in placed:
        artist.set_position((x / width, 1 - y / height))
    return figure


# %% [markdown]
# ## Asking the network
#
# The network and its lists are saved together, in the folder `tagger`: neither is of use
# without the other.


# %%
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


# %% [markdown]
# ## All of it


# %%
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
    for words, tags in train[:3]:
        print(
            "  ", " ".join(f"{w}/{t}" if t != "O" else w for w, t in zip(words, tags))
        )

    network, history = fit(run, settings, lists, train, validation)
    tell_padding(network, validation, lists, settings)

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

    lines, colours = choose_lines(tests, found, free), colours_of(lists)
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

# %% [markdown]
# ## What the letters and the context bring
#
# Compare the two tables. The dictionary finds names that it has seen, and hardly any
# others: in the second table it knows a few endings of companies and the months. The
# network has two things to go by that do not depend on having seen a name before:
#
# - **What stands around.** "was born in", "said" and "shares of" are followed by a place,
#   preceded by a person, followed by a company, whatever the word is.
# - **What it looks like.** A capital letter, digits, "-ville", "-ová", "GmbH".
#
# Look at the mistakes, too. Where both are silent ("X thanked Y"), there is no telling a
# football club from a person. And remember where the sentences come from: a few hundred
# templates. The lines of no template at the end of `tagged.html` show how far they
# carry. For texts of your own, train on texts of your kind: `--conll`.
#
# What to take along:
#
# 1. Aligned many to many is a recurrent layer with `return_sequences=True`, and one
#    `Dense` layer that answers at each step.
# 2. If all of the input is there before the first answer is due, read it both ways.
# 3. A sequence inside a sequence (letters in words) is many to one inside many to many.
# 4. Follow the mask to the loss. Padding must cost nothing: check it, it is quickly lost.
# 5. Count names, not words, and say what was new to the network.
#
# ## Exercises
#
# 1. `--no-letters`: how much is lost in the first table, how much in the second? Which
#    class suffers most, and why?
# 2. `--no-bidirectional`: which class suffers now? Find three templates in `sentences.py`
#    that cannot be tagged from left to right, not even by you.
# 3. Set `hidden` to 0 in `Settings`. The training gets better, and the test?
# 4. Take `Masking` out of `build`. What does `tell_padding` print now, and why?
# 5. The network may answer I-PER after B-LOC, which is no name. Choose, among all rows of
#    tags that are allowed, the one with the largest product of probabilities (Viterbi's
#    algorithm). How many names does that gain?
