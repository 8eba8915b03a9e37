"""RNN and ElmanRNN: a cell over time, in every edge case."""

import functools
import inspect
import os
import pathlib
import subprocess
import sys
import types
import unittest

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_rnn
from keras_rnn import RNN, ElmanCell, ElmanRNN
from tests import oracle
from tests.gradients import autodiff, finite_differences

BACKEND = keras.backend.backend()
FLOAT64 = pytest.param("float64", marks=pytest.mark.float64)
WAYS = {
    "keras.layers.RNN": lambda cell, **options: keras.layers.RNN(
        ElmanCell(**cell), **options
    ),
    "RNN": lambda cell, **options: RNN(ElmanCell(**cell), **options),
    "ElmanRNN": lambda cell, **options: ElmanRNN(**cell, **options),
}


# Where Keras's own loop is right with masks: not on JAX, where it takes h_t for y_t.
MASKED = {
    way: (False,) if way == "keras.layers.RNN" and BACKEND == "jax" else (False, True)
    for way in WAYS
}


def data(batch=3, timesteps=6, features=2):
    return np.random.randn(batch, timesteps, features).astype("float32")


def right_padded(lengths, timesteps):
    return np.arange(timesteps) < np.array(lengths)[:, None]


def cells_of(layer):
    return getattr(layer.cell, "cells", [layer.cell])


def expected(layer, x, mask=None, zero_output=False):
    """The outputs and states of an RNN layer of Elman cells, by the oracle."""
    cells, states = cells_of(layer), []
    backwards = layer.go_backwards
    for cell in cells:
        x, (state,) = oracle.run(
            oracle.elman_step(oracle.weights_of(cell)),
            x,
            oracle.first_states(cell, len(x)),
            mask,
            backwards,
            zero_output and cell is cells[-1],
        )
        if backwards and cell is not cells[-1]:  # the cells of a stack share one loop
            x = x[:, ::-1]
        states.append(state)
    return x, states


