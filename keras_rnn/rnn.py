"""A cell over time.

`RNN` runs any cell along a sequence. `ElmanRNN` is `RNN(ElmanCell(...))` in one line.
"""

import copy
import inspect

import keras
from keras import ops

from keras_rnn.backends import scan
from keras_rnn.bptt import Pass
from keras_rnn.cells import ElmanCell, GRUCell, LSTMCell, RecurrentCell


@keras.saving.register_keras_serializable("keras_rnn")
class RNN(keras.layers.RNN):
    """Runs a cell along the time steps of a batch of sequences.

    The same cell, with the same weights, reads every step and hands its state on to the
    next. It is a `keras.layers.RNN`, with the same arguments, for vectors over time:
    inputs of shape `(batch, timesteps, features)`. It differs where Keras's goes wrong:

    - **Initial state.** The learned first state of the cell, unless `initial_state` is
      passed to the call.
    - **`stateful=True`.** The first batch, and the first after `reset_state()`, start
      from the first state as it is *now*, and train it; the next ones carry on. Neither
      the carried state nor the fact that there is one is saved with the model.
    - **Masks.** A masked step leaves the state and repeats the previous output (zeros
      before the first real step, and at every masked step with
      `zero_output_for_mask=True` and `return_sequences=True`). What stands in a masked
      step, NaN included, changes no output and no gradient. The last output is that of
      the last real step, however far the batch is padded.
    - **`go_backwards=True` with `return_sequences=True`** reverses the mask that goes to
      the next layer along with the outputs.

    Args:
        cell: A cell, or a list of different cells to stack: one of this package, of
            Keras, or your own.
        return_sequences: Boolean, default `False`: the output of each step instead of
            the last one.
        return_state: Boolean, default `False`: the last states after the output.
        go_backwards: Boolean, default `False`: reads the sequence from its end, and
            returns the outputs in that order.
        stateful: Boolean, default `False`: the next batch carries on where this one
            ended. The batch size must be known.
        unroll: Boolean, default `False`: copies the step for each time step instead of
            a loop. The number of time steps must be known.
        zero_output_for_mask: Boolean, default `False`: zeros at masked steps. Without
            `return_sequences` it has no effect.
        **kwargs: The arguments of `keras.layers.Layer`. A `dtype` given here reaches the
            cell, if that is not built yet.

    Call arguments:
        sequences: Tensor of shape `(batch, timesteps, features)`.
        initial_state: List of tensors of shape `(batch, units)`, one for each state of
            the cell: it replaces the learned state.
        mask: Boolean tensor of shape `(batch, timesteps)`: `False` marks the steps to
            skip.
        training: Boolean: whether dropout is at work.

    Returns:
        Tensor of shape `(batch, output_size)`, or `(batch, timesteps, output_size)` with
        `return_sequences`; with `return_state`, a tuple of it and the last states.

    Raises:
        ValueError: the same cell stands twice in a stack; `sequences` is ragged, is not
            of rank 3, has no time step, or has an unknown number of features; `mask` or
            `initial_state` has the wrong shape; the number of time steps (`unroll`) or
            the batch size (`stateful`) is not known, or the latter changes.

    Example:
    >>> layer = RNN([ElmanCell(32), ElmanCell(16, output_units=3)])
    >>> tuple(layer(numpy.ones((2, 10, 8))).shape)
    (2, 3)
    """

    def __init__(self, cell, *args, **kwargs):
        cells = list(getattr(cell, "cells", [cell]) if callable(cell) else cell)
        if not cells or len({id(each) for each in cells}) < len(cells):
            raise ValueError(
                "`cell` must be a cell, or a list of at least one, all different: the "
                "same object twice would be two levels that share their weights. "
                f"Received: cell={cell}"
            )
        if len(cells) == 1:  # Keras's loops lose the nesting of the one state
            (cell,) = cells
        super().__init__(cell, *args, **kwargs)
        # Kept out of Keras's tracking: a pass has no variables but those of its cell.
        passes = tuple(Pass(each) for each in cells)
        object.__setattr__(self, "_passes", passes)
        if kwargs.get("dtype") is not None:
            for each in (self.cell, *cells):
                if isinstance(each, keras.Layer) and not each.built:
                    each.dtype_policy = self.dtype_policy

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = copy.deepcopy(config)  # Keras takes it apart
        dtype = config.pop("dtype", None)  # the cell brings its own
        layer = super().from_config(config, custom_objects=custom_objects)
        if dtype is not None:
            layer.dtype_policy = keras.dtype_policies.get(dtype)
        return layer

    # `Bidirectional` sets this attribute on the layers it builds. It is about sequences:
    # without them, the answer is the last real output.
    @property
    def zero_output_for_mask(self):
        return self._zero_output_for_mask and self.return_sequences

    @zero_output_for_mask.setter
    def zero_output_for_mask(self, value):
        self._zero_output_for_mask = value

    def get_config(self):
        return {
            **super().get_config(),
            "zero_output_for_mask": self._zero_output_for_mask,
        }

    def build(self, sequences_shape, initial_state_shape=None):
        _check_sequences(sequences_shape)
        if self.unroll and sequences_shape[1] is None:
            raise ValueError(
                "`unroll=True` needs a known number of time steps. "
                f"Received: sequences.shape={tuple(sequences_shape)}"
            )
        super().build(sequences_shape, initial_state_shape)
        if self.stateful:
            # Kept out of Keras's tracking, as `states` is, so that what was carried is
            # neither a weight nor saved.
            object.__setattr__(
                self,
                "_fresh",
                keras.Variable(True, trainable=False, dtype="bool", name="fresh"),
            )

    @property
    def variables(self):
        """All variables of the layer, with the state that a stateful layer carries."""
        if not (self.stateful and self.built):
            return super().variables
        return [*super().variables, *keras.tree.flatten(self.states), self._fresh]

    def reset_state(self):
        """Makes the next batch start from the first state again (`stateful=True`)."""
        if self.stateful and self.built:
            self._fresh.assign(True)

    def __call__(self, sequences, *args, **kwargs):
        if hasattr(sequences, "row_splits") or getattr(sequences, "ragged", False):
            raise ValueError(
                "`sequences` must not be ragged. Pad it, and pass the mask:\n"
                "    padded = ragged.to_tensor()  # (batch, timesteps, features)\n"
                "    mask = tf.sequence_mask(ragged.row_lengths())\n"
                "    layer(padded, mask=mask)\n"
                f"Received: sequences.shape={sequences.shape}"
            )
        return super().__call__(sequences, *args, **kwargs)

    def call(self, sequences, initial_state=None, mask=None, training=False):
        _check_sequences(sequences.shape)
        if mask is not None:
            mask = _as_mask(mask, sequences)
            # Zeros instead of what stands in a masked step: 0 x NaN would be NaN in the
            # gradient of the kernel.
            sequences = ops.where(
                ops.expand_dims(mask, -1), sequences, ops.zeros_like(sequences)
            )
        if initial_state is not None:
            initial_state = self._as_states(initial_state, sequences)
        elif self.stateful:
            carried = keras.tree.flatten(self.states)
            if not _agree(sequences.shape[:1], carried[0].shape[:1]):
                raise ValueError(
                    "The batch size of `sequences` must stay the same with "
                    f"`stateful=True`: it was {carried[0].shape[0]}. "
                    f"Received: sequences.shape={tuple(sequences.shape)}"
                )
            first = self.get_initial_state(ops.shape(sequences)[0])
            # A copy: PyTorch assigns in place, and goes back through `where` later.
            fresh = ops.copy(self._fresh)
            initial_state = keras.tree.pack_sequence_as(
                first,
                [
                    ops.where(fresh, a, ops.cast(b, a.dtype))
                    for a, b in zip(keras.tree.flatten(first), carried)
                ],
            )
        result = super().call(
            sequences, initial_state=initial_state, mask=mask, training=training
        )
        if self.stateful:
            self._fresh.assign(False)
        return result

    def _as_states(self, initial_state, sequences):
        """`initial_state` as Keras nests it, each tensor checked against its cell."""
        given = [ops.convert_to_tensor(s) for s in keras.tree.flatten(initial_state)]
        wanted = [
            (sequences.shape[0], size) for size in keras.tree.flatten(self.state_size)
        ]
        if len(given) != len(wanted) or not all(
            _agree(state.shape, shape) for state, shape in zip(given, wanted)
        ):
            raise ValueError(
                f"`initial_state` must hold {len(wanted)} tensors, (batch, units) of "
                f"each state: {wanted}. "
                f"Received: {[tuple(state.shape) for state in given]}"
            )
        if sequences.shape[0] is None:
            # The batch size is known when the graph runs. A concatenation refuses there
            # a state of another batch size, which an addition would broadcast.
            step = sequences[:, 0]  # (batch, features)
            given = [
                ops.concatenate([state, ops.cast(step, state.dtype)], axis=-1)[
                    :, :units
                ]
                for state, (_, units) in zip(given, wanted)
            ]
        batch = ops.shape(sequences)[0]
        return keras.tree.pack_sequence_as(self.get_initial_state(batch), given)

    @property
    def uses_fast_pass(self):
        """Whether the layer takes the pass of `keras_rnn.bptt`, else Keras's loop.

        The pass has gradients of all orders, forward mode (`jax.jvp`, `torch.func.jvp`,
        `tf.autodiff.ForwardAccumulator` outside of a `tf.function`) and batches of
        batches (`jax.vmap`, `torch.func.vmap`), as Keras's loop has.
        """
        return self.fast_pass_obstacle is None

    @property
    def fast_pass_obstacle(self):
        """Why the layer does not take the fast pass: a sentence, or `None` if it does."""
        if self.unroll:
            return "unroll=True asks for Keras's unrolled loop"
        for cell in self._levels():
            if not isinstance(cell, RecurrentCell):
                return f"{cell.name} is not a cell of keras_rnn"
            if obstacle := cell.fast_pass_obstacle():
                return obstacle
        return None

    def _levels(self):
        """The cells, from the one that reads the inputs to the one that gives y_t."""
        return getattr(self.cell, "cells", [self.cell])

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if not self.uses_fast_pass:
            if mask is None or keras.backend.backend() != "jax":
                return super().inner_loop(sequences, initial_state, mask, training)
            if self.unroll and not self.zero_output_for_mask:
                return super().inner_loop(sequences, initial_state, mask, training)
            return self._masked_loop(sequences, initial_state, mask, training)
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
        cells, outputs, last_states = self._levels(), sequences, []
        levels = [initial_state] if len(cells) == 1 else initial_state
        for cell, run, states in zip(cells, self._passes, levels):
            inputs = ops.cast(outputs, cell.compute_dtype)
            whole = self.return_sequences or cell is not cells[-1]
            inputs = cell.drop_inputs(inputs, training)
            sequence, states = run(inputs, list(states), mask, training, whole)
            last_states.append(states)
            outputs = cell.readout(sequence if whole else states[0])
        if mask is not None:
            # The state of a masked step is that of the step before, and so is its output;
            # but before the first real step there is none.
            seen = mask
            if not self.zero_output_for_mask:
                seen = ops.cumsum(ops.cast(mask, "int32"), axis=1) > 0
            if not self.return_sequences:
                seen = ops.any(mask, axis=1)
            outputs = ops.where(
                ops.expand_dims(seen, -1), outputs, ops.zeros_like(outputs)
            )
        last_output = outputs[:, -1] if self.return_sequences else outputs
        return last_output, outputs, last_states[0] if len(cells) == 1 else last_states

    def _masked_loop(self, sequences, initial_state, mask, training):
        """In place of Keras's loop on JAX, which takes the state of a step for its y_t.

        Unrolled, it is right but for `zero_output_for_mask`, which it does not know.
        """
        if self.go_backwards:
            sequences, mask = ops.flip(sequences, axis=1), ops.flip(mask, axis=1)
        takes_training = "training" in inspect.signature(self.cell.call).parameters
        arguments = {"training": training} if takes_training else {}

        def step(carry, slices):
            inputs, real = slices
            states = keras.tree.pack_sequence_as(initial_state, carry[1:])
            output, states = self.cell(inputs, states, **arguments)
            new, old = [output, *keras.tree.flatten(states)], carry
            if self.zero_output_for_mask:
                old = [ops.zeros_like(output), *carry[1:]]
            carry = [ops.where(real, n, o) for n, o in zip(new, old)]
            return carry, carry[:1]

        output = ops.zeros((sequences.shape[0], self.cell.output_size))
        output = ops.cast(output, self.cell.compute_dtype)
        (last_output, *states), (outputs,) = scan(
            step,
            [output, *keras.tree.flatten(initial_state)],
            [sequences, ops.expand_dims(mask, -1)],
            [self.cell.output_size],
        )
        return last_output, outputs, keras.tree.pack_sequence_as(initial_state, states)

    def compute_mask(self, sequences, mask):
        masks = super().compute_mask(sequences, mask)
        if not (self.go_backwards and self.return_sequences):
            return masks
        output_mask, *state_masks = masks if self.return_state else [masks]
        if output_mask is not None:
            output_mask = ops.flip(output_mask, axis=1)
        return [output_mask, *state_masks] if self.return_state else output_mask


