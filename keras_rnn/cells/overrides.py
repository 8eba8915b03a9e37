"""Which methods of a cell the fast pass depends on, and who has overridden one."""

from __future__ import annotations

from collections.abc import Iterable

import keras

# What each step goes through in Keras's loop, and the fast pass does in its own way.
NOT_OF_THE_PASS = (
    "call",
    "readout",
    "recurrent_term",
    "drop_inputs",
    "drop_state",
    "get_dropout_mask",
    "get_recurrent_dropout_mask",
    "reset_dropout_mask",
    "reset_recurrent_dropout_mask",
    "held_masks",
)
# The equations, which a kernel of the framework has in its own way.
OF_THE_EQUATIONS = (
    "step",
    "step_backward",
    "input_weights",
    "recurrent_weights",
)


def overridden(layer: keras.Layer, names: Iterable[str], owner: type) -> str | None:
    """The first of some methods that is not the one of a class, or `None`.

    Args:
        layer: A layer or a cell.
        names: Names of methods.
        owner: A class that the one of `layer` is derived from.

    Returns:
        String, the class (or the layer, if the method was replaced on it) and the method:
        "MyCell.call".
    """
    for name in names:
        if name in vars(layer):
            return f"{layer.name}.{name}"
        if getattr(type(layer), name) is not getattr(owner, name):
            mro = type(layer).__mro__
            return f"{next(c for c in mro if name in vars(c)).__name__}.{name}"
    return None
