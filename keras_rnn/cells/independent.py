"""IndRNN: each unit hears of itself alone."""

from typing import Any

import keras

from keras_rnn.cells.recurrent_cell import RecurrentCell
from keras_rnn.hints import Activation, Initializer, Tensor


@keras.saving.register_keras_serializable("keras_rnn")
class IndRNNCell(RecurrentCell):
    """One time step of an independently recurrent network.

        h_t = activation(x_t @ kernel + h_{t-1} * recurrent_kernel + bias)

    with a vector where an Elman cell has a matrix: a unit keeps its own past, and hears of
    the other units in the next level. Its gradient over k steps is the k-th power of one
    number, which is easy to keep near 1; with relu it does not saturate.

    Source: Shuai Li et al., 2018, Independently recurrent neural network (IndRNN):
    building a longer and deeper RNN.

    Args:
        units: Positive integer, size of the state h_t.
        activation: Default `"relu"`.
        recurrent_initializer: Initializer of `recurrent_kernel`, of shape (units,). Default:
            uniform from -1 to 1.
        **kwargs: The keyword arguments of `keras_rnn.RecurrentCell`.

    Call arguments, returns and errors are those of `keras_rnn.ElmanCell`.
    """

    def __init__(
        self,
        units: int,
        activation: Activation = "relu",
        *,
        recurrent_initializer: Initializer = None,
        **kwargs: Any,
    ) -> None:
        if recurrent_initializer is None:
            recurrent_initializer = keras.initializers.RandomUniform(-1.0, 1.0)
        super().__init__(
            units, activation, recurrent_initializer=recurrent_initializer, **kwargs
        )

    def recurrent_shape(self) -> tuple[int, ...]:
        return (self.units,)

    def recurrent_weights(self) -> list[Tensor]:
        """None: the recurrent term is h_{t-1} itself."""
        return []

    def step(
        self, projected: Tensor, recurrent: Tensor, states: list[Tensor]
    ) -> list[Tensor]:
        """h_t = activation(projected + recurrent * recurrent_kernel)."""
        return [
            self.activation(projected + recurrent * self._tensor(self.recurrent_kernel))
        ]
