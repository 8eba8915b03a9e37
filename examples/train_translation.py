# %% [markdown]
# # Many to many, of other lengths: one network reads, another one writes
#
# "mercredi 12 septembre 2018" goes in, twenty-six characters. "2018-09-12" comes out, ten.
# What is to be written first, the year, is what is read last: whoever writes must have
# read to the end. So there are two networks. The *encoder* reads, and its state at the
# end is all that it has to say. The *decoder* starts from that state, and writes.
#
#                                  y_1     y_2     y_3  ...  stop
#                                   |       |       |          |
#     h_0 -> h_1 -> ... -> h_S  =  d_0 --> d_1 --> d_2 --> d_3 ...
#             |             |               |       |       |
#            x_1    ...    x_S            start    y_1     y_2
#             m             8                       2       0
#
# Each of them is a recurrent network like any other:
#
#     h_s = tanh(x_s W_xh + h_{s-1} W_hh + b_h)       the encoder, s = 1 ... S
#     d_t = tanh(y_{t-1} V_xh + d_{t-1} V_hh + c_h)   the decoder, t = 1 ... T, d_0 = h_S
#     y_t ~ softmax(d_t V_hy + c_y)                   the next character
#
# This is the *many-to-many* shape whose two sides differ in length: translation, in
# other words. Here a dozen languages are translated into one, the dates of ISO 8601. It
# is small enough to learn in minutes, and has all that makes translation hard: words of
# several languages, "Mai" and "maj" and "mayo"; numbers to be copied; another order.
#
# A second pair of the two is trained, with *attention*: its decoder may look back at
# every h_s. What does that buy, and what does it cost?
#
# The script downloads nothing. Its defaults take some minutes on two CPU cores:
#
#     python examples/train_translation.py
#     python examples/train_translation.py --predict "den 12 september 2018"
#     python examples/train_translation.py --pairs deu.txt     # sentences, tab-separated

# %%
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
    errors,
    files,
    models,
    plots,
    runs,
)
from workshop.errors import UsageError

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
import sacrebleu
import tensorflow_datasets as tfds

import keras_rnn
from keras_rnn.gradient_flow import state_gradients
from keras_rnn.seq2seq import EncoderDecoder, ExactMatch

# %% [markdown]
# ## The choices

# %%
CELLS = {
    "elman": keras_rnn.ElmanCell,
    "lstm": keras_rnn.LSTMCell,
    "gru": keras_rnn.GRUCell,
}
QUICK = {"units": 32, "epochs": 2, "most": 2_000}
UNKNOWN = "\ufffd"  # what is read in the place of a character that is not known
FEWEST = 30  # pairs that one can learn anything from


@dataclasses.dataclass(kw_only=True)
class Settings(command_line.Settings):
    """What decides the networks, beside what they learn from."""

    cell: str
    units: int
    bidirectional: bool
    epochs: int
    batch_size: int
    seed: int
    vector: int = 32  # size of a character's vector
    rate: float = 3e-3  # the highest learning rate


