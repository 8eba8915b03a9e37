"""The texts that the character model learns to write: reviews, plays, tunes, your own.

A corpus is either one long text (a play), cut in three, or many short ones (reviews,
tunes), each of them of a kind (positive or negative, a country). A short text ends with
the mark `end`, so that a network can learn where to stop.
"""

import dataclasses
import hashlib
import importlib.resources
import re
import unicodedata

import numpy as np
import tensorflow_datasets as tfds

import keras_rnn.datasets  # noqa: F401  registers movie_reviews
from workshop import data_sets, files
from workshop.errors import UsageError

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(kw_only=True)
class Corpus:
    """Texts to learn from, to choose the epoch by, and to test.

    Attributes:
        name: String.
        texts: Dict from "train", "validation" and "test" to lists of texts.
        labels: The same with the number of the kind of each text, or `None`.
        kinds: The names of the kinds.
        start: The character that each short text begins with, or `None`.
        end: What each short text ends with, or `None` for one long text.
    """

    name: str
    texts: dict
    labels: dict | None = None
    kinds: tuple = ()
    start: str | None = None
    end: str | None = None

    @property
    def characters(self):
        """All characters of the texts, sorted."""
        return sorted(set().union(*(set().union(*t) for t in self.texts.values())))

    @property
    def prompt(self):
        """What a network writes on after: a character that it knows, or its start."""
        if self.start:
            return ""
        first = self.texts["train"][0]
        return "\n" if "\n" in first else first[:1]

    def part(self, **sizes):
        """The corpus with the first so many characters of some of the splits."""
        texts, labels = dict(self.texts), dict(self.labels or {})
        for split, size in sizes.items():
            ends = np.cumsum([len(text) for text in texts[split]])
            count = 1 + int(np.searchsorted(ends, size))
            texts[split] = [text[:size] for text in texts[split][:count]]
            if labels:
                labels[split] = labels[split][:count]
        return dataclasses.replace(self, texts=texts, labels=labels or None)


def by_chance(texts, labels, seed, part=1 / 20):
    """Many short texts, shuffled and cut: `part` to validate, `part` to test."""
    order = np.random.default_rng(seed).permutation(len(texts))
    size = max(1, round(part * len(texts)))
    parts = dict(zip(SPLITS, np.split(order, [-2 * size, -size])))
    return (
        {split: [texts[i] for i in indices] for split, indices in parts.items()},
        {split: np.asarray(labels)[indices] for split, indices in parts.items()},
    )


# --------------------------------------------------------------------------- reviews


def reviews(seed, longest=200):
    """How each review of `movie_reviews` ends: its last sentences, its verdict.

    A network that writes a character at a time has to hold on to what it wants to say.
    Two hundred characters are within its reach; whole reviews, a thousand and more, are
    not, and the verdict stands at their end.
    """
    builder = tfds.builder("movie_reviews/imdb")
    # From the installed package: nothing is downloaded.
    data_sets.prepare(builder, "movie_reviews", download=True)
    parts = {}
    for split in ("train", "test"):
        texts, labels = builder.as_dataset(
            split=split, batch_size=-1, as_supervised=True
        )
        ends = [verdict(text.decode("utf-8"), longest) for text in texts.numpy()]
        kept = [i for i, text in enumerate(ends) if text]
        parts[split] = [ends[i] for i in kept], labels.numpy()[kept]
    # The test is of other films than the rest; the validation is not.
    texts, labels = parts["train"]
    order = np.random.default_rng(seed).permutation(len(texts))
    cut = round(len(order) / 20)
    parts["train"], parts["validation"] = (
        ([texts[i] for i in indices], labels[indices])
        for indices in (order[cut:], order[:cut])
    )
    return Corpus(
        name="reviews",
        texts={split: ["\n" + t + "\n" for t in parts[split][0]] for split in SPLITS},
        labels={split: parts[split][1] for split in SPLITS},
        kinds=("negative", "positive"),
        start="\n",
        end="\n",
    )


def verdict(review, longest):
    """The last sentences of a review, as many as fit, in plain characters."""
    text = unicodedata.normalize("NFKD", review.replace("<br />", " "))
    text = re.sub("[\u0300-\u036f]", "", text)  # the accents, now by themselves
    text = " ".join(re.sub(r"[^ -~]", " ", text).split())
    sentences = re.split(r"(?<=[.!?]) (?=[A-Z\"'(0-9])", text)
    kept = ""
    while sentences and len(sentences[-1]) + len(kept) < longest:
        kept = f"{sentences.pop()} {kept}".strip()
    return kept


# ----------------------------------------------------------------------- Shakespeare


def tiny_shakespeare(download):
    """The scenes of `tiny_shakespeare` in TensorFlow Datasets, with its own splits."""
    builder = tfds.builder("tiny_shakespeare")
    data_sets.prepare(builder, "tiny_shakespeare", download or is_fetched(builder))
    texts = {}
    for split in SPLITS:
        (example,) = builder.as_dataset(split=split)
        texts[split] = [example["text"].numpy().decode("utf-8")]
    return Corpus(name="tiny_shakespeare", texts=texts)


