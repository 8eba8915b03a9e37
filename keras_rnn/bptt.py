"""Back-propagation through time: the fast pass over a sequence, written by hand.

A recurrent cell at step t adds two terms, one of the input and one of the state,

    projected_t = x_t @ kernel + bias             recurrent_t = h_{t-1} @ recurrent_kernel

and makes the new states from them. Its class says how (`step`), and how the gradients of
the terms come from those of the new states (`step_backward`; where none is written,
`keras_rnn.step_gradients` finds it). The pass here is the same for all cells.

**Forward.** Nothing in `projected` waits for the step before: for all steps together it
is one matrix product. The loop keeps the product with `recurrent_kernel`.

**Backward.** Let L be the loss and write d v for dL/dv. The loss depends on h_t in two
ways, through the output of step t and through all that follows, h_{t+1}. The chain rule
adds them, from the last step to the first:

    d h_t  =  (dL/dh_t through the output)  +  d recurrent_{t+1} @ recurrent_kernel^T
    d projected_t, d recurrent_t  =  step_backward(d h_t)

(and likewise for a second state, the LSTM's c_t). That is all that the backward
loop has to do. The weights are shared by all steps, so their gradients are sums over the
steps, and a sum of products over steps and batch is again one matrix product, after the
loop:

    d x_t               =  d projected_t @ kernel^T
    d kernel            =  sum over t of  x_t^T @ d projected_t
    d recurrent_kernel  =  sum over t of  h_{t-1}^T @ d recurrent_t
    d h_0               =  d recurrent_1 @ recurrent_kernel^T

(the learned initial state, one vector for the whole batch, gets the sum of d h_0 over it).
A masked step hands its states on, h_t = h_{t-1}: in the backward pass it hands their
gradients on, and adds nothing to those of the weights.

Source: Paul J. Werbos, 1990, Backpropagation through time: what it does and how to do
it.
"""

from collections.abc import Callable
from typing import Any

from keras import ops, tree

from keras_rnn.backends import choose, custom_gradient, project, shards, split
from keras_rnn.cells import CellMixin
from keras_rnn.cells.dense import dense, recurrent_term
from keras_rnn.hints import Tensor
from keras_rnn.states import masked
from keras_rnn.step_gradients import gradients_of_step


