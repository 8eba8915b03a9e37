"""The backward step of a cell: by hand where its class has one, else automatic.

`keras_rnn.bptt` runs either in its backward loop. By hand, a cell says in `step_backward`
how the gradients of the two terms come from those of the new states, by what `step` saved.
Automatically, `step` runs once more at each step of the backward loop, from the terms and
states of that step, and the backend differentiates it: nothing is saved but the states.
The weights that such a step reads itself, beside those of the two terms (the gain of a
normalisation, say), get their gradients here, too, added up over the steps.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rnn.backends import pullback
from keras_rnn.cells import CellMixin
from keras_rnn.cells.cell import new_states
from keras_rnn.hints import Tensor


def gradients_of_step(cell: CellMixin) -> _ByHand | _Automatic:
    """The step of a cell with its backward step.

    Args:
        cell: A built `keras_rnn.cells.CellMixin`.
    """
    return _ByHand(cell) if cell.backward_obstacle is None else _Automatic(cell)


class _ByHand:
    """A step whose class has a `step_backward`."""

    by_hand = True
    writes = False

    def __init__(self, cell: CellMixin) -> None:
        self.cell = cell
        self.saved_sizes = [cell.units] * cell.saved_count
        recurrent_kernel = cell.recurrent_weights()[0]
        self.delta_sizes = [recurrent_kernel.shape[1]] * cell.delta_count

    def weights(self) -> list[Tensor]:
        return []

    def forward(
        self,
        projected: Tensor,
        recurrent: Tensor,
        states: list[Tensor],
        weights: list[Tensor],
    ) -> Any:
        return self.cell.step(projected, recurrent, states)

    def backward(
        self,
        d_states: list[Tensor],
        h: Tensor,
        saved: list[Tensor],
        weights: list[Tensor],
    ) -> tuple[list[Tensor], list[Tensor | None], list[Tensor]]:
        return *self.cell.step_backward(d_states, h, saved), []


class _Automatic:
    """A step that is differentiated automatically."""

    by_hand = False

    def __init__(self, cell: CellMixin) -> None:
        self.cell = cell
        sizes = cell.state_sizes
        recurrent = cell.recurrent_weights()
        self.delta_sizes = [
            cell.input_weights()[0].shape[1],
            recurrent[0].shape[1] if recurrent else sizes[0],
        ]
        self.saved_sizes = sizes[1:]  # h_{t-1} stands in the sequence
        # The step of one row of zeros tells which variables it reads.
        scope = _Watching()
        zeros = [
            ops.zeros((1, size), cell.compute_dtype)
            for size in (*self.delta_sizes, *sizes)
        ]
        with scope:
            projected, recurrent, *states = zeros
            states = new_states(cell.step(projected, recurrent, states))
        if len(states) != len(sizes):
            raise ValueError(
                f"`step` of {cell.name} must return {len(sizes)} new states. "
                f"Received: {len(states)}"
            )
        # In a tuple, which Keras does not track.
        self.variables = tuple(scope.read)
        self.writes = bool(scope.written)

    def weights(self) -> list[Tensor]:
        """The weights that the step reads: a list of tensors."""
        return [variable.value for variable in self.variables]

    def forward(
        self,
        projected: Tensor,
        recurrent: Tensor,
        states: list[Tensor],
        weights: list[Tensor],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The new states, and what is saved: the states before, but for h_{t-1}."""
        return self._step(projected, recurrent, states, weights), states[1:]

    def backward(
        self,
        d_states: list[Tensor],
        h: Tensor,
        saved: list[Tensor],
        weights: list[Tensor],
    ) -> tuple[list[Tensor], list[Tensor | None], list[Tensor]]:
        """The gradients of the terms, of the states before and of the weights.

        Args:
            d_states: List of tensors of shape `(batch, units)`.
            h: The new h_t.
            saved: List of the two terms and of the states before.
            weights: From `weights`.
        """
        count = len(saved)

        def step(*tensors):
            projected, recurrent, *states = tensors[:count]
            return self._step(projected, recurrent, states, list(tensors[count:]))

        found = pullback(step, [*saved, *weights], d_states)
        return found[:2], found[2:count], found[count:]

    def _step(self, projected, recurrent, states, weights):
        with keras.StatelessScope([*zip(self.variables, weights)]):
            return new_states(self.cell.step(projected, recurrent, states))


class _Watching(keras.StatelessScope):
    """Which variables a function reads, and which it assigns to."""

    def __init__(self) -> None:
        super().__init__(initialize_variables=False)
        self.read: list[keras.Variable] = []
        self.written: list[keras.Variable] = []

    def get_current_value(self, variable: keras.Variable) -> Tensor:
        if not any(variable is each for each in self.read):
            self.read.append(variable)
        return super().get_current_value(variable)

    def add_update(self, update: tuple[keras.Variable, Tensor]) -> None:
        self.written.append(update[0])
        super().add_update(update)