# ---------------------------------------------------------------- against the oracle


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@given(
    st.integers(1, 4),
    st.integers(1, 7),
    st.integers(1, 3),
    st.integers(1, 5),
    st.sampled_from([None, 1, 3]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_agrees_with_numpy(
    way, batch, timesteps, features, units, output_units, backwards, masked, learn, rng
):
    x = data(batch, timesteps, features)
    mask = None
    if masked and True in MASKED[way]:
        mask = np.array(
            [[rng.random() < 0.6 for _ in range(timesteps)] for _ in range(batch)]
        )
    layer = WAYS[way](
        {"units": units, "output_units": output_units, "learn_initial_state": learn},
        go_backwards=backwards,
        return_sequences=True,
        return_state=True,
    )
    y, h = layer(x, mask=mask)
    want_y, (want_h,) = expected(layer, x, mask)
    np.testing.assert_allclose(y, want_y, atol=1e-5)
    np.testing.assert_allclose(h, want_h, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == (y.shape, h.shape)

    layer.return_sequences = False
    last, _ = layer(x, mask=mask)
    np.testing.assert_allclose(last, want_y[:, -1], atol=1e-5)


@pytest.mark.parametrize(
    "way, masked",
    [(way, m) for way in ("keras.layers.RNN", "RNN") for m in MASKED[way]],
)
@pytest.mark.parametrize("go_backwards", [False, True])
def test_stacked_cells_agree_with_numpy(way, masked, go_backwards):
    x = data()
    mask = right_padded([6, 2, 4], 6) if masked else None
    layer = {"keras.layers.RNN": keras.layers.RNN, "RNN": RNN}[way](
        [ElmanCell(4, output_units=3), ElmanCell(5), ElmanCell(2)],
        return_sequences=True,
        return_state=True,
        go_backwards=go_backwards,
    )
    y, *states = layer(x, mask=mask)
    want_y, want_states = expected(layer, x, mask)
    np.testing.assert_allclose(y, want_y, atol=1e-5)
    for state, want in zip(keras.tree.flatten(states), want_states, strict=True):
        np.testing.assert_allclose(state, want, atol=1e-5)


@pytest.mark.parametrize("way, masked", [(w, m) for w in WAYS for m in MASKED[w]])
def test_bidirectional_agrees_with_numpy(way, masked):
    x = data()
    mask = right_padded([6, 2, 4], 6) if masked else None
    layer = keras.layers.Bidirectional(
        WAYS[way]({"units": 4, "output_units": 3}, return_sequences=True)
    )
    y = layer(x, mask=mask)
    there, _ = expected(layer.forward_layer, x, mask, zero_output=True)
    back, _ = expected(layer.backward_layer, x, mask, zero_output=True)
    want = np.concatenate([there, back[:, ::-1]], axis=-1)
    np.testing.assert_allclose(y, want, atol=1e-5)


def test_stack_of_layers_agrees_with_numpy():
    x, mask = data(), right_padded([6, 2, 4], 6)
    inputs = keras.Input((None, 2))
    first = ElmanRNN(4, return_sequences=True)
    second = ElmanRNN(3, return_sequences=False)
    hidden = first(inputs, mask=mask)
    model = keras.Model(inputs, second(hidden, mask=mask))
    between, _ = expected(first, x, mask)
    want, _ = expected(second, between, mask)
    np.testing.assert_allclose(model(x), want[:, -1], atol=1e-5)


def test_stack_of_one_cell():
    x, mask = data(), right_padded([6, 2, 4], 6)
    one = RNN([ElmanCell(4)], return_sequences=True, return_state=True)
    y, h = one(x, mask=mask)
    want_y, (want_h,) = expected(one, x, mask)
    np.testing.assert_allclose(y, want_y, atol=1e-5)
    np.testing.assert_allclose(keras.tree.flatten(h)[0], want_h, atol=1e-5)


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_unroll_is_the_loop_copied(masked, go_backwards):
    x = data()
    mask = right_padded([6, 2, 4], 6) if masked else None
    options = {"return_sequences": True, "go_backwards": go_backwards}
    loop = ElmanRNN(4, output_units=3, **options)
    unrolled = ElmanRNN(4, output_units=3, **options, unroll=True)
    loop(x), unrolled(x)
    unrolled.set_weights(loop.get_weights())
    np.testing.assert_allclose(loop(x, mask=mask), unrolled(x, mask=mask), atol=1e-6)
    with pytest.raises(ValueError, match="unroll"):
        ElmanRNN(4, unroll=True)(keras.Input((None, 2)))


# ---------------------------------------------------------------- against SimpleRNN


@pytest.mark.slow
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_outputs_and_gradients_of_simple_rnn(masked, go_backwards, return_sequences):
    x = data()
    mask = right_padded([6, 2, 4], 6) if masked else None
    options = {"go_backwards": go_backwards, "return_sequences": return_sequences}
    theirs = keras.layers.SimpleRNN(4, bias_initializer="random_normal", **options)
    ours = ElmanRNN(4, learn_initial_state=False, **options)
    theirs(x), ours(x)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours(x, mask=mask), theirs(x, mask=mask), atol=1e-5)
    gradients = [
        autodiff(
            lambda x, layer=layer: keras.ops.sum(
                keras.ops.sin(3 * layer(x, mask=mask))
            ),
            layer.trainable_variables,
            [x],
        )
        for layer in (ours, theirs)
    ]
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_positional_arguments_of_simple_rnn():
    positional = (4, "relu", False, "zeros", "ones", "zeros", "l2")
    theirs = keras.layers.SimpleRNN(*positional, name="rnn").get_config()
    ours = ElmanRNN(*positional, name="rnn").get_config()
    assert theirs == {name: ours.get(name) for name in theirs}


@keras.saving.register_keras_serializable("tests")
class SimpleRNN(ElmanRNN):
    """`ElmanRNN` as its tests in Keras call it: without a learned initial state."""

    def __init__(self, *args, learn_initial_state=False, **kwargs):
        super().__init__(*args, learn_initial_state=learn_initial_state, **kwargs)


@pytest.mark.slow
def test_kerass_own_tests_of_simple_rnn_pass():
    path = pathlib.Path(keras.__file__).parent / "src/layers/rnn/simple_rnn_test.py"
    if not path.exists():
        pytest.skip("this release of Keras does not ship its tests")
    source = path.read_text().replace("layers.SimpleRNN", "SimpleRNN")
    module = types.ModuleType("keras_simple_rnn_test")

    module.SimpleRNN = SimpleRNN
    exec(compile(source, str(path), "exec"), module.__dict__)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromModule(module).run(result)
    assert result.testsRun >= 5
    assert not result.failures + result.errors


# ---------------------------------------------------------------- the initial state


def initial_states(layer):
    return [w for w in layer.trainable_variables if w.name == "initial_state"]


MODELS = {
    "plain": (1, lambda: [ElmanRNN(4)]),
    "bidirectional": (2, lambda: [keras.layers.Bidirectional(ElmanRNN(4))]),
    "stacked cells": (2, lambda: [RNN([ElmanCell(4), ElmanCell(3)])]),
    "stacked layers": (2, lambda: [ElmanRNN(4, return_sequences=True), ElmanRNN(3)]),
    "in keras.layers.RNN": (1, lambda: [keras.layers.RNN(ElmanCell(4))]),
    "unrolled": (1, lambda: [ElmanRNN(4, unroll=True)]),
}


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_back_propagation_trains_the_initial_state(model):
    count, layers = MODELS[model]
    model = keras.Sequential([keras.Input((5, 2)), *layers(), keras.layers.Dense(1)])
    states = initial_states(model)
    assert len(states) == count
    before = [keras.ops.convert_to_numpy(s) for s in states]
    if count == 2 and before[0].shape == before[1].shape:
        assert np.any(before[0] != before[1])
    x = data(8, 5)
    for gradient in autodiff(lambda: keras.ops.sum(model(x)), states):
        assert np.all(gradient != 0)
    model.compile("sgd", "mse")
    model.fit(x, np.ones((8, 1)), verbose=0)
    for old, new in zip(before, states):
        assert np.all(old != keras.ops.convert_to_numpy(new))


def test_a_state_that_is_passed_replaces_the_learned_one():
    x, layer = data(), ElmanRNN(4, return_state=True)
    layer(x)
    state = np.random.randn(3, 4).astype("float32")
    _, h = layer(x, initial_state=[state])
    _, (want,) = oracle.run(
        oracle.elman_step(oracle.weights_of(layer.cell)), x, [state]
    )
    np.testing.assert_allclose(h, want, atol=1e-5)
    (gradient,) = autodiff(
        lambda: keras.ops.sum(layer(x, initial_state=[state])[0]),
        initial_states(layer),
    )
    assert np.all(gradient == 0)


def test_states_of_an_encoder_start_a_decoder():
    x = data()
    source, target = keras.Input((None, 2)), keras.Input((None, 2))
    cells = lambda: [ElmanCell(4), ElmanCell(3)]  # noqa: E731
    _, *states = RNN(cells(), return_state=True)(source)
    decoder = RNN(cells(), return_sequences=True)
    model = keras.Model([source, target], decoder(target, initial_state=states))
    assert model([x, data(3, 4)]).shape == (3, 4, 3)
    with pytest.raises(ValueError, match="`initial_state`"):
        model([data(1), x])  # a batch of 1 must not be broadcast


@pytest.mark.float64
@pytest.mark.parametrize(
    "kind", ["plain", pytest.param("stacked", marks=pytest.mark.slow), "bidirectional"]
)
def test_gradients_by_finite_differences(kind):
    float64 = {"dtype": "float64"}
    layer = {
        "plain": lambda: ElmanRNN(3, output_units=2, **float64),
        "stacked": lambda: RNN([ElmanCell(3), ElmanCell(2)], **float64),
        "bidirectional": lambda: keras.layers.Bidirectional(
            ElmanRNN(2, **float64), **float64
        ),
    }[kind]()
    x = np.random.randn(2, 4, 3)
    mask = right_padded([4, 2], 4)

    def loss():
        return keras.ops.sum(keras.ops.sin(3 * layer(x, mask=mask)))

    loss()
    by_hand = finite_differences(loss, layer.trainable_variables)
    for a, b in zip(autodiff(loss, layer.trainable_variables), by_hand, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


# ---------------------------------------------------------------- masks


@pytest.mark.slow
def test_garbage_in_a_masked_step_changes_nothing():
    x, mask = data(), right_padded([6, 2, 4], 6)
    bad = np.where(mask[..., None], x, np.nan).astype("float32")
    bad[1, 4] = np.inf
    for make in (
        lambda: ElmanRNN(4, output_units=2, return_sequences=True),
        lambda: ElmanRNN(4, unroll=True),
        lambda: keras.layers.Bidirectional(ElmanRNN(4, return_sequences=True)),
        lambda: RNN([ElmanCell(4), keras.layers.LSTMCell(3)]),
    ):
        layer = make()
        layer(x)
        results = [
            [
                np.array(layer(each, mask=mask)),
                *autodiff(
                    lambda x, layer=layer: keras.ops.sum(layer(x, mask=mask)),
                    layer.trainable_variables,
                    [each],
                ),
            ]
            for each in (x, bad)
        ]
        for clean, dirty in zip(*results, strict=True):
            np.testing.assert_array_equal(clean, dirty)
        input_gradient = results[1][-1]
        assert np.all(input_gradient[~mask] == 0)


@functools.cache  # one of each kind reads sequences of all sizes
def padded_layer(kind):
    return {
        "plain": lambda: ElmanRNN(4, output_units=2),
        "bidirectional": lambda: keras.layers.Bidirectional(ElmanRNN(4)),
        "zero_output": lambda: ElmanRNN(4, zero_output_for_mask=True),
    }[kind]()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "bidirectional", "zero_output"])
@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=4), extra=st.integers(1, 4)
)
def test_a_result_does_not_depend_on_the_padding(kind, lengths, extra):
    layer = padded_layer(kind)
    x = data(len(lengths), 5)
    short = layer(x, mask=right_padded(lengths, 5))
    padded = np.concatenate([x, data(len(lengths), extra)], axis=1)
    long = layer(padded, mask=right_padded(lengths, 5 + extra))
    np.testing.assert_allclose(short, long, atol=1e-6)


