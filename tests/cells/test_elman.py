"""One step of the Elman cell, called by hand."""

import inspect

import keras
import numpy as np
import pytest

from keras_rnn import ElmanCell
from tests import oracle


def built(features=3, **kwargs):
    cell = ElmanCell(**{"units": 4, **kwargs})
    cell.build((None, features))
    return cell


@pytest.mark.parametrize("output_units", [None, 2])
def test_the_two_equations(output_units):
    cell = built(output_units=output_units, bias_initializer="random_normal")
    x, h = np.random.randn(5, 3), np.random.randn(5, 4)
    y, states = cell(x, [h])
    step = oracle.elman_step(oracle.weights_of(cell))
    want_y, (want_h,) = step(x, [h])
    np.testing.assert_allclose(y, want_y, atol=1e-5)
    np.testing.assert_allclose(states[0], want_h, atol=1e-5)


def test_activations_and_no_bias():
    cell = built(
        activation="relu",
        use_bias=False,
        output_units=2,
        output_activation="softmax",
    )
    weights = oracle.weights_of(cell)
    assert set(weights) == {
        "kernel",
        "recurrent_kernel",
        "output_kernel",
        "initial_state",
    }
    x, h = np.random.randn(5, 3), np.random.randn(5, 4)
    y, (h,) = cell(x, [h])
    np.testing.assert_allclose(np.array(y).sum(axis=-1), 1, atol=1e-5)
    assert np.array(h).min() == 0.0  # relu


def test_weights_in_the_order_of_keras_then_ours():
    names = [w.name for w in built(output_units=2).weights]
    assert names == [
        "kernel",
        "recurrent_kernel",
        "bias",
        "output_kernel",
        "output_bias",
        "initial_state",
    ]
    plain = built(learn_initial_state=False)
    theirs = keras.layers.SimpleRNNCell(4)
    theirs.build((None, 3))
    assert [w.name for w in plain.weights] == [w.name for w in theirs.weights]


def test_a_state_given_bare_comes_back_bare():
    cell = built()
    x, h = np.ones((2, 3)), np.ones((2, 4))
    _, bare = cell(x, h)
    _, (listed,) = cell(x, [h])
    np.testing.assert_array_equal(bare, listed)


def test_initial_state_is_small_random_and_tiled():
    cell = built(units=1000)
    (state,) = cell.get_initial_state(batch_size=3)
    assert state.shape == (3, 1000)
    vector = keras.ops.convert_to_numpy(cell.initial_state)
    np.testing.assert_array_equal(state, np.tile(vector, (3, 1)))
    assert 0.04 < np.std(vector) < 0.06
    np.testing.assert_array_equal(
        built(learn_initial_state=False).get_initial_state(2), np.zeros((1, 2, 4))
    )


def test_initial_state_before_build_is_refused():
    with pytest.raises(ValueError, match="build"):
        ElmanCell(4).get_initial_state(2)


@pytest.mark.parametrize("units", [0, -1, 2.5, "3", True])
@pytest.mark.parametrize("name", ["units", "output_units"])
def test_units_must_be_a_positive_integer(name, units):
    with pytest.raises(ValueError, match=f"`{name}`"):
        ElmanCell(**{"units": 4, name: units})


def test_numpy_integers_are_fine():
    cell = ElmanCell(np.int64(4), output_units=np.int32(2))
    assert (cell.units, cell.output_units, cell.state_size) == (4, 2, 4)
    assert type(cell.units) is int


@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout"])
@pytest.mark.parametrize("rate", [-0.1, 1.5])
def test_dropout_rates(name, rate):
    with pytest.raises(ValueError, match=f"`{name}`"):
        ElmanCell(4, **{name: rate})


@pytest.mark.parametrize("shape", [(None, None), (3,), (2, 5, 3)])
def test_build_names_a_bad_input_shape(shape):
    with pytest.raises(ValueError, match="inputs.shape"):
        ElmanCell(4).build(shape)


def test_config_covers_every_argument():
    keras_arguments = inspect.signature(keras.layers.SimpleRNNCell.__init__).parameters
    values = {
        "units": 4,
        "activation": "relu",
        "use_bias": False,
        "dropout": 0.1,
        "recurrent_dropout": 0.2,
        "seed": 5,
        "output_units": 2,
        "output_activation": "softmax",
        "learn_initial_state": False,
    }
    for name in ElmanCell.argument_names():
        if name.endswith("initializer"):
            values[name] = keras.initializers.RandomUniform(-0.3, 0.3, seed=1)
        elif name.endswith("regularizer"):
            values[name] = keras.regularizers.L2(0.25)
        elif name.endswith("constraint"):
            values[name] = keras.constraints.MaxNorm(3.0)
    assert set(values) == ElmanCell.argument_names()
    assert set(values) >= set(keras_arguments) - {"self", "kwargs"}
    config = ElmanCell(**values).get_config()
    assert set(values) <= set(config)
    again = ElmanCell.from_config(config)
    assert again.get_config() == config
    for name, value in values.items():
        if isinstance(value, int | float | bool):
            assert getattr(again, name) == value


def test_regularizers_and_constraints_of_each_weight():
    l2 = keras.regularizers.L2(1.0)
    names = ["kernel", "recurrent", "bias", "output_kernel", "output_bias"]
    names.append("initial_state")
    cell = built(
        output_units=2,
        **{f"{name}_regularizer": l2 for name in names},
        **{f"{name}_constraint": "non_neg" for name in names},
    )
    squares = [np.sum(np.square(w)) for w in cell.weights]
    np.testing.assert_allclose(sum(cell.losses), sum(squares), rtol=1e-5)
    assert all(w.constraint is not None for w in cell.weights)


def test_dropout_by_hand_holds_nothing_back():
    cell = built(dropout=0.5, recurrent_dropout=0.5)
    for batch in (4, 7):  # a mask kept from the first call would not fit the second
        y, _ = cell(np.ones((batch, 3)), [np.ones((batch, 4))], training=True)
        assert y.shape == (batch, 4)
    x, h = np.ones((4, 3)), [np.ones((4, 4))]
    first, _ = cell(x, h, training=True)
    second, _ = cell(x, h, training=True)
    assert np.any(np.array(first) != np.array(second))
    np.testing.assert_array_equal(cell(x, h)[0], cell(x, h)[0])
