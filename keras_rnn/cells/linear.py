"""Cells whose step is linear in the state: minGRU, minLSTM and a diagonal recurrence.

    h_t = a_t * h_{t-1} + b_t

with a_t and b_t from x_t alone. Two such steps are one of the same form, with a_2 * a_1 and
a_2 * b_1 + b_2. So the states of all steps are a scan by an associative operation, which
takes log2(timesteps) rounds instead of a loop (`keras_rnn.parallel`). Step by step, as any
other cell, they give the same.
"""

import math
from typing import Any

import keras
from keras import ops

from keras_rnn.cells.recurrent_cell import RecurrentCell
from keras_rnn.hints import Config, Tensor


class LinearCell(RecurrentCell):
    """h_t = a_t * h_{t-1} + b_t: a subclass says what a_t and b_t are.

    There is no recurrent kernel. Args, call arguments, returns and errors are those of
    `keras_rnn.RecurrentCell`.
    """

    def recurrent_shape(self) -> None:
        return None

    def recurrent_weights(self) -> list[Tensor]:
        """None: the recurrent term is h_{t-1} itself."""
        return []

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """a_t and b_t.

        Args:
            projected: Tensor of shape `(..., gates * units)`, x_t @ kernel + bias.

        Returns:
            Two tensors, of the shapes `(..., size)` or `(size,)` and `(..., size)`.
        """
        raise NotImplementedError

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        """A * b, of tensors of shape `(..., size)`."""
        return a * b

    def one(self, like: Tensor) -> Tensor:
        """What leaves b as it is in `product`: a tensor like `like`."""
        return ops.ones_like(like)

    def step(
        self, projected: Tensor, recurrent: Tensor, states: list[Tensor]
    ) -> list[Tensor]:
        """h_t = a_t * h_{t-1} + b_t."""
        a, b = self.coefficients(projected)
        return [self.product(a, recurrent) + b]


@keras.saving.register_keras_serializable("keras_rnn")
class MinGRUCell(LinearCell):
    """One time step of a minimal gated recurrent unit.

        z_t, n_t = the blocks of x_t @ kernel + bias
        z_t = recurrent_activation(z_t)
        h_t = (1 - z_t) * h_{t-1} + z_t * n_t

    A GRU whose gate and candidate do not hear of the state. It cannot decide by what it
    holds; for that, all steps are computed at once.

    Source: Leo Feng et al., 2024, Were RNNs all we needed?

    Args, call arguments, returns and errors are those of `keras_rnn.RecurrentCell`, but for
    `activation`, which is of no effect.
    """

    gates = 2

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        z, n = ops.split(projected, 2, axis=-1)
        z = self.recurrent_activation(z)
        return 1 - z, z * n


@keras.saving.register_keras_serializable("keras_rnn")
class MinLSTMCell(LinearCell):
    """One time step of a minimal LSTM.

        f_t, i_t, n_t = the blocks of x_t @ kernel + bias
        f_t, i_t = recurrent_activation(f_t), recurrent_activation(i_t)
        h_t = f_t / (f_t + i_t) * h_{t-1} + i_t / (f_t + i_t) * n_t

    Source: Leo Feng et al., 2024, Were RNNs all we needed?

    Args, call arguments, returns and errors are those of `keras_rnn.RecurrentCell`, but for
    `activation`, which is of no effect.
    """

    gates = 3

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        f, i, n = ops.split(projected, 3, axis=-1)
        f, i = self.recurrent_activation(f), self.recurrent_activation(i)
        total = f + i + keras.config.epsilon()
        return f / total, i / total * n


@keras.saving.register_keras_serializable("keras_rnn")
class LRUCell(LinearCell):
    """One time step of a linear recurrent unit: `units` complex numbers that turn and fade.

        h_t = lambda * h_{t-1} + gamma * (x_t @ B + b)
        lambda = exp(-exp(nu) + i exp(theta)),   gamma = exp(log_gamma)

    The state holds the real parts and then the imaginary ones, `2 units` numbers, and so
    does x_t @ kernel + bias. The modulus of lambda is below 1 whatever nu is: no gradient
    explodes. What is
    read off the state, Re(C h_t) in the paper, is a `Dense` map after the layer, or
    `output_units`.

    Source: Antonio Orvieto et al., 2023, Resurrecting recurrent neural networks for long
    sequences.

    Args:
        units: Positive integer, the number of complex numbers in h_t.
        *args: The further positional arguments of `keras_rnn.RecurrentCell`.
        smallest, largest: Numbers from 0 to 1, default 0.9 and 0.999: between them lies
            the modulus of lambda at the start, uniformly over the ring.
        largest_angle: Default pi / 10: from 0 to it lie the angles of lambda at the start.
        **kwargs: Its further keyword arguments.

    Call arguments, returns and errors are those of `keras_rnn.RecurrentCell`; the state has
    the shape `(batch, 2 * units)`. `activation` is of no effect.

    Raises:
        ValueError: not 0 < smallest < largest < 1.
    """

    gates = 2

    def __init__(
        self,
        units: int,
        *args: Any,
        smallest: float = 0.9,
        largest: float = 0.999,
        largest_angle: float = math.pi / 10,
        **kwargs: Any,
    ) -> None:
        if not 0 < smallest < largest < 1:
            raise ValueError(
                "`smallest` and `largest` must be 0 < smallest < largest < 1. "
                f"Received: smallest={smallest}, largest={largest}"
            )
        super().__init__(units, *args, **kwargs)
        self.smallest, self.largest = smallest, largest
        self.largest_angle = largest_angle

    @property
    def state_sizes(self) -> list[int]:
        return [2 * self.units]

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        uniform = keras.initializers.RandomUniform  # the same numbers at each call
        square = uniform(self.smallest**2, self.largest**2)  # |lambda|^2
        angle = uniform(0, self.largest_angle)
        for name, start in {
            "nu": lambda shape, dtype=None: ops.log(
                -0.5 * ops.log(square(shape, dtype))
            ),
            "theta": lambda shape, dtype=None: ops.log(angle(shape, dtype)),
            # h_t stays as large as the input.
            "log_gamma": lambda shape, dtype=None: (
                0.5 * ops.log(1 - square(shape, dtype))
            ),
        }.items():
            weight = self.add_weight(shape=(self.units,), name=name, initializer=start)
            setattr(self, name, weight)

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        size = ops.exp(-ops.exp(self._tensor(self.nu)))
        angle = ops.exp(self._tensor(self.theta))
        a = ops.concatenate([size * ops.cos(angle), size * ops.sin(angle)])
        return a, projected * ops.tile(ops.exp(self._tensor(self.log_gamma)), 2)

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        """The product of complex numbers, real parts first."""
        (a_re, a_im), (b_re, b_im) = (ops.split(each, 2, axis=-1) for each in (a, b))
        parts = [a_re * b_re - a_im * b_im, a_re * b_im + a_im * b_re]
        return ops.concatenate(parts, axis=-1)

    def one(self, like: Tensor) -> Tensor:
        real, imaginary = ops.split(like, 2, axis=-1)
        return ops.concatenate(
            [ops.ones_like(real), ops.zeros_like(imaginary)], axis=-1
        )

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "smallest": self.smallest,
            "largest": self.largest,
            "largest_angle": self.largest_angle,
        }
