"""Back-propagation through time: the fast pass over a sequence, written by hand.

A recurrent cell at step t adds two terms, one of the input and one of the state,

    projected_t = x_t @ kernel + bias             recurrent_t = h_{t-1} @ recurrent_kernel

and makes the new states from them. Its class says how (`step`), and how a change of the
new states comes from a change of the terms (`adjoint`). The pass here is the same for
all cells.

**Forward.** Nothing in `projected` waits for the step before: for all steps together it
is one matrix product. The loop keeps the product with `recurrent_kernel`.

**Backward.** Let L be the loss and write d v for dL/dv. The loss depends on h_t in two
ways, through the output of step t and through all that follows, h_{t+1}. The chain rule
adds them, from the last step to the first:

    d h_t  =  (dL/dh_t through the output)  +  d recurrent_{t+1} @ recurrent_kernel^T
    d projected_t, d recurrent_t  =  adjoint(d h_t)

(and likewise for a second state, the LSTM's c_t). That is all that the loop going back
has to do. The weights are shared by all steps, so their gradients are sums over the
steps, and a sum of products over steps and batch is again one matrix product, after the
loop:

    d recurrent_kernel  =  sum over t of  h_{t-1}^T @ d recurrent_t
    d kernel            =  sum over t of  x_t^T @ d projected_t
    d x_t               =  d projected_t @ kernel^T
    d h_0               =  d recurrent_1 @ recurrent_kernel^T

(the learned first state, one vector for the whole batch, gets the sum of d h_0 over it).
A masked step hands its states on, h_t = h_{t-1}: going back, it hands their gradients on
and adds nothing to those of the weights.

Source: Paul J. Werbos, 1990, Backpropagation through time: what it does and how to do
it.
"""

from keras import ops

from keras_rnn.scan import choose, scan, shards, split


