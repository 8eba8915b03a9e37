"""What the networks of several lessons need: a layer, a learning rate, a saved model."""

import keras

from workshop.errors import UsageError
from workshop.files import remove


@keras.saving.register_keras_serializable("keras_rnn_tutorials")
class TimeDistributed(keras.layers.TimeDistributed):
    """Applies a layer to each step of a sequence by itself, with the same weights.

    All steps of a batch make one larger batch. Keras's own layer is for a known number
    of steps: where that differs from batch to batch it returns, in a graph, as many
    steps as there are examples (Keras 3.15).

    Args:
        layer: The layer, from `(batch, ...)` to `(batch, ...)`, without a mask.
    """

    def call(self, inputs, training=None, mask=None):
        batch, timesteps, *sizes = keras.ops.shape(inputs)
        steps = keras.ops.reshape(inputs, (-1, *sizes))
        outputs = self.layer(steps, training=training)
        return keras.ops.reshape(outputs, (batch, timesteps, *outputs.shape[1:]))


def rise_and_fall(rate, steps):
    """A learning rate that rises for a twentieth of the steps, then falls to 0.

    Args:
        rate: Number, the highest.
        steps: Integer, how many there are in all.
    """
    rising = max(1, steps // 20)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - rising), warmup_target=rate, warmup_steps=rising
    )


def trained(folder, option, is_right=lambda network: True, name="model.keras"):
    """The network that a run wrote to the folder, for which the option asks.

    Args:
        folder: The folder of a run.
        option: String, the option.
        is_right: Function of a network: whether it is one that this program trains.
        name: String, the file in the folder.
    """
    path = folder / name
    if not path.is_file():
        raise UsageError(f"{option}: there is no trained network in {folder}")
    try:
        network = keras.saving.load_model(path)
    except Exception as error:  # a damaged file, or classes of another program
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UsageError(f"{option}: {path} cannot be loaded: {reason[0]}") from error
    if not is_right(network):
        raise UsageError(f"{option}: {path} is a network of another program")
    return network


def no_saved_model(folder):
    """Tells that there is none, where TensorFlow does not run; one before goes."""
    remove(folder / "saved_model")
    print(
        "There is no saved_model: it is TensorFlow's alone, and Keras runs on "
        f"{keras.backend.backend()}. model.keras loads under KERAS_BACKEND=tensorflow, too."
    )