def is_fetched(builder):
    """Whether the files that the builder would download lie there already."""
    folder = builder.data_path.parents[1] / "downloads"
    there = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*.txt")
        if path.with_name(path.name + ".INFO").exists()  # TFDS writes it last
    }
    return {info.checksum for info in builder.url_infos.values()} <= there


# ---------------------------------------------------------------------------- a file

SHORTEST = 4_000  # characters of a file: a twentieth of it must say something
MOST = 6_000  # different ones: five in a row must make a number of 63 bits


def own_text(path):
    """The user's own text: nine tenths to learn from, then a twentieth and another."""
    with files.reading(path) as file:
        text = file.read()
    if len(text) < SHORTEST:
        raise UsageError(
            f"{path} has {len(text)} characters; at least {SHORTEST} are needed"
        )
    if len(set(text)) < 2:
        raise UsageError(f"{path} has one character only: there is nothing to learn")
    if len(set(text)) > MOST:
        raise UsageError(
            f"{path} has {len(set(text))} different characters; at most {MOST} can be "
            "told apart"
        )
    first, second = len(text) * 18 // 20, len(text) * 19 // 20
    cuts = [text[:first], text[first:second], text[second:]]
    return Corpus(
        name=str(path), texts={split: [cut] for split, cut in zip(SPLITS, cuts)}
    )


# ----------------------------------------------------------------------------- tunes

COUNTRIES = {  # a word of the field "O:" (origin), the country
    "China": "China",
    "Irland": "Ireland",
    "Lothringen": "Lorraine",
    "Luxemburg": "Luxembourg",
    "Deutschland": "Germany",
}
METERS = {"C": "4/4", "C|": "2/2"}
NOTES = re.compile(r"[A-Ga-gz0-9,'/|:()=_^<> \n-]+")


def folk_tunes(seed, longest=500):
    """Tunes of five countries in ABC notation, out of the package `music21`.

    Those of Ireland are O'Neill's Music of Ireland (1903), the others Helmut Schaffrath's
    Essen Folksong Collection. A tune keeps its meter, the length of its unit, its key
    and its notes. Titles and ornaments go.
    """
    try:
        corpus = importlib.resources.files("music21") / "corpus"
    except ModuleNotFoundError as error:
        raise UsageError(
            "--corpus folk_tunes needs the package music21: pip install "
            '"keras-rnn[music]"'
        ) from error
    kinds = tuple(sorted(set(COUNTRIES.values())))
    found = {}
    for folder in ("essenFolksong", "oneills1850"):
        origin = "Irland" if folder == "oneills1850" else ""
        for file in sorted((corpus / folder).iterdir(), key=lambda file: file.name):
            if file.name.endswith(".abc"):
                abc = file.read_text("utf-8", "replace")
                for tune in re.split(r"^X:.*\n", abc, flags=re.MULTILINE)[1:]:
                    text, country = plain_tune(tune, origin)
                    if country and len(text) <= longest:
                        found.setdefault(text, kinds.index(country))
    texts, labels = by_chance(list(found), list(found.values()), seed)
    return Corpus(
        name="folk_tunes",
        texts=texts,
        labels=labels,
        kinds=kinds,
        start="\n",
        end="\n\n",
    )


def plain_tune(tune, origin=""):
    """A tune with its necessary fields alone, and its country, or `None` to leave out."""
    head, _, body = tune.partition("\nK:")
    key, _, body = body.partition("\n")
    fields = dict(re.findall(r"^([A-Z]):[ ]*(.*?)[ ]*$", head, flags=re.MULTILINE))
    origin = fields.get("O", origin)
    country = next((name for word, name in COUNTRIES.items() if word in origin), None)
    meter = METERS.get(fields.get("M"), fields.get("M", ""))
    body = body.replace("\\\n", " ")  # a line that goes on
    body = re.sub(r'\{.*?\}|"[^"\n]*"|[~.HT]|\((?![2-9])|\)', "", body)
    lines = [re.sub(r"^\|+ ", "", line.strip()) for line in body.splitlines()]
    body = "\n".join(re.sub(r" +", " ", line) for line in lines if line)
    well_formed = re.fullmatch(r"\d+/\d+", meter) and NOTES.fullmatch(body)
    if not (well_formed and "L" in fields):
        return "", None
    text = f"\nM: {meter}\nL: {fields['L']}\nK: {key.strip()}\n{body}\n\n"
    return text, country


def load(name, seed, download=False, path=None):
    """The corpus of that name, or the text in the file at `path`."""
    if path is not None:
        return own_text(path)
    if name == "tiny_shakespeare":
        return tiny_shakespeare(download)
    return {"reviews": reviews, "folk_tunes": folk_tunes}[name](seed)
