"""One to many: a network that writes, its own output fed back in.

A `Generator` reads a character and says how likely each character of its vocabulary is
to come next. One is sampled, is written, and is what the network reads next:

    y_t = softmax(h_t @ output_kernel + output_bias)      x_{t+1} ~ y_t

It is trained on the windows of `keras_rnn.text_windows`; how one character is
sampled, in `keras_rnn.sampling`.
"""

import inspect

import keras
import numpy as np
from keras import ops

from keras_rnn.arguments import (
    as_integers,
    as_string,
    as_strings,
    as_tensor,
    fraction,
    positive_integer,
)
from keras_rnn.backends import compiled, kept_apart
from keras_rnn.cells.cell import independent
from keras_rnn.export import new_saved_model
from keras_rnn.levels import checked_states, different_cells, one_step
from keras_rnn.rnn import RNN
from keras_rnn.sampling import checked_seed, checked_settings, draw, prepare, uniform
from keras_rnn.saved_strings import save_generator
from keras_rnn.stopping import characters_until, checked_stops, first_stop
from keras_rnn.text_windows import ConsecutiveWindows
from keras_rnn.vocabulary import Vocabulary

UNROLL = 4  # steps in one iteration of the writing loop, which costs as much as a step
CHUNK = 64 * UNROLL  # characters that one call of the loop writes at most
STREAM_CHUNK = 4 * UNROLL  # the same for `stream`: what one waits for


