"""The network under a `Generator`: from characters' numbers to what comes next."""

import inspect
from typing import Any, Self

import keras
from keras import ops

from keras_rnn.arguments import as_strings, as_tensor, fraction, positive_integer
from keras_rnn.backends import kept_apart
from keras_rnn.cells import CellMixin
from keras_rnn.cells.initial_state import independent
from keras_rnn.generation.carried_states import CarriedStates
from keras_rnn.hints import Config, Nest, Tensor
from keras_rnn.levels import checked_states, different_cells, one_step
from keras_rnn.rnn import RNN
from keras_rnn.text_windows import ConsecutiveWindows


class CharacterNetwork(keras.Model):
    """An embedding, recurrent levels and logits, from the numbers of characters.

    Args:
        characters: Positive integer, how many there are.
        cells, embedding_units, dropout, conditions, **kwargs: see `Generator`.
    """

    def __init__(
        self,
        characters: int,
        cells: CellMixin | list[CellMixin],
        embedding_units: int = 64,
        dropout: float = 0.0,
        conditions: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.embedding_units = positive_integer("embedding_units", embedding_units)
        self.dropout = float(fraction("dropout", dropout))
        self.conditions = _class_names(conditions)
        cells = different_cells(cells)
        if self.conditions and any(c.built and c.learn_initial_state for c in cells):
            raise ValueError(
                "`cells` must not be built yet where there are `conditions`: their "
                f"initial states are then the generator's. Received: cells={cells}"
            )
        dtype, width = self.dtype_policy, self.embedding_units
        self.embedding = keras.layers.Embedding(characters, width, dtype=dtype)
        self.embedding.build((None, None))
        self.drop = keras.layers.Dropout(self.dropout, dtype=dtype)
        self.levels, self._class_states = [], []
        for i, cell in enumerate(cells):
            if self.conditions:
                cell.learn_initial_state = False
                for name, size in zip(cell.initial_state_names, cell.state_sizes):
                    weight = self.add_weight(
                        shape=(len(self.conditions), size),
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
        self.logits = keras.layers.Dense(characters, dtype=dtype.variable_dtype)
        self.logits.build((None, None, width))
        self.built = True
        sizes = [size for cell in cells for size in cell.state_sizes]
        self._carried = CarriedStates(sizes)

    def get_config(self) -> Config:
        cells = [keras.saving.serialize_keras_object(r.cell) for r in self.levels]
        return {
            **super().get_config(),
            "cells": cells,
            "embedding_units": self.embedding_units,
            "dropout": self.dropout,
            "conditions": list(self.conditions) or None,
        }

    @classmethod
    def from_config(
        cls, config: Config, custom_objects: dict[str, Any] | None = None
    ) -> Self:
        cells = [
            keras.saving.deserialize_keras_object(cell, custom_objects=custom_objects)
            for cell in config["cells"]
        ]
        return cls(**{**config, "cells": cells})

    # All steps of a batch of texts.

    def get_initial_state(
        self, batch_size: Tensor | int, conditions: Tensor | None = None
    ) -> list[list]:
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

    def call(
        self,
        inputs: Nest,
        initial_state: list[list] | None = None,
        return_state: bool = False,
        training: bool = False,
    ) -> Any:
        tokens, conditions, fresh = self._parts(inputs)
        if initial_state is None:
            batch = ops.shape(tokens)[0]
            initial_state = self.get_initial_state(batch, conditions)
            if fresh is not None:
                initial_state = self._carried.start(initial_state, fresh, training)
        outputs, states = self.outputs_of_levels(tokens, initial_state, training)
        if fresh is not None:
            self._carried.end(states, training)
        logits = self.logits(outputs[-1])  # (batch, timesteps, characters)
        return (logits, states) if return_state else logits

    def outputs_of_levels(
        self, tokens: Tensor, states: list[list], training: bool = False
    ) -> tuple[list, list[list]]:
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

    # One step after the other.

    def step(self, tokens: Tensor, states: list[list]) -> tuple[Tensor, list[list]]:
        """One step: reads a character, and says what comes next.

        Args:
            tokens: Integer tensor of shape `(batch,)`.
            states: As `get_initial_state` returns them.

        Returns:
            The logits, `(batch, characters)`, and the new states.
        """
        outputs, states = self.advance(tokens, states)
        return self.logits(outputs), states

    def advance(self, tokens: Tensor, states: list[list]) -> tuple[Tensor, list[list]]:
        """`step` without the logits: the outputs of the last level, the new states."""
        tokens = as_tensor("tokens", tokens, rank=1)
        return one_step(self.levels, self.embedding(tokens), states)

    # Window after window: `ConsecutiveWindows` carry the states on.

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables, with the states that are carried from window to window."""
        carried = getattr(self, "_carried", None)  # not yet, while it is made
        return [*super().variables, *(carried.variables if carried else [])]

    def fit(self, *args: Any, **kwargs: Any) -> Any:
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

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`."""
        call = inspect.signature(super().evaluate).bind_partial(*args, **kwargs)
        self._make_room("x", call.arguments.get("x"), False)
        return super().evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.predict`."""
        call = inspect.signature(super().predict).bind_partial(*args, **kwargs)
        self._make_room("x", call.arguments.get("x"), False)
        return super().predict(*args, **kwargs)

    def _make_room(self, name, windows, *kinds):
        """Variables for the states that `ConsecutiveWindows` carry, of their rows."""
        if not isinstance(windows, ConsecutiveWindows):
            return
        self._check_windows(name, windows)
        # What Keras compiled has the variables of before.
        for training in self._carried.make_room(windows.batch_size, kinds):
            if training:
                self.train_function = None
            else:
                self.test_function = self.predict_function = None
        self._no_weights = kept_apart(self._carried.variables)

    def _check_windows(self, name, windows):
        """That the model knows the characters of the windows, and their conditions."""
        most, known = max(text.max() for text in windows.texts), self.logits.units
        if most >= known:
            raise ValueError(
                f"`{name}` must hold characters of the vocabulary, from 0 to "
                f"{known - 1}. Received: {most}"
            )
        given, count = windows.conditions, len(self.conditions)
        if (given is None) != (not count) or (count and given.max() >= count):
            raise ValueError(
                f"`{name}` must have conditions from 0 to {count - 1} for a model that "
                f"has {count}, and none for another. Received: conditions={given}"
            )


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