def _check_sequences(shape):
    """Raises a `ValueError` unless `shape` is (batch, timesteps >= 1, features)."""
    if len(shape) != 3 or shape[1] == 0 or shape[2] is None:
        raise ValueError(
            "`sequences` must have the shape (batch, timesteps, features), with at least "
            "one time step and a known number of features. "
            f"Received: sequences.shape={tuple(shape)}"
        )


def _agree(shape, wanted):
    """Whether two shapes are equal, where both are known."""
    return len(shape) == len(wanted) and all(
        a == b for a, b in zip(shape, wanted) if None not in (a, b)
    )


def _as_mask(mask, sequences):
    """`mask` as a boolean tensor, checked against the batch and time of `sequences`."""
    mask = ops.cast(ops.convert_to_tensor(mask), "bool")
    if not _agree(mask.shape, sequences.shape[:2]):
        raise ValueError(
            "`mask` must have the shape (batch, timesteps) of the sequences, "
            f"{tuple(sequences.shape[:2])}. Received: mask.shape={tuple(mask.shape)}"
        )
    return mask


class _CellRNN(RNN):
    """An `RNN` that makes its own cell from its arguments.

    A subclass names its cell, and the layer of Keras whose place it takes: positional
    arguments are in the order of that layer.
    """

    cell_class = None
    keras_layer = None

    def __init__(self, units, *args, **kwargs):
        order = list(inspect.signature(self.keras_layer.__init__).parameters)[2:]
        arguments = {"units": units, **dict(zip(order, args)), **kwargs}
        names = self.cell_class.argument_names() & set(arguments)
        cell = self.cell_class(
            **{name: arguments.pop(name) for name in names},
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
        )
        super().__init__(cell, **arguments)

    @property
    def units(self):
        return self.cell.units

    def get_config(self):
        layer = super().get_config()
        del layer["cell"]
        return {**self.cell.get_config(), **layer}  # name and dtype: the layer's

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable("keras_rnn")
class ElmanRNN(_CellRNN):
    """An Elman network over time: `RNN(ElmanCell(units, ...), ...)` in one line.

        h_t = activation(x_t @ kernel + h_{t-1} @ recurrent_kernel + bias)
        y_t = output_activation(h_t @ output_kernel + output_bias)

    It stands wherever `keras.layers.SimpleRNN` stands, with the same arguments in the
    same order. With `learn_initial_state=False` and without `output_units` it is that
    layer, and the weights of one fit the other.

    Args:
        units: Positive integer, size of the state h_t.
        activation: g_h. Default `"tanh"`.
        use_bias: Boolean, default `True`.
        *args: The further positional arguments of `keras.layers.SimpleRNN`.
        **kwargs: The arguments of `keras_rnn.ElmanCell` (`output_units`,
            `output_activation`, `learn_initial_state`, `dropout`, ...) and of
            `keras_rnn.RNN` (`return_sequences`, `return_state`, `go_backwards`,
            `stateful`, `unroll`, ...).

    Call arguments, returns, raises: see `keras_rnn.RNN`.

    Example:
    >>> layer = ElmanRNN(4, output_units=2, return_sequences=True)
    >>> tuple(layer(numpy.ones((3, 5, 7))).shape)  # (batch, timesteps, output_units)
    (3, 5, 2)
    """

    cell_class = ElmanCell
    keras_layer = keras.layers.SimpleRNN


