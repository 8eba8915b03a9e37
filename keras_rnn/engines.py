"""What may run a layer instead of Keras's loop: the fast pass, a scan, a native kernel.

The pass computes what the methods of our cells say, a kernel the equations of three of
them: neither is taken where somebody has overridden what it goes by. A recurrence that is
linear in its state needs no loop at all.
"""

from collections.abc import Callable
from typing import Any

import keras

from keras_rnn.backends import native
from keras_rnn.bptt import Pass
from keras_rnn.cells import CellMixin, ElmanCell, GRUCell, LinearCell, LSTMCell
from keras_rnn.cells.of_keras import as_ours
from keras_rnn.cells.overrides import OF_THE_EQUATIONS, overridden
from keras_rnn.parallel import ParallelScan

# Those whose equations the kernels of the backends know.
NATIVE_CELLS = (ElmanCell, LSTMCell, GRUCell)


def pass_obstacle(cell: Any) -> str | None:
    """Why the fast pass cannot run a cell or a stack: a sentence, or `None`."""
    if method := overridden_stack(cell):
        return f"the fast pass does not call `{method}`, which is overridden"
    for each in map(as_ours, getattr(cell, "cells", [cell])):
        if not isinstance(each, CellMixin):
            return f"{getattr(each, 'name', each)} is not a cell of keras_rnn"
        if obstacle := each.fast_pass_obstacle:
            return obstacle
    return None


def native_kernel(
    cell: CellMixin, fast_pass: Pass, use_cudnn: bool | str
) -> Callable | str:
    """The scan or native kernel of a cell, called as its pass is; or why there is none."""
    if isinstance(cell, LinearCell) and not cell.recurrent_dropout:
        if not overridden(cell, ["step", "recurrent_weights"], LinearCell):
            return ParallelScan(cell)
    owner = next((each for each in NATIVE_CELLS if isinstance(cell, each)), None)
    if owner is None:
        return f"{cell.name} has equations of its own"
    if method := overridden(cell, OF_THE_EQUATIONS, owner):
        return f"a kernel does not call `{method}`, which is overridden"
    if obstacle := cell.backward_obstacle:
        return obstacle
    return native(cell, fast_pass, use_cudnn)


def overridden_stack(cell: Any) -> str | None:
    """The method that a stack of cells has and Keras's has not: a string, or `None`."""
    stack = keras.layers.StackedRNNCells
    if not isinstance(cell, stack):
        return None
    return overridden(cell, ["__call__", "call"], stack)
