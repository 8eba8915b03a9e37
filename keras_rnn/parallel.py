"""All states of a linear recurrence at once, by an associative scan over time."""

from keras import ops

from keras_rnn.backends import associative_scan
from keras_rnn.cells import LinearCell
from keras_rnn.cells.dense import dense
from keras_rnn.hints import Tensor


class ParallelScan:
    """What stands in the place of `keras_rnn.bptt.Pass` for a `LinearCell`.

    h_t = a_t * h_{t-1} + b_t is the second part of what the steps 1 to t make together,
    with h_0 in b_1. A masked step has a_t = 1 and b_t = 0. The gradients are those that
    the backend finds.

    Source: Eric Martin and Chris Cundy, 2018, Parallelizing linear recurrent neural nets
    over sequence length.

    Args:
        cell: A `keras_rnn.cells.linear.LinearCell`.
    """

    def __init__(self, cell: LinearCell) -> None:
        self.cell = cell

    def __str__(self) -> str:
        return "a parallel scan over the time steps"

    def __call__(
        self,
        inputs: Tensor,
        states: list[Tensor],
        mask: Tensor | None = None,
        training: bool = False,
        return_sequences: bool = True,
    ) -> tuple[Tensor | None, list[Tensor]]:
        """See `keras_rnn.bptt.Pass`."""
        cell, (h_0,) = self.cell, states
        a, b = cell.coefficients(dense(inputs, *cell.input_weights()))
        a = a + ops.zeros_like(b)  # (batch, timesteps, size)
        if mask is not None:
            mask = ops.expand_dims(mask, -1)
            a = ops.where(mask, a, cell.one(a))
            b = ops.where(mask, b, ops.zeros_like(b))
        first = b[:, :1] + cell.product(a[:, :1], ops.expand_dims(h_0, 1))
        b = ops.concatenate([first, b[:, 1:]], axis=1)

        def both(earlier, later):
            (a_1, b_1), (a_2, b_2) = earlier, later
            return [cell.product(a_2, a_1), cell.product(a_2, b_1) + b_2]

        _, sequence = associative_scan(both, [a, b])
        return sequence, [sequence[:, -1]]
