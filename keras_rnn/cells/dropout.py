"""Dropout with one mask for all steps of a sequence.

Source: Yarin Gal and Zoubin Ghahramani, 2016, A theoretically grounded application of
dropout in recurrent neural networks.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rnn.hints import Tensor


class SharedDropout:
    """The dropout of a cell: masks that stay the same until they are reset.

    An RNN layer asks for the masks before its loop and resets them after it, so that all
    steps of a sequence share them. A cell that is called by hand, outside such a loop,
    samples anew at each call and keeps nothing: a mask that stayed behind would have the
    batch size of the past.
    """

    # The cell of Keras that this is mixed into has these.
    dropout: float
    recurrent_dropout: float
    compute_dtype: str
    seed_generator: keras.random.SeedGenerator

    _held: dict[str, Tensor]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The masks of now. Kept out of Keras's tracking: no part of the model.
        object.__setattr__(self, "_held", {})

    def get_dropout_mask(self, step_input: Tensor) -> Tensor | None:
        """The mask on the inputs of all steps until `reset_dropout_mask`, or `None`."""
        return self._held_mask("inputs", step_input, self.dropout)

    def get_recurrent_dropout_mask(self, step_input: Tensor) -> Tensor | None:
        """The mask on the states of all steps until `reset_recurrent_dropout_mask`."""
        return self._held_mask("state", step_input, self.recurrent_dropout)

    def reset_dropout_mask(self) -> None:
        """Forgets the mask on the inputs."""
        self._held.pop("inputs", None)

    def reset_recurrent_dropout_mask(self) -> None:
        """Forgets the mask on the states."""
        self._held.pop("state", None)

    def _held_mask(self, name, like, rate):
        if name not in self._held and rate > 0.0:
            ones = ops.ones_like(like, dtype=self.compute_dtype)
            mask = keras.random.dropout(ones, rate, seed=self.seed_generator)
            self._held[name] = mask
        return self._held.get(name)

    def drop_inputs(self, inputs: Tensor, training: bool) -> Tensor:
        """The inputs x_t, `(batch, features)`, after dropout in training."""
        return self._drop("inputs", inputs, self.get_dropout_mask, training)

    def drop_state(self, state: Tensor, training: bool) -> Tensor:
        """The state h_{t-1}, `(batch, units)`, after recurrent dropout in training."""
        return self._drop("state", state, self.get_recurrent_dropout_mask, training)

    def _drop(self, name, values, get_mask, training):
        if not training:
            return values
        held = name in self._held
        mask = get_mask(values)
        if not held:
            self._held.pop(name, None)
        return values if mask is None else values * mask

    def held_masks(self, training: bool) -> tuple[Tensor | None, Tensor | None]:
        """The masks that all steps share, as an RNN layer had them drawn.

        Returns:
            Those on the inputs, `(batch, features)`, and on the states, `(batch, units)`:
            each a tensor, or `None` where nothing is dropped.
        """
        held = self._held if training else {}
        return held.get("inputs"), held.get("state")
