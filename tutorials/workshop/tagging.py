"""Words, letters and tags as numbers, in batches, and what became of the names."""

import collections

import numpy as np
import seqeval.metrics
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2

from workshop.batches import ByLength


class Lists:
    """The words, letters and tags that have a number.

    0 is for padding in each of the lists, and 1 for words and letters that are not in it.
    """

    def __init__(self, words, letters, tags):
        self.words, self.letters, self.tags = words, letters, tags
        self.word_number = {word: n for n, word in enumerate(words, start=2)}
        self.letter_number = {letter: n for n, letter in enumerate(letters, start=2)}
        self.tag_number = {tag: n for n, tag in enumerate(tags, start=1)}

    @classmethod
    def of(cls, sentences, fewest):
        """Those of some sentences; of the words, those that occur `fewest` times."""
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

    def inputs(self, sentences, word_length):
        """What a network reads of some sentences: numbers of words, and of letters.

        Args:
            sentences: List of lists of words.
            word_length: Integer, how many letters of a word are read. 0: words alone.

        Returns:
            Array of shape (sentences, T), and one of (sentences, T, word_length).
        """
        encoded = [self.encode(words, word_length) for words in sentences]
        words, letters = (pad(rows) for rows in zip(*encoded))
        return [words, letters] if word_length else words

    def tags_of(self, probabilities, sentences):
        """The most probable tag of each word, never that of padding.

        Args:
            probabilities: Array of shape (sentences, T, 1 + tags).
            sentences: List of lists of words.
        """
        numbers = np.argmax(probabilities[..., 1:], axis=-1)
        return [
            [self.tags[n] for n in row[: len(words)]]
            for words, row in zip(sentences, numbers)
        ]


class Batches(ByLength):
    """Batches of sentences that are about equally long.

    A batch is ((words, letters), tags), or (words, tags).
    """

    def __init__(
        self, sentences, lists, word_length, batch_size, seed=None, hidden=0.0, extra=0
    ):
        """With a `seed` the batches are others in each epoch, and words are hidden.

        Args:
            sentences: List of pairs of lists: the words and the tags of each sentence.
            lists: `Lists`.
            word_length: Integer, how many letters of a word are read. 0: words alone.
            batch_size: Integer.
            seed: Integer, or `None`.
            hidden: Number, the share of words that count as unknown.
            extra: Integer, how many steps each batch is padded beyond its longest
                sentence.
        """
        lengths = [len(words) for words, _ in sentences]
        super().__init__(lengths, batch_size, seed, blur=2.0)
        encoded = [lists.encode(words, word_length) for words, _ in sentences]
        self.words, self.letters = zip(*encoded)
        self.tags = [
            np.array([lists.tag_number[tag] for tag in tags]) for _, tags in sentences
        ]
        self.hidden, self.extra = hidden, extra

    def take(self, indices, random):
        words, letters, tags = (
            pad([rows[i] for i in indices], self.extra)
            for rows in (self.words, self.letters, self.tags)
        )
        if random is not None:
            hidden = random.random(words.shape) < self.hidden
            words = np.where(hidden & (words > 0), 1, words)
        return ((words, letters) if letters.shape[2] else words), tags


def pad(rows, extra=0):
    """Arrays of different lengths as one, filled up with zeros."""
    length = max(len(row) for row in rows) + extra
    whole = np.zeros((len(rows), length, *rows[0].shape[1:]), "int32")
    for place, row in zip(whole, rows):
        place[: len(row)] = row
    return whole


def f1(truth, found):
    """F1 of the names in lists of tags, as seqeval counts, strictly by IOB2."""
    return seqeval.metrics.f1_score(
        truth, found, mode="strict", scheme=IOB2, zero_division=0
    )


def became(truth, found, classes):
    """What became of the names in some sentences.

    Args:
        truth: List of lists of tags.
        found: The same, as a network says.
        classes: List of strings.

    Returns:
        Array of integers: a row for each class of the names, and columns for what they
        were taken for: the classes, other borders, no name at all.
    """
    counts = np.zeros((len(classes), len(classes) + 2), int)
    for true, other in zip(truth, found):
        said = {tuple(place): name for name, *place in get_entities(other)}
        for name, first, last in get_entities(true):
            touched = any(tag != "O" for tag in other[first : last + 1])
            column = len(classes) if touched else len(classes) + 1
            if (first, last) in said:
                column = classes.index(said[first, last])
            counts[classes.index(name), column] += 1
    return counts
