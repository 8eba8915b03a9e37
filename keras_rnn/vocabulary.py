"""The characters that a network reads and writes, each with its number."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike

from keras_rnn.arguments import as_integers, as_string
from keras_rnn.hints import Tensor

# The numbers before those of the characters. 0 fills up what is shorter than the longest
# text of a batch; read by the decoder, it is what comes before the first character.
PADDING, STOP, FIRST = 0, 1, 2


class Vocabulary:
    """Sorted characters, and the numbers that stand for them.

    A character is one Unicode code point. Texts in which the same letter may stand in two
    ways (an accented letter as one code point, or as a letter and an accent) are to be
    brought to one of them before, with `unicodedata.normalize`.

    Args:
        characters: String or sequence of characters, in any order.
        unknown: One of the characters, which stands for each one that is not among them,
            or `None` (default): such a character is an error.
        first: Integer, default 0: the number of the first character. The numbers below
            are free for other use.
        name: String, what error messages call the characters.

    Raises:
        ValueError: there is no character, one of them is not a single code point, or
            `unknown` is not one of them.

    Example:
    >>> vocabulary = Vocabulary("hello?", unknown="?")
    >>> vocabulary.characters
    '?ehlo'
    >>> vocabulary.encode("hole!").tolist()
    [2, 4, 3, 1, 0]
    >>> vocabulary.decode([2, 4, 3, 1, 0])
    'hole?'
    """

    characters: Sequence[str]

    def __init__(
        self,
        characters: Iterable[str],
        unknown: str | None = None,
        first: int = 0,
        name: str = "vocabulary",
    ) -> None:
        try:
            listed = list(characters)
        except TypeError:  # None, a number
            listed = []
        if not listed or not all(
            isinstance(c, str) and len(c) == 1 and not "\ud800" <= c <= "\udfff"
            for c in listed
        ):
            raise ValueError(
                f"`{name}` must be a string, or a sequence of single characters, at "
                f"least one. Received: {name}={characters!r}"
            )
        self.characters = "".join(sorted(set(listed)))
        self._declare(unknown, first, name)
        self._points = _code_points(self.characters)  # sorted, as the characters are

    def _declare(self, unknown, first, name):
        if unknown is not None and unknown not in list(self.characters):
            raise ValueError(
                f"`unknown` must be one of the {name}, or None. "
                f"Received: unknown={unknown!r}"
            )
        self.unknown = unknown
        self.first = _checked_first(first)
        self.name = name

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """The numbers of the characters of a text.

        Args:
            text: String.

        Returns:
            Array of shape `(len(text),)`, int32.

        Raises:
            ValueError: a character is not known, and there is no `unknown`.
        """
        points = _code_points(as_string("text", text))
        places = np.searchsorted(self._points, points) % len(self)
        strange = self._points[places] != points
        if strange.any():
            if self.unknown is None:
                self._refuse({c for c, s in zip(text, strange) if s})
            places[strange] = self.characters.index(self.unknown)
        return (places + self.first).astype("int32")

    def split(self, text: str) -> list[str]:
        """The characters of a text as the network reads them, a list of strings.

        Raises:
            ValueError: see `encode`.
        """
        return [self.characters[number - self.first] for number in self.encode(text)]

    def _refuse(self, characters: Iterable[str]) -> NoReturn:
        raise ValueError(
            f"`text` has characters that are not in the {self.name}: "
            f"{', '.join(map(repr, sorted(characters)))}. Leave them out, or declare a "
            "replacement, as unknown='?'."
        )

    def decode(self, numbers: ArrayLike) -> str:
        """The text of some characters' numbers.

        Args:
            numbers: Integers, shape `(length,)`. Those below `first` are left out.

        Returns:
            String.

        Raises:
            ValueError: they are no integers, or there is no such character.
        """
        known = as_integers("numbers", numbers, most=self.first + len(self) - 1)
        known = known[known >= self.first]
        return "".join(self.characters[number - self.first] for number in known)

    # In an exported model strings are tensors, which are TensorFlow's own.

    def encode_tensor(self, texts: Tensor) -> Tensor:
        """`encode` in a TensorFlow graph.

        Args:
            texts: String tensor of shape `(batch,)`.

        Returns:
            Ragged integer tensor of shape `(batch, None)`. When the graph runs, a
            character that is not known raises an `InvalidArgumentError` if there is no
            `unknown`.
        """
        import tensorflow as tf

        points = tf.strings.unicode_decode(
            texts, "UTF-8", errors="strict"
        )  # (batch, None)
        flat = points.flat_values
        places = tf.searchsorted(self._points, flat) % len(self)
        strange = tf.gather(self._points, places) != flat
        if self.unknown is None:
            found = tf.boolean_mask(flat, strange)[:, tf.newaxis]
            self._refuse_tensor(strange, tf.strings.unicode_encode(found, "UTF-8"))
        else:
            places = tf.where(strange, self.characters.index(self.unknown), places)
        return points.with_flat_values(places + self.first)

    def _refuse_tensor(self, strange, found):
        import tensorflow as tf

        message = f"`texts` has characters that are not in the {self.name}:"
        tf.debugging.Assert(~tf.reduce_any(strange), [message, found], summarize=10)

    def decode_tensor(self, numbers: Tensor) -> Tensor:
        """`decode` in a TensorFlow graph.

        Args:
            numbers: Integer tensor of shape `(batch, length)`.

        Returns:
            String tensor of shape `(batch,)`. Numbers below `first` are left out.
        """
        import tensorflow as tf

        kept = tf.ragged.boolean_mask(numbers, numbers >= self.first)
        points = tf.gather(self._points, kept.flat_values - self.first)
        return tf.strings.unicode_encode(kept.with_flat_values(points), "UTF-8")


def _checked_first(first):
    if isinstance(first, bool) or not isinstance(first, numbers.Integral) or first < 0:
        raise ValueError(
            f"`first` must be an integer, at least 0. Received: first={first!r}"
        )
    return int(first)


def _code_points(text):
    """The code points of a string, an array (length,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<i4")
