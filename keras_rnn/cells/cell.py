"""What every cell has beside its own equations: one step, and what it is made of.

In files of their own: the initial state, the output y_t, dropout, the derivatives of the
activations, files of weights, and which overrides the fast pass heeds. A cell of this
package names the mixin before the cell of Keras whose arguments and weights it keeps,

    class ElmanCell(CellMixin, keras.layers.SimpleRNNCell): ...

so that it adds weights after those of Keras's cell and changes none of them.
"""

import inspect
from typing import Any

import keras
from keras import ops

from keras_rnn.arguments import fraction, positive_integer
from keras_rnn.cells.dense import dense, recurrent_term
from keras_rnn.cells.derivatives import DERIVATIVES
from keras_rnn.cells.dropout import SharedDropout
from keras_rnn.cells.initial_state import LearnedInitialState
from keras_rnn.cells.overrides import NOT_OF_THE_PASS, overridden
from keras_rnn.cells.readout import Readout
from keras_rnn.cells.weight_files import arrays_for
from keras_rnn.hints import Nest, StepResult, Tensor


def new_states(result: Any) -> list[Tensor]:
    """The new states in what `step` returns: alone, or beside what it saves."""
    return list(result[0] if isinstance(result, tuple) else result)


class CellMixin(LearnedInitialState, Readout, SharedDropout):
    """The learned initial state, the output and the dropout that all cells share.

    The output of a step is read off the state h_t:

        y_t = output_activation(h_t @ output_kernel + output_bias)   # output_units given
        y_t = h_t                                                    # output_units=None

    The state before the first step is a vector of `units` numbers, small and random at
    the start, then trained like any other weight. It is the same for each example of
    a batch: it is tiled, and its gradient is the sum over the examples.

    Args:
        units: Positive integer, size of the state.
        *args: The further positional arguments of the next class, in its order.
        output_units: Positive integer, size of the output y_t, or `None` (default):
            the output is the state, as in Keras.
        output_activation: g_y, the activation of the output. Default `None`: linear.
        output_kernel_initializer: Initializer of `output_kernel`.
        output_bias_initializer: Initializer of `output_bias`. There is an output bias
            where `use_bias` is `True`.
        output_kernel_regularizer: Regularizer of `output_kernel`.
        output_bias_regularizer: Regularizer of `output_bias`.
        output_kernel_constraint: Constraint of `output_kernel`.
        output_bias_constraint: Constraint of `output_bias`.
        learn_initial_state: Boolean, default `True`. `False` starts from zeros, as
            Keras does, and adds no weight.
        initial_state_initializer: Initializer of the initial state. Default
            `"random_normal"` (standard deviation 0.05). `None`: Keras's default for
            a weight, `"glorot_uniform"`.
        initial_state_regularizer: Regularizer of the initial state.
        initial_state_constraint: Constraint of the initial state.
        **kwargs: The keyword arguments of the next class.

    Raises:
        ValueError: `units` or `output_units` is not a positive integer, a dropout rate
            is not in [0, 1], or the feature count is unknown when the cell is built.
    """

    # How often an attribute was assigned: what `keras_rnn.bptt` compiles depends on them.
    assignments = 0

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        object.__setattr__(self, "assignments", self.assignments + 1)

    def __init__(self, units: int, *args: Any, **kwargs: Any) -> None:
        units = positive_integer("units", units)
        for name in ("dropout", "recurrent_dropout"):
            fraction(name, kwargs.get(name, 0.0))
        super().__init__(units, *args, **kwargs)

    @classmethod
    def argument_names(cls) -> set[str]:
        """The names of the arguments of the cell, but for those that all layers have."""
        mro = cls.__mro__[: cls.__mro__.index(keras.Layer)]
        own = [vars(each)["__init__"] for each in mro if "__init__" in vars(each)]
        parameters = [p for f in own for p in inspect.signature(f).parameters.values()]
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return {p.name for p in parameters if p.kind not in variadic} - {"self"}

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                f"The `inputs` of one step of {type(self).__name__} must have the shape "
                "(batch, features), with a known number of features. "
                f"Received: inputs.shape={tuple(input_shape)}"
            )
        super().build(input_shape)

    # One step, cut where time comes in. `step` makes the new states from two terms: the
    # projected input, which waits for nothing, and the recurrent term, which waits for
    # h_{t-1}. `step_backward` is the backward step, by hand. It belongs to the `step` that
    # its class has, or inherits: where that is overridden further down, or has an
    # activation whose derivative nobody wrote, the backward step is differentiated
    # automatically. What else is overridden is obeyed by Keras's loop, which calls the
    # cell at each step.

    # How many tensors of shape (batch, units) `step` saves for `step_backward`.
    saved_count = 0
    # 1 where a change of the projected input and the same change of the recurrent term
    # do the same, so that they have one gradient; else 2.
    delta_count = 1

    def input_weights(self) -> list[Tensor]:
        """The weights of the projected input, x_t @ kernel + bias.

        Returns:
            The list `[kernel]` or `[kernel, bias]`, tensors in the compute dtype.
        """
        weights = [self.kernel, self.bias] if self.use_bias else [self.kernel]
        return [self._tensor(weight) for weight in weights]

    def recurrent_weights(self) -> list[Tensor]:
        """The weights of the recurrent term, h_{t-1} @ recurrent_kernel.

        Returns:
            The list `[recurrent_kernel]`, or `[recurrent_kernel, bias]` where the term
            has a bias of its own; or an empty list, where the term is h_{t-1} itself.
        """
        return [self._tensor(self.recurrent_kernel)]

    def recurrent_term(self, h_prev: Tensor) -> Tensor:
        """The term that waits for the step before, h_{t-1} @ recurrent_kernel.

        Args:
            h_prev: Tensor of shape `(batch, units)`, after dropout.

        Returns:
            Tensor of shape `(batch, gates)`.
        """
        return recurrent_term(h_prev, self.recurrent_weights())

    def step(
        self, projected: Tensor, recurrent: Tensor, states: list[Tensor]
    ) -> StepResult:
        """The new states.

        Args:
            projected: Tensor of shape `(batch, gates)`, the map of x_t by
                `input_weights`.
            recurrent: Tensor of shape `(batch, gates)`, the `recurrent_term`.
            states: List of tensors of shape `(batch, units)`, the states before.

        Returns:
            The list of new states. Where the class has a `step_backward`, a tuple of it
            and of a list of `saved_count` tensors of shape `(batch, units)`.
        """
        raise NotImplementedError

    def step_backward(
        self, d_states: list[Tensor], h: Tensor, saved: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        """The backward step: from the gradients of the results of `step` to those of its terms.

        Args:
            d_states: List of the gradients of the loss with respect to the new states.
            h: The new h_t.
            saved: What `step` saved.

        Returns:
            A list of `delta_count` tensors of shape `(batch, gates)`, the gradients with
            respect to the projected input and (if it has its own) to the recurrent term;
            and the list of those with respect to the states before, without what comes
            through the recurrent term. `None` in it means zero.
        """
        raise NotImplementedError

    @property
    def backward_obstacle(self) -> str | None:
        """Why `step_backward` is not that of this cell: a sentence, or `None` if it is."""
        owner = next(c for c in type(self).__mro__ if "step_backward" in vars(c))
        if owner is CellMixin:
            return f"{type(self).__name__} has no `step_backward`"
        if method := overridden(self, ["step"], owner):
            return f"`{owner.__name__}.step_backward` does not belong to `{method}`"
        for name in ("activation", "recurrent_activation"):
            activation = getattr(self, name, keras.activations.linear)
            if activation not in DERIVATIVES:
                return f"the {name} of {self.name} has no hand-written derivative"
        return None

    @property
    def fast_pass_obstacle(self) -> str | None:
        """Why `keras_rnn.bptt` cannot run this cell: a sentence, or `None`."""
        if method := (
            overridden(self, ["__call__"], keras.Layer)
            or overridden(self, NOT_OF_THE_PASS, CellMixin)
        ):
            return f"the fast pass does not call `{method}`, which is overridden"
        if self.activity_regularizer is not None:
            return f"{self.name} has an activity_regularizer, which reads each output"
        return None

    def call(
        self, inputs: Tensor, states: Nest, training: bool = False
    ) -> tuple[Tensor, Nest]:
        nested = isinstance(states, (list, tuple))
        states = list(states) if nested else [states]
        h_prev = self.drop_state(states[0], training)  # (batch, units)
        inputs = ops.cast(inputs, self.compute_dtype)  # integers, say
        x = self.drop_inputs(inputs, training)  # (batch, features)
        kernel, *bias = self.input_weights()
        if x.shape[-1] != kernel.shape[0]:
            raise ValueError(
                f"`inputs` of {self.name} must have {kernel.shape[0]} features. "
                f"Received: inputs.shape={tuple(inputs.shape)}"
            )
        projected = dense(x, kernel, *bias)  # (batch, gates)
        recurrent = self.recurrent_term(h_prev)  # (batch, gates)
        states = new_states(self.step(projected, recurrent, states))
        return self.readout(states[0]), states if nested else states[0]

    # The name is Keras's: its files are read through it.
    def load_own_variables(self, store: Any) -> None:
        """Loads the weights from a file of this cell, or of Keras's.

        Keras's has no initial state. A learned one then becomes zeros, what Keras starts
        from, so that the outputs are those of the file.

        Args:
            store: What the file holds for this cell: arrays by `"0"`, `"1"`, ...

        Raises:
            ValueError: the file lacks any other weight, or has more than the cell.
        """
        if not self.built:
            return super().load_own_variables(store)
        own: dict[str, Any] = {}
        super().save_own_variables(own)  # the variables, in the order of a file
        arrays = arrays_for(self, [*own.values()], store)
        super().load_own_variables({str(i): array for i, array in enumerate(arrays)})