@pytest.mark.parametrize("unroll", [False, True])
def test_zero_output_for_mask(unroll):
    x, mask = data(), right_padded([6, 2, 0], 6)
    layer = ElmanRNN(4, return_sequences=True, zero_output_for_mask=True, unroll=unroll)
    y = layer(x, mask=mask)
    want, _ = expected(layer, x, mask, zero_output=True)
    np.testing.assert_allclose(y, want, atol=1e-5)


def test_a_row_without_a_real_step():
    x, mask = data(), right_padded([6, 0, 4], 6)
    layer = ElmanRNN(4, return_sequences=True, return_state=True)
    y, h = layer(x, mask=mask)
    np.testing.assert_array_equal(y[1], np.zeros((6, 4)))
    np.testing.assert_array_equal(h[1], layer.cell.initial_state)


@pytest.mark.parametrize("return_state", [False, True])
def test_go_backwards_reverses_the_mask(return_state):
    x, mask = data(), right_padded([6, 2, 4], 6)
    layer = ElmanRNN(
        4, go_backwards=True, return_sequences=True, return_state=return_state
    )
    y = layer(x, mask=mask)
    y = y[0] if return_state else y
    np.testing.assert_array_equal(y._keras_mask, mask[:, ::-1])
    forwards = ElmanRNN(4, return_sequences=True)(x, mask=mask)
    np.testing.assert_array_equal(forwards._keras_mask, mask)
    assert ElmanRNN(4, go_backwards=True).compute_mask(x, mask) is None


