"""A network that reads a text and writes another one: texts in, texts out."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rnn.arguments import as_integers, as_string, as_strings, positive_integer
from keras_rnn.backends import compiled
from keras_rnn.cells import CellMixin
from keras_rnn.export import new_saved_model
from keras_rnn.hints import Config, StrPath, Tensor
from keras_rnn.pieces import vocabulary_of
from keras_rnn.seq2seq.beam import beam_search
from keras_rnn.seq2seq.network import EncoderDecoderNetwork
from keras_rnn.seq2seq.saved_model import save_translator
from keras_rnn.vocabulary import FIRST, PADDING, STOP

BATCH = 256  # texts that are translated at once at most
WIDTHS = 16  # texts to translate are padded to multiples of it: fewer shapes to compile


@keras.saving.register_keras_serializable("keras_rnn")
class EncoderDecoder(EncoderDecoderNetwork):
    """A network that reads a text and writes another one, piece by piece.

    The pieces are characters, or words and parts of words, as `learn_pieces` finds them;
    what is said here of characters holds for pieces of any length.

    The encoder reads the source. Its last states, of each level, are the initial states of
    the decoder, which predicts the target: each character from those before it. It is
    trained on pairs of texts (teacher forcing: the decoder reads the true characters,
    not its own):

        model = EncoderDecoder(
            set("".join(sources)), set("".join(targets)), GRUCell(128)
        )
        model.compile(
            "adam",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
            metrics=[ExactMatch()],
        )
        x, y = model.encode(sources, targets)
        model.fit(x, y)
        print(model.translate("7 septembre 2018", beam_width=4))

    `ignore_class=0` leaves the padding out of the loss, which is then the cross-entropy
    in nats per character that is written, the stop among them. The model is built when
    it is made.

    **Attention.** All that the source says has to pass through one state, h_S. With
    `attention` the decoder also looks back at every h_s, by one of Keras's attention
    layers:

        a_ts = softmax over s of score(d_t @ W_q, h_s @ W_k)
        context_t = sum over s of a_ts h_s
        y_t ~  softmax(tanh([d_t, context_t] @ W_c + b_c) @ kernel + bias)

    `alignment` returns the weights a_ts.

    Sources: Ilya Sutskever, Oriol Vinyals and Quoc V. Le, 2014, Sequence to sequence
    learning with neural networks; attention: Dzmitry Bahdanau, Kyunghyun Cho and Yoshua
    Bengio, 2015, Neural machine translation by jointly learning to align and translate
    (its score is `"additive"`); Minh-Thang Luong, Hieu Pham and Christopher D. Manning,
    2015, Effective approaches to attention-based neural machine translation (`"dot"`,
    and the way from d_t and context_t to y_t).

    Args:
        source_vocabulary: String or sequence of characters to read, in any order: it is
            kept sorted, each character once, and saved with the model. If strings of
            several characters are in it, such as `learn_pieces` returns, a text is cut
            from its start, each time the longest one that fits.
        target_vocabulary: The same, of the characters to write.
        cells: A cell of this package, or a list of them, one for each level. They are
            the encoder's; the decoder has new ones with the same arguments, but for the
            learned initial state, which the encoder's last one replaces.
        embedding_units: Positive integer, default 64: the size of a character's vector.
        bidirectional: Boolean, default `False`. The encoder then has two cells of half
            the units in each level, one of which reads from the end. Their states, side
            by side, are one of the decoder's.
        attention: `None` (default), `"dot"`, `"additive"`, or a layer of Keras that is
            called as `keras.layers.Attention` is.
        max_length: Positive integer, default 100: the most characters of a translation.
        unknown: A character of the source vocabulary that stands for each one that is
            not in it, or `None` (default): such a character is an error. In a target it
            always is.
        **kwargs: The arguments of `keras.Model` (`name`, `dtype`, `trainable`).

    Call arguments:
        inputs: A tuple of the source, integers `(batch, S)`, and of the target moved on
            by one step, integers `(batch, T)`: what `encode` returns as `x`.
        training: Boolean: whether dropout is at work.

    Returns:
        Logits, `(batch, T, FIRST + len(target_vocabulary))`.

    Raises:
        ValueError: an argument is not what it must be; the message names it.

    Example:
    >>> from keras_rnn import ElmanCell
    >>> model = EncoderDecoder("abc", "xyz", ElmanCell(8), attention="dot")
    >>> x, y = model.encode(["abba", "c"], ["xyyx", "z"])
    >>> y.tolist()  # 1 is the stop, 0 padding
    [[2, 3, 3, 2, 1], [4, 1, 0, 0, 0]]
    >>> tuple(model(x).shape)
    (2, 5, 5)
    >>> len(model.translate(["abba", "c"], beam_width=2))  # nonsense, as yet
    2
    """

    def __init__(
        self,
        source_vocabulary: str | Iterable[str],
        target_vocabulary: str | Iterable[str],
        cells: CellMixin | list[CellMixin],
        embedding_units: int = 64,
        bidirectional: bool = False,
        attention: str | keras.layers.Attention | None = None,
        max_length: int = 100,
        unknown: str | None = None,
        **kwargs: Any,
    ) -> None:
        source = vocabulary_of(source_vocabulary, unknown, FIRST, "source_vocabulary")
        target = vocabulary_of(target_vocabulary, None, FIRST, "target_vocabulary")
        super().__init__(
            len(source),
            len(target),
            cells,
            embedding_units,
            bidirectional,
            attention,
            **kwargs,
        )
        self._source, self._target = source, target
        self.source_vocabulary = source.characters
        self.target_vocabulary = target.characters
        self.max_length = positive_integer("max_length", max_length)
        self.unknown = unknown
        # Kept out of Keras's tracking: the compiled loops are not part of the model.
        object.__setattr__(self, "_compiled", {})

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "source_vocabulary": self.source_vocabulary,
            "target_vocabulary": self.target_vocabulary,
            "max_length": self.max_length,
            "unknown": self.unknown,
        }

    # Characters and their numbers.

    def encode(self, sources: list[str], targets: list[str] | None = None) -> Any:
        """The numbers of the characters of texts, padded to the longest of them.

        Args:
            sources: List of strings to read.
            targets: List of as many strings to write, or `None`.

        Returns:
            Without targets an integer array `(batch, S)`. With them `x` and `y` for
            `fit`: x is the tuple of that array and of the targets moved on by one
            step, y the targets with a stop at their end, both of shape `(batch, T)`.

        Raises:
            ValueError: a text is no string, a character is not in the vocabulary (and
                has no replacement), or there are more texts of one kind.
        """
        return self._encode(sources=sources, targets=targets)

    def _encode(self, **texts):
        """`encode` of arguments by the names that their caller knows them by."""
        (name, sources), (target_name, targets) = texts.items()
        sources = as_strings(name, sources)
        source = _padded([self._source.encode(text) for text in sources])
        if targets is None:
            return source
        targets = as_strings(target_name, targets)
        if len(sources) != len(targets):
            raise ValueError(
                f"`{name}` and `{target_name}` must be of the same length. "
                f"Received: {len(sources)} {name}, {len(targets)} {target_name}"
            )
        target = _padded([[*self._target.encode(text), STOP] for text in targets])
        previous = np.pad(target[:, :-1], ((0, 0), (1, 0)))  # PADDING goes before all
        return (source, previous), target

    def decode(self, numbers: Tensor) -> str:
        """The text of numbers of target characters, up to the stop.

        Args:
            numbers: Integers, shape `(length,)`.

        Returns:
            String.

        Raises:
            ValueError: they are no integers, or there is no such character.
        """
        most = FIRST + len(self.target_vocabulary) - 1
        numbers = as_integers("numbers", numbers, most)
        ended = np.cumsum(numbers == STOP) > 0
        return self._target.decode(numbers[~ended])

    # Writing.

    def write(
        self, source: Tensor, beam_width: int, max_length: int
    ) -> tuple[Tensor, Tensor]:
        """The whole loop: from sources to what is written. See `translate`.

        Args:
            source: Integer tensor of shape `(batch, S)`.
            beam_width: Positive integer.
            max_length: Positive integer.

        Returns:
            Integer tensor of shape `(batch, max_length + 1)`, each text with its stop,
            and their log-probabilities, `(batch,)`.
        """
        return beam_search(self, source, *self._sizes(beam_width, max_length))

    def translate(
        self,
        texts: str | list[str],
        beam_width: int = 1,
        max_length: int | None = None,
    ) -> str | list[str]:
        """Reads texts, and writes for each of them the one that it finds most probable.

        With `beam_width=1` it writes the most probable character at each step (greedy).
        With a wider beam it goes on with that many texts at once and keeps, of all their
        continuations, those of the greatest log-probability. One place of the beam is
        the greedy text's, always, so that the result is never less probable than that
        (but for rounding: two characters as good as equally probable). A text that has
        ended is compared with the others as it is: nothing favours longer ones.

        The loop is compiled once for a beam width, and a step costs the same however
        long the text is. At the length limit nothing but the stop may be written.

        Args:
            texts: String, or a list of strings.
            beam_width: Positive integer, how many texts to follow at once.
            max_length: Positive integer, the most characters of a translation. Default:
                that of the model.

        Returns:
            String for a string, list of strings for a list.

        Raises:
            ValueError: an argument is not what it must be; the message names it.
        """
        alone = isinstance(texts, str)
        source = self.encode(as_strings("texts", texts, alone=True))
        write = self._compile("write", *self._sizes(beam_width, max_length))
        source = np.pad(source, ((0, 0), (0, -source.shape[1] % WIDTHS)))
        parts = [write(part)[0] for part in _parts(source)]
        rows = [row for part in parts for row in ops.convert_to_numpy(part)]
        translations = [self.decode(row) for row in rows]
        return translations[0] if alone else translations

    def _compile(self, name: str, *sizes: int) -> Callable:
        """`write` of some sizes, or `follow`: compiled once, or as the backend can."""
        if (name, *sizes) not in self._compiled:
            integers = ((None, None), "int32")
            function: Callable = self.follow
            arguments = [integers, integers]
            if name == "write":
                beam_width, max_length = sizes
                function = functools.partial(
                    self.write, beam_width=beam_width, max_length=max_length
                )
                arguments = [integers]
            self._compiled[name, *sizes] = compiled(self, function, arguments)
        return self._compiled[name, *sizes]

    def log_probability(self, texts: list[str], translations: list[str]) -> np.ndarray:
        """How probable the model finds translations: the sum over their characters.

            log p(translation | text) = sum over t of log y_t, the stop among them

        Args:
            texts: List of strings.
            translations: List of as many strings.

        Returns:
            Array of shape `(len(texts),)`, float64.

        Raises:
            ValueError: see `encode`.
        """
        # Without translations there is nothing that is probable.
        translations = as_strings("translations", translations)
        x, y = self._encode(texts=texts, translations=translations)
        if not len(y):
            return np.zeros(0)
        logits = np.concatenate(
            [
                ops.convert_to_numpy(self._compile("follow")(*part)[0])
                for part in zip(*(_parts(array) for array in x))
            ]
        ).astype("float64")
        logits -= logits.max(axis=-1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        logs = np.take_along_axis(logs, y[..., None], axis=-1)[..., 0]  # (batch, T)
        return np.where(y == PADDING, 0.0, logs).sum(axis=-1)

    def alignment(self, text: str, translation: str | None = None) -> np.ndarray:
        """Where attention looks while each character is written.

        Args:
            text: String.
            translation: String. Default: `translate(text)`.

        Returns:
            The weights a_ts, an array of shape `(len(translation) + 1, len(text))`: the
            last row is that of the stop. Each row sums up to 1.

        Raises:
            ValueError: the model has no attention; see also `encode`.
        """
        if self.attention is None:
            raise ValueError(
                "`alignment` needs a model with attention: EncoderDecoder(..., "
                f"attention='dot'). Received: attention={self.attention}"
            )
        text = as_string("text", text)
        written = self.translate(text) if translation is None else translation
        translation = as_string("translation", written)
        (source, previous), _ = self.encode([text], [translation])
        _, weights = self._compile("follow")(source, previous)
        return ops.convert_to_numpy(weights)[0]

    def export(
        self,
        path: StrPath,
        beam_width: int = 1,
        max_length: int | None = None,
    ) -> None:
        """Writes a TensorFlow SavedModel that translates strings, with the loop inside.

        It is for a program that has TensorFlow and nothing else:

            translator = tf.saved_model.load(path).signatures["translate"]
            translator(texts=tf.constant(["7 septembre 2018"]))["translations"]

        Both are strings in UTF-8, of shape `(batch,)`. What `translate` refuses it
        refuses, with an `InvalidArgumentError`.

        Args:
            path: The folder to write, whole or not at all. A SavedModel that is there
                is replaced.
            beam_width: Positive integer, as in `translate`.
            max_length: Positive integer, as in `translate`.

        Raises:
            RuntimeError: Keras does not run on TensorFlow.
            ValueError: `path` is something else than a SavedModel, or another argument
                is not what it must be.
        """
        beam_width, max_length = self._sizes(beam_width, max_length)
        with new_saved_model(path, "EncoderDecoder.export") as new:
            save_translator(self, new, beam_width, max_length)

    def _sizes(self, beam_width, max_length):
        if max_length is None:
            max_length = self.max_length
        return (
            positive_integer("beam_width", beam_width),
            positive_integer("max_length", max_length),
        )


def _parts(array):
    """The array cut along its first axis, into parts of `BATCH` rows."""
    return [array[i : i + BATCH] for i in range(0, len(array), BATCH)]


def _padded(rows):
    """Rows of numbers as an integer array (rows, the longest), filled up with 0."""
    width = max((len(row) for row in rows), default=0)
    array = np.full((len(rows), max(width, 1)), PADDING, "int32")
    for filled, row in zip(array, rows):
        filled[: len(row)] = row
    return array