class Pass:
    """The fast pass of one cell.

    Args:
        cell: A `keras_rnn.cells.RecurrentCell`.
    """

    def __init__(self, cell):
        self.cell = cell
        self._compiled = {}  # a loop is traced and compiled once, not at each call

    def __call__(self, inputs, states, mask=None, training=False):
        """Runs the cell along a batch of sequences.

        Args:
            inputs: Tensor of shape `(batch, timesteps, features)`, after dropout.
            states: List of tensors of shape `(batch, units)`, before the first step.
            mask: Boolean tensor of shape `(batch, timesteps)`, or `None`.
            training: Boolean.

        Returns:
            The sequence of h_t, `(batch, timesteps, units)`, and the list of the last
            states.
        """
        drop = self.cell.held_state_mask(training)  # (batch, units), or None
        count = shards(inputs.shape[0], training)
        if count == 1:
            return self._run(inputs, states, mask, drop, training)
        parts = [
            self._run(inputs, list(states), mask, drop, training)
            for inputs, states, mask, drop in zip(
                split(inputs, count),
                zip(*(split(state, count) for state in states)),
                split(mask, count),
                split(drop, count),
            )
        ]
        sequences, last_states = zip(*parts)
        last_states = [ops.concatenate(parts, 0) for parts in zip(*last_states)]
        return ops.concatenate(sequences, 0), last_states

    def _run(self, inputs, states, mask, drop, training):
        """The pass, with the custom gradient of its recurrence, over a whole batch."""
        cell, units = self.cell, self.cell.units
        inputs = ops.transpose(inputs, (1, 0, 2))  # (timesteps, batch, features)
        projected = cell.project(inputs)  # (timesteps, batch, gates)
        weights = cell.recurrent_weights()
        # What a loop may go without comes as a list of one tensor, or of none.
        drops = [] if drop is None else [drop]
        masks = []
        if mask is not None:
            masks.append(
                ops.expand_dims(ops.transpose(mask), -1)
            )  # (timesteps, batch, 1)

        sizes = (training, *projected.shape[:2])
        forward = choose(self.forward, self._compiled, *sizes)
        backward = choose(self.backward, self._compiled, *sizes)

        @ops.custom_gradient
        def recurrence(projected, *weights_and_states):
            weights = weights_and_states[: len(weights_and_states) - len(states)]
            first = list(weights_and_states[len(weights) :])
            last, sequence, saved = forward(
                projected, list(weights), first, masks, drops
            )

            def gradient(d_sequence, *d_last):
                transposed = ops.transpose(weights[0])
                d_first, deltas = backward(
                    d_sequence, list(d_last), sequence, saved, transposed, masks, drops
                )
                # h_{t-1}^T @ d recurrent_t, summed from the second step on; then the
                # first, whose h_{t-1} stands elsewhere.
                h, h_0, d_recurrent = sequence[:-1], first[0], deltas[-1]
                if drops:
                    h, h_0 = h * drops[0], h_0 * drops[0]
                d_kernel = ops.matmul(
                    ops.transpose(ops.reshape(h, (-1, units))),
                    ops.reshape(d_recurrent[1:], (-1, transposed.shape[0])),
                )
                d_kernel = d_kernel + ops.matmul(ops.transpose(h_0), d_recurrent[0])
                d_biases = [ops.sum(d_recurrent, axis=(0, 1)) for _ in weights[1:]]
                return deltas[0], d_kernel, *d_biases, *d_first

            return (ops.transpose(sequence, (1, 0, 2)), *last), gradient

        sequence, *last = recurrence(projected, *weights, *states)
        return sequence, last

    def forward(self, projected, weights, states, masks, drops):
        """The loop forward: the last states, each h_t, and what is saved of each step.

        Args:
            projected: Tensor of shape `(timesteps, batch, gates)`.
            weights: List of the weights of the recurrent term.
            states: List of tensors of shape `(batch, units)`.
            masks: List of a boolean tensor of shape `(timesteps, batch, 1)`, or empty.
            drops: List of what recurrent dropout multiplies h_{t-1} by, a tensor of
                shape `(batch, units)`, or empty.

        Returns:
            List of tensors of shape `(batch, units)`, tensor of shape `(timesteps,
            batch, units)`, and list of tensors of that shape.
        """
        cell = self.cell

        def step(states, slices):
            projected, *masks = slices
            h_prev = states[0] * drops[0] if drops else states[0]
            new, saved = cell.step(projected, cell.recur(h_prev, weights), states)
            for mask in masks:
                new = [ops.where(mask, n, old) for n, old in zip(new, states)]
            return new, [new[0], *saved]

        widths = [cell.units] * (1 + cell.saved_count)
        last, (sequence, *saved) = scan(step, states, [projected, *masks], widths)
        return last, sequence, saved

    def backward(self, d_sequence, d_last, sequence, saved, transposed, masks, drops):
        """The loop back: the gradients by the first states, and the deltas of all steps.

        Args:
            d_sequence: Tensor of shape `(batch, timesteps, units)`: the gradient by each
                h_t, through the output of its own step.
            d_last: List of tensors of shape `(batch, units)`: the gradients by the last
                states.
            sequence: Each h_t, from `forward`.
            saved: What `forward` saved.
            transposed: The recurrent kernel, transposed once for all steps.
            masks: As in `forward`.
            drops: As in `forward`.

        Returns:
            Two lists: tensors of shape `(batch, units)`, and tensors of shape
            `(timesteps, batch, gates)`.
        """
        cell, count = self.cell, len(d_last)

        def step(d_states, slices):
            h, *slices, d_h = slices
            saved, masks = slices[: cell.saved_count], slices[cell.saved_count :]
            d_states = [d_states[0] + d_h, *d_states[1:]]
            d_kept = [None] * count
            for mask in masks:
                zeros = [ops.zeros_like(d) for d in d_states]
                d_kept = [ops.where(mask, z, d) for d, z in zip(d_states, zeros)]
                d_states = [ops.where(mask, d, z) for d, z in zip(d_states, zeros)]
            deltas, d_previous = cell.adjoint(d_states, h, saved)
            d_h_prev = ops.matmul(deltas[-1], transposed)
            if drops:
                d_h_prev = d_h_prev * drops[0]
            through_kernel = [d_h_prev, *[None] * (count - 1)]
            ways = zip(d_previous, through_kernel, d_kept)
            return [sum(d for d in way if d is not None) for way in ways], deltas

        return scan(
            step,
            d_last,
            [sequence, *saved, *masks],
            [transposed.shape[0]] * cell.delta_count,
            reverse=True,
            batch_major=[d_sequence],
        )