def test_the_loss_leaves_out_the_padding_of_a_backward_layer():
    tokens = np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]])
    model = keras.Sequential(
        [
            keras.layers.Embedding(5, 3, mask_zero=True),
            ElmanRNN(4, go_backwards=True, return_sequences=True),
        ]
    )
    y = np.array(model(tokens))
    target = y.copy()
    target[:, ::-1][tokens == 0] += 100  # wrong at the padding only
    model.compile("sgd", "mse")
    assert model.evaluate(tokens, target, verbose=0) < 1e-9


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_a_mask_of_any_dtype(dtype):
    x, mask = data(), right_padded([6, 2, 4], 6)
    layer = ElmanRNN(4)
    np.testing.assert_array_equal(
        layer(x, mask=mask.astype(dtype)), layer(x, mask=mask)
    )


# ---------------------------------------------------------------- stateful


def stateful_pair(**kwargs):
    whole = ElmanRNN(4, return_sequences=True, **kwargs)
    chunked = ElmanRNN(4, return_sequences=True, stateful=True, **kwargs)
    x = data(3, 8)
    whole(x)
    chunked(x[:, :4])
    chunked.set_weights(whole.get_weights())
    chunked.reset_state()
    return whole, chunked, x


def test_chunks_with_the_state_carried_equal_the_whole():
    whole, chunked, x = stateful_pair(output_units=2)
    want = np.array(whole(x))
    for _ in range(2):
        got = np.concatenate([chunked(x[:, :4]), chunked(x[:, 4:])], axis=1)
        np.testing.assert_allclose(got, want, atol=1e-6)
        chunked.reset_state()


