"""States carried from one window to the next: truncated back-propagation through time.

Training has states of its own: what is evaluated or predicted meanwhile, after an epoch or
in a callback, leaves them where they were.
"""

from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from keras_rnn.hints import Nest, Tensor
from keras_rnn.states import carry_on


class CarriedStates:
    """Where the windows that a model read last ended, in training and elsewhere.

    Args:
        sizes: List of integers, the units of each state.
    """

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self._kept: dict[bool, list[keras.Variable]] = {}  # True: those of training

    @property
    def variables(self) -> list[keras.Variable]:
        """All that is carried."""
        return keras.tree.flatten(self._kept)

    def make_room(self, rows: int, kinds: Iterable[bool]) -> list[bool]:
        """Variables for so many rows.

        Args:
            rows: Positive integer.
            kinds: Those that must have as many: of training (`True`), the others
                (`False`). Of what is not among them there need only be some.

        Returns:
            The kinds whose variables were replaced.
        """
        replaced = []
        for kind in (True, False):
            before = self._kept.get(kind)
            if before is not None and (kind not in kinds or before[0].shape[0] == rows):
                continue
            self._kept[kind] = [
                keras.Variable(np.zeros((rows, size)), trainable=False)
                for size in self.sizes
            ]
            if before is not None:
                replaced.append(kind)
        return replaced

    def start(self, first: Nest, fresh: Tensor, training: bool) -> Nest:
        """The states to start from: the initial ones in the rows that start afresh.

        Args:
            first: Nest of the initial states, tensors of shape `(batch, units)`.
            fresh: Boolean tensor of shape `(batch,)`.
            training: Boolean.

        Raises:
            ValueError: there are none, or of another batch size.
        """
        if not self._kept:
            raise ValueError(
                "`fresh` is for `fit`, `evaluate` and `predict` on `ConsecutiveWindows`. "
                "Elsewhere pass `initial_state`."
            )
        carried = self._kept[bool(training)]
        if fresh.shape[0] not in (carried[0].shape[0], None):
            raise ValueError(
                "`fresh` must have as many rows as the `ConsecutiveWindows` that were "
                f"read last, {carried[0].shape[0]}. "
                f"Received: fresh.shape={tuple(fresh.shape)}"
            )
        return carry_on(ops.cast(fresh, "bool"), first, carried)

    def end(self, states: Nest, training: bool) -> None:
        """Keeps the states in which a window ended."""
        kept = self._kept[bool(training)]
        for carried, state in zip(kept, keras.tree.flatten(states)):
            carried.assign(ops.cast(state, carried.dtype))
