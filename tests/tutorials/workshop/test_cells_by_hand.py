"""Steps by hand beside the layers whose weights they use."""

import keras
import numpy as np
import pytest
from workshop import cells_by_hand

import keras_rnn


def elman_step(x, h, weights, add=0.0):
    kernel, recurrent_kernel, bias = weights
    a = x @ kernel + h @ recurrent_kernel + bias
    return {"a": a, "h": np.tanh(a) + add}


@pytest.mark.parametrize("off_by", [0.0, 0.5])
def test_how_far_a_step_is_from_a_cell(off_by):
    def step(x, h, weights):
        return elman_step(x, h, weights, add=off_by)

    cell = keras_rnn.ElmanCell(3, learn_initial_state=False, dtype="float64")
    found = cells_by_hand.apart(cell, step, np.random.default_rng(0))
    assert found == pytest.approx(off_by, abs=1e-12)


def test_all_that_a_step_computes_along_a_sequence():
    keras.utils.set_random_seed(0)
    layer = keras_rnn.ElmanRNN(3, return_sequences=True)
    x = np.random.default_rng(1).normal(size=(2, 5, 4)).astype("float32")
    expected = np.array(layer(x))
    found = cells_by_hand.along(layer, elman_step, x)
    np.testing.assert_allclose(found["h"], expected, atol=1e-6)
    np.testing.assert_allclose(np.tanh(found["a"]), expected, atol=1e-6)
    moved = cells_by_hand.along(layer, elman_step, x, add=0.5)["h"]
    np.testing.assert_allclose(moved[:, 0], expected[:, 0] + 0.5, atol=1e-6)
    assert np.abs(moved[:, 1] - expected[:, 1] - 0.5).max() > 1e-3