def test_a_row_that_ends_in_the_first_chunk_keeps_its_state():
    whole, chunked, x = stateful_pair(return_state=True)
    mask = right_padded([8, 2, 5], 8)
    _, want = whole(x, mask=mask)
    chunked(x[:, :4], mask=mask[:, :4])
    _, got = chunked(x[:, 4:], mask=mask[:, 4:])
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.slow
def test_stateful_trains_the_initial_state_on_fresh_batches_only():
    _, layer, x = stateful_pair()
    states = initial_states(layer)

    def gradient():
        return autodiff(lambda: keras.ops.sum(layer(x)), states)[0]

    assert np.all(gradient() != 0)
    layer(x)  # on JAX, to ask for a gradient carries nothing
    assert np.all(gradient() == 0)
    layer.reset_state()
    assert np.all(gradient() != 0)


def test_after_a_reset_the_state_is_the_one_learned_since():
    _, layer, x = stateful_pair()
    layer(x)
    layer.cell.initial_state.assign(np.ones(4))
    layer.reset_state()
    want, _ = expected(layer, x)
    np.testing.assert_allclose(layer(x), want, atol=1e-5)


def test_stacked_cells_carry_and_reset():
    x = data(3, 8)
    layer = RNN([ElmanCell(4), ElmanCell(2)], stateful=True, return_sequences=True)
    layer(x)
    layer.reset_state()
    want, _ = expected(layer, x)
    for _ in range(2):
        got = np.concatenate([layer(x[:, :4]), layer(x[:, 4:])], axis=1)
        np.testing.assert_allclose(got, want, atol=1e-5)
        layer.reset_state()


@pytest.mark.slow
def test_stateful_carries_in_fit_and_predict():
    inputs = keras.Input((4, 2), batch_size=3)
    layer = ElmanRNN(4, stateful=True, return_sequences=True)
    model = keras.Model(inputs, layer(inputs))
    x = data(3, 8)
    batches = np.concatenate([x[:, :4], x[:, 4:]])  # two batches, in order
    want, _ = expected(layer, x)
    got = model.predict(batches, batch_size=3, verbose=0)
    np.testing.assert_allclose(np.hstack([got[:3], got[3:]]), want, atol=1e-5)

    layer.reset_state()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    targets = np.concatenate([want[:, :4], want[:, 4:]])
    history = model.fit(batches, targets, 3, shuffle=False, verbose=0)
    assert history.history["loss"][0] < 1e-9


@pytest.mark.slow
def test_a_stateful_model_is_reloaded_fresh(tmp_path):
    inputs = keras.Input((4, 2), batch_size=3)
    model = keras.Model(inputs, ElmanRNN(4, stateful=True)(inputs))
    x = data(3, 4)
    first = model.predict(x, verbose=0)
    assert np.any(first != model.predict(x, verbose=0))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), first, atol=1e-6)


def test_stateful_weights_are_those_of_a_layer_that_is_not():
    whole, chunked, _ = stateful_pair()
    assert [w.shape for w in whole.weights] == [w.shape for w in chunked.weights]


def test_stateful_bidirectional():
    layer = keras.layers.Bidirectional(ElmanRNN(4, stateful=True))
    x = data()
    first, second = np.array(layer(x)), np.array(layer(x))
    assert np.any(first != second)
    layer.reset_state()
    np.testing.assert_allclose(layer(x), first, atol=1e-6)


def test_stateful_needs_a_batch_size():
    with pytest.raises(ValueError, match="batch"):
        ElmanRNN(4, stateful=True)(keras.Input((None, 2)))
    layer = ElmanRNN(4, stateful=True)
    layer(data(3))
    with pytest.raises(ValueError, match="batch size"):
        layer(data(2))


# ---------------------------------------------------------------- dropout


