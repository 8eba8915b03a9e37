"""A cell of which somebody has overridden `call`."""

import keras
from keras import ops

from keras_rnn import ElmanCell


@keras.saving.register_keras_serializable("tests")
class OwnCall(ElmanCell):
    """An Elman cell that puts out something else than h_t.

    y_t = [2 h_t, the first feature of x_t]
    """

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.output_size = self.units + 1

    def call(self, inputs, states, training=False):
        h, states = super().call(inputs, states, training=training)
        return ops.concatenate([2 * h, inputs[:, :1]], axis=-1), states

    @property
    def fast_pass_obstacle(self):
        return f"{self.name} has a `call` of its own"
