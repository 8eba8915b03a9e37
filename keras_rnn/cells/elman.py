"""The Elman cell: the simplest recurrent network, one time step of it."""

from __future__ import annotations

from typing import Any

import keras

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
class ElmanCell(CellMixin, keras.layers.SimpleRNNCell):
    """One time step of an Elman network.

    The cell reads an input x_t, mixes it with what it remembers, the hidden state
    h_{t-1}, and gives a new hidden state and an output:

        h_t = activation(x_t @ kernel + h_{t-1} @ recurrent_kernel + bias)
        y_t = output_activation(h_t @ output_kernel + output_bias)

    With `output_units=None` the output is the state, y_t = h_t. The initial state h_0
    is a weight, random at the start and trained by back-propagation.

    | symbol | here | shape |
    |---|---|---|
    | x_t | `inputs` | (batch, features) |
    | h_t | `states[0]` | (batch, units) |
    | y_t | the output | (batch, output_units), or (batch, units) |
    | W_xh, W_hh, b_h | `kernel`, `recurrent_kernel`, `bias` | (features, units), (units, units), (units,) |
    | W_hy, b_y | `output_kernel`, `output_bias` | (units, output_units), (output_units,) |
    | h_0 | `initial_state` | (units,) |
    | g_h, g_y | `activation`, `output_activation` | |

    Source: Jeffrey L. Elman, 1990, Finding structure in time.

    Args:
        units: Positive integer, size of the state h_t.
        activation: g_h. Default `"tanh"`; `None`: linear.
        use_bias: Boolean, default `True`: whether the equations have their b_h and b_y.
        kernel_initializer, recurrent_initializer, bias_initializer: Initializers of the
            weights. Default `"glorot_uniform"`, `"orthogonal"`, `"zeros"`.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Regularizers of the
            weights. Default `None`.
        kernel_constraint, recurrent_constraint, bias_constraint: Constraints of the
            weights. Default `None`.
        dropout, recurrent_dropout: Numbers from 0 to 1, default 0: the fractions of the
            inputs and of the states that are dropped in training. One mask serves all
            steps of a sequence.
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
        **kwargs: The arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`, ...

    Call arguments:
        inputs: Tensor of shape `(batch, features)`, x_t: numbers of any dtype.
        states: List of one tensor of shape `(batch, units)`, h_{t-1}.
        training: Boolean: whether dropout is at work.

    Returns:
        The output y_t, and the list `[h_t]`, in the compute dtype (float32, or as
        `dtype` or the policy says: float64, bfloat16 or float16).

    Raises:
        ValueError: see `keras_rnn.cells.CellMixin`.

    Example:
    >>> cell = ElmanCell(4, output_units=2, output_activation="softmax")
    >>> layer = keras.layers.RNN(cell, return_sequences=True)
    >>> tuple(layer(numpy.ones((3, 5, 7))).shape)  # (batch, timesteps, output_units)
    (3, 5, 2)
    """

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**given(locals()))

    def step(
        self, projected: Tensor, recurrent: Tensor, states: list[Tensor]
    ) -> StepResult:
        """h_t = activation(projected + recurrent)."""
        return [self.activation(projected + recurrent)], []

    def step_backward(
        self, d_states: list[Tensor], h: Tensor, saved: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        """dL/da_t = dL/dh_t * activation'(a_t), with a_t = projected + recurrent.

        The derivative is written in terms of h_t: for tanh, 1 - h_t^2.
        """
        (d_h,) = d_states
        delta = d_h * DERIVATIVES[self.activation](h)  # (batch, units)
        return [delta], [None]
