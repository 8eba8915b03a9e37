"""The layers in one word: `ElmanRNN` is `RNN(ElmanCell(...))` in one line."""

from __future__ import annotations

import operator
from typing import Any, Self

import keras

from keras_rnn.arguments import given
from keras_rnn.cells import CellMixin, ElmanCell, GRUCell, LSTMCell
from keras_rnn.hints import (
    Activation,
    Config,
    Constraint,
    Initializer,
    Regularizer,
)
from keras_rnn.rnn import RNN


class _CellRNN(RNN):
    """An `RNN` that makes its own cell from its arguments.

    A subclass names its cell. Each argument of the cell is an attribute of the layer, too.
    """

    cell_class: type[CellMixin]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in cls.cell_class.argument_names():
            if not hasattr(cls, name):
                setattr(cls, name, property(operator.attrgetter(f"cell.{name}")))

    def __init__(self, **arguments: Any) -> None:
        names = self.cell_class.argument_names() & set(arguments)
        cell = self.cell_class(
            **{name: arguments.pop(name) for name in names},
            dtype=arguments.get("dtype"),
            trainable=arguments.get("trainable", True),
        )
        super().__init__(cell, **arguments)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def get_config(self) -> Config:
        layer = super().get_config()
        del layer["cell"]
        cell = self.cell.get_config()  # name and dtype are the layer's
        regularizer = keras.regularizers.serialize(self.activity_regularizer)
        return {**cell, "activity_regularizer": regularizer, **layer}

    @classmethod
    def from_config(
        cls, config: Config, custom_objects: dict[str, Any] | None = None
    ) -> Self:
        with keras.saving.custom_object_scope(custom_objects):
            return cls(**config)


@keras.saving.register_keras_serializable("keras_rnn")
class ElmanRNN(_CellRNN):
    """An Elman network over time: `RNN(ElmanCell(units, ...), ...)` in one line.

        h_t = activation(x_t @ kernel + h_{t-1} @ recurrent_kernel + bias)
        y_t = output_activation(h_t @ output_kernel + output_bias)

    It stands wherever `keras.layers.SimpleRNN` stands, with the same arguments in the
    same order. With `learn_initial_state=False` and without `output_units` it is that
    layer, and the weights of one fit the other. The shapes of the weights and the
    source: see `keras_rnn.ElmanCell`.

    Args:
        units: Positive integer, size of the state h_t.
        activation: g_h. Default `"tanh"`; `None`: linear.
        use_bias: Boolean, default `True`: whether the equations have their b_h and b_y.
        kernel_initializer, recurrent_initializer, bias_initializer: Initializers of the
            weights. Default `"glorot_uniform"`, `"orthogonal"`, `"zeros"`.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Regularizers of the
            weights. Default `None`.
        activity_regularizer: Regularizer of the outputs. Default `None`.
        kernel_constraint, recurrent_constraint, bias_constraint: Constraints of the
            weights. Default `None`.
        dropout, recurrent_dropout: Numbers from 0 to 1, default 0: the fractions of the
            inputs and of the states that are dropped in training. One mask serves all
            steps of a sequence.
        return_sequences: Boolean, default `False`: the output of each step instead of
            the last one.
        return_state: Boolean, default `False`: the last states after the output.
        go_backwards: Boolean, default `False`: reads the sequence from its end, and
            returns the outputs in that order.
        stateful: Boolean, default `False`: the next batch carries on where this one
            ended.
        unroll: Boolean, default `False`: copies the step for each time step instead of
            a loop.
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
        zero_output_for_mask: Boolean, default `False`: zeros at masked steps.
        use_cudnn: `"auto"` (default), `True` or `False`: whether the kernels of cuDNN
            are taken where there are any.
        **kwargs: The arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`, ...

    Call arguments, returns, raises: see `keras_rnn.RNN`.

    Example:
    >>> layer = ElmanRNN(4, output_units=2, return_sequences=True)
    >>> tuple(layer(numpy.ones((3, 5, 7))).shape)  # (batch, timesteps, output_units)
    (3, 5, 2)
    """

    cell_class = ElmanCell

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
        activity_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
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
        zero_output_for_mask: bool = False,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(**given(locals()))