class Pass:
    """The fast pass of one cell.

    Args:
        cell: A `keras_rnn.cells.CellMixin`.
    """

    def __init__(self, cell: CellMixin) -> None:
        self.cell = cell
        # A loop is traced and compiled once, not at each call: for the cell as it is.
        self._compiled: dict[Any, Any] = {}
        self._assignments: int | None = None
        self._step: Any = None

    @property
    def step(self) -> Any:
        """The step of the cell as it is, with its backward step."""
        if self._assignments != self.cell.assignments:  # another activation, say
            self._compiled, self._assignments = {}, self.cell.assignments
            self._step = gradients_of_step(self.cell)
        return self._step

    @property
    def writes(self) -> bool:
        """Whether the step assigns to a variable: it would do so once too often."""
        return self.step.writes

    def __call__(
        self,
        inputs: Tensor,
        states: list[Tensor],
        mask: Tensor | None = None,
        training: bool = False,
        return_sequences: bool = True,
    ) -> tuple[Tensor | None, list[Tensor]]:
        """Runs the cell along a batch of sequences.

        Args:
            inputs: Tensor of shape `(batch, timesteps, features)`, after dropout.
            states: List of tensors of shape `(batch, units)`, before the first step.
            mask: Boolean tensor of shape `(batch, timesteps)`, or `None`.
            training: Boolean.
            return_sequences: Boolean: whether each h_t is asked for, or the last states
                only, so that the backward loop has no gradient of the others to add.

        Returns:
            The sequence of h_t, `(batch, timesteps, units)`, or `None`, and the list of
            the last states.
        """
        # What a pass may go without comes as a list of one tensor, or of none.
        _, drop = self.cell.held_masks(training)  # (batch, units), or None
        drops = [] if drop is None else [drop]
        masks = [] if mask is None else [ops.expand_dims(mask, -1)]
        parts = split(
            (inputs, list(states), masks, drops), shards(inputs.shape[0], training)
        )
        runs = [
            self._run(x, first, masks, drops, training, return_sequences)
            for x, first, masks, drops in parts
        ]
        sequences, last_states = zip(*runs)
        sequence = _joined(sequences) if return_sequences else None
        return sequence, list(map(_joined, zip(*last_states)))

    def _run(self, inputs, states, masks, drops, training, return_sequences):
        """The pass over a whole batch: one function, whose gradient is by hand."""
        cell, count = self.cell, len(states)
        own_weights = self.step.weights()  # first: what was compiled may be outdated
        forward = choose(self.forward, self._compiled, training, inputs)
        backward = choose(self.backward, self._compiled, training, inputs)
        weights = cell.input_weights(), cell.recurrent_weights(), own_weights
        # The masks, too, which have no gradient: JAX may run the backward pass when
        # what traced them is over.
        arguments = inputs, *weights, states, masks, drops

        @custom_gradient
        def pass_over_time(*tensors):
            x, input_weights, recurrent_weights, own_weights, first, masks, drops = (
                tree.pack_sequence_as(arguments, tensors)
            )
            projected = project(x, input_weights, training)
            last, h, saved = forward(
                projected, recurrent_weights, own_weights, first, masks, drops
            )

            def gradient(*d_results):
                d_h, d_last = list(d_results[:-count]), list(d_results[-count:])
                h_dropped, h_0 = h, first[0]
                for drop in drops:
                    h_dropped = h * ops.expand_dims(drop, 1)
                    h_0 = h_0 * drop
                terms = []
                if not self.step.by_hand:
                    # The terms of all steps again, as two products, and h_{t-1}.
                    terms = [
                        dense(x, *input_weights),
                        recurrent_term(_one_later(h_0, h_dropped), recurrent_weights),
                        _one_later(first[0], h),
                    ]
                transposed = [ops.transpose(each) for each in recurrent_weights[:1]]
                carry, deltas = backward(
                    d_h,
                    d_last,
                    h,
                    [*terms, *saved],
                    transposed,
                    own_weights,
                    masks,
                    drops,
                )
                d_first, d_own_weights = carry[:count], carry[count:]
                d_projected, d_recurrent = deltas[0], deltas[-1]

                d_x = dense(d_projected, ops.transpose(input_weights[0]))
                d_kernel, *d_bias = _d_weights(x, d_projected, input_weights)
                d_recurrent_weights = _d_recurrent_weights(
                    h_0, h_dropped, d_recurrent, recurrent_weights
                )
                return (
                    d_x,
                    *(d_kernel, *d_bias),
                    *d_recurrent_weights,
                    *d_own_weights,
                    *d_first,
                    *[None for _ in (*masks, *drops)],
                )

            return tuple([h, *last] if return_sequences else last), gradient

        results = list(pass_over_time(*tree.flatten(arguments)))
        sequence = results.pop(0) if return_sequences else None
        return sequence, results

    def forward(
        self,
        scan: Callable,
        projected: Tensor,
        weights: list[Tensor],
        own_weights: list[Tensor],
        states: list[Tensor],
        masks: list[Tensor],
        drops: list[Tensor],
    ) -> tuple[list[Tensor], Tensor, list[Tensor]]:
        """The loop forward: the last states, each h_t, and what is saved of each step.

        Args:
            scan: `keras_rnn.backends.scan`, or the one of its kind that `choose` took.
            projected: Tensor of shape `(batch, timesteps, gates)`, or what `project`
                made of the inputs.
            weights: List of the weights of the recurrent term.
            own_weights: List of the weights that the step itself reads.
            states: List of tensors of shape `(batch, units)`.
            masks: List of a boolean tensor of shape `(batch, timesteps, 1)`, or empty.
            drops: List of what recurrent dropout multiplies h_{t-1} by, a tensor of
                shape `(batch, units)`, or empty.

        Returns:
            List of tensors of shape `(batch, units)`, tensor of shape `(batch,
            timesteps, units)`, and list of tensors of that shape.
        """

        def step(states, slices):
            projected, *masks = slices
            h_prev = states[0] * drops[0] if drops else states[0]
            recurrent = recurrent_term(h_prev, weights)
            new, saved = self.step.forward(projected, recurrent, states, own_weights)
            for mask in masks:
                new = masked(mask, new, states)
            return new, [new[0], *saved]

        widths = [self.cell.state_sizes[0], *self.step.saved_sizes]
        last, (h, *saved) = scan(step, states, [projected, *masks], widths)
        return last, h, saved

    def backward(
        self,
        scan: Callable,
        d_h: list[Tensor],
        d_last: list[Tensor],
        h: Tensor,
        saved: list[Tensor],
        transposed: list[Tensor],
        own_weights: list[Tensor],
        masks: list[Tensor],
        drops: list[Tensor],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The backward loop: the gradients of the initial states, the deltas of all steps.

        Args:
            scan: As in `forward`.
            d_h: List of the gradient of each h_t through the output of its own step, a
                tensor of shape `(batch, timesteps, units)`, or empty.
            d_last: List of tensors of shape `(batch, units)`: the gradients of the last
                states.
            h: Each h_t, from `forward`.
            saved: What `forward` saved, after what else the backward step is told.
            transposed: List of the recurrent kernel, transposed once for all steps, or
                empty.
            own_weights: As in `forward`.
            masks: As in `forward`.
            drops: As in `forward`.

        Returns:
            Two lists: the gradients with respect to the initial states and then to
            `own_weights`; and those with respect to the terms of all steps, tensors of
            shape `(batch, timesteps, gates)`.
        """
        count = len(d_last)
        groups = [h], d_h, saved, masks

        def step(carry, slices):
            slices = iter(slices)
            (h,), d_h, saved, masks = ([next(slices) for _ in g] for g in groups)
            d_states, d_weights = carry[:count], carry[count:]
            d_states = [sum(d_h, d_states[0]), *d_states[1:]]
            d_kept = [None] * count
            for mask in masks:  # what it hands on, and what goes through the equations
                zeros = [ops.zeros_like(d) for d in d_states]
                d_kept = masked(mask, zeros, d_states)
                d_states = masked(mask, d_states, zeros)
            deltas, d_previous, d_own = self.step.backward(
                d_states, h, saved, own_weights
            )
            d_h_prev = deltas[-1]  # (batch, gates)
            for kernel in transposed:
                d_h_prev = d_h_prev @ kernel  # (batch, units)
            for drop in drops:
                d_h_prev = d_h_prev * drop
            through_kernel = [d_h_prev, *[None] * (count - 1)]
            paths = zip(d_previous, through_kernel, d_kept)
            d_states = [sum(d for d in path if d is not None) for path in paths]
            d_weights = [total + d for total, d in zip(d_weights, d_own)]
            return [*d_states, *d_weights], deltas

        carry = [*d_last, *map(ops.zeros_like, own_weights)]
        sequences = [tensor for group in groups for tensor in group]
        return scan(step, carry, sequences, self.step.delta_sizes, reverse=True)


def _joined(parts):
    """The parts of a batch, one below the other."""
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=0)


def _one_later(first, sequence):
    """What stands before each step: `first`, then the sequence but for its last step."""
    return ops.concatenate([ops.expand_dims(first, 1), sequence[:, :-1]], axis=1)


def _d_weights(inputs, deltas, weights):
    """The gradients of the weights of a map inputs @ kernel + bias.

    Args:
        inputs: Tensor of shape `(batch, timesteps, features)`.
        deltas: Tensor of shape `(batch, timesteps, gates)`, the gradient of the result.
        weights: The list `[kernel]`, or `[kernel, bias]`.

    Returns:
        List of tensors: the sum over batch and time of inputs^T @ deltas, and of deltas.
    """
    return [_product_over_rows(_rows(inputs), _rows(deltas)), *_d_bias(deltas, weights)]


def _d_recurrent_weights(h_0, h, deltas, weights):
    """The gradients of the weights of a map h_{t-1} @ recurrent_kernel + bias.

    Args:
        h_0: Tensor of shape `(batch, units)`.
        h: Tensor of shape `(batch, timesteps, units)`.
        deltas: Tensor of shape `(batch, timesteps, gates)`, the gradient of the result.
        weights: The list `[recurrent_kernel]`, or `[recurrent_kernel, bias]`, or empty.
    """
    if not weights:
        return []
    # h_{t-1} is one row above h_t: no copy of the sequence is shifted. Only where a
    # sequence ends does a row meet the first of the next one, where h_0 should be.
    wrong = ops.pad(h[:-1, -1], ((1, 0), (0, 0)))  # (batch, units)
    d_kernel = _product_over_rows(_rows(h)[:-1], _rows(deltas)[1:])
    d_kernel += ops.transpose(h_0 - wrong) @ deltas[:, 0]
    return [d_kernel, *_d_bias(deltas, weights)]


def _d_bias(deltas, weights):
    """The gradient of the bias, if there is one, in a list."""
    if len(weights) == 1:
        return []
    # As a product: TensorFlow's sum over rows takes twice as long.
    rows = _rows(deltas)
    ones = ops.ones_like(rows[:, :1])  # (batch * timesteps, 1)
    return [(ops.transpose(ones) @ rows)[0]]


def _rows(sequence):
    """The steps of all sequences, one below the other, (batch * timesteps, width)."""
    return ops.reshape(sequence, (-1, sequence.shape[-1]))


def _product_over_rows(a, b):
    """a^T @ b, for two matrices of many rows.

    TensorFlow takes a fourth of the time of the product to read the left one across its
    rows, so the narrower one stands there.
    """
    if a.shape[1] > b.shape[1]:
        return ops.transpose(ops.transpose(b) @ a)
    return ops.transpose(a) @ b
