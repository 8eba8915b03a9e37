"""Any cell over time: `RNN` runs it along a batch of sequences."""

import copy
from typing import Any, Self

import keras
from keras import ops

from keras_rnn.backends import kept_apart, with_sizes
from keras_rnn.bptt import Pass
from keras_rnn.cells.of_keras import as_ours
from keras_rnn.cells.overrides import overridden
from keras_rnn.engines import native_kernel, overridden_stack, pass_obstacle
from keras_rnn.hints import Config, Nest, Tensor
from keras_rnn.masked_loop import keras_errs, masked_loop
from keras_rnn.rnn_arguments import (
    MASK_MESSAGE,
    batch_size_message,
    check_batch_size,
    check_batch_size_known,
    check_mask,
    check_not_ragged,
    check_sequences,
    check_states,
    checked_cells,
    levels_of,
    nested_states,
)
from keras_rnn.states import carry_on, masked


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
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        *,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        if not (isinstance(use_cudnn, bool) or use_cudnn == "auto"):
            raise ValueError(
                '`use_cudnn` must be "auto", True or False. '
                f"Received: use_cudnn={use_cudnn!r}"
            )
        cells = checked_cells(cell)
        # Keras's loops lose the nesting of the one state of a stack; but what is no layer
        # runs in a stack only.
        alone = len(cells) == 1 and isinstance(cells[0], keras.Layer)
        if alone and not overridden_stack(cell):
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
    def from_config(
        cls, config: Config, custom_objects: dict[str, Any] | None = None
    ) -> Self:
        config = copy.deepcopy(config)  # Keras takes it apart
        dtype = config.pop("dtype", None)  # the cell brings its own
        layer = super().from_config(config, custom_objects=custom_objects)
        if dtype is not None:
            layer.dtype_policy = keras.dtype_policies.get(dtype)
        return layer

    # `Bidirectional` sets this attribute on the layers it builds. It is about sequences:
    # without them, the answer is the last real output.
    @property
    def zero_output_for_mask(self) -> bool:
        return self._zero_output_for_mask and self.return_sequences

    @zero_output_for_mask.setter
    def zero_output_for_mask(self, value: bool) -> None:
        self._zero_output_for_mask = value

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "zero_output_for_mask": self._zero_output_for_mask,
            "use_cudnn": self.use_cudnn,
        }

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        self._check_sequences(sequences_shape)
        if self.stateful:
            check_batch_size_known(sequences_shape)
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
    def variables(self) -> list[keras.Variable]:
        """All variables of the layer, with the state that a stateful layer carries."""
        if not (self.stateful and self.built):
            return super().variables
        return [*super().variables, *keras.tree.flatten(self.states), self._fresh]

    def reset_state(self) -> None:
        """Makes the next batch start from the initial state again (`stateful=True`)."""
        if self.stateful and self.built:
            self._fresh.assign(True)

    def __call__(self, sequences: Any, *args: Any, **kwargs: Any) -> Any:
        check_not_ragged(sequences)
        if self.input_spec is not None and len(getattr(sequences, "shape", "any")) != 3:
            self._check_sequences(sequences.shape)  # with more to say than Keras
        return super().__call__(sequences, *args, **kwargs)

    def compute_output_spec(
        self,
        sequences: Tensor,
        initial_state: Nest | None = None,
        mask: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        self._check_shapes(sequences, initial_state, mask)
        return super().compute_output_spec(
            sequences, initial_state=initial_state, mask=mask, **kwargs
        )

    def call(
        self,
        sequences: Tensor,
        initial_state: Nest | None = None,
        mask: Tensor | None = None,
        training: bool = False,
    ) -> Any:
        if mask is not None:
            mask = ops.cast(ops.convert_to_tensor(mask), "bool")
        if initial_state is not None:
            initial_state = keras.tree.map_structure(
                ops.convert_to_tensor, initial_state
            )
        self._check_shapes(sequences, initial_state, mask)
        # What is open yet is checked when the graph runs: a size of 1 would be broadcast.
        if self.stateful:
            message = batch_size_message(self._batch_size)
            sequences = with_sizes(sequences, [self._batch_size], message)
        batch, timesteps = ops.shape(sequences)[:2]
        if mask is not None:
            mask = with_sizes(mask, [batch, timesteps], f"{MASK_MESSAGE}.")
            # Zeros instead of what stands in a masked step: 0 x NaN would be NaN in the
            # gradient of the kernel.
            sequences = masked(mask, sequences, ops.zeros_like(sequences))
        if initial_state is not None:
            initial_state = nested_states(
                initial_state, self.cell, batch, self.get_initial_state
            )
        elif self.stateful:
            # A copy: PyTorch assigns in place, and the backward pass reads it later.
            fresh, first = ops.copy(self._fresh), self.get_initial_state(batch)
            initial_state = carry_on(fresh, first, self.states)
        result = super().call(
            sequences, initial_state=initial_state, mask=mask, training=training
        )
        if self.stateful:
            self._fresh.assign(False)
        return result

    def _check_shapes(self, sequences, initial_state, mask):
        """Raises a `ValueError` unless the arguments fit, as far as sizes are known."""
        self._check_sequences(sequences.shape)
        if mask is not None:
            check_mask(mask, sequences)
        if initial_state is not None:
            check_states(initial_state, self.cell, sequences.shape[0])

    def _check_sequences(self, shape):
        check_sequences(shape, levels_of(self.cell)[0], self.unroll)
        if self.stateful and self.built:
            check_batch_size(shape, self._batch_size)

    @property
    def uses_fast_pass(self) -> bool:
        """Whether the layer takes the pass of `keras_rnn.bptt`, else Keras's loop.

        The pass has gradients of all orders, forward mode (`jax.jvp`, `torch.func.jvp`,
        `tf.autodiff.ForwardAccumulator`) and batches of batches (`jax.vmap`,
        `torch.func.vmap`).
        """
        return self.fast_pass_obstacle is None

    @property
    def fast_pass_obstacle(self) -> str | None:
        """Why the layer does not take the fast pass: a sentence, or `None` if it does."""
        if self.unroll:
            return "unroll=True asks for Keras's unrolled loop"
        if method := overridden(self, ["inner_loop"], RNN):
            return f"the fast pass does not call `{method}`, which is overridden"
        if obstacle := pass_obstacle(self.cell):
            return obstacle
        for cell in self._cells():
            if cell.built and self._pass(cell).writes:
                return f"`step` of {cell.name} samples, or assigns to a variable"
        return None

    def _cells(self):
        """The cells that the pass runs, from the inputs on, those of Keras as ours."""
        return [as_ours(cell) for cell in levels_of(self.cell)]

    @property
    def engine(self) -> str:
        """What runs the layer over time, and why nothing faster does: a sentence.

        A native kernel (`torch.lstm`, say), the fast pass, or Keras's loop; of a stack,
        what runs each level. Where a kernel cannot do what is asked for (recurrent
        dropout, the gradient of a gradient, a transform), the fast pass does it.
        """
        if obstacle := self.fast_pass_obstacle:
            return f"Keras's loop: {obstacle}"
        kernels = [self._native(cell) for cell in self._cells()]
        told = [
            f"the fast pass: {kernel}" if isinstance(kernel, str) else str(kernel)
            for kernel in kernels
        ]
        return "; ".join(dict.fromkeys(told))

    def _native(self, cell):
        """The native kernel of a cell, called as a `Pass` is; or a string, why not."""
        return native_kernel(cell, self._pass(cell), self.use_cudnn)

    def _pass(self, cell):
        """The fast pass of a cell, which keeps what it compiled."""
        key = id(vars(cell))  # of a cell of Keras, what all views on it share
        if key not in self._passes:
            self._passes[key] = Pass(cell)
        return self._passes[key]

    def _check_cudnn(self):
        """Raises a `ValueError` where Keras's layers do: cuDNN is asked for in vain."""
        if self.use_cudnn is not True:
            return
        obstacle = self.fast_pass_obstacle or next(
            (k for k in map(self._native, self._cells()) if isinstance(k, str)),
            None,
        )
        if obstacle:
            raise ValueError(
                f"`use_cudnn=True` needs a layer that cuDNN can run: {obstacle}. Pass "
                "`use_cudnn='auto'` to take it only where it can. "
                f"Received: use_cudnn=True on {self.name}"
            )

    def inner_loop(
        self,
        sequences: Tensor,
        initial_state: Nest,
        mask: Tensor | None,
        training: bool = False,
    ) -> tuple[Any, Any, Any]:
        self._check_cudnn()
        if not self.uses_fast_pass:
            if mask is not None and keras_errs(self):
                return masked_loop(self, sequences, initial_state, mask, training)
            return super().inner_loop(sequences, initial_state, mask, training)
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
        cells, outputs, last_states = self._cells(), sequences, []
        levels = [initial_state] if len(cells) == 1 else initial_state
        for cell, states in zip(cells, levels):
            inputs = ops.cast(outputs, cell.compute_dtype)
            whole = self.return_sequences or cell is not cells[-1]
            drop, _ = cell.held_masks(training)  # (batch, features), or None
            if drop is not None:
                inputs = inputs * ops.expand_dims(drop, 1)
            kernel = self._native(cell)
            run = self._pass(cell) if isinstance(kernel, str) else kernel
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
            outputs = masked(seen, outputs, ops.zeros_like(outputs))
        last_output = outputs[:, -1] if self.return_sequences else outputs
        return last_output, outputs, last_states[0] if len(cells) == 1 else last_states

    def compute_mask(self, sequences: Tensor, mask: Any) -> Any:
        masks = super().compute_mask(sequences, mask)
        if not (self.go_backwards and self.return_sequences):
            return masks
        output_mask, *state_masks = masks if self.return_state else [masks]
        if output_mask is not None:
            output_mask = ops.flip(output_mask, axis=1)
        return [output_mask, *state_masks] if self.return_state else output_mask
