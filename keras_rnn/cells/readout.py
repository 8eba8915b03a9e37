"""The output of a step, read off its state: the second equation of a cell."""

from typing import Any

import keras
from keras import ops

from keras_rnn.arguments import positive_integer
from keras_rnn.cells.dense import dense
from keras_rnn.hints import (
    Activation,
    Config,
    Constraint,
    Initializer,
    MixedIntoCell,
    Regularizer,
    Tensor,
)


class Readout(MixedIntoCell):
    """The output y_t of a cell.

    y_t = output_activation(h_t @ output_kernel + output_bias)   # output_units given
    y_t = h_t                                                    # output_units=None
    """

    def __init__(
        self,
        *args: Any,
        output_units: int | None = None,
        output_activation: Activation = None,
        output_kernel_initializer: Initializer = "glorot_uniform",
        output_bias_initializer: Initializer = "zeros",
        output_kernel_regularizer: Regularizer = None,
        output_bias_regularizer: Regularizer = None,
        output_kernel_constraint: Constraint = None,
        output_bias_constraint: Constraint = None,
        **kwargs: Any,
    ) -> None:
        if output_units is not None:
            output_units = positive_integer("output_units", output_units)
        super().__init__(*args, **kwargs)
        self.output_units = output_units
        self.output_activation = keras.activations.get(output_activation)
        self.output_kernel_initializer = keras.initializers.get(
            output_kernel_initializer
        )
        self.output_bias_initializer = keras.initializers.get(output_bias_initializer)
        self.output_kernel_regularizer = keras.regularizers.get(
            output_kernel_regularizer
        )
        self.output_bias_regularizer = keras.regularizers.get(output_bias_regularizer)
        self.output_kernel_constraint = keras.constraints.get(output_kernel_constraint)
        self.output_bias_constraint = keras.constraints.get(output_bias_constraint)
        self.output_size = output_units or self.state_sizes[0]

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.output_units is None:
            return
        self.output_kernel = self.add_weight(
            shape=(self.state_sizes[0], self.output_units),
            name="output_kernel",
            initializer=self.output_kernel_initializer,
            regularizer=self.output_kernel_regularizer,
            constraint=self.output_kernel_constraint,
        )
        if self.use_bias:
            self.output_bias = self.add_weight(
                shape=(self.output_units,),
                name="output_bias",
                initializer=self.output_bias_initializer,
                regularizer=self.output_bias_regularizer,
                constraint=self.output_bias_constraint,
            )

    def readout(self, state: Tensor) -> Tensor:
        """y_t from h_t, for one step or for many.

        Args:
            state: Tensor of shape `(..., units)`.

        Returns:
            Tensor of shape `(..., output_units)`, or `state` where there is no output
            kernel.
        """
        if self.output_units is None:
            return state
        bias = self._tensor(self.output_bias) if self.use_bias else None
        return self.output_activation(
            dense(state, self._tensor(self.output_kernel), bias)
        )

    def _tensor(self, variable):
        return ops.cast(ops.convert_to_tensor(variable), self.compute_dtype)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "output_units": self.output_units,
            "output_activation": keras.activations.serialize(self.output_activation),
            "output_kernel_initializer": keras.initializers.serialize(
                self.output_kernel_initializer
            ),
            "output_bias_initializer": keras.initializers.serialize(
                self.output_bias_initializer
            ),
            "output_kernel_regularizer": keras.regularizers.serialize(
                self.output_kernel_regularizer
            ),
            "output_bias_regularizer": keras.regularizers.serialize(
                self.output_bias_regularizer
            ),
            "output_kernel_constraint": keras.constraints.serialize(
                self.output_kernel_constraint
            ),
            "output_bias_constraint": keras.constraints.serialize(
                self.output_bias_constraint
            ),
        }
