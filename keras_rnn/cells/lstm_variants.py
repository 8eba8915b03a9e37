"""The LSTM with peepholes, and the LSTM whose state is a projection."""

from typing import Any

import keras
from keras import ops

from keras_rnn.arguments import positive_integer
from keras_rnn.cells.lstm import LSTMCell
from keras_rnn.cells.recurrent_cell import RecurrentCell
from keras_rnn.hints import Config, Initializer, Tensor


@keras.saving.register_keras_serializable("keras_rnn")
class PeepholeLSTMCell(LSTMCell):
    """One time step of an LSTM whose gates see the cell state.

        i_t = recurrent_activation(a_i + p_i * c_{t-1})
        f_t = recurrent_activation(a_f + p_f * c_{t-1})
        c_t = f_t * c_{t-1} + i_t * activation(a_g)
        o_t = recurrent_activation(a_o + p_o * c_t)
        h_t = o_t * activation(c_t)

    with a the blocks of x_t @ kernel + h_{t-1} @ recurrent_kernel + bias. An LSTM whose
    output gate is shut cannot tell what it holds; with peepholes it can, and learns to
    count steps exactly.

    Source: Felix A. Gers and Juergen Schmidhuber, 2000, Recurrent nets that time and count.

    Args, call arguments, returns and errors are those of `keras_rnn.LSTMCell`. The weights
    p stand in `peepholes`, of shape (3, units), in the order i, f, o; 0 at the start.
    """

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.peepholes = self.add_weight(
            shape=(3, self.units), name="peepholes", initializer="zeros"
        )

    def step(
        self, projected: Tensor, recurrent: Tensor, states: list[Tensor]
    ) -> list[Tensor]:
        """The five equations."""
        _, c_prev = states
        a_i, a_f, a_g, a_o = ops.split(projected + recurrent, 4, axis=-1)
        p_i, p_f, p_o = ops.unstack(self._tensor(self.peepholes))
        i = self.recurrent_activation(a_i + p_i * c_prev)
        f = self.recurrent_activation(a_f + p_f * c_prev)
        c = f * c_prev + i * self.activation(a_g)
        o = self.recurrent_activation(a_o + p_o * c)
        return [o * self.activation(c), c]


@keras.saving.register_keras_serializable("keras_rnn")
class ProjectedLSTMCell(RecurrentCell):
    """One time step of an LSTM with a narrow state h_t beside a wide cell state c_t.

        i_t, f_t, g_t, o_t, c_t as in an LSTM, of `units` numbers each
        h_t = (o_t * activation(c_t)) @ projection

    The recurrent product, the dearest part of a step, reads h_t: with `projection_units`
    of it instead of `units`, the cell has fewer weights for as much room in c_t.

    Source: Hasim Sak, Andrew Senior and Francoise Beaufays, 2014, Long short-term memory
    recurrent neural network architectures for large scale acoustic modeling.

    Args:
        units: Positive integer, size of the cell state c_t.
        projection_units: Positive integer, size of the state h_t.
        *args: The further positional arguments of `keras_rnn.RecurrentCell`.
        projection_initializer: Initializer of `projection`, of shape (units,
            projection_units). Default `"glorot_uniform"`.
        unit_forget_bias: Boolean, default `True`: the bias of the forget gate is 1 at the
            start.
        **kwargs: Its further keyword arguments.

    Call arguments, returns and errors are those of `keras_rnn.LSTMCell`; the states have the
    shapes `(batch, projection_units)` and `(batch, units)`.
    """

    gates = 4
    initial_state_names = ("initial_state", "initial_carry")

    def __init__(
        self,
        units: int,
        projection_units: int,
        *args: Any,
        projection_initializer: Initializer = "glorot_uniform",
        unit_forget_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        self.projection_units = positive_integer("projection_units", projection_units)
        super().__init__(units, *args, **kwargs)
        self.projection_initializer = keras.initializers.get(projection_initializer)
        self.unit_forget_bias = unit_forget_bias

    @property
    def state_sizes(self) -> list[int]:
        return [self.projection_units, self.units]

    def initializer_of(self, name: str) -> Any:
        initializer = super().initializer_of(name)
        if name != "bias" or not self.unit_forget_bias:
            return initializer

        def ones_for_the_forget_gate(shape, dtype=None):
            i, _, g, o = ops.split(initializer(shape, dtype=dtype), 4)
            return ops.concatenate([i, ops.ones_like(i), g, o])

        return ones_for_the_forget_gate

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.projection = self.add_weight(
            shape=(self.units, self.projection_units),
            name="projection",
            initializer=self.projection_initializer,
        )

    def step(
        self, projected: Tensor, recurrent: Tensor, states: list[Tensor]
    ) -> list[Tensor]:
        """The equations of the LSTM, and the projection."""
        _, c_prev = states
        i, f, g, o = ops.split(projected + recurrent, 4, axis=-1)
        i, f = self.recurrent_activation(i), self.recurrent_activation(f)
        g, o = self.activation(g), self.recurrent_activation(o)
        c = f * c_prev + i * g
        return [(o * self.activation(c)) @ self._tensor(self.projection), c]

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "projection_units": self.projection_units,
            "projection_initializer": keras.initializers.serialize(
                self.projection_initializer
            ),
            "unit_forget_bias": self.unit_forget_bias,
        }