@pytest.mark.parametrize("way", WAYS)
def test_one_dropout_mask_for_all_steps(way):
    layer = WAYS[way](
        {
            "units": 40,
            "activation": None,
            "kernel_initializer": "identity",
            "recurrent_initializer": "zeros",
            "learn_initial_state": False,
            "dropout": 0.5,
        },
        return_sequences=True,
    )
    x = np.ones((2, 5, 40), "float32")
    y = np.array(layer(x, training=True))
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(y, np.repeat(y[:, :1], 5, axis=1))
    assert np.any(y[0, 0] != y[1, 0])
    assert np.any(y != np.array(layer(x, training=True)))
    np.testing.assert_array_equal(layer(x), x)


@pytest.mark.parametrize("way", WAYS)
def test_recurrent_dropout_drops_the_same_units_at_each_step(way):
    layer = WAYS[way](
        {
            "units": 40,
            "activation": None,
            "kernel_initializer": "zeros",
            "recurrent_initializer": "identity",
            "initial_state_initializer": "ones",
            "recurrent_dropout": 0.5,
        },
        return_sequences=True,
    )
    x = np.ones((2, 3, 7), "float32")
    y = np.array(layer(x, training=True))
    powers = 2.0 ** np.arange(1, 4)[:, None]  # h_t = (mask / 0.5) * h_{t-1}
    np.testing.assert_array_equal(y, (y[:, :1] > 0) * powers)
    np.testing.assert_array_equal(layer(x), np.ones((2, 3, 40)))


@pytest.mark.slow
def test_dropout_in_stacks_and_bidirectional_in_fit():
    cell = lambda: ElmanCell(4, dropout=0.3, recurrent_dropout=0.3)  # noqa: E731
    model = keras.Sequential(
        [
            keras.layers.Bidirectional(RNN(cell(), return_sequences=True)),
            RNN([cell(), cell()]),
        ]
    )
    model.compile("sgd", "mse")
    history = model.fit(data(8), np.zeros((8, 4)), 4, epochs=2, verbose=0)
    assert np.all(np.isfinite(history.history["loss"]))


# ---------------------------------------------------------------- bad arguments


def test_the_shape_of_the_sequences():
    layer = ElmanRNN(4)
    for bad in (data()[0], data()[None], data()[:, :0]):
        with pytest.raises(ValueError, match="`sequences`"):
            layer(bad)
    with pytest.raises(ValueError, match="`sequences`"):
        ElmanRNN(4)(keras.Input((None, None)))
    with pytest.raises(ValueError, match="`sequences`"):
        ElmanRNN(4).build((None, 5))


@pytest.mark.tensorflow
def test_ragged_sequences_get_the_recipe():
    import tensorflow as tf

    rows = tf.RaggedTensor.from_row_lengths(data(1, 9)[0], [6, 3])
    layer = ElmanRNN(4)
    with pytest.raises(ValueError, match=r"`sequences`(?s:.*)to_tensor"):
        layer(rows)
    padded, mask = rows.to_tensor(), tf.sequence_mask(rows.row_lengths())
    np.testing.assert_allclose(
        layer(padded, mask=mask)[1], layer(rows[1:].to_tensor())[0], atol=1e-6
    )


@pytest.mark.parametrize("shape", [(3, 5), (1, 4), (4,), (3, 1, 4), (2, 4)])
def test_the_shape_of_a_state(shape):
    with pytest.raises(ValueError, match="`initial_state`"):
        ElmanRNN(4)(data(), initial_state=np.zeros(shape))


def test_the_number_of_states():
    state = np.zeros((3, 4))
    for bad in ([state, state], []):
        with pytest.raises(ValueError, match="`initial_state`"):
            ElmanRNN(4)(data(), initial_state=bad)


@pytest.mark.tensorflow
def test_a_state_of_another_batch_size_in_a_graph():
    import tensorflow as tf

    layer = ElmanRNN(4)

    @tf.function(
        input_signature=[tf.TensorSpec((None, 6, 2)), tf.TensorSpec((None, 4))]
    )
    def run(x, state):
        return layer(x, initial_state=[state])

    assert run(data(), np.zeros((3, 4), "float32")).shape == (3, 4)
    with pytest.raises(tf.errors.InvalidArgumentError):
        run(data(), np.zeros((1, 4), "float32"))


@pytest.mark.parametrize("shape", [(3, 5), (2, 6), (3,), (3, 6, 2)])
def test_the_shape_of_a_mask(shape):
    with pytest.raises(ValueError, match="`mask`"):
        ElmanRNN(4)(data(), mask=np.ones(shape, bool))


