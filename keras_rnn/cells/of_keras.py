"""Keras's own cells, seen as the cells of this package that have the same equations."""

from typing import Any

import keras

from keras_rnn.cells.elman import ElmanCell
from keras_rnn.cells.gru import GRUCell
from keras_rnn.cells.lstm import LSTMCell
from keras_rnn.hints import MixedIntoCell


class _View(MixedIntoCell):
    """What a cell of Keras has not: it is a cell of ours with none of its extras."""

    output_units = None
    learn_initial_state = False
    _held: dict[str, Any] = {}

    @property
    def assignments(self) -> Any:
        """All that a compiled pass depends on, but for the weights."""
        names = ("activation", "recurrent_activation", "use_bias", "reset_after")
        return [getattr(self, name, None) for name in names]

    @property
    def fast_pass_obstacle(self) -> str | None:
        if self.dropout or self.recurrent_dropout:
            return f"{self.name} has the dropout of Keras"
        return super().fast_pass_obstacle


# By the class of Keras.
_VIEWS = {
    base: type(f"{ours.__name__}OfKeras", (_View, ours), {})
    for base, ours in (
        (keras.layers.SimpleRNNCell, ElmanCell),
        (keras.layers.LSTMCell, LSTMCell),
        (keras.layers.GRUCell, GRUCell),
    )
}


def as_ours(cell: Any) -> Any:
    """A cell of Keras as one of ours that shares all of its attributes, weights included.

    Args:
        cell: A cell.

    Returns:
        The cell of ours; or `cell` itself, if it is not one of Keras's three, or a
        subclass of one, which may have other equations.
    """
    if type(cell) not in _VIEWS:
        return cell
    view: Any = object.__new__(_VIEWS[type(cell)])
    object.__setattr__(view, "__dict__", vars(cell))
    return view
