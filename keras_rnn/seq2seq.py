"""Many to many, of other lengths: one network reads, another one writes.

An `EncoderDecoder` reads a text to its end. The state that it is in then is where
another network starts, which writes a text of its own, until it writes that it has
ended:

    h_s  = encoder(x_s, h_{s-1})           s = 1 ... S, the characters that are read
    d_0  = h_S
    d_t  = decoder(y_{t-1}, d_{t-1})       t = 1 ... T, the characters that are written
    y_t ~  softmax(d_t @ kernel + bias)

`keras_rnn.exact_match` has the metric that goes with it, `keras_rnn.beam` what a beam
keeps.
"""

import functools

import keras
import numpy as np
from keras import ops

from keras_rnn.arguments import (
    as_integers,
    as_string,
    as_strings,
    as_tensor,
    positive_integer,
)
from keras_rnn.backends import compiled
from keras_rnn.beam import NEVER, continuations
from keras_rnn.export import new_saved_model
from keras_rnn.levels import different_cells, one_step
from keras_rnn.pieces import vocabulary_of
from keras_rnn.rnn import RNN
from keras_rnn.saved_strings import save_translator
from keras_rnn.vocabulary import FIRST, PADDING, STOP

BATCH = 256  # texts that are translated at once at most
WIDTHS = 16  # texts to translate are padded to multiples of it: fewer shapes to compile

ATTENTIONS = {
    "dot": keras.layers.Attention,
    "additive": keras.layers.AdditiveAttention,
}