@keras.saving.register_keras_serializable("keras_rnn")
class Generator(keras.Model):
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
        vocabulary,
        cells,
        embedding_units=64,
        dropout=0.0,
        conditions=None,
        start=None,
        unknown=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._vocabulary = Vocabulary(vocabulary, unknown)
        self.vocabulary = self._vocabulary.characters
        self.embedding_units = positive_integer("embedding_units", embedding_units)
        self.dropout = float(fraction("dropout", dropout))
        self.conditions = _class_names(conditions)
        self.start, self.unknown = start, unknown
        one = isinstance(start, str) and len(start) == 1
        if start is not None and not (one and start in self.vocabulary):
            raise ValueError(
                "`start` must be one character of the vocabulary, or None. "
                f"Received: start={start!r}"
            )

        cells = different_cells(cells)
        if self.conditions and any(c.built and c.learn_initial_state for c in cells):
            raise ValueError(
                "`cells` must not be built yet where there are `conditions`: their first "
                f"states are then the generator's. Received: cells={cells}"
            )
        count, dtype = len(self.vocabulary), self.dtype_policy
        width = self.embedding_units
        self.embedding = keras.layers.Embedding(count, width, dtype=dtype)
        self.embedding.build((None, None))
        self.drop = keras.layers.Dropout(self.dropout, dtype=dtype)
        self.levels, self._class_states = [], []
        for i, cell in enumerate(cells):
            if self.conditions:
                cell.learn_initial_state = False
                for name in cell.initial_state_names:
                    weight = self.add_weight(
                        shape=(len(self.conditions), cell.units),
                        name=f"level_{i}_{name}",
                        initializer=independent(cell.initial_state_initializer),
                        regularizer=cell.initial_state_regularizer,
                        constraint=cell.initial_state_constraint,
                    )
                    self._class_states.append(weight)
            level = RNN(cell, return_sequences=True, return_state=True, dtype=dtype)
            level.build((None, None, width))
            self.levels.append(level)
            width = cell.output_size
        # Logits in full precision, where the levels compute in less.
        self.logits = keras.layers.Dense(count, dtype=dtype.variable_dtype)
        self.logits.build((None, None, width))
        self.built = True
        # Kept out of Keras's tracking: what is compiled, and what is carried from one
        # window to the next, is not part of the model.
        object.__setattr__(self, "_compiled", {})
        object.__setattr__(self, "_carried", {})

    def get_config(self):
        cells = [keras.saving.serialize_keras_object(r.cell) for r in self.levels]
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "cells": cells,
            "embedding_units": self.embedding_units,
            "dropout": self.dropout,
            "conditions": list(self.conditions) or None,
            "start": self.start,
            "unknown": self.unknown,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        cells = [
            keras.saving.deserialize_keras_object(cell, custom_objects=custom_objects)
            for cell in config["cells"]
        ]
        return cls(**{**config, "cells": cells})

    # Characters and their numbers.

    def encode(self, text):
        """The numbers of the characters of a text, their positions in `vocabulary`.

        Args:
            text: String.

        Returns:
            Array of shape `(len(text),)`, int32.

        Raises:
            ValueError: a character is not in the vocabulary, and `unknown` is not set.
        """
        return self._vocabulary.encode(text)

    def decode(self, ids):
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

    # Reading: all steps of a batch of texts.

    def get_initial_state(self, batch_size, conditions=None):
        """The learned state before the first step, once for each row of the batch.

        Args:
            batch_size: Integer or scalar integer tensor.
            conditions: Integer tensor of shape `(batch,)`, the class of each row.

        Returns:
            A list for each level of tensors of shape `(batch, units)`.

        Raises:
            ValueError: `batch_size` is no integer, or the model has conditions and they
                are not given.
        """
        _check_batch_size(batch_size)
        if not self.conditions:
            return [level.cell.get_initial_state(batch_size) for level in self.levels]
        conditions = as_tensor("conditions", conditions, rank=1)
        rows = iter([ops.take(w, conditions, axis=0) for w in self._class_states])
        return [
            [
                ops.cast(next(rows), r.cell.compute_dtype)
                for _ in r.cell.initial_state_names
            ]
            for r in self.levels
        ]

    def call(self, inputs, initial_state=None, return_state=False, training=False):
        tokens, conditions, fresh = self._parts(inputs)
        if initial_state is None:
            batch = ops.shape(tokens)[0]
            initial_state = self.get_initial_state(batch, conditions)
            if fresh is not None:
                initial_state = self._carry_on(initial_state, fresh, training)
        outputs, states = self._read(tokens, initial_state, training)
        if fresh is not None:
            after = keras.tree.flatten(states)
            for carried, state in zip(self._carried[bool(training)], after):
                carried.assign(ops.cast(state, carried.dtype))
        logits = self.logits(outputs[-1])  # (batch, timesteps, characters)
        return (logits, states) if return_state else logits

    def _read(self, tokens, states, training=False):
        """What each level puts out, tensors (batch, timesteps, units), and all states."""
        sequence, outputs, last_states = self.embedding(tokens), [], []
        batch = tokens.shape[0]
        states = checked_states("initial_state", states, self.levels, batch)
        for level, first in zip(self.levels, states):
            sequence, *last = level(sequence, initial_state=first, training=training)
            sequence = self.drop(sequence, training=training)
            outputs.append(sequence)
            last_states.append(last)
        return outputs, last_states

    def read(self, text, condition=None):
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
        outputs, _ = self._read(tokens, self.get_initial_state(1, classes))
        chances = ops.softmax(ops.cast(self.logits(outputs[-1]), "float32"))
        return ops.convert_to_numpy(chances)[0], [
            ops.convert_to_numpy(ops.cast(each, "float32"))[0] for each in outputs
        ]

    def _parts(self, inputs):
        """The tokens, the conditions and the `fresh` flags of the inputs of a call."""
        if isinstance(inputs, (tuple, list)) and len(inputs) == 2:
            inputs = dict(zip(("tokens", "conditions"), inputs))
        elif not isinstance(inputs, dict):
            inputs = {"tokens": inputs}
        parts = [inputs.get(name) for name in ("tokens", "conditions", "fresh")]
        if parts[0] is None or not all(
            each is None or len(getattr(each, "shape", ())) == rank
            for each, rank in zip(parts, (2, 1, 1))
        ):
            raise ValueError(
                "`inputs` must be the tokens, integers (batch, timesteps), and of some "
                "models `conditions` and `fresh`, (batch,) each. "
                f"Received: inputs={inputs}"
            )
        if bool(self.conditions) != (parts[1] is not None):
            raise ValueError(
                "`inputs` must hold the conditions of a generator that has some, and only "
                f"then: conditions={self.conditions}. Received: inputs={inputs}"
            )
        return parts

    # Carrying the state from one window to the next.

    # Training has states of its own: what is evaluated or predicted meanwhile, after an
    # epoch or in a callback, leaves them where they were.

    @property
    def variables(self):
        """All variables, with the states that are carried from window to window."""
        carried = self.__dict__.get("_carried", {})
        return [*super().variables, *keras.tree.flatten(carried)]

    def fit(self, *args, **kwargs):
        """As `keras.Model.fit`. `ConsecutiveWindows` are read in their order."""
        call = inspect.signature(super().fit).bind(*args, **kwargs)
        x, validation_data = map(call.arguments.get, ("x", "validation_data"))
        # To build the metrics, Keras reads a batch of `x` without training, too. What
        # validates makes room in `evaluate`, but for the first time here: there must be
        # as many variables all along a `fit`.
        self._make_room("x", x, True, False)
        self._make_room("validation_data", validation_data)
        if isinstance(x, ConsecutiveWindows):
            call.arguments["shuffle"] = False
        return super().fit(*call.args, **call.kwargs)

    def evaluate(self, *args, **kwargs):
        """As `keras.Model.evaluate`."""
        call = inspect.signature(super().evaluate).bind_partial(*args, **kwargs)
        self._make_room("x", call.arguments.get("x"), False)
        return super().evaluate(*args, **kwargs)

    def predict(self, *args, **kwargs):
        """As `keras.Model.predict`."""
        call = inspect.signature(super().predict).bind_partial(*args, **kwargs)
        self._make_room("x", call.arguments.get("x"), False)
        return super().predict(*args, **kwargs)

    def _make_room(self, name, windows, *kinds):
        """Variables for the states that `ConsecutiveWindows` carry, of their rows.

        Those of training (`True`) and the others (`False`), if they are among `kinds` or
        there are none yet.
        """
        if not isinstance(windows, ConsecutiveWindows):
            return
        self._check_windows(name, windows)
        size = windows.batch_size
        for kind in (True, False):
            before = self._carried.get(kind)
            if before is None:
                self._carried[kind] = self._zeros(size)
            elif kind in kinds and before[0].shape[0] != size:
                self._carried[kind] = self._zeros(size)
                # What Keras compiled has the variables of before.
                if kind:
                    self.train_function = None
                else:
                    self.test_function = self.predict_function = None
        self._no_weights = kept_apart(keras.tree.flatten(self._carried))

    def _zeros(self, batch_size):
        return [
            keras.Variable(np.zeros((batch_size, level.cell.units)), trainable=False)
            for level in self.levels
            for _ in level.cell.initial_state_names
        ]

    def _check_windows(self, name, windows):
        """That the model knows the characters of the windows, and their conditions."""
        if max(text.max() for text in windows.texts) >= len(self.vocabulary):
            raise ValueError(
                f"`{name}` must hold characters of the vocabulary, from 0 to "
                f"{len(self.vocabulary) - 1}. "
                f"Received: {max(text.max() for text in windows.texts)}"
            )
        given, count = windows.conditions, len(self.conditions)
        if (given is None) != (not count) or (count and given.max() >= count):
            raise ValueError(
                f"`{name}` must have conditions from 0 to {count - 1} for a model that "
                f"has {count}, and none for another. Received: conditions={given}"
            )

    def _carry_on(self, first, fresh, training):
        """The carried states, and the initial states in the rows that start afresh."""
        if not self._carried:
            raise ValueError(
                "`fresh` is for `fit`, `evaluate` and `predict` on `ConsecutiveWindows`. "
                "Elsewhere pass `initial_state`."
            )
        carried = self._carried[bool(training)]
        if fresh.shape[0] not in (carried[0].shape[0], None):
            raise ValueError(
                "`fresh` must have as many rows as the `ConsecutiveWindows` that were "
                f"read last, {carried[0].shape[0]}. "
                f"Received: fresh.shape={tuple(fresh.shape)}"
            )
        fresh = ops.expand_dims(ops.cast(fresh, "bool"), -1)  # (batch, 1)
        states = [
            ops.where(fresh, a, ops.cast(b, a.dtype))
            for a, b in zip(keras.tree.flatten(first), carried)
        ]
        return keras.tree.pack_sequence_as(first, states)

    # Writing: one step after the other.

    def step(self, tokens, states):
        """One step: reads a character, and says what comes next.

        Args:
            tokens: Integer tensor of shape `(batch,)`.
            states: As `get_initial_state` returns them.

        Returns:
            The logits, `(batch, characters)`, and the new states.
        """
        outputs, states = self._advance(tokens, states)
        return self.logits(outputs), states

    def _advance(self, tokens, states):
        """A step without the logits: the outputs of the last level, the new states."""
        tokens = as_tensor("tokens", tokens, rank=1)
        return one_step(self.levels, self.embedding(tokens), states)

    def generate(
        self,
        prompt="",
        length=200,
        temperature=1.0,
        top_k=None,
        top_p=None,
        stop=None,
        seed=None,
        condition=None,
    ):
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
        stops = checked_stops(stop)
        texts = ["" for _ in prompts]
        pieces = self._pieces(
            prompts, length, temperature, top_k, top_p, seed, condition, CHUNK
        )
        for new in pieces:
            texts = [text + piece for text, piece in zip(texts, new)]
            if stops and all(first_stop(text, stops) is not None for text in texts):
                break
        texts = [text[: first_stop(text, stops)] for text in texts]
        return texts[0] if alone else texts

    def stream(
        self,
        prompt="",
        length=200,
        temperature=1.0,
        top_k=None,
        top_p=None,
        stop=None,
        seed=None,
        condition=None,
    ):
        """Yields, character by character, what `generate` returns, as it is written.

        Args and errors: those of `generate`, for one prompt.

        Yields:
            Strings of one character.
        """
        prompt, stops = as_string("prompt", prompt), checked_stops(stop)
        pieces = self._pieces(
            [prompt], length, temperature, top_k, top_p, seed, condition, STREAM_CHUNK
        )
        return characters_until(pieces, stops)

    def _pieces(
        self, prompts, length, temperature, top_k, top_p, seed, condition, chunk
    ):
        """Checks the arguments; an iterator over what is written, a list at a time."""
        tokens, lengths, classes = self._prompts(prompts, condition)
        settings = checked_settings(temperature, top_k, top_p, len(self.vocabulary))
        length = positive_integer("length", length)
        seed = checked_seed(seed)

        def pieces():
            last, states = self._compile("begin")(tokens, lengths, classes)
            rows = np.arange(len(prompts), dtype="uint32")[None]
            for start in range(0, length, chunk):
                steps = np.arange(start, start + CHUNK, dtype="uint32")[:, None]
                count = min(chunk, length - start)
                written, last, states = self._compile("write")(
                    last, states, uniform(seed, rows, steps), np.int32(count), *settings
                )
                written = ops.convert_to_numpy(written)[:count]
                yield [self.decode(row) for row in written.T]

        return pieces()

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

    def _begin(self, tokens, lengths, classes):
        """Reads each prompt but for its last character: that one, and the states."""
        ends = lengths - 1  # where the last character stands, (batch,)

        def body(t, states):
            _, new = self._advance(tokens[:, t], states)
            reads = ops.expand_dims(t < ends, -1)  # each row as if it were alone
            flat = zip(keras.tree.flatten(new), keras.tree.flatten(states))
            kept = [ops.where(reads, after, before) for after, before in flat]
            return t + 1, keras.tree.pack_sequence_as(states, kept)

        first = self.get_initial_state(ops.shape(tokens)[0], classes)
        longest = ops.max(ends)
        _, states = ops.while_loop(lambda t, *_: t < longest, body, (0, first))
        last = ops.take_along_axis(tokens, ops.expand_dims(ends, -1), axis=1)
        return last[:, 0], states

    def _write(self, last, states, uniforms, count, temperature, top_k, top_p):
        """Writes characters: (steps, batch), the last of them, the states after it.

        The first `count` of them are written, and up to a multiple of `UNROLL`, as the
        number of steps of `uniforms` must be.
        """
        uniforms, *cut = prepare(
            uniforms, len(self.vocabulary), temperature, top_k, top_p
        )

        def body(k, last, states, written):
            steps = [k + i for i in range(UNROLL)]
            new = []
            for step in steps:
                logits, states = self.step(last, states)
                last = draw(logits, uniforms[step], *cut)
                new.append(last)
            places = ops.stack([[step] for step in steps])
            written = ops.scatter_update(written, places, ops.stack(new))
            return k + UNROLL, last, states, written

        _, last, states, written = ops.while_loop(
            lambda k, *_: k < count,
            body,
            (0, last, states, ops.zeros(ops.shape(uniforms), "int32")),
        )
        return written, last, states

    def _compile(self, name):
        """`_begin` or `_write`, compiled once for all sizes, or as the backend can."""
        if name not in self._compiled:
            states = [
                [
                    ((None, cell.units), cell.compute_dtype)
                    for _ in cell.initial_state_names
                ]
                for cell in (level.cell for level in self.levels)
            ]
            ids, number = ((None,), "int32"), ((), "float32")
            function, arguments = {
                "begin": (self._begin, [((None, None), "int32"), ids, ids]),
                "write": (
                    self._write,
                    [ids, states, ((CHUNK, None), "float32"), ((), "int32")]
                    + [number, ((), "int32"), number],
                ),
            }[name]
            self._compiled[name] = compiled(self, function, arguments)
        return self._compiled[name]

    def export(self, path):
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
            save_generator(self, new, UNROLL)


def _class_names(conditions):
    if conditions is None:
        return ()
    names = [str(name) for name in as_strings("conditions", conditions)]
    if not names or "" in names or len(set(names)) < len(names):
        raise ValueError(
            "`conditions` must be a list of different names, at least one, or None. "
            f"Received: conditions={conditions!r}"
        )
    return tuple(names)


def _check_batch_size(batch_size):
    """Refuses what is neither an integer nor a scalar tensor of one."""
    shape = getattr(batch_size, "shape", ())
    known = batch_size is not None and len(shape) == 0
    if not hasattr(batch_size, "dtype"):
        known = known and not isinstance(batch_size, bool)
        known = known and hasattr(batch_size, "__index__") and batch_size >= 0
    if not known:
        raise ValueError(
            "`batch_size` must be an integer, at least 0. "
            f"Received: batch_size={batch_size!r}"
        )
