"""The three cells with layer normalisation inside.

Source: Jimmy Lei Ba, Jamie Ryan Kiros and Geoffrey E. Hinton, 2016, Layer normalization.
"""

from typing import Any

import keras
from keras import ops

from keras_rnn.cells.elman import ElmanCell
from keras_rnn.cells.gru import GRUCell
from keras_rnn.cells.lstm import LSTMCell
from keras_rnn.hints import MixedIntoCell, Tensor

EPSILON = 1e-5  # added to the variance, as in PyTorch


def normalised(values: Tensor) -> Tensor:
    """Values with mean 0 and variance 1 over the last axis."""
    size = values.shape[-1]  # `ops.mean` would round float64 to float32 on PyTorch
    centred = values - ops.sum(values, axis=-1, keepdims=True) / size
    variance = ops.sum(centred * centred, axis=-1, keepdims=True) / size
    return centred * ops.rsqrt(variance + EPSILON)


class _Normalising(MixedIntoCell):
    """Gains for what is normalised; the bias comes after, and is not normalised.

    Named before the cell whose equations it changes.
    """

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        for name, size in self.gain_sizes.items():
            gain = self.add_weight(shape=(size,), name=name, initializer="ones")
            setattr(self, name, gain)

    def input_weights(self) -> list[Tensor]:
        return [self._tensor(self.kernel)]

    def recurrent_weights(self) -> list[Tensor]:
        return [self._tensor(self.recurrent_kernel)]

    def scaled(self, name: str, values: Tensor) -> Tensor:
        """LN(values) times the gain of a name."""
        return normalised(values) * self._tensor(getattr(self, name))


@keras.saving.register_keras_serializable("keras_rnn")
class LayerNormElmanCell(_Normalising, ElmanCell):
    """One time step of an Elman network whose pre-activation is normalised.

        a_t = x_t @ kernel + h_{t-1} @ recurrent_kernel
        h_t = activation(gain * LN(a_t) + bias)

    LN subtracts the mean of the units of one example and divides by their standard
    deviation: neither the size of the inputs nor that of the weights matters any more,
    and the state neither dies out nor grows by them.

    Source: Jimmy Lei Ba, Jamie Ryan Kiros and Geoffrey E. Hinton, 2016, Layer
    normalization, equation 4.

    Args, call arguments, returns and errors are those of `keras_rnn.ElmanCell`. The gain is
    a vector of `units` numbers, 1 at the start.
    """

    @property
    def gain_sizes(self) -> dict[str, int]:
        return {"gain": self.units}

    def step(
        self, projected: Tensor, recurrent: Tensor, states: list[Tensor]
    ) -> list[Tensor]:
        """The equations of a_t and h_t."""
        a = self.scaled("gain", projected + recurrent)
        if self.use_bias:
            a = a + self._tensor(self.bias)
        return [self.activation(a)]


@keras.saving.register_keras_serializable("keras_rnn")
class LayerNormLSTMCell(_Normalising, LSTMCell):
    """One time step of an LSTM with layer normalisation.

        a_t = gain * LN(x_t @ kernel) + recurrent_gain * LN(h_{t-1} @ recurrent_kernel)
              + bias
        i_t, f_t, o_t  =  recurrent_activation of the blocks of a_t;   g_t  =  activation
        c_t = f_t * c_{t-1} + i_t * g_t
        h_t = o_t * activation(carry_gain * LN(c_t) + carry_bias)

    The blocks stand in the order of Keras, i, f, g, o; each term is normalised over all
    four together, as in the paper.

    Source: Jimmy Lei Ba, Jamie Ryan Kiros and Geoffrey E. Hinton, 2016, Layer
    normalization, equations 20 to 22.

    Args, call arguments, returns and errors are those of `keras_rnn.LSTMCell`. The gains
    are 1 and `carry_bias` is 0 at the start.
    """

    @property
    def gain_sizes(self) -> dict[str, int]:
        gates = 4 * self.units
        return {"gain": gates, "recurrent_gain": gates, "carry_gain": self.units}

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.carry_bias = self.add_weight(
            shape=(self.units,), name="carry_bias", initializer="zeros"
        )

    def step(
        self, projected: Tensor, recurrent: Tensor, states: list[Tensor]
    ) -> list[Tensor]:
        """The equations of a_t, c_t and h_t."""
        _, c_prev = states
        a = self.scaled("gain", projected) + self.scaled("recurrent_gain", recurrent)
        if self.use_bias:
            a = a + self._tensor(self.bias)
        i, f, g, o = ops.split(a, 4, axis=-1)
        i, f = self.recurrent_activation(i), self.recurrent_activation(f)
        g, o = self.activation(g), self.recurrent_activation(o)
        c = f * c_prev + i * g
        shown = self.scaled("carry_gain", c) + self._tensor(self.carry_bias)
        return [o * self.activation(shown), c]


@keras.saving.register_keras_serializable("keras_rnn")
class LayerNormGRUCell(_Normalising, GRUCell):
    """One time step of a GRU with layer normalisation.

        u_t = gain * LN(x_t @ kernel) + b         v_t = recurrent_gain * LN(h_{t-1} @ R) + c
        z_t, r_t  =  recurrent_activation(u_t + v_t), of their blocks
        n_t       =  activation(u_t + r_t * v_t), of its block
        h_t = z_t * h_{t-1} + (1 - z_t) * n_t

    The blocks stand in the order of Keras, z, r, n; each term is normalised over its three
    blocks together, and z_t says how much of the old state is kept, as in Keras's GRU.

    Source: Jimmy Lei Ba, Jamie Ryan Kiros and Geoffrey E. Hinton, 2016, Layer
    normalization, equations 23 to 26.

    Args, call arguments, returns and errors are those of `keras_rnn.GRUCell`, with
    `reset_after=True`. The gains are 1 at the start.

    Raises:
        ValueError: `reset_after` is `False`.
    """

    def __init__(self, units: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(units, *args, **kwargs)
        if not self.reset_after:
            raise ValueError(
                "`reset_after` of a LayerNormGRUCell must be True. "
                f"Received: reset_after={self.reset_after}"
            )

    @property
    def gain_sizes(self) -> dict[str, int]:
        return {"gain": 3 * self.units, "recurrent_gain": 3 * self.units}

    def step(
        self, projected: Tensor, recurrent: Tensor, states: list[Tensor]
    ) -> list[Tensor]:
        """The equations of z_t, r_t, n_t and h_t."""
        (h_prev,) = states
        u = self.scaled("gain", projected)
        v = self.scaled("recurrent_gain", recurrent)
        if self.use_bias:
            bias = self._tensor(self.bias)  # (2, 3 units)
            u, v = u + bias[0], v + bias[1]
        u_z, u_r, u_n = ops.split(u, 3, axis=-1)
        v_z, v_r, v_n = ops.split(v, 3, axis=-1)
        z = self.recurrent_activation(u_z + v_z)
        r = self.recurrent_activation(u_r + v_r)
        n = self.activation(u_n + r * v_n)
        return [z * h_prev + (1 - z) * n]
