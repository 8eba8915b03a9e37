"""A network that writes: texts in, texts out."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rnn.arguments import as_integers, as_string, as_strings, positive_integer
from keras_rnn.cells import CellMixin
from keras_rnn.export import new_saved_model
from keras_rnn.generation.network import CharacterNetwork
from keras_rnn.generation.sampling import Sampling
from keras_rnn.generation.saved_model import save_generator
from keras_rnn.generation.stopping import characters_until, first_stop
from keras_rnn.generation.writing import CHUNK, UNROLL, WritingLoop
from keras_rnn.hints import Config, StrPath, Tensor
from keras_rnn.vocabulary import Vocabulary

STREAM_CHUNK = 4 * UNROLL  # characters that `stream` waits for


@keras.saving.register_keras_serializable("keras_rnn")
class Generator(CharacterNetwork):
    """A network that predicts the next character of a text, and so can write one.

        e_t = embedding[x_t]                                  x_t: a character's number
        h_t = cell(e_t, h_{t-1})                              for each level of `cells`
        logits_t = h_t @ output_kernel + output_bias          y_t = softmax(logits_t)

    Called on token ids it returns the logits of all steps. It is trained on texts whose
    next character is known (teacher forcing):

        generator = Generator(sorted(set(text)), [ElmanCell(256), ElmanCell(256)])
        generator.compile(
            "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        x, y = windows(generator.encode(text), timesteps=100)
        generator.fit(x, y)
        print(generator.generate("ROMEO:", length=200, seed=1))

    The loss is then the cross-entropy in nats per character. It is built when it is
    made: it can write at once, if nonsense.

    **Conditions.** With `conditions`, a text is of a class, and its class sets the state
    before the first step: each class has its own learned initial state, in each level,
    trained by back-propagation. Train on `{"tokens": x, "conditions": ids}`, where
    `ids` are positions in `conditions`, one for each row; write with
    `generate(..., condition="positive")`. With a `start` character the prompt may be
    empty: the state of the class and that one character are then all that the text is
    made from, which is one to many.

    **Truncated back-propagation through time.** Trained on `ConsecutiveWindows`, each
    window of a row starts from the state where the window before it ended. The gradient
    is cut there. The first window of each row, in each epoch, starts from the learned
    initial state, and trains it.

    Args:
        vocabulary: String or sequence of characters, in any order: it is kept sorted,
            each character once, and saved with the model.
        cells: A cell of this package, or a list of them, one for each level.
        embedding_units: Positive integer, default 64: the size of a character's vector.
        dropout: Number in [0, 1], default 0: the fraction of the outputs of each level
            that is dropped in training.
        conditions: List of different strings, the classes of texts, or `None` (default).
            The initial states of the cells then have a row for each class, and belong to
            the generator: the cells must not be built yet.
        start: A character of the vocabulary that each text begins with, or `None`
            (default). The generator reads it before the prompt, which may then be
            empty. The texts to train on must begin with it.
        unknown: A character of the vocabulary that stands for each one that is not in
            it, or `None` (default): such a character is an error.
        **kwargs: The arguments of `keras.Model` (`name`, `dtype`, `trainable`).

    Call arguments:
        inputs: Integer tensor of shape `(batch, timesteps)`; or, with conditions, the
            tuple of it and an integer tensor of shape `(batch,)`; or a dictionary with
            `tokens`, `conditions` where there are some, and `fresh` (see
            `ConsecutiveWindows`).
        initial_state: As `get_initial_state` returns it. Default: the learned one.
        return_state: Boolean, default `False`: the last states after the logits.
        training: Boolean: whether dropout is at work.

    Returns:
        Logits, `(batch, timesteps, len(vocabulary))`; with `return_state`, a tuple of
        them and the last states: a list for each level of tensors `(batch, units)`.

    Raises:
        ValueError: an argument is not what it must be; the message names it.

    Example:
    >>> from keras_rnn import ElmanCell
    >>> generator = Generator("abc ", ElmanCell(8))
    >>> generator.vocabulary, generator.encode("abba").tolist()
    (' abc', [1, 2, 2, 1])
    >>> tuple(generator(generator.encode("abba")[None]).shape)
    (1, 4, 4)
    >>> len(generator.generate("ab", length=20, seed=1))
    20
    """

    def __init__(
        self,
        vocabulary: str | Iterable[str],
        cells: CellMixin | list[CellMixin],
        embedding_units: int = 64,
        dropout: float = 0.0,
        conditions: list[str] | None = None,
        start: str | None = None,
        unknown: str | None = None,
        **kwargs: Any,
    ) -> None:
        known = Vocabulary(vocabulary, unknown)
        one = isinstance(start, str) and len(start) == 1
        if start is not None and not (one and start in known.characters):
            raise ValueError(
                "`start` must be one character of the vocabulary, or None. "
                f"Received: start={start!r}"
            )
        super().__init__(
            len(known), cells, embedding_units, dropout, conditions, **kwargs
        )
        self._vocabulary, self.vocabulary = known, known.characters
        self.start, self.unknown = start, unknown
        self._loop = WritingLoop(self)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "start": self.start,
            "unknown": self.unknown,
        }

    # Characters and their numbers.

    def encode(self, text: str) -> np.ndarray:
        """The numbers of the characters of a text, their positions in `vocabulary`.

        Args:
            text: String.

        Returns:
            Array of shape `(len(text),)`, int32.

        Raises:
            ValueError: a character is not in the vocabulary, and `unknown` is not set.
        """
        return self._vocabulary.encode(text)

    def decode(self, ids: Tensor) -> str:
        """The text of some characters' numbers: `decode(encode(text)) == text`.

        Args:
            ids: Integers, shape `(timesteps,)`.

        Returns:
            String.

        Raises:
            ValueError: they are no integers, or there is no such character.
        """
        return self._vocabulary.decode(
            as_integers("ids", ids, most=len(self.vocabulary) - 1)
        )

    # Reading.

    def read(
        self, text: str, condition: str | None = None
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """What the network expects, and what it remembers, after each character.

        Args:
            text: String. A `start` character is read before it.
            condition: One of the model's `conditions`, if it has some.

        Returns:
            The chances of the next character, an array of shape `(characters read,
            len(vocabulary))`, and a list with the outputs of each level, h_t, arrays of
            shape `(characters read, units)`.
        """
        text = as_string("text", text)
        tokens, _, classes = self._prompts([text], condition, "text")
        tokens = tokens[:, : len((self.start or "") + text)]
        outputs, _ = self.outputs_of_levels(tokens, self.get_initial_state(1, classes))
        chances = ops.softmax(ops.cast(self.logits(outputs[-1]), "float32"))
        return ops.convert_to_numpy(chances)[0], [
            ops.convert_to_numpy(ops.cast(each, "float32"))[0] for each in outputs
        ]

    # Writing.

    def generate(
        self,
        prompt: str | list[str] = "",
        length: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        stop: str | list[str] | None = None,
        seed: int | None = None,
        condition: str | list[str] | None = None,
    ) -> str | list[str]:
        """Writes on where each prompt ends.

        What is returned is what was written, without the prompt:
        `prompt + generator.generate(prompt)` is the whole text.

        The text depends on the seed, the prompt and its place in the list, and on
        nothing else: not on the other prompts, nor on the machine or the backend (but
        for two characters whose chances differ by a rounding error). Each step costs
        the same, however long the text is.

        Args:
            prompt: String, or a list of strings. Empty only if the model has a `start`.
            length: Positive integer, how many characters to write.
            temperature: Number, at least 0, by which the logits are divided: below 1
                the likely becomes likelier, above 1 less so. 0 always writes the
                likeliest character.
            top_k: Positive integer, or `None`: draws from the `top_k` likeliest only.
            top_p: Number in (0, 1], or `None`: draws from the fewest likeliest
                characters whose chances sum up to `top_p`, after temperature and
                `top_k`.
            stop: String, or a list of strings: a text ends before the first of them.
            seed: Integer from 0 to 2**32 - 1. `None`: another text at each call, sampled
                from Python's `random`, which `keras.utils.set_random_seed` sets.
            condition: One of the model's `conditions`, for all prompts, or a list with
                one for each. Needed if the model has conditions.

        Returns:
            String for a string, list of strings for a list.

        Raises:
            ValueError: an argument is not what it must be; the message names it.
        """
        alone = isinstance(prompt, str)
        prompts = as_strings("prompt", prompt, alone=True)
        sampling = Sampling(self.vocabulary, temperature, top_k, top_p, stop, seed)
        texts, stops = ["" for _ in prompts], sampling.stops
        for new in self._pieces(prompts, condition, length, sampling, CHUNK):
            texts = [text + piece for text, piece in zip(texts, new)]
            if stops and all(first_stop(text, stops) is not None for text in texts):
                break
        texts = [text[: first_stop(text, stops)] for text in texts]
        return texts[0] if alone else texts

    def stream(
        self,
        prompt: str = "",
        length: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        stop: str | list[str] | None = None,
        seed: int | None = None,
        condition: str | list[str] | None = None,
    ) -> Iterator[str]:
        """Yields, character by character, what `generate` returns, as it is written.

        Args and errors: those of `generate`, for one prompt.

        Yields:
            Strings of one character.
        """
        prompts = [as_string("prompt", prompt)]
        sampling = Sampling(self.vocabulary, temperature, top_k, top_p, stop, seed)
        pieces = self._pieces(prompts, condition, length, sampling, STREAM_CHUNK)
        return characters_until((piece for (piece,) in pieces), sampling.stops)

    def _pieces(self, prompts, condition, length, sampling, chunk):
        """Checks the arguments; an iterator over what is written, a list at a time."""
        length = positive_integer("length", length)
        tokens, lengths, classes = self._prompts(prompts, condition)
        written = self._loop.chunks(tokens, lengths, classes, sampling, length, chunk)
        return ([self.decode(row) for row in rows] for rows in written)

    def _prompts(self, prompts, condition, name="prompt"):
        """Tokens (batch, timesteps), padded, their lengths, and the classes (batch,)."""
        if not prompts or (self.start is None and "" in prompts):
            raise ValueError(
                f"`{name}` must not be empty, unless the model is made with a character "
                f"to start from: Generator(..., start=...). Received: {name}={prompts}"
            )
        texts = [self.encode((self.start or "") + prompt) for prompt in prompts]
        lengths = np.array([len(text) for text in texts], "int32")
        # A power of two: few shapes, for a backend that compiles each.
        tokens = np.zeros((len(texts), 1 << (int(lengths.max()) - 1).bit_length()))
        for row, text in zip(tokens, texts):
            row[: len(text)] = text
        return tokens.astype("int32"), lengths, self._classes(condition, len(prompts))

    def _classes(self, condition, count):
        """The position in `conditions` of each of `count` rows, (batch,)."""
        if not self.conditions and condition is None:
            return np.zeros(count, "int32")
        names = [condition] * count if isinstance(condition, str) else condition
        if isinstance(names, np.ndarray):
            names = names.tolist()
        if (
            not isinstance(names, (list, tuple))
            or len(names) != count
            or not all(isinstance(n, str) and n in self.conditions for n in names)
        ):
            raise ValueError(
                "`condition` must be one of the model's conditions, or a list with one "
                f"for each prompt: {self.conditions}. Received: condition={condition!r}"
            )
        return np.array([self.conditions.index(name) for name in names], "int32")

    def export(self, path: StrPath) -> None:
        """Writes a TensorFlow SavedModel that writes texts, with the loop inside.

        It is for a program that has TensorFlow and nothing else:

            writer = tf.saved_model.load(path).signatures
            writer["generate"](
                prompts=tf.constant(["ROMEO:"]), length=tf.constant(200), ...
            )["texts"]

        Its signatures, strings in UTF-8, states named `level_0_state`, `level_1_state`,
        ..., and for an LSTM `level_0_carry`, ...:

        | signature | in | out |
        |---|---|---|
        | `generate` | `prompts` (batch,) string; `length`, `top_k` int32; `temperature`, `top_p` float32; `seed` int64; with conditions `condition` (batch,) string | `texts` (batch,) string |
        | `initial_state` | `batch_size` int32, or with conditions `condition` (batch,) string | the states, (batch, units) |
        | `step` | `character` (batch,) string; the states | `probabilities` (batch, characters) float32; the new states |
        | `vocabulary` | | `characters` (characters,) string, in the order of the probabilities; `conditions` (conditions,) string; `start`, `unknown` string, each "" if there is none |

        `generate` writes the same text as the method does for the same seed; `top_k=0`
        and `top_p=1` take all characters. It has no `stop`: a caller cuts the text, or
        writes it by `step` until it ends. What the method refuses it refuses, with an
        `InvalidArgumentError`. `step` begins with `start`, if there is one, and then the
        prompt.

        Args:
            path: The folder to write, whole or not at all. A SavedModel that is there
                is replaced.

        Raises:
            RuntimeError: Keras does not run on TensorFlow.
            ValueError: `path` is something else than a SavedModel.
        """
        with new_saved_model(path, "Generator.export") as new:
            save_generator(self, self._loop, new)
