"""The arguments of `RNN`, checked: its cells, and the sequences, masks and states it reads.

What a graph of TensorFlow leaves open is checked when it runs (`with_sizes`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_rnn.backends import with_sizes
from keras_rnn.cells import CellMixin
from keras_rnn.hints import Nest, Tensor

# The cells that read vectors, and whose states are vectors. One of the user's own may read
# anything, and carry anything.
VECTOR_CELLS = (
    CellMixin,
    keras.layers.SimpleRNNCell,
    keras.layers.LSTMCell,
    keras.layers.GRUCell,
)

MASK_MESSAGE = "`mask` must have the shape (batch, timesteps) of `sequences`"
STATE_MESSAGE = "`initial_state` must hold tensors of the batch size of `sequences`"


def levels_of(cell: Any) -> list[Any]:
    """The cells, from the one that reads the inputs to the one that gives y_t."""
    return list(getattr(cell, "cells", [cell]))


def checked_cells(cell: Any) -> list[Any]:
    """A cell, a list of cells or a stack, as a list of cells."""
    stacked = isinstance(cell, (list, tuple))
    cells = list(cell) if stacked else levels_of(cell)
    if not (stacked or callable(cell)) or not all(
        hasattr(each, name) for each in cells for name in ("call", "state_size")
    ):
        raise ValueError(
            "`cell` must be a cell, which has a method `call` and a `state_size`, or "
            f"a list of such. Received: cell={cell}"
        )
    if not cells or len({id(each) for each in cells}) < len(cells):
        raise ValueError(
            "`cell` must be a cell, or a list of at least one, all different: the "
            "same object twice would be two levels that share their weights. "
            f"Received: cell={cell}"
        )
    return cells


def check_not_ragged(sequences: Any) -> None:
    """Refuses ragged sequences, with the recipe."""
    if hasattr(sequences, "row_splits") or getattr(sequences, "ragged", False):
        raise ValueError(
            "`sequences` must not be ragged. Pad it, and pass the mask:\n"
            "    padded = ragged.to_tensor()  # (batch, timesteps, features)\n"
            "    mask = tf.sequence_mask(ragged.row_lengths())\n"
            "    layer(padded, mask=mask)\n"
            f"Received: sequences.shape={sequences.shape}"
        )


def check_sequences(shape: Sequence, first: Any, unroll: bool) -> None:
    """Refuses sequences of a shape that a layer does not read.

    Args:
        shape: That of the sequences.
        first: The cell that reads them.
        unroll: As in `RNN`.
    """
    shape = tuple(shape)
    reads_vectors = isinstance(first, VECTOR_CELLS)
    if not reads_vectors:
        wanted = "have the shape (batch, timesteps, ...), with at least one time step"
        fits = len(shape) > 2 and shape[1] != 0
    else:
        wanted = (
            "have the shape (batch, timesteps, features), with at least one time "
            "step and a known number of features"
        )
        fits = len(shape) == 3 and shape[1] != 0 and shape[2] is not None
    if not fits:
        raise ValueError(
            f"`sequences` must {wanted}. Received: sequences.shape={shape}"
        )
    config = first.get_build_config() if reads_vectors and first.built else None
    *_, features = (config or {}).get("input_shape") or shape
    if features != shape[-1]:
        raise ValueError(
            f"`sequences` must have {features} features. "
            f"Received: sequences.shape={shape}"
        )
    if unroll and shape[1] is None:
        raise ValueError(
            "`unroll=True` needs a known number of time steps: give it in "
            "`keras.Input((timesteps, features))`. "
            f"Received: sequences.shape={shape}"
        )


def check_batch_size_known(shape: Sequence) -> None:
    """Refuses sequences of an unknown batch size, for a stateful layer."""
    if shape[0] is None:
        raise ValueError(
            "`stateful=True` needs a known batch size: give it in "
            "`keras.Input(..., batch_size=...)`, or batch the data with "
            "`drop_remainder=True`. "
            f"Received: sequences.shape={tuple(shape)}"
        )


def batch_size_message(batch_size: int) -> str:
    """What to tell where a stateful layer gets a batch of another size."""
    return (
        "The batch size of `sequences` must stay the same with `stateful=True`: it "
        f"was {batch_size}. Take a `batch_size` that divides the number of "
        "sequences, or leave out the last batch (`drop_remainder=True` in tf.data)."
    )


def check_batch_size(shape: Sequence, batch_size: int) -> None:
    """Refuses sequences of another batch size than before, for a stateful layer."""
    if not agree(shape[:1], [batch_size]):
        raise ValueError(
            f"{batch_size_message(batch_size)} Received: sequences.shape={tuple(shape)}"
        )


def check_mask(mask: Tensor, sequences: Tensor) -> None:
    """Refuses a mask of another shape than the steps of the sequences."""
    if not agree(mask.shape, sequences.shape[:2]):
        raise ValueError(
            f"{MASK_MESSAGE}: {tuple(sequences.shape[:2])}. "
            f"Received: mask.shape={tuple(mask.shape)}"
        )


def check_states(states: Nest, cell: Any, batch: int | None) -> None:
    """Refuses initial states that do not fit the cells.

    Args:
        states: Nest of tensors.
        cell: A cell, or a stack.
        batch: The batch size of the sequences, or `None` where it is not known.
    """
    shapes = [tuple(state.shape) for state in keras.tree.flatten(states)]
    if all(isinstance(each, VECTOR_CELLS) for each in levels_of(cell)):
        wanted = [(batch, size) for size in keras.tree.flatten(cell.state_size)]
        fits = len(shapes) == len(wanted) and all(map(agree, shapes, wanted))
        what = f"{len(wanted)} tensors, (batch, units) of each state: {wanted}"
    else:
        # What is no vector is between the caller and the cell.
        fits = all(agree(s[:1], [batch]) for s in shapes if len(s) > 1)
        what = f"tensors whose first axis is the batch, of size {batch}"
    if not fits:
        raise ValueError(f"`initial_state` must hold {what}. Received: {shapes}")


def nested_states(states: Nest, cell: Any, batch: Tensor, first: Callable) -> Nest:
    """Initial states as Keras nests them.

    Args:
        states: Nest of tensors.
        cell: A cell, or a stack.
        batch: Integer or scalar integer tensor, the batch size of the sequences.
        first: Function of the batch size that returns the initial states of the cells.
    """
    given = [
        with_sizes(state, [batch], f"{STATE_MESSAGE}.")
        if len(state.shape) > 1
        else state
        for state in keras.tree.flatten(states)
    ]
    has_first = (hasattr(each, "get_initial_state") for each in levels_of(cell))
    sizes = keras.tree.flatten(cell.state_size)
    if all(has_first) or len(sizes) == len(given):
        wanted = first(batch)
        if len(keras.tree.flatten(wanted)) == len(given):
            return keras.tree.pack_sequence_as(wanted, given)
    return keras.tree.pack_sequence_as(states, given)


def agree(shape: Sequence, wanted: Sequence) -> bool:
    """Whether two shapes are equal, where both are known."""
    return len(shape) == len(wanted) and all(
        a == b for a, b in zip(shape, wanted) if None not in (a, b)
    )