def test_the_same_cell_twice_in_a_stack():
    cell = ElmanCell(4)
    for stack in ([cell, cell], keras.layers.StackedRNNCells([cell, cell])):
        with pytest.raises(ValueError, match="`cell`"):
            RNN(stack)


def test_an_unknown_argument():
    with pytest.raises(ValueError, match="uints"):
        ElmanRNN(4, uints=3)


# ---------------------------------------------------------------- dtypes


def dtype_of(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["RNN", "ElmanRNN"])
@pytest.mark.parametrize(
    "policy", ["float32", FLOAT64, "mixed_float16", "mixed_bfloat16"]
)
def test_the_policy_of_the_layer_reaches_its_cell(way, policy):
    layer = WAYS[way]({"units": 4}, dtype=policy, return_state=True)
    x = data()
    y, h = layer(x)
    policy = keras.dtype_policies.get(policy)
    assert layer.cell.dtype_policy == policy
    assert {w.dtype for w in layer.weights} == {policy.variable_dtype}
    assert {dtype_of(y), dtype_of(h)} == {policy.compute_dtype}
    want, _ = expected(layer, x)
    tolerance = {"float64": 1e-12, "float32": 1e-5}.get(policy.compute_dtype, 0.05)
    y = keras.ops.convert_to_numpy(y).astype("float64")
    np.testing.assert_allclose(y, want[:, -1], rtol=tolerance, atol=tolerance)


@pytest.mark.float64
def test_a_policy_for_a_whole_stack_of_cells():
    layer = RNN([ElmanCell(4), ElmanCell(3)], dtype="float64")
    assert dtype_of(layer(data())) == "float64"
    assert {w.dtype for w in layer.weights} == {"float64"}


def test_a_cell_keeps_its_own_policy_through_the_config():
    layer = RNN(ElmanCell(4, dtype="mixed_bfloat16"))
    again = RNN.from_config(layer.get_config())
    assert again.dtype_policy.name == "float32"
    assert again.cell.dtype_policy.name == "mixed_bfloat16"


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", FLOAT64])
def test_fit_under_a_policy(policy):
    model = keras.Sequential(
        [
            keras.Input((None, 2), dtype="float32"),
            keras.layers.Bidirectional(
                ElmanRNN(4, dtype=policy, return_sequences=True), dtype=policy
            ),
            ElmanRNN(3, dtype=policy, stateful=False),
            keras.layers.Dense(1, dtype="float32"),
        ]
    )
    model.compile("adam", "mse")
    history = model.fit(data(8), np.zeros((8, 1)), verbose=0)
    assert np.all(np.isfinite(history.history["loss"]))


# ---------------------------------------------------------------- saving


def test_config_covers_every_argument():
    layer = ElmanRNN(
        4,
        output_units=2,
        return_sequences=True,
        return_state=True,
        go_backwards=True,
        stateful=True,
        unroll=True,
        zero_output_for_mask=True,
        activity_regularizer="l2",
        dtype="mixed_float16",
        trainable=False,
        name="reader",
        seed=3,
    )
    config = layer.get_config()
    arguments = set(ElmanCell.argument_names())
    for owner in (keras.layers.SimpleRNN, keras.layers.RNN, keras.Layer):
        arguments |= set(inspect.signature(owner.__init__).parameters)
    arguments -= {"self", "kwargs", "cell", "autocast"}  # Keras saves no autocast
    assert arguments <= set(config)
    again = ElmanRNN.from_config(config)
    assert again.get_config() == config
    assert again.cell.dtype_policy == layer.cell.dtype_policy


def test_a_generic_layer_comes_back_from_its_config():
    layer = RNN([ElmanCell(4), keras.layers.GRUCell(3)], zero_output_for_mask=True)
    config = layer.get_config()
    assert config["zero_output_for_mask"]
    assert RNN.from_config(config).get_config() == config
    assert layer.get_config() == config  # from_config changed nothing in it


