"""Layers on top of each other, each an `RNN` over a cell, for one step.

Over time the layers do it themselves. A network that writes goes step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_rnn.cells import CellMixin
from keras_rnn.hints import Tensor
from keras_rnn.rnn import RNN


def one_step(
    levels: Sequence[RNN], inputs: Tensor, states: Any
) -> tuple[Tensor, list[list[Tensor]]]:
    """One step of all levels, by the cells' own `call`, as a layer's loop takes it.

    Args:
        levels: List of `keras_rnn.RNN`.
        inputs: Tensor of shape `(batch, features)`.
        states: List for each level of tensors `(batch, units)`.

    Returns:
        The outputs of the last level, `(batch, output_size)`, and the new states.

    Raises:
        ValueError: see `checked_states`.
    """
    outputs, after = inputs, []
    states = checked_states("states", states, levels, inputs.shape[0])
    for level, before in zip(levels, states):
        outputs, new = level.cell(outputs, before)
        after.append(keras.tree.flatten(new))  # some cells give a state without a list
    return outputs, after


def checked_states(
    name: str, states: Any, levels: Sequence[RNN], batch: int | None = None
) -> list[list[Tensor]]:
    """`states` as lists of tensors, or a `ValueError` that names the argument."""
    wanted = [keras.tree.flatten(level.cell.state_size) for level in levels]
    try:
        states = [list(level) for level in states]
        found = [[tuple(state.shape) for state in level] for level in states]
    except (TypeError, AttributeError):  # None, numbers; lists of numbers
        found = []
    pairs = zip(sum(found, []), sum(wanted, []))
    if [*map(len, found)] != [*map(len, wanted)] or not all(
        len(shape) == 2 and shape[1] == size and batch in (shape[0], None)
        for shape, size in pairs
        if shape[:1] != (None,)
    ):
        raise ValueError(
            f"`{name}` must be a list for each level of tensors (batch, units), with "
            f"units={wanted} and the batch size of what is read. "
            f"Received: {f'the shapes {found}' if found else f'{name}={states!r}'}"
        )
    return states


def different_cells(
    cells: CellMixin | Sequence[CellMixin],
) -> list[CellMixin]:
    """Returns a cell, or a list of cells, as a list, or raises a `ValueError`."""
    listed: list[Any] = list(cells) if isinstance(cells, (list, tuple)) else [cells]
    if (
        not listed
        or not all(isinstance(cell, CellMixin) for cell in listed)
        or len({id(cell) for cell in listed}) < len(listed)
    ):
        raise ValueError(
            "`cells` must be a cell of keras_rnn, or a list of at least one, all "
            f"different. Received: cells={cells}"
        )
    return listed
