"""The Elman cell: the simplest recurrent network, one time step of it."""

import keras

from keras_rnn.cells.cell import DERIVATIVES, RecurrentCell


@keras.saving.register_keras_serializable("keras_rnn")
class ElmanCell(RecurrentCell, keras.layers.SimpleRNNCell):
    """One time step of an Elman network.

    The cell reads an input x_t, mixes it with what it remembers, h_{t-1}, and gives a
    new memory and an output:

        h_t = activation(x_t @ kernel + h_{t-1} @ recurrent_kernel + bias)
        y_t = output_activation(h_t @ output_kernel + output_bias)

    With `output_units=None` the output is the state, y_t = h_t. The memory before the
    first step, h_0, is a vector of its own, random at the start and trained by
    back-propagation.

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
        activation: g_h. Default `"tanh"`.
        use_bias: Boolean, default `True`: whether the equations have their b_h and b_y.
        *args: The further positional arguments of `keras.layers.SimpleRNNCell`.
        **kwargs: The keyword arguments of `keras.layers.SimpleRNNCell`
            (`kernel_initializer`, `recurrent_initializer`, `bias_initializer`,
            `kernel_regularizer`, ..., `dropout`, `recurrent_dropout`, `seed`) with its
            defaults, and those of `keras_rnn.cells.RecurrentCell`: `output_units`,
            `output_activation`, `learn_initial_state`, `initial_state_initializer`, and
            the initializers, regularizers and constraints of the weights they add.

    Call arguments:
        inputs: Tensor of shape `(batch, features)`, x_t.
        states: List of one tensor of shape `(batch, units)`, h_{t-1}.
        training: Boolean: whether dropout is at work.

    Returns:
        The output y_t, and the list `[h_t]`.

    Raises:
        ValueError: see `keras_rnn.cells.RecurrentCell`.

    Example:
    >>> cell = ElmanCell(4, output_units=2, output_activation="softmax")
    >>> layer = keras.layers.RNN(cell, return_sequences=True)
    >>> tuple(layer(numpy.ones((3, 5, 7))).shape)  # (batch, timesteps, output_units)
    (3, 5, 2)
    """

    def step(self, projected, recurrent, states):
        """h_t = activation(projected + recurrent)."""
        return [self.activation(projected + recurrent)], []

    def adjoint(self, d_states, h, saved):
        """delta_t = d h_t * activation'(z_t), with z_t = projected + recurrent.

        The derivative is written in terms of h_t: for tanh, 1 - h_t^2.
        """
        (d_h,) = d_states
        delta = d_h * DERIVATIVES[self.activation](h)  # (batch, units)
        return [delta], [None]