def every_kind_of_model():
    inputs = keras.Input((None, 2))
    x = keras.layers.Masking()(inputs)
    x = keras.layers.Bidirectional(
        ElmanRNN(4, output_units=3, output_activation="tanh", return_sequences=True)
    )(x)
    x = RNN([ElmanCell(5), ElmanCell(4)], return_sequences=True)(x)
    x = keras.layers.RNN(ElmanCell(3), return_sequences=True)(x)
    x, state = ElmanRNN(4, return_state=True, go_backwards=True)(x)
    return keras.Model(inputs, keras.layers.Concatenate()([x, state]))


@pytest.mark.slow
def test_saved_and_loaded_in_a_fresh_process(tmp_path):
    model, x = every_kind_of_model(), data(2, 5)
    x[0, 3:] = 0
    np.save(tmp_path / "x.npy", x)
    model.save(tmp_path / "model.keras")
    script = (
        "import keras_rnn, keras, numpy\n"
        "model = keras.models.load_model('model.keras')\n"
        "y = keras.ops.convert_to_numpy(model(numpy.load('x.npy')))\n"
        "numpy.save('y.npy', y)\n"
    )
    root = pathlib.Path(keras_rnn.__file__).parents[1]
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model(x), atol=1e-6)


@pytest.mark.slow
def test_weights_alone(tmp_path):
    one, other, x = every_kind_of_model(), every_kind_of_model(), data()
    one.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(one(x), other(x), atol=1e-6)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", ["every kind", "stateful"])
def test_saved_model_at_new_sizes(tmp_path, kind):
    import tensorflow as tf

    if kind == "stateful":
        inputs = keras.Input((None, 2), batch_size=3)
        model = keras.Model(inputs, ElmanRNN(4, stateful=True)(inputs))
    else:
        model = every_kind_of_model()
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    for batch, timesteps in (
        ((3, 4), (3, 9)) if kind == "stateful" else ((1, 9), (7, 1))
    ):
        x = data(batch, timesteps)
        np.testing.assert_allclose(loaded.serve(x), model(x), atol=1e-6)


def test_everything_is_registered_under_the_package():
    for each in (ElmanCell, ElmanRNN, RNN):
        name = keras.saving.get_registered_name(each)
        assert name == f"keras_rnn>{each.__name__}"


# ---------------------------------------------------------------- in models


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding = keras.layers.Embedding(10, 3, mask_zero=True)
        self.rnn = ElmanRNN(4, dropout=0.1)
        self.dense = keras.layers.Dense(1)

    def call(self, tokens, training=False):
        return self.dense(self.rnn(self.embedding(tokens), training=training))


@pytest.mark.slow
# JAX without a compiler goes operation by operation. PyTorch's takes minutes with these
# layers as with Keras's own; by default Keras leaves it alone.
@pytest.mark.parametrize(
    "jit_compile",
    {"tensorflow": [False, True], "jax": [True], "torch": [False]}[BACKEND],
)
@pytest.mark.parametrize("style", ["sequential", "functional", "subclassed"])
def test_fit_lowers_the_loss(style, jit_compile):
    def sequential():
        return keras.Sequential(
            [
                keras.layers.Embedding(10, 3, mask_zero=True),
                keras.layers.Bidirectional(ElmanRNN(4, return_sequences=True)),
                RNN([ElmanCell(4), ElmanCell(4)]),
                keras.layers.Dense(1),
            ]
        )

    def functional():
        inputs = keras.Input((6,), dtype="int32")
        x = keras.layers.Embedding(10, 3)(inputs)
        x = ElmanRNN(4, unroll=True, output_units=3)(x)
        return keras.Model(inputs, keras.layers.Dense(1)(x))

    model = {
        "sequential": sequential,
        "functional": functional,
        "subclassed": Subclassed,
    }[style]()
    tokens = np.random.randint(0, 10, (32, 6))
    counts = (tokens == 3).sum(axis=1, keepdims=True).astype("float32")
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=jit_compile)
    history = model.fit(tokens, counts, 8, epochs=15, verbose=0)
    assert history.history["loss"][-1] < 0.7 * history.history["loss"][0]


def test_the_same_weights_read_any_length():
    layer = ElmanRNN(4)
    layer.build((None, None, 2))
    for batch, timesteps in ((1, 1), (2, 9), (5, 3)):
        x = data(batch, timesteps)
        want, _ = expected(layer, x)
        np.testing.assert_allclose(layer(x), want[:, -1], atol=1e-5)
    assert layer.count_params() == 2 * 4 + 4 * 4 + 4 + 4
