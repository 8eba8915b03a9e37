"""Steps without a backward step by hand, on the fast pass; and `check_cell`."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnn import RNN, ElmanCell, GRUCell, LSTMCell, RecurrentCell
from keras_rnn.testing import check_cell
from tests.gradients import autodiff
from tests.oracle import CELLS_IN_FLOAT64, KERAS_IN_FLOAT64

DTYPE = "float64" if CELLS_IN_FLOAT64 else "float32"
TOLERANCE = 1e-9 if KERAS_IN_FLOAT64 else 1e-4
X = np.random.default_rng(0).normal(size=(3, 6, 2)).astype(DTYPE)


@keras.saving.register_keras_serializable("tests")
class Gated(RecurrentCell):
    """A gate, a candidate, and a weight that the step reads itself."""

    gates = 2

    def build(self, input_shape):
        super().build(input_shape)
        self.gain = self.add_weight(
            shape=(self.units,), name="gain", initializer="random_normal"
        )

    def step(self, projected, recurrent, states):
        x_f, x_n = ops.split(projected, 2, axis=-1)
        h_f, h_n = ops.split(recurrent, 2, axis=-1)
        f = self.recurrent_activation(x_f + h_f)
        n = self.activation(x_n + f * h_n * (1 + self._tensor(self.gain)))
        return [(1 - f) * states[0] + f * n]


def gradients(layer, **arguments):
    return autodiff(
        lambda x: ops.sum(ops.sin(3 * layer(x, **arguments))),
        layer.trainable_variables,
        [X],
    )


def check_against_the_loop(cell, **arguments):
    """The pass gives the outputs and gradients of Keras's loop over the same cell."""
    ours = RNN(cell, return_sequences=True, dtype=DTYPE)
    theirs = keras.layers.RNN(cell, return_sequences=True, dtype=DTYPE)
    ours.build(X.shape), theirs.build(X.shape)
    assert ours.uses_fast_pass
    np.testing.assert_allclose(
        ops.convert_to_numpy(ours(X, **arguments)),
        ops.convert_to_numpy(theirs(X, **arguments)),
        atol=TOLERANCE,
    )
    pairs = zip(gradients(ours, **arguments), gradients(theirs, **arguments))
    for a, b in pairs:
        np.testing.assert_allclose(a, b, atol=TOLERANCE)


@pytest.mark.parametrize(
    "cell",
    [
        lambda: Gated(4, output_units=2, dtype=DTYPE),
        lambda: ElmanCell(4, "gelu", dtype=DTYPE),
        lambda: LSTMCell(
            4, "softsign", recurrent_activation="hard_sigmoid", dtype=DTYPE
        ),
        lambda: GRUCell(4, reset_after=False, dtype=DTYPE),
        lambda: ElmanCell(4, lambda a: ops.sin(a), dtype=DTYPE),
    ],
    ids=["own", "gelu", "softsign", "reset before", "lambda"],
)
def test_the_gradients_are_those_of_keras(cell):
    check_against_the_loop(cell())


@pytest.mark.parametrize("cell", ["SimpleRNNCell", "LSTMCell", "GRUCell"])
def test_a_cell_of_keras_rides_the_pass(cell):
    check_against_the_loop(getattr(keras.layers, cell)(4, dtype=DTYPE))


def test_an_activation_assigned_to_a_cell_of_keras():
    cell = keras.layers.SimpleRNNCell(4, dtype=DTYPE)
    layer = RNN(cell, dtype=DTYPE)
    before = ops.convert_to_numpy(layer(X))
    cell.activation = keras.activations.linear
    assert np.abs(ops.convert_to_numpy(layer(X)) - before).max() > 1e-3
    check_against_the_loop(cell)


def test_dropout_of_keras_stays_in_its_loop():
    layer = RNN(keras.layers.LSTMCell(4, dropout=0.5))
    assert "dropout of Keras" in layer.fast_pass_obstacle