@keras.saving.register_keras_serializable("keras_rnn")
class LSTM(_CellRNN):
    """A long short-term memory over time: `RNN(LSTMCell(units, ...), ...)` in one line.

        i_t = recurrent_activation(x_t @ W_i + h_{t-1} @ R_i + b_i)
        f_t = recurrent_activation(x_t @ W_f + h_{t-1} @ R_f + b_f)
        g_t =           activation(x_t @ W_g + h_{t-1} @ R_g + b_g)
        o_t = recurrent_activation(x_t @ W_o + h_{t-1} @ R_o + b_o)

        c_t = f_t * c_{t-1} + i_t * g_t
        h_t = o_t * activation(c_t)
        y_t = output_activation(h_t @ output_kernel + output_bias)

    It stands wherever `keras.layers.LSTM` stands, with the same arguments in the same
    order. With `learn_initial_state=False` and without `output_units` it is that layer,
    and the weights of one fit the other. The shapes of the weights and the sources: see
    `keras_rnn.LSTMCell`.

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
        activity_regularizer: Regularizer of the outputs. Default `None`.
        kernel_constraint, recurrent_constraint, bias_constraint: Constraints of the
            weights. Default `None`.
        dropout, recurrent_dropout: Numbers from 0 to 1, default 0: the fractions of the
            inputs and of the states that are dropped in training. One mask serves all
            gates, and all steps of a sequence.
        seed: Integer, seed of the dropout masks. Default `None`.
        return_sequences: Boolean, default `False`: the output of each step instead of
            the last one.
        return_state: Boolean, default `False`: the last states after the output.
        go_backwards: Boolean, default `False`: reads the sequence from its end, and
            returns the outputs in that order.
        stateful: Boolean, default `False`: the next batch carries on where this one
            ended.
        unroll: Boolean, default `False`: copies the step for each time step instead of
            a loop.
        use_cudnn: `"auto"` (default), `True` or `False`: whether the kernels of cuDNN
            are taken where there are any.
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
        zero_output_for_mask: Boolean, default `False`: zeros at masked steps.
        implementation: Of no effect: Keras's choice between two ways to the same numbers.
        **kwargs: The arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`, ...

    Call arguments, returns, raises: see `keras_rnn.RNN`. The states are h and c.
    """

    cell_class = LSTMCell

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
        activity_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
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
        zero_output_for_mask: bool = False,
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**given(locals()))


@keras.saving.register_keras_serializable("keras_rnn")
class GRU(_CellRNN):
    """A gated recurrent unit over time: `RNN(GRUCell(units, ...), ...)` in one line.

        z_t = recurrent_activation(x_t @ W_z + h_{t-1} @ R_z + b_z + c_z)
        r_t = recurrent_activation(x_t @ W_r + h_{t-1} @ R_r + b_r + c_r)
        n_t =           activation(x_t @ W_n + b_n + r_t * (h_{t-1} @ R_n + c_n))

        h_t = z_t * h_{t-1} + (1 - z_t) * n_t
        y_t = output_activation(h_t @ output_kernel + output_bias)

    It stands wherever `keras.layers.GRU` stands, with the same arguments in the same
    order. With `learn_initial_state=False` and without `output_units` it is that layer,
    and the weights of one fit the other. The shapes of the weights and the sources: see
    `keras_rnn.GRUCell`.

    Args:
        units: Positive integer, size of the state h_t.
        activation: Of the candidate. Default `"tanh"`; `None`: linear.
        recurrent_activation: Of the gates. Default `"sigmoid"`; `None`: linear.
        use_bias: Boolean, default `True`: whether the equations have their biases.
        kernel_initializer, recurrent_initializer, bias_initializer: Initializers of the
            weights. Default `"glorot_uniform"`, `"orthogonal"`, `"zeros"`.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Regularizers of the
            weights. Default `None`.
        activity_regularizer: Regularizer of the outputs. Default `None`.
        kernel_constraint, recurrent_constraint, bias_constraint: Constraints of the
            weights. Default `None`.
        dropout, recurrent_dropout: Numbers from 0 to 1, default 0: the fractions of the
            inputs and of the states that are dropped in training. One mask serves all
            gates, and all steps of a sequence.
        seed: Integer, seed of the dropout masks. Default `None`.
        return_sequences: Boolean, default `False`: the output of each step instead of
            the last one.
        return_state: Boolean, default `False`: the last states after the output.
        go_backwards: Boolean, default `False`: reads the sequence from its end, and
            returns the outputs in that order.
        stateful: Boolean, default `False`: the next batch carries on where this one
            ended.
        unroll: Boolean, default `False`: copies the step for each time step instead of
            a loop.
        reset_after: Boolean, default `True`: r_t multiplies h_{t-1} @ R_n + c_n;
            `False`: h_{t-1}, the original form.
        use_cudnn: `"auto"` (default), `True` or `False`: whether the kernels of cuDNN
            are taken where there are any.
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
        zero_output_for_mask: Boolean, default `False`: zeros at masked steps.
        implementation: Of no effect: Keras's choice between two ways to the same numbers.
        **kwargs: The arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`, ...

    Call arguments, returns, raises: see `keras_rnn.RNN`.
    """

    cell_class = GRUCell

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
        activity_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
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
        zero_output_for_mask: bool = False,
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**given(locals()))
