"""The GRU cell: the memory of an LSTM with one state, one time step of it."""

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
class GRUCell(CellMixin, keras.layers.GRUCell):
    """One time step of a gated recurrent unit.

    The new state is a mixture of the state before and of a candidate n_t; the update
    gate z_t says how much is kept, the reset gate r_t how much of the state before the
    candidate sees.

        z_t = recurrent_activation(x_t @ W_z + h_{t-1} @ R_z + b_z + c_z)
        r_t = recurrent_activation(x_t @ W_r + h_{t-1} @ R_r + b_r + c_r)
        n_t =           activation(x_t @ W_n + b_n + r_t * (h_{t-1} @ R_n + c_n))

        h_t = z_t * h_{t-1} + (1 - z_t) * n_t
        y_t = output_activation(h_t @ output_kernel + output_bias)

    With `reset_after=False`, the original form, r_t multiplies h_{t-1} itself, and there
    is one bias: n_t = activation(x_t @ W_n + b_n + (r_t * h_{t-1}) @ R_n). With
    `output_units=None` the output is the state, y_t = h_t. h_0 is learned.

    | symbol | here | shape |
    |---|---|---|
    | W_z, W_r, W_n | `kernel`, side by side | (features, 3 units) |
    | R_z, R_r, R_n | `recurrent_kernel` | (units, 3 units) |
    | b, c | `bias`, one below the other | (2, 3 units), or (3 units,) |
    | h_0 | `initial_state` | (units,) |

    Sources: Kyunghyun Cho et al., 2014, Learning phrase representations using RNN
    encoder-decoder for statistical machine translation; the reset after the product:
    Jeremy Appleyard, Tomas Kocisky and Phil Blunsom, 2016, Optimizing performance of
    recurrent neural networks on GPUs.

    Args:
        units: Positive integer, size of the state h_t.
        activation: Of the candidate. Default `"tanh"`; `None`: linear.
        recurrent_activation: Of the gates. Default `"sigmoid"`; `None`: linear.
        use_bias: Boolean, default `True`: whether the equations have their biases.
        kernel_initializer, recurrent_initializer, bias_initializer: Initializers of the
            weights. Default `"glorot_uniform"`, `"orthogonal"`, `"zeros"`.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Regularizers of the
            weights. Default `None`.
        kernel_constraint, recurrent_constraint, bias_constraint: Constraints of the
            weights. Default `None`.
        dropout, recurrent_dropout: Numbers from 0 to 1, default 0: the fractions of the
            inputs and of the states that are dropped in training. One mask serves all
            gates, and all steps of a sequence.
        reset_after: Boolean, default `True`: r_t multiplies h_{t-1} @ R_n + c_n;
            `False`: h_{t-1}, the original form.
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
        states: List of one tensor of shape `(batch, units)`, h_{t-1}.
        training: Boolean: whether dropout is at work.

    Returns:
        The output y_t, and the list `[h_t]`, in the compute dtype (float32, or as
        `dtype` or the policy says: float64, bfloat16 or float16).

    Raises:
        ValueError: see `keras_rnn.cells.CellMixin`.
    """

    saved_count = 5
    delta_count = 2

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
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
        reset_after: bool = True,
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

    def input_weights(self) -> list[Tensor]:
        kernel, *bias = super().input_weights()
        return [kernel, *(b[0] if self.reset_after else b for b in bias)]

    def recurrent_weights(self) -> list[Tensor]:
        """With a bias of its own, which the reset gate scales (`reset_after=True`).

        With `reset_after=False` R_n has to wait for r_t: in its place stands the
        identity, so that the term ends in h_{t-1} itself.
        """
        weights = super().recurrent_weights()
        if not self.reset_after:
            gates = weights[0][:, : 2 * self.units]
            identity = ops.eye(self.units, dtype=self.compute_dtype)
            return [ops.concatenate([gates, identity], axis=-1)]
        if self.use_bias:
            weights.append(self._tensor(self.bias)[1])
        return weights

    def step(
        self, projected: Tensor, recurrent: Tensor, states: list[Tensor]
    ) -> StepResult:
        """The equations of z_t, r_t, n_t and h_t."""
        (h_prev,) = states
        x_z, x_r, x_n = ops.split(projected, 3, axis=-1)
        h_z, h_r, h_n = ops.split(recurrent, 3, axis=-1)
        z = self.recurrent_activation(x_z + h_z)
        r = self.recurrent_activation(x_r + h_r)
        if self.reset_after:
            reset = r * h_n
        else:
            kernel = self._tensor(self.recurrent_kernel)
            reset = (r * h_n) @ kernel[:, 2 * self.units :]
        n = self.activation(x_n + reset)
        h = z * h_prev + (1 - z) * n
        return [h], [z, r, n, h_n, h_prev]

    def step_backward(
        self, d_states: list[Tensor], h: Tensor, saved: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        """Back through the equations, from the last to the first.

        Write d x for dL/dx, and h_n for h_{t-1} @ R_n + c_n:

            d z_t      =  d h_t * (h_{t-1} - n_t)
            d n_t      =  d h_t * (1 - z_t)
            d h_{t-1}  =  d h_t * z_t                     (and through the products)
            d r_t      =  d n_t * activation'(n_t) * h_n
            d h_n      =  d n_t * activation'(n_t) * r_t

        The input and the state reach n_t by different ways, so that there are two
        gradients: by x_t @ W + b, and by h_{t-1} @ R + c.
        """
        (d_h,) = d_states
        z, r, n, h_n, h_prev = saved
        delta_z = d_h * (h_prev - n) * DERIVATIVES[self.recurrent_activation](z)
        delta_n = d_h * (1 - z) * DERIVATIVES[self.activation](n)
        delta_r = delta_n * h_n * DERIVATIVES[self.recurrent_activation](r)
        d_projected = ops.concatenate([delta_z, delta_r, delta_n], axis=-1)
        d_recurrent = ops.concatenate([delta_z, delta_r, delta_n * r], axis=-1)
        return [d_projected, d_recurrent], [d_h * z]

    @property
    def backward_obstacle(self) -> str | None:
        if not self.reset_after:
            return f"{self.name} has reset_after=False: R_n comes after r_t"
        return super().backward_obstacle
