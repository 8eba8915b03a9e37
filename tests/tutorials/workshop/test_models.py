"""Steps of any number, and networks that are loaded."""

import keras
import numpy as np
import pytest
import tensorflow as tf

# isort: split
from workshop import models
from workshop.errors import UsageError


@pytest.mark.parametrize("batch_first", [(2, 6), (6, 2)])
def test_steps_of_any_number(batch_first):
    """In a graph that knows neither the batch size nor the number of steps."""
    batch, timesteps = batch_first
    inner = keras.layers.Dense(3, activation="tanh")
    steps = keras.Input((None, 5))
    model = keras.Model(steps, models.TimeDistributed(inner)(steps))
    free = tf.TensorSpec((None, None, 5))
    graph = tf.function(lambda x: model(x), input_signature=[free])
    x = np.random.default_rng(0).random((batch, timesteps, 5)).astype("float32")
    expected = np.tanh(x @ inner.kernel.numpy() + inner.bias.numpy())
    np.testing.assert_allclose(graph(x), expected, atol=1e-6)


def test_a_network_of_this_program(tmp_path):
    folder = tmp_path / "a"
    with pytest.raises(UsageError, match="no trained network"):
        models.trained(folder, "--predict")
    folder.mkdir()
    path = folder / "model.keras"
    keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)], name="a").save(path)
    found = models.trained(folder, "--predict", lambda network: network.name == "a")
    assert found.name == "a"
    with pytest.raises(UsageError, match="--predict: .* of another program"):
        models.trained(folder, "--predict", lambda network: network.name == "b")
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:100] + b"x" * 900):
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match="model.keras cannot be loaded"):
            models.trained(folder, "--predict")