@keras.saving.register_keras_serializable("keras_rnn")
class EncoderDecoder(keras.Model):
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
        source_vocabulary,
        target_vocabulary,
        cells,
        embedding_units=64,
        bidirectional=False,
        attention=None,
        max_length=100,
        unknown=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        source = vocabulary_of(source_vocabulary, unknown, FIRST, "source_vocabulary")
        target = vocabulary_of(target_vocabulary, None, FIRST, "target_vocabulary")
        self._source, self._target = source, target
        self.source_vocabulary = source.characters
        self.target_vocabulary = target.characters
        self.embedding_units = positive_integer("embedding_units", embedding_units)
        if not isinstance(bidirectional, (bool, np.bool_)):
            raise ValueError(
                "`bidirectional` must be True or False. "
                f"Received: bidirectional={bidirectional!r}"
            )
        self.bidirectional = bool(bidirectional)
        self.max_length = positive_integer("max_length", max_length)
        self.unknown = unknown

        cells = different_cells(cells)
        if bidirectional and any(cell.units % 2 for cell in cells):
            raise ValueError(
                "`cells` must have an even number of units with `bidirectional=True`, "
                f"half for each direction. Received: {[cell.units for cell in cells]}"
            )
        if any(cell.output_units is not None for cell in cells):
            raise ValueError(
                "`cells` must have no `output_units`: what is written is read off their "
                f"states. Received: {[cell.output_units for cell in cells]}"
            )
        self._cell_configs = [keras.saving.serialize_keras_object(c) for c in cells]
        dtype = self.dtype_policy
        self.source_embedding, self.target_embedding = (
            _built(
                keras.layers.Embedding(
                    FIRST + len(vocabulary), self.embedding_units, dtype=dtype
                ),
                (None, None),
            )
            for vocabulary in (source, target)
        )
        self.encoder, self.decoder = [], []
        # Those of the outputs, which are the states, unless a cell's `call` is not ours.
        read = written = self.embedding_units
        for i, cell in enumerate(cells):
            arguments = {"return_sequences": True, "return_state": True, "dtype": dtype}
            writes = _another(cell, learn_initial_state=False)
            writer = RNN(writes, name=f"decoder_{i}", **arguments)
            reads = _another(cell, units=cell.units // 2) if bidirectional else cell
            reader = RNN(reads, name=f"encoder_{i}", **arguments)
            if bidirectional:
                reader = keras.layers.Bidirectional(reader, dtype=dtype)
            self.encoder.append(_built(reader, (None, None, read)))
            self.decoder.append(_built(writer, (None, None, written)))
            read = reads.output_size * (2 if bidirectional else 1)
            written = writes.output_size
        self.attention = _attention_layer(attention, dtype)
        self._attention_config = None
        if self.attention is not None:
            self._attention_config = keras.saving.serialize_keras_object(self.attention)
            self._attention_config.pop("build_config", None)
            self.queries, self.keys = (
                _built(
                    keras.layers.Dense(written, use_bias=False, dtype=dtype),
                    (None, None, width),
                )
                for width in (written, read)
            )
            _built(self.attention, [(None, None, w) for w in (written, read, written)])
            self.combine = _built(
                keras.layers.Dense(written, activation="tanh", dtype=dtype),
                (None, None, written + read),
            )
        # Logits in full precision, where the levels compute in less.
        self.logits = _built(
            keras.layers.Dense(FIRST + len(target), dtype=dtype.variable_dtype),
            (None, None, written),
        )
        self.built = True
        # Kept out of Keras's tracking: the compiled loops are not part of the model.
        object.__setattr__(self, "_compiled", {})

    def build(self, input_shape=None):
        """Does nothing: the model is built when it is made."""

    def get_config(self):
        return {
            **super().get_config(),
            "source_vocabulary": self.source_vocabulary,
            "target_vocabulary": self.target_vocabulary,
            "cells": self._cell_configs,
            "embedding_units": self.embedding_units,
            "bidirectional": self.bidirectional,
            "attention": self._attention_config,
            "max_length": self.max_length,
            "unknown": self.unknown,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        def made(value):
            return keras.saving.deserialize_keras_object(
                value, custom_objects=custom_objects
            )

        cells = [made(cell) for cell in config["cells"]]
        attention = config["attention"] and made(config["attention"])
        return cls(**{**config, "cells": cells, "attention": attention})

    # Characters and their numbers.

    def encode(self, sources, targets=None):
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

    def decode(self, numbers):
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

    # Reading: all steps of a batch of texts.

    def call(self, inputs, training=False):
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
            raise ValueError(
                "`inputs` must be a tuple of two: the source, and the target moved on by "
                f"one step. Received: inputs={inputs}"
            )
        source, previous = (as_tensor("inputs", each, rank=2) for each in inputs)
        return self._follow(source, previous, training)[0]

    def _follow(self, source, previous, training=False):
        """The logits where the characters before are known, and where attention looks."""
        states, memory = self.read(source, training)
        outputs = self.target_embedding(previous)  # (batch, T, embedding_units)
        for level, first in zip(self.decoder, states):
            outputs, *_ = level(outputs, initial_state=first, training=training)
        outputs, weights = self.look_back(outputs, memory, training)
        return self.logits(outputs), weights

    def read(self, source, training=False):
        """The encoder: from a source to the initial states of the decoder.

        Args:
            source: Integer tensor of shape `(batch, S)`, 0 where it is padded.
            training: Boolean.

        Returns:
            A list for each level of tensors `(batch, units)`; and what attention looks
            back at: every h_s, `(batch, S, units)`, their keys, and the mask.
        """
        source = as_tensor("source", source, rank=2)
        mask = ops.not_equal(source, PADDING)  # (batch, S)
        outputs, states = self.source_embedding(source), []
        for level in self.encoder:
            outputs, *last = level(outputs, mask=mask, training=training)
            if self.bidirectional:
                half = len(last) // 2
                pairs = zip(last[:half], last[half:])
                last = [ops.concatenate(pair, axis=-1) for pair in pairs]
            states.append(last)
        keys = None if self.attention is None else self.keys(outputs)
        return states, (outputs, keys, mask)

    def look_back(self, states, memory, training=False):
        """Attention: what the states of the decoder make of all states of the encoder.

        Args:
            states: Tensor of shape `(batch, T, units)`, the d_t.
            memory: What `read` returned.
            training: Boolean.

        Returns:
            Tensor of shape `(batch, T, units)`, and the weights a_ts, `(batch, T, S)`;
            the states themselves and `None` without attention.
        """
        states = as_tensor("states", states, rank=3)
        if self.attention is None:
            return states, None
        if not isinstance(memory, (list, tuple)) or len(memory) != 3:
            raise ValueError(
                f"`memory` must be what `read` returned. Received: memory={memory!r}"
            )
        values, keys, mask = memory
        context, weights = self.attention(
            [self.queries(states), values, keys],
            mask=[None, mask],
            training=training,
            return_attention_scores=True,
        )
        return self.combine(ops.concatenate([states, context], axis=-1)), weights

    # Writing: one step after the other.

    def step(self, tokens, states, memory):
        """One step of the decoder: reads a character, and says what comes next.

        Args:
            tokens: Integer tensor of shape `(batch, beams)`: the characters before.
            states: As `read` returns them, of `batch * beams` rows.
            memory: As `read` returns it, of `batch` rows: the beams of a source share
                it.

        Returns:
            The logits, `(batch, beams, characters)`, and the new states.
        """
        tokens = as_tensor("tokens", tokens, rank=2)
        beams = tokens.shape[1]
        outputs = self.target_embedding(ops.reshape(tokens, (-1,)))
        outputs, new = one_step(self.decoder, outputs, states)
        outputs = ops.reshape(outputs, (-1, beams, outputs.shape[-1]))
        outputs, _ = self.look_back(outputs, memory)
        return self.logits(outputs), new

    def write(self, source, beam_width, max_length):
        """The whole loop: from sources to what is written. See `translate`.

        Args:
            source: Integer tensor of shape `(batch, S)`.
            beam_width: Positive integer.
            max_length: Positive integer.

        Returns:
            Integer tensor of shape `(batch, max_length + 1)`, each text with its stop,
            and their log-probabilities, `(batch,)`.
        """
        beam_width, max_length = self._sizes(beam_width, max_length)
        states, memory = self.read(source)
        states = [
            [ops.repeat(s, beam_width, axis=0) for s in level] for level in states
        ]
        batch, length = ops.shape(source)[0], max_length + 1
        tokens = ops.zeros((batch, beam_width), "int32") + PADDING
        texts = ops.zeros((batch * beam_width, length), "int32") + PADDING
        # Place 0 of the beam starts alone: the other places have nothing yet.
        alone = ops.where(ops.arange(beam_width) > 0, NEVER, 0.0)
        scores = ops.zeros((batch, beam_width), alone.dtype) + alone
        character = ops.arange(FIRST + len(self.target_vocabulary))
        first_row = ops.expand_dims(ops.arange(batch) * beam_width, 1)  # (batch, 1)

        def ended(texts):
            stops = ops.any(ops.equal(texts, STOP), axis=-1)
            return ops.reshape(stops, (-1, beam_width))  # (batch, beams)

        def goes_on(t, tokens, texts, scores, states):
            # Scores only fall: none overtakes the best text of a source that has ended.
            best = ops.one_hot(ops.argmax(scores, -1), beam_width, dtype="bool")
            done = ops.any(ops.logical_and(best, ended(texts)), axis=-1)  # (batch,)
            return ops.logical_not(ops.all(done))

        def one_more(t, tokens, texts, scores, states):
            logits, states = self.step(tokens, states, memory)
            gain = ops.log_softmax(ops.cast(logits, scores.dtype), axis=-1)
            allowed = ops.where(t < max_length, character != PADDING, character == STOP)
            gain = ops.where(allowed, gain, NEVER)  # (batch, beams, characters)
            # What has ended goes on with padding, which costs nothing.
            still = ops.where(character == PADDING, 0.0, NEVER)
            gain = ops.where(ops.expand_dims(ended(texts), -1), still, gain)
            scores, place, tokens = continuations(ops.expand_dims(scores, -1) + gain)
            rows = ops.reshape(first_row + place, (-1,))  # (batch * beams,)
            texts = ops.where(
                ops.arange(length) == t,
                ops.reshape(tokens, (-1, 1)),
                ops.take(texts, rows, axis=0),
            )
            states = keras.tree.map_structure(
                lambda state: ops.take(state, rows, axis=0), states
            )
            return t + 1, tokens, texts, scores, states

        _, _, texts, scores, _ = ops.while_loop(
            goes_on,
            one_more,
            (0, tokens, texts, scores, states),
            maximum_iterations=length,
        )
        best = ops.expand_dims(ops.argmax(scores, -1), 1)  # (batch, 1)
        texts = ops.take(texts, ops.reshape(first_row + best, (-1,)), axis=0)
        return texts, ops.max(scores, axis=-1)

    def translate(self, texts, beam_width=1, max_length=None):
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

    def _compile(self, name, *sizes):
        """`write` of some sizes, or `_follow`: compiled once, or as the backend can."""
        if (name, *sizes) not in self._compiled:
            integers = ((None, None), "int32")
            if name == "write":
                beam_width, max_length = sizes
                function = functools.partial(
                    self.write, beam_width=beam_width, max_length=max_length
                )
                arguments = [integers]
            else:
                function, arguments = self._follow, [integers, integers]
            self._compiled[name, *sizes] = compiled(self, function, arguments)
        return self._compiled[name, *sizes]

    def log_probability(self, texts, translations):
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

    def alignment(self, text, translation=None):
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
        if translation is None:
            translation = self.translate(text)
        translation = as_string("translation", translation)
        (source, previous), _ = self.encode([text], [translation])
        _, weights = self._compile("follow")(source, previous)
        return ops.convert_to_numpy(weights)[0]

    def export(self, path, beam_width=1, max_length=None):
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


def _built(layer, shape):
    if not layer.built:  # what a user has made may be
        layer.build(shape)
    return layer


def _another(cell, **changes):
    """A new cell with the arguments of this one, but for some of them."""
    config = {**cell.get_config(), **changes}
    del config["name"]
    return type(cell).from_config(config)


def _attention_layer(attention, dtype):
    if attention is None or isinstance(attention, keras.layers.Attention):
        return attention
    if not isinstance(attention, str) or attention not in ATTENTIONS:
        raise ValueError(
            f"`attention` must be None, one of {sorted(ATTENTIONS)}, or a layer of the "
            f"kind of keras.layers.Attention. Received: attention={attention!r}"
        )
    return ATTENTIONS[attention](dtype=dtype)


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
