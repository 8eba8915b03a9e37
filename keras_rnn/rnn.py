"""Any cell over time: `RNN` runs it along a batch of sequences."""

import copy
import inspect

import keras
from keras import ops

from keras_rnn.backends import kept_apart, native, scan, with_sizes
from keras_rnn.bptt import Pass
from keras_rnn.cells import ElmanCell, GRUCell, LSTMCell, RecurrentCell
from keras_rnn.cells.overrides import OF_THE_BACKWARD_STEP, overridden

# The cells that read vectors, and whose states are vectors. One of the user's own may read
# anything, and carry anything.
VECTOR_CELLS = (
    RecurrentCell,
    keras.layers.SimpleRNNCell,
    keras.layers.LSTMCell,
    keras.layers.GRUCell,
)

# Those whose equations the kernels of the backends know.
NATIVE_CELLS = (ElmanCell, LSTMCell, GRUCell)

MASK_MESSAGE = "`mask` must have the shape (batch, timesteps) of `sequences`"
STATE_MESSAGE = "`initial_state` must hold tensors of the batch size of `sequences`"


@keras.saving.register_keras_serializable("keras_rnn")
class RNN(keras.layers.RNN):
    """Runs a cell along the time steps of a batch of sequences.

    The same cell, with the same weights, reads every step and hands its state on to the
    next. It is a `keras.layers.RNN`, with the same arguments, for vectors over time:
    inputs of shape `(batch, timesteps, features)`. It differs where Keras's goes wrong:

    - **Initial state.** The learned initial state of the cell, unless `initial_state` is
      passed to the call.
    - **`stateful=True`.** The first batch, and the first after `reset_state()`, start
      from the initial state as it is *now*, and train it; the next ones carry on. Neither
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
            Keras, or your own. Your own may read and carry what it may in
            `keras.layers.RNN`: `(batch, timesteps, ...)`, states of any shape or nest.
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
        use_cudnn: `"auto"` (default), `True` or `False`: whether the kernels of cuDNN
            are taken where there are any.
        **kwargs: The arguments of `keras.layers.Layer`. A `dtype` given here reaches the
            cell, if that is not built yet.

    Call arguments:
        sequences: Tensor of shape `(batch, timesteps, features)`.
        initial_state: List of tensors of shape `(batch, units)`, one for each state of
            the cell: it replaces the learned state. For a cell of your own, a nest like
            that of its states.
        mask: Boolean tensor of shape `(batch, timesteps)`: `False` marks the steps to
            skip.
        training: Boolean: whether dropout is at work.

    Returns:
        Tensor of shape `(batch, output_size)`, or `(batch, timesteps, output_size)` with
        `return_sequences`; with `return_state`, a tuple of it and the last states.

    Raises:
        ValueError: `cell` is none, or the same stands twice in a stack; `sequences` is
            ragged, is not of rank 3, has no time step, or has an unknown number of
            features, or another than before; `mask` or `initial_state` has the wrong
            shape; the number of time steps (`unroll`) or the batch size (`stateful`) is
            not known, or the latter changes. What a graph of TensorFlow leaves open is
            checked when it runs, and is there an `InvalidArgumentError`.

    Example:
    >>> layer = RNN([ElmanCell(32), ElmanCell(16, output_units=3)])
    >>> tuple(layer(numpy.ones((2, 10, 8))).shape)
    (2, 3)
    """

    def __init__(
        self,
        cell,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        zero_output_for_mask=False,
        *,
        use_cudnn="auto",
        **kwargs,
    ):
        if not (isinstance(use_cudnn, bool) or use_cudnn == "auto"):
            raise ValueError(
                '`use_cudnn` must be "auto", True or False. '
                f"Received: use_cudnn={use_cudnn!r}"
            )
        stacked = isinstance(cell, (list, tuple))
        cells = list(cell if stacked else getattr(cell, "cells", [cell]))
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
        # Keras's loops lose the nesting of the one state of a stack; but what is no layer
        # runs in a stack only.
        alone = len(cells) == 1 and isinstance(cells[0], keras.Layer)
        if alone and not _overridden_stack(cell):
            (cell,) = cells
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            **kwargs,
        )
        self.use_cudnn = use_cudnn
        # Kept out of Keras's tracking: a pass has no variables but those of its cell.
        object.__setattr__(self, "_passes", {})
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
            "use_cudnn": self.use_cudnn,
        }

    def build(self, sequences_shape, initial_state_shape=None):
        self._check_sequences(sequences_shape)
        if self.stateful and sequences_shape[0] is None:
            raise ValueError(
                "`stateful=True` needs a known batch size: give it in "
                "`keras.Input(..., batch_size=...)`, or batch the data with "
                "`drop_remainder=True`. "
                f"Received: sequences.shape={tuple(sequences_shape)}"
            )
        super().build(sequences_shape, initial_state_shape)
        weights = {id(weight) for weight in self.weights}
        apart = [each for each in super().variables if id(each) not in weights]
        if self.stateful:
            self._batch_size = sequences_shape[0]
            # Kept out of Keras's tracking, as `states` is, so that what was carried is
            # neither a weight nor saved.
            fresh = keras.Variable(True, trainable=False, dtype="bool", name="fresh")
            object.__setattr__(self, "_fresh", fresh)
            apart.append(fresh)
        # But TensorFlow has to find all variables to write a SavedModel, and Keras shows
        # it the weights only: not what was carried, nor the seeds of dropout.
        self._no_weights = kept_apart(apart)

    @property
    def variables(self):
        """All variables of the layer, with the state that a stateful layer carries."""
        if not (self.stateful and self.built):
            return super().variables
        return [*super().variables, *keras.tree.flatten(self.states), self._fresh]

    def reset_state(self):
        """Makes the next batch start from the initial state again (`stateful=True`)."""
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
        if self.input_spec is not None and len(getattr(sequences, "shape", "any")) != 3:
            self._check_sequences(sequences.shape)  # with more to say than Keras
        return super().__call__(sequences, *args, **kwargs)

    def compute_output_spec(self, sequences, initial_state=None, mask=None, **kwargs):
        self._check_shapes(sequences, initial_state, mask)
        return super().compute_output_spec(
            sequences, initial_state=initial_state, mask=mask, **kwargs
        )

    def call(self, sequences, initial_state=None, mask=None, training=False):
        if mask is not None:
            mask = ops.cast(ops.convert_to_tensor(mask), "bool")
        if initial_state is not None:
            initial_state = keras.tree.map_structure(
                ops.convert_to_tensor, initial_state
            )
        self._check_shapes(sequences, initial_state, mask)
        # What is open yet is checked when the graph runs: a size of 1 would be broadcast.
        if self.stateful:
            sequences = with_sizes(
                sequences, [self._batch_size], self._batch_size_message()
            )
        batch, timesteps = ops.shape(sequences)[:2]
        if mask is not None:
            mask = with_sizes(mask, [batch, timesteps], f"{MASK_MESSAGE}.")
            # Zeros instead of what stands in a masked step: 0 x NaN would be NaN in the
            # gradient of the kernel.
            real = ops.expand_dims(mask, list(range(2, len(sequences.shape))))
            sequences = ops.where(real, sequences, ops.zeros_like(sequences))
        if initial_state is not None:
            initial_state = self._as_states(initial_state, batch)
        elif self.stateful:
            first = self.get_initial_state(batch)
            # A copy: PyTorch assigns in place, and the backward pass reads it later.
            fresh = ops.copy(self._fresh)
            initial_state = keras.tree.pack_sequence_as(
                first,
                [
                    ops.where(fresh, a, ops.cast(b, a.dtype))
                    for a, b in zip(
                        keras.tree.flatten(first), keras.tree.flatten(self.states)
                    )
                ],
            )
        result = super().call(
            sequences, initial_state=initial_state, mask=mask, training=training
        )
        if self.stateful:
            self._fresh.assign(False)
        return result

    def _check_shapes(self, sequences, initial_state, mask):
        """Raises a `ValueError` unless the arguments fit, as far as sizes are known."""
        self._check_sequences(sequences.shape)
        if mask is not None and not _agree(mask.shape, sequences.shape[:2]):
            raise ValueError(
                f"{MASK_MESSAGE}: {tuple(sequences.shape[:2])}. "
                f"Received: mask.shape={tuple(mask.shape)}"
            )
        if initial_state is not None:
            self._check_states(initial_state, sequences.shape[0])

    def _check_sequences(self, shape):
        """Raises a `ValueError` unless the layer reads sequences of this shape."""
        shape, first = tuple(shape), self._levels()[0]
        reads_vectors = isinstance(first, VECTOR_CELLS)
        if not reads_vectors:
            wanted = (
                "have the shape (batch, timesteps, ...), with at least one time step"
            )
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
        if self.unroll and shape[1] is None:
            raise ValueError(
                "`unroll=True` needs a known number of time steps: give it in "
                "`keras.Input((timesteps, features))`. "
                f"Received: sequences.shape={shape}"
            )
        if self.stateful and self.built and not _agree(shape[:1], [self._batch_size]):
            raise ValueError(
                f"{self._batch_size_message()} Received: sequences.shape={shape}"
            )

    def _batch_size_message(self):
        return (
            "The batch size of `sequences` must stay the same with `stateful=True`: it "
            f"was {self._batch_size}. Take a `batch_size` that divides the number of "
            "sequences, or leave out the last batch (`drop_remainder=True` in tf.data)."
        )

    def _check_states(self, initial_state, batch):
        """Raises a `ValueError` unless `initial_state` fits the cells."""
        shapes = [tuple(state.shape) for state in keras.tree.flatten(initial_state)]
        if all(isinstance(cell, VECTOR_CELLS) for cell in self._levels()):
            wanted = [(batch, size) for size in keras.tree.flatten(self.state_size)]
            fits = len(shapes) == len(wanted) and all(map(_agree, shapes, wanted))
            what = f"{len(wanted)} tensors, (batch, units) of each state: {wanted}"
        else:
            # What is no vector is between the caller and the cell.
            fits = all(_agree(s[:1], [batch]) for s in shapes if len(s) > 1)
            what = f"tensors whose first axis is the batch, of size {batch}"
        if not fits:
            raise ValueError(f"`initial_state` must hold {what}. Received: {shapes}")

    def _as_states(self, initial_state, batch):
        """`initial_state` as Keras nests it."""
        given = [
            with_sizes(state, [batch], f"{STATE_MESSAGE}.")
            if len(state.shape) > 1
            else state
            for state in keras.tree.flatten(initial_state)
        ]
        has_first = (hasattr(cell, "get_initial_state") for cell in self._levels())
        sizes = keras.tree.flatten(self.state_size)
        if all(has_first) or len(sizes) == len(given):
            wanted = self.get_initial_state(batch)
            if len(keras.tree.flatten(wanted)) == len(given):
                return keras.tree.pack_sequence_as(wanted, given)
        return keras.tree.pack_sequence_as(initial_state, given)

    @property
    def uses_fast_pass(self):
        """Whether the layer takes the pass of `keras_rnn.bptt`, else Keras's loop.

        The pass has gradients of all orders, forward mode (`jax.jvp`, `torch.func.jvp`,
        `tf.autodiff.ForwardAccumulator`) and batches of batches (`jax.vmap`,
        `torch.func.vmap`).
        """
        return self.fast_pass_obstacle is None

    @property
    def fast_pass_obstacle(self):
        """Why the layer does not take the fast pass: a sentence, or `None` if it does."""
        if self.unroll:
            return "unroll=True asks for Keras's unrolled loop"
        method = overridden(self, ["inner_loop"], RNN) or _overridden_stack(self.cell)
        if method:
            return f"the fast pass does not call `{method}`, which is overridden"
        for cell in self._levels():
            if not isinstance(cell, RecurrentCell):
                return f"{getattr(cell, 'name', cell)} is not a cell of keras_rnn"
            if obstacle := cell.fast_pass_obstacle:
                return obstacle
        return None

    def _levels(self):
        """The cells, from the one that reads the inputs to the one that gives y_t."""
        return list(getattr(self.cell, "cells", [self.cell]))

    @property
    def engine(self):
        """What runs the layer over time, and why nothing faster does: a sentence.

        A native kernel (`torch.lstm`, say), the fast pass, or Keras's loop; of a stack,
        what runs each level. Where a kernel cannot do what is asked for (recurrent
        dropout, the gradient of a gradient, a transform), the fast pass does it.
        """
        if obstacle := self.fast_pass_obstacle:
            return f"Keras's loop: {obstacle}"
        kernels = [self._native(cell) for cell in self._levels()]
        told = [
            f"the fast pass: {kernel}" if isinstance(kernel, str) else str(kernel)
            for kernel in kernels
        ]
        return "; ".join(dict.fromkeys(told))

    def _native(self, cell):
        """The native kernel of a cell, called as a `Pass` is; or a string, why not."""
        use_cudnn = getattr(self, "use_cudnn", "auto")
        owner = next((each for each in NATIVE_CELLS if isinstance(cell, each)), None)
        if owner is None:
            return f"{cell.name} has equations of its own"
        if method := overridden(cell, (*OF_THE_BACKWARD_STEP, "step_backward"), owner):
            return f"a kernel does not call `{method}`, which is overridden"
        return native(cell, self._pass(cell), use_cudnn)

    def _run(self, cell):
        """What runs a cell along a sequence: its native kernel, or its pass."""
        kernel = self._native(cell)
        return self._pass(cell) if isinstance(kernel, str) else kernel

    def _pass(self, cell):
        """The fast pass of a cell, which keeps what it compiled."""
        if id(cell) not in self._passes:
            self._passes[id(cell)] = Pass(cell)
        return self._passes[id(cell)]

    def _check_cudnn(self):
        """Raises a `ValueError` where Keras's layers do: cuDNN is asked for in vain."""
        if getattr(self, "use_cudnn", "auto") is not True:
            return
        obstacle = self.fast_pass_obstacle or next(
            (k for k in map(self._native, self._levels()) if isinstance(k, str)), None
        )
        if obstacle:
            raise ValueError(
                f"`use_cudnn=True` needs a layer that cuDNN can run: {obstacle}. Pass "
                "`use_cudnn='auto'` to take it only where it can. "
                f"Received: use_cudnn=True on {self.name}"
            )

    def inner_loop(self, sequences, initial_state, mask, training=False):
        self._check_cudnn()
        if not self.uses_fast_pass:
            if mask is not None and self._errs_with_masks():
                return self._masked_loop(sequences, initial_state, mask, training)
            return super().inner_loop(sequences, initial_state, mask, training)
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
        cells, outputs, last_states = self._levels(), sequences, []
        levels = [initial_state] if len(cells) == 1 else initial_state
        for cell, states in zip(cells, levels):
            inputs = ops.cast(outputs, cell.compute_dtype)
            whole = self.return_sequences or cell is not cells[-1]
            drop, _ = cell.held_masks(training)  # (batch, features), or None
            if drop is not None:
                inputs = inputs * ops.expand_dims(drop, 1)
            run, states = self._run(cell), list(states)
            sequence, states = run(inputs, states, mask, training, whole)
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

    def _errs_with_masks(self):
        """Whether Keras's loop goes wrong where there is a mask.

        On JAX it takes the state of a step for its y_t; unrolled, it is right but for
        `zero_output_for_mask`, which it does not know. On PyTorch, unrolled, it fails
        where it goes backwards.
        """
        backend = keras.backend.backend()
        if backend == "jax":
            return not self.unroll or self.zero_output_for_mask
        return backend == "torch" and self.unroll and self.go_backwards

    def _masked_loop(self, sequences, initial_state, mask, training):
        """In place of Keras's loop, where that goes wrong."""
        if self.go_backwards:
            sequences, mask = ops.flip(sequences, axis=1), ops.flip(mask, axis=1)
        takes_training = "training" in inspect.signature(self.cell.call).parameters
        arguments = {"training": training} if takes_training else {}
        # A step whose result nobody reads tells how the cell nests its output.
        like, _ = self.cell(sequences[:, 0], initial_state, **arguments)
        zeros = [ops.zeros_like(each) for each in keras.tree.flatten(like)]
        count = len(zeros)

        def step(carry, slices):
            inputs, real = slices
            states = keras.tree.pack_sequence_as(initial_state, carry[count:])
            output, states = self.cell(inputs, states, **arguments)
            new, old = [*keras.tree.flatten(output), *keras.tree.flatten(states)], carry
            if self.zero_output_for_mask:
                old = [*zeros, *carry[count:]]
            carry = [
                ops.where(ops.reshape(real, (-1, *[1] * (len(n.shape) - 1))), n, o)
                for n, o in zip(new, old)
            ]
            return carry, carry[:count]

        carry, outputs = scan(
            step,
            [*zeros, *keras.tree.flatten(initial_state)],
            [sequences, mask],
            [each.shape[-1] for each in zeros],
        )
        return (
            keras.tree.pack_sequence_as(like, carry[:count]),
            keras.tree.pack_sequence_as(like, outputs),
            keras.tree.pack_sequence_as(initial_state, carry[count:]),
        )

    def compute_mask(self, sequences, mask):
        masks = super().compute_mask(sequences, mask)
        if not (self.go_backwards and self.return_sequences):
            return masks
        output_mask, *state_masks = masks if self.return_state else [masks]
        if output_mask is not None:
            output_mask = ops.flip(output_mask, axis=1)
        return [output_mask, *state_masks] if self.return_state else output_mask


def _overridden_stack(cell):
    """The method that a stack of cells has and Keras's has not: a string, or `None`."""
    stack = keras.layers.StackedRNNCells
    if not isinstance(cell, stack):
        return None
    return overridden(cell, ["__call__", "call"], stack)


def _agree(shape, wanted):
    """Whether two shapes are equal, where both are known."""
    return len(shape) == len(wanted) and all(
        a == b for a, b in zip(shape, wanted) if None not in (a, b)
    )
