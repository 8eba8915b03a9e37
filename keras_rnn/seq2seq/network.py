"""The network under an `EncoderDecoder`: from two texts' numbers to what comes next."""

from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_rnn.arguments import as_tensor, positive_integer
from keras_rnn.cells import CellMixin
from keras_rnn.hints import Config, Tensor
from keras_rnn.levels import different_cells, one_step
from keras_rnn.rnn import RNN
from keras_rnn.vocabulary import FIRST, PADDING

ATTENTIONS = {
    "dot": keras.layers.Attention,
    "additive": keras.layers.AdditiveAttention,
}


class EncoderDecoderNetwork(keras.Model):
    """Embeddings, the levels of encoder and decoder, attention and logits.

    Args:
        source_characters: Positive integer, how many there are to read.
        target_characters: Positive integer, how many there are to write.
        cells, embedding_units, bidirectional, attention, **kwargs: see `EncoderDecoder`.
    """

    def __init__(
        self,
        source_characters: int,
        target_characters: int,
        cells: CellMixin | list[CellMixin],
        embedding_units: int = 64,
        bidirectional: bool = False,
        attention: str | keras.layers.Attention | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.embedding_units = positive_integer("embedding_units", embedding_units)
        if not isinstance(bidirectional, (bool, np.bool_)):
            raise ValueError(
                "`bidirectional` must be True or False. "
                f"Received: bidirectional={bidirectional!r}"
            )
        self.bidirectional = bool(bidirectional)
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
                    FIRST + characters, self.embedding_units, dtype=dtype
                ),
                (None, None),
            )
            for characters in (source_characters, target_characters)
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
            keras.layers.Dense(FIRST + target_characters, dtype=dtype.variable_dtype),
            (None, None, written),
        )
        self.built = True

    def build(self, input_shape: Any = None) -> None:
        """Does nothing: the model is built when it is made."""

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "cells": self._cell_configs,
            "embedding_units": self.embedding_units,
            "bidirectional": self.bidirectional,
            "attention": self._attention_config,
        }

    @classmethod
    def from_config(
        cls, config: Config, custom_objects: dict[str, Any] | None = None
    ) -> Self:
        def made(value):
            return keras.saving.deserialize_keras_object(
                value, custom_objects=custom_objects
            )

        cells = [made(cell) for cell in config["cells"]]
        attention = config["attention"] and made(config["attention"])
        return cls(**{**config, "cells": cells, "attention": attention})

    # All steps of a batch of texts.

    def call(self, inputs: tuple[Tensor, Tensor], training: bool = False) -> Tensor:
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
            raise ValueError(
                "`inputs` must be a tuple of two: the source, and the target moved on by "
                f"one step. Received: inputs={inputs}"
            )
        source, previous = (as_tensor("inputs", each, rank=2) for each in inputs)
        return self.follow(source, previous, training)[0]

    def follow(
        self, source: Tensor, previous: Tensor, training: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """The logits where the characters before are known, and where attention looks."""
        states, memory = self.read(source, training)
        outputs = self.target_embedding(previous)  # (batch, T, embedding_units)
        for level, first in zip(self.decoder, states):
            outputs, *_ = level(outputs, initial_state=first, training=training)
        outputs, weights = self.look_back(outputs, memory, training)
        return self.logits(outputs), weights

    def read(self, source: Tensor, training: bool = False) -> tuple[list[list], tuple]:
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

    def look_back(
        self, states: Tensor, memory: tuple, training: bool = False
    ) -> tuple[Tensor, Tensor | None]:
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

    # One step after the other.

    def step(
        self, tokens: Tensor, states: list[list], memory: tuple
    ) -> tuple[Tensor, list[list]]:
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