def test_a_subclass_of_a_cell_of_keras_stays_in_its_loop():
    class Own(keras.layers.SimpleRNNCell):
        pass

    assert "no" in RNN(Own(4)).fast_pass_obstacle


@pytest.mark.tensorflow
@pytest.mark.parametrize("batch", [None, 3])
def test_in_a_compiled_graph(batch):
    import tensorflow as tf

    layer = RNN(Gated(4, dtype=DTYPE), return_sequences=True, dtype=DTYPE)
    layer.build(X.shape)
    wanted = [ops.convert_to_numpy(layer(X)), *gradients(layer)]

    @tf.function(input_signature=[tf.TensorSpec((batch, 6, 2), DTYPE)])
    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
            loss = tf.reduce_sum(tf.sin(3 * outputs))
        variables = [v.value for v in layer.trainable_variables]
        return [outputs, *tape.gradient(loss, [*variables, x])]

    for a, b in zip(both(X), wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_recurrent_dropout_masks_and_stateful():
    cell = Gated(4, dropout=0.3, recurrent_dropout=0.3, dtype=DTYPE)
    layer = RNN(cell, stateful=True, dtype=DTYPE)
    layer.build(X.shape)
    assert layer.uses_fast_pass
    whole = layer(X)
    layer.reset_state()
    layer(X[:, :2]), layer(X[:, 2:4])
    last = layer(X[:, 4:])
    np.testing.assert_allclose(
        ops.convert_to_numpy(last), ops.convert_to_numpy(whole), atol=1e-5
    )
    assert np.isfinite(ops.convert_to_numpy(layer(X, training=True))).all()


def test_a_step_that_samples_stays_in_keras_s_loop():
    class Noisy(RecurrentCell):
        def step(self, projected, recurrent, states):
            noise = keras.random.normal(
                (self.units,), seed=self.seed_generator, dtype=self.compute_dtype
            )
            return [self.activation(projected + recurrent + noise)]

    layer = RNN(Noisy(4, dtype=DTYPE), dtype=DTYPE)
    layer.build(X.shape)
    assert "samples" in layer.fast_pass_obstacle
    assert not np.array_equal(layer(X), layer(X))


def test_a_step_that_returns_too_few_states():
    class One(LSTMCell):
        def step(self, projected, recurrent, states):
            return super().step(projected, recurrent, states)[0][:1]

    with pytest.raises(ValueError, match="must return 2 new states. Received: 1"):
        RNN(One(4))(X.astype("float32"))


@pytest.mark.slow
def test_check_cell_takes_a_cell_of_ones_own():
    check_cell(Gated(3, output_units=2))


@keras.saving.register_keras_serializable("tests")
class Wrong(ElmanCell):
    """Its backward step is not that of its step."""

    def step(self, projected, recurrent, states):
        return [self.activation(projected + recurrent)], []

    def step_backward(self, d_states, h, saved):
        deltas, d_previous = super().step_backward(d_states, h, saved)
        return [1.01 * deltas[0]], d_previous


@keras.saving.register_keras_serializable("tests")
class Narrow(Gated):
    """Its output is not as wide as it says."""

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.output_size = units + 1


@keras.saving.register_keras_serializable("tests")
class AcrossRows(Gated):
    """A row depends on the other rows of its batch."""

    def step(self, projected, recurrent, states):
        (h,) = super().step(projected, recurrent, states)
        return [h - ops.mean(h, axis=0, keepdims=True)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "cell, says",
    [
        (Narrow(3), "the output of one step has the shape"),
        (Wrong(3), "the fast pass and Keras's loop: the gradient with respect to"),
        (AcrossRows(3), "a masked step against none"),
    ],
    ids=["shape", "gradient", "rows"],
)
def test_check_cell_says_what_fails(cell, says):
    with pytest.raises(AssertionError, match=says):
        check_cell(cell)


def test_check_cell_looks_at_the_config():
    class Changed(Gated):
        def get_config(self):
            return {**super().get_config(), "units": self.units + 1}

    with pytest.raises(AssertionError, match="has another 'units': 5, not 4"):
        check_cell(Changed(3))
