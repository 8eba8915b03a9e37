"""The LSTM cell: a memory that gates open and close, one time step of it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rnn.arguments import given
from keras_rnn.cells.cell import CellMixin
from keras_rnn.cells.derivatives import DERIVATIVES
from keras_rnn.hints import (
    Activation,
    Constraint,
    Initializer,
    Regularizer,
    StepResult,
    Tensor,
)


@keras.saving.register_keras_serializable("keras_rnn")
class LSTMCell(CellMixin, keras.layers.LSTMCell):
    """One time step of a long short-term memory.

    Beside the hidden state h_t the cell carries a cell state c_t. What it was is kept
    as far as the forget gate f_t lets it, and what is new, g_t, is added as far as the
    input gate i_t lets it: along c the gradient is multiplied by f_t, not by a matrix,
    and need not vanish.

        i_t = recurrent_activation(x_t @ W_i + h_{t-1} @ R_i + b_i)
        f_t = recurrent_activation(x_t @ W_f + h_{t-1} @ R_f + b_f)
        g_t =           activation(x_t @ W_g + h_{t-1} @ R_g + b_g)
        o_t = recurrent_activation(x_t @ W_o + h_{t-1} @ R_o + b_o)

        c_t = f_t * c_{t-1} + i_t * g_t
        h_t = o_t * activation(c_t)
        y_t = output_activation(h_t @ output_kernel + output_bias)

    With `output_units=None` the output is the state, y_t = h_t. Both h_0 and c_0 are
    learned.

    | symbol | here | shape |
    |---|---|---|
    | W_i, W_f, W_g, W_o | `kernel`, side by side | (features, 4 units) |
    | R_i, R_f, R_g, R_o | `recurrent_kernel` | (units, 4 units) |
    | b_i, b_f, b_g, b_o | `bias` | (4 units,) |
    | h_0, c_0 | `initial_state`, `initial_carry` | (units,) |

    Sources: Sepp Hochreiter and Juergen Schmidhuber, 1997, Long short-term memory; the
    forget gate, and why it starts open (`unit_forget_bias`): Felix Gers, Juergen
    Schmidhuber and Fred Cummins, 2000, Learning to forget.

    Args:
        units: Positive integer, size of the states h_t and c_t.
        activation: Of the candidate and of c_t in h_t. Default `"tanh"`; `None`: linear.
        recurrent_activation: Of the gates. Default `"sigmoid"`; `None`: linear.
        use_bias: Boolean, default `True`: whether the equations have their biases.
        kernel_initializer, recurrent_initializer, bias_initializer: Initializers of the
            weights. Default `"glorot_uniform"`, `"orthogonal"`, `"zeros"`.
        unit_forget_bias: Boolean, default `True`: 1 at the start for the bias of the
            forget gate, and `"zeros"` for the others.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Regularizers of the
            weights. Default `None`.
        kernel_constraint, recurrent_constraint, bias_constraint: Constraints of the
            weights. Default `None`.
        dropout, recurrent_dropout: Numbers from 0 to 1, default 0: the fractions of the
            inputs and of the states that are dropped in training. One mask serves all
            gates, and all steps of a sequence.
        seed: Integer, seed of the dropout masks. Default `None`.
        output_units: Positive integer, size of the output y_t, or `None` (default): the
            output is the state h_t, as in Keras.
        output_activation: g_y, the activation of the output. Default `None`: linear.
        output_kernel_initializer, output_bias_initializer: Initializers of the weights
            of the output. Default `"glorot_uniform"`, `"zeros"`.
        output_kernel_regularizer, output_bias_regularizer: Their regularizers.
        output_kernel_constraint, output_bias_constraint: Their constraints.
        learn_initial_state: Boolean, default `True`. `False` starts from zeros, as Keras
            does, and adds no weight.
        initial_state_initializer: Default `"random_normal"` (standard deviation 0.05).
        initial_state_regularizer, initial_state_constraint: Default `None`.
        implementation: Of no effect: Keras's choice between two ways to the same numbers.
        **kwargs: The arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`, ...

    Call arguments:
        inputs: Tensor of shape `(batch, features)`, x_t: numbers of any dtype.
        states: List of two tensors of shape `(batch, units)`, h_{t-1} and c_{t-1}.
        training: Boolean: whether dropout is at work.

    Returns:
        The output y_t, and the list `[h_t, c_t]`, in the compute dtype (float32, or as
        `dtype` or the policy says: float64, bfloat16 or float16).

    Raises:
        ValueError: see `keras_rnn.cells.CellMixin`.
    """

    initial_state_names = ("initial_state", "initial_carry")
    saved_count = 5

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        *,
        output_units: int | None = None,
        output_activation: Activation = None,
        output_kernel_initializer: Initializer = "glorot_uniform",
        output_bias_initializer: Initializer = "zeros",
        output_kernel_regularizer: Regularizer = None,
        output_bias_regularizer: Regularizer = None,
        output_kernel_constraint: Constraint = None,
        output_bias_constraint: Constraint = None,
        learn_initial_state: bool = True,
        initial_state_initializer: Initializer = "random_normal",
        initial_state_regularizer: Regularizer = None,
        initial_state_constraint: Constraint = None,
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**given(locals()))

    def step(
        self, projected: Tensor, recurrent: Tensor, states: list[Tensor]
    ) -> StepResult:
        """The six equations of h_t and c_t."""
        _, c_prev = states
        i, f, g, o = ops.split(projected + recurrent, 4, axis=-1)
        i, f = self.recurrent_activation(i), self.recurrent_activation(f)
        g, o = self.activation(g), self.recurrent_activation(o)
        c = f * c_prev + i * g
        h = o * self.activation(c)
        return [h, c], [i, f, g, o, c_prev]

    def step_backward(
        self, d_states: list[Tensor], h: Tensor, saved: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        """Back through the six equations, from the last to the first.

        Write d x for dL/dx. The loss depends on c_t through h_t and through c_{t+1};
        the second part comes in as `d_c`:

            d o_t      =  d h_t * activation(c_t)
            d c_t     +=  d h_t * o_t * activation'(c_t)
            d i_t      =  d c_t * g_t
            d f_t      =  d c_t * c_{t-1}
            d g_t      =  d c_t * i_t
            d c_{t-1}  =  d c_t * f_t

        and each of them, times the derivative of its activation, is the gradient with
        respect to the sum inside it.
        """
        gate, activation = self.recurrent_activation, self.activation
        d_h, d_c = d_states
        i, f, g, o, c_prev = saved

        # Computed once more: that takes less time than to keep it.
        squashed = activation(f * c_prev + i * g)
        d_o = d_h * squashed
        d_c = d_c + d_h * o * DERIVATIVES[activation](squashed)
        delta = ops.concatenate(
            [
                d_c * g * DERIVATIVES[gate](i),
                d_c * c_prev * DERIVATIVES[gate](f),
                d_c * i * DERIVATIVES[activation](g),
                d_o * DERIVATIVES[gate](o),
            ],
            axis=-1,
        )  # (batch, 4 units)
        return [delta], [None, d_c * f]
