"""Files of weights, of our cells and of Keras's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_rnn.hints import Tensor

if TYPE_CHECKING:  # it imports this module
    from keras_rnn.cells.cell import CellMixin


def arrays_for(
    cell: CellMixin, variables: Sequence[keras.Variable], store: Any
) -> list[Tensor]:
    """The arrays of a file for the variables of a cell, with zeros for a missing state.

    Args:
        cell: A built `keras_rnn.cells.CellMixin`.
        variables: List of its variables, in the order of a file.
        store: What the file holds for this cell: arrays by `"0"`, `"1"`, ...

    Returns:
        List with an array for each variable.

    Raises:
        ValueError: the file lacks any other weight, or has more than the cell.
    """
    if not store.keys():
        store = _group_of_keras(store)
    saved = [store[str(i)] for i in range(len(store.keys()))]
    states = []
    if cell.learn_initial_state:
        states = [getattr(cell, name) for name in cell.initial_state_names]
    if states and len(saved) == len(variables) - len(states):
        rest = iter(saved)
        saved = [
            ops.zeros(variable.shape)
            if any(variable is state for state in states)
            else next(rest)
            for variable in variables
        ]
    if len(saved) != len(variables):
        raise ValueError(_misfit(cell, variables, saved))
    return saved


def _misfit(cell, variables, saved):
    """What to tell where a file holds more or fewer weights than the cell has."""
    wanted = [(variable.name, tuple(variable.shape)) for variable in variables]
    shapes = [tuple(value.shape) for value in saved]
    message = (
        f"The file must hold the weights of {cell.name}: {wanted}. "
        f"Received: {f'weights of the shapes {shapes}' if shapes else 'none'}."
    )
    states = [(size,) for size in cell.state_sizes]
    if not cell.learn_initial_state and shapes[len(wanted) :] == states:
        message += (
            " It seems to hold a learned initial state as well: load it into a layer "
            "with `learn_initial_state=True`. To start from zeros all the same, pass "
            "the weights of that layer, without the learned state, to `set_weights` "
            "of this one."
        )
    return message


def _group_of_keras(store):
    """The part of a weights file that is named after Keras's cell instead of ours.

    Keras names the parts of a file by the classes of the layers, and of the cells in a
    stack, and finds nothing under another name. Only those of SimpleRNN differ.

    Args:
        store: What Keras passes to `load_own_variables`.
    """
    path = getattr(store, "_h5_entry_path", None) or ""  # nothing public tells it
    renamed = re.sub(r"\belman_rnn((_\d+)?/cell)$", r"simple_rnn\1", path)
    renamed = re.sub(r"\belman_cell((_\d+)?)$", r"simple_rnn_cell\1", renamed)
    return store if renamed == path else store.get(renamed)