def read_options(argv):
    """The options of the command line, checked as far as they go on their own."""
    parser = command_line.Options(
        "Translates dates of a dozen languages, or your own pairs of texts.",
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
    parser.add_argument("--cell", choices=CELLS, default="elman", help="what remembers")
    parser.count("--units", 128, "size of the memory")
    parser.switch("--bidirectional", False, "read each text from its end, too")
    parser.add_argument(
        "--attention",
        choices=["none", "dot", "additive"],
        default="dot",
        help="of the second network; with none there is no second one",
    )
    parser.count("--epochs", 12, "passes over the pairs")
    parser.count("--batch-size", 128, "pairs per step")
    parser.count("--beam-width", 4, "texts to follow at once")
    parser.add_argument(
        "--predict", metavar="TEXT", help="only ask the network trained in DIR"
    )
    options = parser.parse(argv, QUICK)
    if options.predict is not None and not options.predict.strip():
        raise UsageError("--predict: the text is empty")
    if options.bidirectional and options.units % 2:
        raise UsageError(
            "--units must be even with --bidirectional: half for each side"
        )
    return options


# %% [markdown]
# ## The pairs
#
# The dates are composed. Babel knows, from the Unicode Consortium's CLDR, how a date is
# written in each language: which words, in which order, with which dots. A day is drawn,
# then a language, then one of its ways to write it. Each of the 73,049 days from 1900 to
# 2099 is a day to train on, to validate, or to test: what is tested are *dates never
# seen*, in any language. And apart from them there is *a language never seen*: Italian.
# Its months resemble those of Spanish, French and Portuguese, some more (marzo), some
# less (gennaio). Of Italian dates only those that name the month are asked: digits are
# no Italian.


# %%
@dataclasses.dataclass
class Corpus:
    """Pairs to train on and to validate, and one or more heaps to test.

    A heap is a tuple of the sources and their targets. `languages` has the language of
    each source of the first and the second test where they are dates.
    """

    train: tuple
    validation: tuple
    tests: dict
    languages: list | None = None

    @property
    def sentences(self):
        """Whether the pairs are sentences, so that BLEU makes sense."""
        return self.languages is None


def compose_dates(options):
    """The corpus of dates."""
    random = np.random.default_rng(options.seed)
    most = options.most
    train_days, validation_days, test_days = dates.cut(random)
    few = 300 if options.quick else 2_000
    train = dates.compose(most, train_days, dates.LANGUAGES, random)
    validation = dates.compose(few, validation_days, dates.LANGUAGES, random)
    test = dates.compose(few, test_days, dates.LANGUAGES, random)
    other = dates.compose(few, test_days, [dates.UNSEEN], random, only_in_words=True)
    tests = {
        "dates never seen": test,
        f"a language never seen ({dates.name(dates.UNSEEN)})": other,
    }
    return Corpus(
        train=columns(train),
        validation=columns(validation),
        tests={name: columns(heap) for name, heap in tests.items()},
        languages=[each.language for heap in tests.values() for each in heap],
    )


def columns(pairs):
    """The sources and the targets of pairs, a list of strings each."""
    return [each[0] for each in pairs], [each[1] for each in pairs]


# %% [markdown]
# Your own pairs come as lines of text: source, tab, target. The files that Tatoeba's
# sentences are exchanged in (as at manythings.org/anki) have a third column, for the
# licence, which is ignored. The same source may stand there several times, with different
# targets. It must not be trained on and tested: all pairs of a source go to the same
# heap.


# %%
def read_pairs(path):
    """The pairs of a file: a list of (source, target)."""
    pairs = []
    with files.reading(path) as file:
        for number, line in enumerate(file, 1):
            parts = [part.strip() for part in line.rstrip("\n").split("\t")]
            if len(parts) < 2:
                raise UsageError(
                    f"{path}, line {number}: no tab between source and target"
                )
            for part, what in zip(parts, ("source", "target")):
                if not part:
                    raise UsageError(f"{path}, line {number}: the {what} is empty")
            pairs.append((parts[0], parts[1]))
    return pairs


def cut_pairs(pairs, options, where):
    """The corpus of pairs: a tenth of the sources to validate, a tenth to test."""
    pairs = short_enough(pairs, options, where)
    random = np.random.default_rng(options.seed)
    by_source = collections.defaultdict(list)
    for source, target in pairs:
        by_source[source].append((source, target))
    sources = sorted(by_source)  # no array of strings: NumPy drops a NUL at their end
    tenth = max(1, min(2_000, len(sources) // 10))
    parts = np.split(random.permutation(len(sources)), [tenth, 2 * tenth])
    test, validation, train = (
        [pair for i in part for pair in by_source[sources[i]]] for part in parts
    )
    return Corpus(
        train=columns(train[: options.most]),
        validation=columns(validation),
        tests={"sentences never seen": columns(test)},
    )


def short_enough(pairs, options, where):
    """The pairs without a text that is longer than `--longest`."""
    kept = [pair for pair in pairs if max(map(len, pair)) <= options.longest]
    different = len({source for source, _ in kept})
    if different < FEWEST:
        raise UsageError(
            f"{where}: {different} different sources in pairs of at most "
            f"{options.longest} characters (--longest); at least {FEWEST} are needed"
        )
    if len(kept) < len(pairs):
        print(
            f"{len(pairs) - len(kept):,} of {len(pairs):,} pairs are left out: a text "
            f"has more than {options.longest} characters."
        )
    return kept


def read_tfds(options):
    """The corpus of a translation set of TensorFlow Datasets."""
    name = options.dataset
    try:
        builder = tfds.builder(name)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"--dataset {name}: {reason}") from error
    if not isinstance(builder.info.features, tfds.features.Translation):
        raise UsageError(f"--dataset {name} is no translation set")
    data_sets.prepare(builder, name, options.download)
    heaps = {}
    for split in ("train", "validation", "test"):
        if split not in builder.info.splits:
            raise UsageError(f"--dataset {name} has no split {split!r}")
        most = options.most if split == "train" else 2_000
        pairs = builder.as_dataset(
            split=split, as_supervised=True, shuffle_files=False
        ).take(4 * most)
        pairs = [tuple(t.decode("utf-8") for t in p) for p in tfds.as_numpy(pairs)]
        kept = short_enough(pairs, options, f"--dataset {name}, split {split}")
        heaps[split] = columns(kept[:most])
    return Corpus(
        train=heaps["train"],
        validation=heaps["validation"],
        tests={"sentences never seen": heaps["test"]},
    )


def load(options):
    """The corpus that the options ask for."""
    if options.pairs:
        return cut_pairs(read_pairs(options.pairs), options, options.pairs)
    return read_tfds(options) if options.dataset else compose_dates(options)


# %% [markdown]
# ## From text to numbers
#
# The networks read and write characters. Both sides have a vocabulary of their own, out
# of the training pairs. A character that was never seen is read as one that stands for
# them all, "\ufffd".
#
# Texts differ in length, a batch is a rectangle: it is filled up with zeros, which the
# encoder skips and which the loss leaves out. Each batch has the same size and the width
# of the longest text of all, so that its loops are compiled once. It is a random draw.
# Batches of texts of one length would have less padding, but one length is one way to
# write a date: each step would forget a little of the other ways.


# %%
class Batches(keras.utils.PyDataset):
    """Batches of pairs, ready for `fit`."""

    def __init__(self, model, pairs, batch_size, seed=None):
        """With a `seed` each epoch draws its batches anew; without it they are all pairs."""
        super().__init__()
        (self.source, self.previous), self.target = model.encode(*pairs)
        self.batch_size, self.seed = batch_size, seed
        self.epoch = 0

    def __len__(self):
        whole, rest = divmod(len(self.target), self.batch_size)
        return max(1, whole) if self.seed is not None else whole + (rest > 0)

    def __getitem__(self, index):
        if index == 0:
            self.order = np.arange(len(self.target))
            if self.seed is not None:
                np.random.default_rng((self.seed, self.epoch)).shuffle(self.order)
        heap = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return (self.source[heap], self.previous[heap]), self.target[heap]

    def on_epoch_end(self):
        self.epoch += 1


# %% [markdown]
# ## The network
#
# `keras_rnn.seq2seq.EncoderDecoder` is the picture above. In training the decoder reads
# the *true* characters so far, not those that it would have written itself. This is
# called teacher forcing: all steps can be computed at once, and a mistake at the start
# does not spoil the lesson of the rest. The loss is the cross-entropy of each character
# that is to be written, the stop among them:
#
#     loss = mean over t of -log y_t[the true character]      nats per character
#
# *Exact match* is the share of texts in which every character is the most probable one.
# That needs no writing to be known: if each character is the most probable one after the
# true ones, the network that writes by itself writes the true text.


# %%
def build_network(settings, corpus, attention, steps):
    """The encoder-decoder, ready to train."""
    sources, targets = corpus.train
    keras.utils.set_random_seed(settings.seed)
    network = EncoderDecoder(
        set("".join(sources)) | {UNKNOWN},
        set("".join([*targets, *corpus.validation[1]])),
        CELLS[settings.cell](settings.units),
        embedding_units=settings.vector,
        bidirectional=settings.bidirectional,
        attention=attention,
        max_length=max(map(len, targets)),
        unknown=UNKNOWN,
    )
    network.compile(
        keras.optimizers.Adam(models.rise_and_fall(settings.rate, steps), clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
        metrics=[ExactMatch()],
    )
    return network


def tell_shapes(network, corpus):
    """Prints what becomes of two texts, from the encoder to the logits."""
    sources, targets = ([*texts[:2]] for texts in corpus.train)
    (source, previous), _ = network.encode(sources, targets)
    states, (outputs, _, _) = network.read(source)
    print("\nShapes, for two pairs")
    for what, shape in (
        ("x, the characters to read", source.shape),
        ("their vectors", network.source_embedding(source).shape),
        ("every h_s", outputs.shape),
        ("d_0 = h_S", states[-1][0].shape),
        ("y, the characters so far", previous.shape),
        ("the logits of the next one", network((source, previous)).shape),
    ):
        print(f"  {what:28} {tuple(shape)}")


# %% [markdown]
# ## Attention
#
# All that the encoder has read goes through one vector, h_S. And what was read first has
# the longest way to go: through each W_hh and each tanh after it. With attention there is
# a second way. The decoder compares its state with every h_s, and looks back at those
# that fit:
#
#     a_ts = softmax over s of (d_t W_q) . (h_s W_k)      where to look, (T, S)
#     c_t  = sum over s of a_ts h_s                       what is seen there
#     y_t  ~ softmax(tanh([d_t, c_t] W_c + b_c) V_hy + c_y)
#
# The layer is Keras's own, `keras.layers.Attention`. The way back, from the loss to h_s,
# is now as short for the first character as for the last.

# %% [markdown]
# ## Training
#
# Both networks learn by the same rules: Adam, a learning rate that falls to zero, and in
# the end the weights of the epoch with the least validation loss. The state is saved
# after each epoch, so that `--resume` can go on after an interruption.


# %%
def train(run, name, settings, corpus, attention):
    """Trains one network. Returns it with its best weights, and its figures."""
    sketch = build_network(settings, corpus, attention, 1)
    batches = Batches(sketch, corpus.train, settings.batch_size, settings.seed)
    validation = Batches(sketch, corpus.validation, 500)

    def build():
        steps = len(batches) * settings.epochs
        return build_network(settings, corpus, attention, steps)

    return run.train(name, build, batches, validation, settings.epochs)


# %% [markdown]
# ## Writing
#
# The trained network writes on its own. The *greedy* way takes the most probable
# character at each step, and there is no way back. A *beam* follows several texts at
# once: of all their continuations it keeps the most probable few. It may begin with a
# character that is only second best, if what follows makes up for it. The greedy text
# always has a place in the beam of `translate`, so that the text it returns is never less
# probable. Whether it is more often *right* is another question.


# %%
def translate_all(network, sources, beam_width):
    """What the network writes, what it thinks of it, and how long it took."""
    network.translate(sources[:2], beam_width)  # compiles
    began = time.perf_counter()
    texts = network.translate(sources, beam_width)
    seconds = time.perf_counter() - began
    return {
        "texts": texts,
        "log_probability": network.log_probability(sources, texts),
        "milliseconds": 1000 * seconds / len(sources),
    }


# %% [markdown]
# ## How good is it?
#
# - *Exact match*: the share of translations that are right to the last character.
# - *Character error rate*: how many characters have to be put in, taken out or replaced,
#   for each character of the true text. 0 is perfect.
# - *BLEU*, for sentences: to what extent the words, and the runs of two to four words,
#   are those of the true text, from 0 to 100. It is computed by the package sacrebleu,
#   with its usual settings, so that it can be compared.
#
# And a yardstick that has learned nothing: whatever is asked, the commonest target of the
# training pairs.


# %%
def judge(texts, targets, sentences):
    """The figures of some translations."""
    edits = sum(distance(text, target) for text, target in zip(texts, targets))
    figures = {
        "exact_match": float(np.mean([a == b for a, b in zip(texts, targets)])),
        "character_error_rate": edits / sum(map(len, targets)),
    }
    if sentences:
        figures["bleu"] = sacrebleu.corpus_bleu(texts, [targets]).score
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


def evaluate(networks, corpus, beam_width):
    """The translations of each test by each network, and the figures of all of them."""
    ((commonest, _),) = collections.Counter(corpus.train[1]).most_common(1)
    translations, figures = {}, {}
    for test, (sources, targets) in corpus.tests.items():
        always = judge([commonest] * len(targets), targets, corpus.sentences)
        figures[test] = {"always the commonest": always}
        translations[test] = {}
        for name, network in networks.items():
            for way, width in ways(beam_width).items():
                found = translate_all(network, sources, width)
                translations[test][f"{name}, {way}"] = found
                figures[test][f"{name}, {way}"] = {
                    **judge(found["texts"], targets, corpus.sentences),
                    "log_probability": float(np.mean(found["log_probability"])),
                    "milliseconds": found["milliseconds"],
                }
    return translations, figures


def ways(beam_width):
    """The ways to write, with the width of their beam."""
    return {"greedy": 1, f"beam {beam_width}": beam_width}


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


def tell_beam(translations, corpus, beam_width):
    """Prints what the beam found that the greedy way did not, over all tests."""
    greedy_way, beam_way = ways(beam_width)
    print(f"\nA beam of {beam_width} beside the greedy way, over all tests")
    for name in dict.fromkeys(
        key.split(", ")[0] for key in next(iter(translations.values()))
    ):
        likelier = other = mended = spoiled = 0
        least = np.inf
        for test, (_, targets) in corpus.tests.items():
            greedy = translations[test][f"{name}, {greedy_way}"]
            beam = translations[test][f"{name}, {beam_way}"]
            gain = beam["log_probability"] - greedy["log_probability"]
            least = min(least, float(gain.min()))
            likelier += int(np.sum(gain > 1e-4))
            for a, b, target in zip(greedy["texts"], beam["texts"], targets):
                other += a != b
                mended += b == target != a
                spoiled += a == target != b
        print(
            f"  {name:22} {other} other texts, {likelier} of them more probable, "
            f"{mended} mended, {spoiled} spoiled;\n{'':25}least gain in log p {least:.1e}"
        )


def tell_samples(network, corpus, count=4):
    """Prints what the network makes of a few texts of each test."""
    for test, (sources, targets) in corpus.tests.items():
        print(f"\nSamples: {test}")
        for source, target, text in zip(
            sources, targets, network.translate(sources[:count])
        ):
            verdict = "right" if text == target else f"wrong: it is {target}"
            print(f"  {source}\n    {text}    {verdict}")


# %% [markdown]
# ## Looking inside: where it looks
#
# The weights a_ts of attention tell where the decoder looks while it writes a character.
# Nobody told it which characters belong together. Each row of the picture is one
# character that is written, and says from where in the source it comes.


# %%
def draw_alignments(network, sources, path):
    """A picture of the weights of attention, for some texts."""
    figure, axes = plt.subplots(
        len(sources), 1, figsize=(13, 5 * len(sources)), squeeze=False
    )
    for ax, source in zip(axes[:, 0], sources):
        text = network.translate(source)
        weights = network.alignment(source, text)  # (T, S)
        image = ax.imshow(weights, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        ax.set_xticks(range(len(source)), [c if c != " " else "\u2423" for c in source])
        ax.set_yticks(range(len(text) + 1), [*text, "stop"])
        ax.set_xlabel("character that is read (s)")
        ax.set_ylabel("character that\nis written (t)")
        ax.set_title(f"{source}  \u2192  {text}")
        figure.colorbar(image, ax=ax, label="weight a_ts", pad=0.01)
    plots.save_figure(figure, path)


# %% [markdown]
# ## Looking inside: how far the error gets
#
# The loss is computed while the decoder writes. How much of it reaches h_s, the state
# after the s-th character was read? `keras_rnn.gradient_flow.state_gradients` gives the
# norm of dL/dh_s for each s. Without attention it has come back through every step in
# between, and each of them multiplied it by W_hh and by the slope of the tanh, which is
# at most 1. That is how a gradient *vanishes*. Before training W_hh is orthogonal: it
# turns and does not shrink, and the states are small, where the tanh is steep. After
# training, both are what the task has made of them. With attention there is a direct
# line to each h_s as well.
#
# The norm is measured over texts of which the loss is the mean, so that only its course
# from left to right says something, and not its height: a network that makes no mistakes
# has small gradients everywhere.


# %%
def gradients_by_distance(network, pairs, count=200):
    """The norm of dL/dh_s, by how many steps before the end of the source s is.

    Returns:
        Array, the mean over `count` of the longer quarter of the texts, as far as all of
        them go.
    """
    sources, targets = pairs
    reach = max(1, int(np.percentile([len(source) for source in sources], 75)))
    long = [i for i, source in enumerate(sources) if len(source) >= reach][:count]
    x, y = network.encode([sources[i] for i in long], [targets[i] for i in long])
    norms = state_gradients(network, x, y, per_example=True)
    (name,) = [name for name in norms if "encoder" in name.split("/")[-1]]
    sizes = np.count_nonzero(x[0], axis=1)
    rows = [row[size - reach : size] for row, size in zip(norms[name], sizes)]
    return np.mean(rows, axis=0)[::-1]


def draw_gradients(curves, path):
    """A picture of the gradients on their way back through the source."""
    figure, both = plt.subplots(1, 2, figsize=(13, 5), sharey=True)
    for axes, (when, lines) in zip(both, curves.items()):
        for (name, values), colour in zip(lines.items(), (plots.BLUE, plots.ORANGE)):
            axes.semilogy(
                np.arange(len(values)), values, ".-", color=colour, label=name
            )
        axes.set_xlabel("steps from h_s to the end of the source, S - s")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_title(when)
    both[0].set_ylabel("norm of dL/dh_s (nats)")
    both[0].legend()
    plots.save_figure(figure, path)


# %% [markdown]
# ## Looking inside: language by language


# %%
def by_language(corpus, translations):
    """For each network the share of dates of a language that it gets right."""
    truth = [target for _, targets in corpus.tests.values() for target in targets]
    shares = {}
    for name in next(iter(translations.values())):
        if not name.endswith("greedy"):
            continue
        texts = [
            text for found in translations.values() for text in found[name]["texts"]
        ]
        right = collections.defaultdict(list)
        for language, text, target in zip(corpus.languages, texts, truth):
            right[language].append(text == target)
        shares[name.split(", ")[0]] = {
            dates.name(language): float(np.mean(r)) for language, r in right.items()
        }
    return shares


def draw_languages(shares, path):
    """A picture of the exact matches by language; the unseen one stands apart."""
    names = sorted(next(iter(shares.values())))
    names.sort(key=lambda name: name == dates.name(dates.UNSEEN))
    at = np.arange(len(names)) + 0.5 * np.array([n == names[-1] for n in names])
    figure, axes = plt.subplots(figsize=(13, 5.5))
    width = 0.8 / len(shares)
    for i, ((network, share), colour) in enumerate(
        zip(shares.items(), (plots.BLUE, plots.ORANGE))
    ):
        place = at + (i - (len(shares) - 1) / 2) * width
        heights = [share[name] for name in names]
        axes.bar(place, heights, width, color=colour, label=network)
    axes.set_xticks(
        at, [*names[:-1], f"{names[-1]}\n(never seen)"], rotation=30, ha="right"
    )
    axes.set_ylim(0, 1)
    axes.set_ylabel("exact match (share of dates)")
    figure.legend(loc="outside upper center", ncols=2)
    plots.save_figure(figure, path)


# %% [markdown]
# ## All of it
#
# First everything that can be wrong is checked, then the networks are trained, then the
# results are written, each file whole or not at all. The network that is kept, with
# attention if there is one, is saved twice: `model.keras` for Keras, and `saved_model`,
# which takes and returns strings and needs nothing but TensorFlow:
#
#     translator = tf.saved_model.load("saved_model").signatures["translate"]
#     translator(texts=tf.constant(["7 septembre 2018"]))["translations"]


# %%
@errors.reported
def main(argv=None):
    options = read_options(argv)
    errors.need_tensorflow("a model that is served strings")
    if options.predict is not None:
        return predict(options)
    corpus = load(options)
    texts = "\0".join(text for column in corpus.train for text in column)
    run = runs.Run.of(options, pairs=texts.encode())
    settings = Settings.of(options)
    tell_corpus(corpus)

    kinds = {settings.cell: None}
    if options.attention != "none":
        kinds[f"{settings.cell} + attention"] = options.attention
    tell_shapes(build_network(settings, corpus, list(kinds.values())[-1], 1), corpus)
    networks, histories = {}, {}
    for name, attention in kinds.items():
        print(f"\nThe network: {name}", flush=True)
        folder = "attention" if attention else "network"
        networks[name], histories[name] = train(
            run, folder, settings, corpus, attention
        )

    translations, figures = evaluate(networks, corpus, options.beam_width)
    kept = list(networks)[-1]
    tell_samples(networks[kept], corpus)
    tell_figures(figures)
    tell_beam(translations, corpus, options.beam_width)
    price = tell_price(networks, histories)
    metrics = {"tests": figures, "networks": price, "kept": kept}
    if corpus.languages:
        metrics["exact_match_by_language"] = by_language(corpus, translations)
    draw(options.output, corpus, networks, histories, kinds, settings, metrics)
    write(options, corpus, networks[kept], histories, translations)
    run.record(metrics)
    run.finish()
    print(f"\nThe model, its figures and the pictures are in {options.output}")


def tell_corpus(corpus):
    """Prints how many pairs there are, and the first of them."""
    sizes = [len(corpus.train[0]), len(corpus.validation[0])]
    print(
        f"{sizes[0]:,} pairs to train on, {sizes[1]:,} to choose the epoch, and to test"
    )
    for name, (sources, _) in corpus.tests.items():
        print(f"  {len(sources):,}: {name}")
    print("\nThe first pairs")
    for source, target in list(zip(*corpus.train))[:5]:
        print(f"  {textwrap.shorten(source, 44):46}{textwrap.shorten(target, 40)}")


def tell_price(networks, histories):
    """Prints what each network costs, and returns it with its best epoch."""
    print("\nThe price                  weights   seconds per epoch   best epoch")
    price = {}
    for name, network in networks.items():
        rows = histories[name]
        price[name] = {
            "weights": network.count_params(),
            "seconds_per_epoch": runs.seconds_per_epoch(rows),
            "best_epoch": runs.best_epoch(rows),
        }
        weights, seconds, best = price[name].values()
        print(f"  {name:22}{weights:10,}{seconds:20.2f}{best:13}")
    return price


def draw(folder, corpus, networks, histories, kinds, settings, metrics):
    """Draws all pictures."""
    labels = {
        "loss": "loss (cross-entropy, nats per character)",
        "exact_match": "exact match (share of texts)",
    }
    figure, (losses, matches) = plots.draw_curves(histories, labels)
    losses.set_yscale("log")
    matches.set_ylim(0, 1)
    plots.save_figure(figure, folder / "learning_curves.png")
    *_, (kept, network) = networks.items()
    if kinds[kept] is not None:
        shown = [sources[0] for sources, _ in corpus.tests.values()]
        draw_alignments(network, shown, folder / "alignment.png")
    if corpus.languages:
        shares = metrics["exact_match_by_language"]
        draw_languages(shares, folder / "languages.png")
    if not settings.bidirectional:
        fresh = {
            name: build_network(settings, corpus, kind, 1)
            for name, kind in kinds.items()
        }
        curves = {
            when: {
                name: gradients_by_distance(n, corpus.validation)
                for name, n in some.items()
            }
            for when, some in (("before training", fresh), ("after training", networks))
        }
        draw_gradients(curves, folder / "gradients.png")
        metrics["gradients"] = {
            when: {name: [float(v) for v in values] for name, values in lines.items()}
            for when, lines in curves.items()
        }


def write(options, corpus, network, histories, translations):
    """Writes the model, for Keras and for TensorFlow, and its translations."""
    folder = options.output
    with files.replacing(folder / "model.keras") as new:
        network.save(new)
    with files.replacing(folder / "saved_model") as new:
        network.export(new, beam_width=options.beam_width)
    files.write_csv(
        folder / "history.csv",
        [{"network": name, **row} for name, rows in histories.items() for row in rows],
    )
    files.write_csv(
        folder / "translations.csv",
        [
            {
                "test": test,
                "source": source,
                "target": target,
                **dict(zip(found, texts)),
            }
            for test, found in translations.items()
            for source, target, *texts in zip(
                *corpus.tests[test], *(each["texts"] for each in found.values())
            )
        ],
    )


def predict(options):
    """Prints what the network trained in the folder makes of a text."""
    network = models.trained(
        options.output, "--predict", lambda network: isinstance(network, EncoderDecoder)
    )
    text = options.predict
    strange = sorted(set(text) - set(network.source_vocabulary))
    if strange:
        print(f"Read as unknown characters: {' '.join(strange)}")
    translation = network.translate(text, options.beam_width)
    (log_probability,) = network.log_probability([text], [translation])
    print(f"{translation}    (probability {np.exp(log_probability):.3f})")


if __name__ == "__main__":
    errors.start(main)

# %% [markdown]
# ## What attention adds, and what it costs
#
# Read the first table again, that of dates never seen. The commonest target is never
# right: there are thousands of days. The network without attention gets most dates right
# to the last digit, although all that it has read has to pass through one vector. The
# picture by language says which dates it misses: those of Hungarian, which puts the year
# first, and of Turkish, which may put the weekday last. What is to be written first has
# then been read long ago. The gradient is not to blame, or not alone: W_hh, orthogonal
# at the start, lets it through, as its picture shows. The memory has to learn to carry
# four digits past a dozen letters, and few of the dates ask for it.
#
# - **What attention adds.** In the learning curves the network with attention is after a
#   few epochs where the other one does not come in all of them, and the year may stand
#   where it likes. The picture of its weights is sharp: one h_s for each character. It
#   need not be the h_s of the character that is copied: h_s knows what stands before it,
#   too, so that the next one will do.
# - **What it costs.** Three more matrices, and a product of all d_t with all h_s: compare
#   weights and seconds per epoch. Each further character to write looks at the whole
#   source again.
# - **The language never seen.** What is written as in a language nearby is right, and what
#   is not is guessed. `translations.csv` has all of them: which months are they?
# - **The beam.** It finds texts that are more probable to the network, never less. A
#   network that is sure of itself has few other texts to offer, and not all of them are
#   better: see how many were mended and how many spoiled. After `--quick`, with networks
#   that have learned next to nothing, a beam may prefer very short texts: each further
#   character costs.
#
# What to take along:
#
# 1. Many to many, of other lengths, is two recurrent networks: the last state of one is
#    the first state of the other.
# 2. Teacher forcing makes the training of a writer as simple as that of a reader.
# 3. Padding is masked where it is read, and left out of the loss where it is written.
# 4. Attention is a shorter way, for what is read and for the gradient.
# 5. Test on what was never seen, and say what that means: another day, another language.
#
# ## Exercises
#
# 1. `--bidirectional` reads each date from its end, too. What does it do for the network
#    without attention, and why? To which of the h_s has the error now the longest way?
# 2. `--cell gru` and `--cell lstm` have gates. Compare the pictures of the gradients
#    after training, and the seconds per epoch.
# 3. Write the dates backwards: turn each source round in `compose_dates`. Sutskever, Vinyals
#    and Le found in 2014 that it helped their translator. Does it here? Which character
#    is written first, and how far away is it read?
# 4. How many units does the network without attention need, and how many the one with?
#    Try 16, 32, 64.
# 5. Take Italian into `dates.LANGUAGES` and Finnish out of it, as the language never
#    seen. What is left of the exact match, and what does that say about languages?