@keras.saving.register_keras_serializable("keras_rnn")
class LSTM(_CellRNN):
    """A long short-term memory over time: `RNN(LSTMCell(units, ...), ...)` in one line.

    It stands wherever `keras.layers.LSTM` stands, with the same arguments in the same
    order. With `learn_initial_state=False` and without `output_units` it is that layer,
    and the weights of one fit the other.

    Args:
        units: Positive integer, size of the states h_t and c_t.
        *args: The further positional arguments of `keras.layers.LSTM`.
        **kwargs: The arguments of `keras_rnn.LSTMCell` and of `keras_rnn.RNN`.

    Call arguments, returns, raises: see `keras_rnn.RNN`. The states are h and c.
    """

    cell_class = LSTMCell
    keras_layer = keras.layers.LSTM


@keras.saving.register_keras_serializable("keras_rnn")
class GRU(_CellRNN):
    """A gated recurrent unit over time: `RNN(GRUCell(units, ...), ...)` in one line.

    It stands wherever `keras.layers.GRU` stands, with the same arguments in the same
    order. With `learn_initial_state=False` and without `output_units` it is that layer,
    and the weights of one fit the other.

    Args:
        units: Positive integer, size of the state h_t.
        *args: The further positional arguments of `keras.layers.GRU`.
        **kwargs: The arguments of `keras_rnn.GRUCell` and of `keras_rnn.RNN`.

    Call arguments, returns, raises: see `keras_rnn.RNN`.
    """

    cell_class = GRUCell
    keras_layer = keras.layers.GRU
