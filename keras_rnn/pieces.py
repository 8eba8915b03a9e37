"""Words and parts of words as the units that a network reads and writes.

A text is the row of its pieces, and they joined are the text again: the space before a
word belongs to its piece. So nothing is lost on the way, and no rule has to say where
spaces go.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from keras_rnn.arguments import as_string, as_strings, positive_integer
from keras_rnn.hints import Tensor
from keras_rnn.vocabulary import Vocabulary

# A word with the space before it, and the apostrophe after it, as in "l'eau"; or a mark.
WORD = re.compile(r" ?\w+['\u2019]?| ?[^\w\s]|\s")
SURROGATE = re.compile("[\ud800-\udfff]")  # half a character: not in UTF-8

_Pair = tuple[str, str]


def learn_pieces(texts: Iterable[str], merges: int) -> list[str]:
    """The pieces that texts are best cut into: their characters, and common runs of them.

    It starts with single characters. Then the two neighbours that stand side by side most
    often within words become one piece, and so on, `merges` times: common words end up
    as one piece, rare ones as several. This is byte-pair encoding, with characters in the
    place of bytes (Rico Sennrich, Barry Haddow and Alexandra Birch, 2016, Neural machine
    translation of rare words with subword units).

    Args:
        texts: List of strings.
        merges: Positive integer: how many pieces to add to the characters, at most.

    Returns:
        Sorted list of strings, a vocabulary for `EncoderDecoder`.

    Raises:
        ValueError: an argument is not what it must be; the message names it.

    Example:
    >>> pieces = learn_pieces(["the cat", "the dog", "the cats"], merges=5)
    >>> [piece for piece in pieces if len(piece) > 1]
    [' c', ' ca', ' cat', 'he', 'the']
    """
    texts = as_strings("texts", texts)
    merges = positive_integer("merges", merges)
    counts = Counter(word for text in texts for word in WORD.findall(text))
    words = {word: list(word) for word in counts}
    pairs: Counter[_Pair] = Counter()  # how often two pieces stand side by side
    where: dict[_Pair, set[str]] = defaultdict(set)  # and in which words
    # Of what was counted, the most frequent first; old counts are left in it.
    queue: list[tuple[int, _Pair]] = []

    def count(word: str, sign: int) -> None:
        changed = set(zip(words[word], words[word][1:]))
        for pair in zip(words[word], words[word][1:]):
            pairs[pair] += sign * counts[word]
        for pair in changed:
            where[pair].add(word)
            heapq.heappush(queue, (-pairs[pair], pair))

    for word in words:
        count(word, 1)
    pieces = set("".join(texts))
    for _ in range(merges):
        while queue and -queue[0][0] != pairs[queue[0][1]]:
            heapq.heappop(queue)
        if not queue or queue[0][0] > -2:
            break
        _, best = queue[0]
        pieces.add("".join(best))
        for word in where.pop(best):
            count(word, -1)
            words[word] = _merged(words[word], best)
            count(word, 1)
    return sorted(pieces)


def _merged(parts: list[str], pair: _Pair) -> list[str]:
    """The parts of a word, with this pair of neighbours as one wherever it stands."""
    merged: list[str] = []
    for part in parts:
        if merged and (merged[-1], part) == pair:
            merged[-1] += part
        else:
            merged.append(part)
    return merged


class Pieces(Vocabulary):
    """A vocabulary of pieces of text of any length: words, parts of them, characters.

    A text is cut from its start: the longest piece that fits, then the longest that fits
    after it. With pieces of one character it is a `Vocabulary`.

    Args:
        pieces: Sequence of strings, in any order.
        unknown: One of the pieces, which stands for each character at which none fits, or
            `None` (default): such a character is an error.
        first: Integer, default 0: the number of the first piece.
        name: String, what error messages call the pieces.

    Raises:
        ValueError: there is no piece, one of them is no string or is empty, or `unknown`
            is not one of them.

    Example:
    >>> pieces = Pieces(["un", "known", "k", "n", "o", "w", "?"], unknown="?")
    >>> pieces.split("unknow!")
    ['un', 'k', 'n', 'o', 'w', '?']
    >>> pieces.decode(pieces.encode("unknown"))
    'unknown'
    """

    def __init__(
        self,
        pieces: Iterable[str],
        unknown: str | None = None,
        first: int = 0,
        name: str = "vocabulary",
    ) -> None:
        try:
            listed = [] if isinstance(pieces, str) else list(pieces)
        except TypeError:  # None, a number
            listed = []
        if not listed or not all(
            isinstance(piece, str) and piece and not SURROGATE.search(piece)
            for piece in listed
        ):
            raise ValueError(
                f"`{name}` must be a sequence of strings, at least one, none of them "
                f"empty. Received: {name}={pieces!r}"
            )
        self.characters = sorted(set(listed))
        self._declare(unknown, first, name)
        self._places = {piece: i for i, piece in enumerate(self.characters)}
        self._longest = max(map(len, self.characters))

    def encode(self, text: str) -> np.ndarray:
        """The numbers of the pieces of a text: an int32 array of shape `(pieces,)`.

        Raises:
            ValueError: no piece fits at some character, and there is no `unknown`.
        """
        text = as_string("text", text)
        places: list[int] = []
        strange: set[str] = set()
        start = 0
        while start < len(text):
            for end in range(min(start + self._longest, len(text)), start, -1):
                if text[start:end] in self._places:
                    places.append(self._places[text[start:end]])
                    break
            else:  # none fits; `end` is one character further
                strange.add(text[start])
                places.append(self._places.get(self.unknown, 0))
            start = end
        if strange and self.unknown is None:
            self._refuse(strange)
        return np.array(places, "int32") + np.int32(self.first)

    def encode_tensor(self, texts: Tensor) -> Tensor:
        """`encode` in a TensorFlow graph: see `Vocabulary.encode_tensor`."""
        import tensorflow as tf

        split = tf.strings.unicode_split(texts, "UTF-8", errors="strict")
        sizes = tf.cast(split.row_lengths(), "int32")[:, tf.newaxis]  # (batch, 1)
        # One more than the longest text has: a text may be empty.
        characters = tf.pad(split.to_tensor(""), [[0, 0], [0, 1]])  # (batch, length)
        at = tf.range(tf.shape(characters)[1])
        with tf.init_scope():  # now, and not whenever the graph runs
            hashes = _hashes(tf.constant(self.characters)).numpy()
        order = np.argsort(hashes)
        pieces = tf.constant([self.characters[place] for place in order])
        places, lengths = -tf.ones_like(at + sizes), tf.ones_like(at + sizes)
        runs = rest = characters  # those of `length` characters that start at each one
        for length in range(1, self._longest + 1):
            if length > 1:
                rest = tf.pad(rest[:, 1:], [[0, 0], [0, 1]])
                runs = tf.strings.join([runs, rest])
            found = tf.searchsorted(hashes[order], tf.reshape(_hashes(runs), [-1]))
            found = tf.reshape(tf.minimum(found, len(order) - 1), tf.shape(runs))
            fits = (tf.gather(pieces, found) == runs) & (at + length <= sizes)
            places = tf.where(fits, tf.gather(order.astype("int32"), found), places)
            lengths = tf.where(fits, length, lengths)

        # From piece to piece: where the next one starts, after each character.
        def next_start(start, character):
            t, lengths = character
            return tf.where(start == t, t + lengths, start)

        first = tf.zeros_like(sizes[:, 0])
        nexts = tf.scan(next_start, (at, tf.transpose(lengths)), first)
        starts = tf.transpose(tf.concat([first[tf.newaxis], nexts[:-1]], axis=0))
        starts = (starts == at) & (at < sizes)
        places = tf.ragged.boolean_mask(places, starts)
        strange = places.flat_values < 0
        if self.unknown is None:
            flat = tf.boolean_mask(characters, starts)
            self._refuse_tensor(strange, tf.boolean_mask(flat, strange))
        unknown = self._places.get(self.unknown, 0)
        known = tf.where(strange, unknown, places.flat_values)
        return places.with_flat_values(known + self.first)

    def decode_tensor(self, numbers: Tensor) -> Tensor:
        """`decode` in a TensorFlow graph: see `Vocabulary.decode_tensor`."""
        import tensorflow as tf

        kept = tf.ragged.boolean_mask(numbers, numbers >= self.first)
        pieces = tf.gather(tf.constant(self.characters), kept.flat_values - self.first)
        return tf.strings.reduce_join(kept.with_flat_values(pieces), axis=-1)


def _hashes(strings):
    """A number for each string, by which it is found among the sorted ones."""
    import tensorflow as tf

    return tf.strings.to_hash_bucket_fast(strings, 2**63 - 1)


def vocabulary_of(units: Iterable[str], *arguments: Any) -> Vocabulary:
    """A `Vocabulary` of characters, or, where one of the units is longer, `Pieces`."""
    longer = (
        isinstance(units, Collection)
        and not isinstance(units, str)
        and any(isinstance(unit, str) and len(unit) > 1 for unit in units)
    )
    return (Pieces if longer else Vocabulary)(units, *arguments)
