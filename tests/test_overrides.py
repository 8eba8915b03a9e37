"""A subclass is obeyed: the fast pass computes what a user wrote, or is not taken."""

import types

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnn import GRU, LSTM, RNN, ElmanCell, ElmanRNN, Generator, GRUCell, LSTMCell
from tests.gradients import autodiff
from tests.oracle import CELLS_IN_FLOAT64

DTYPE, TOLERANCE = ("float64", 1e-9) if CELLS_IN_FLOAT64 else ("float32", 1e-4)
CELLS = {"elman": ElmanCell, "lstm": LSTMCell, "gru": GRUCell}
LAYERS = {"elman": ElmanRNN, "lstm": LSTM, "gru": GRU}
X = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(DTYPE)


def doubled(call):
    def method(self, inputs, states, training=False):
        output, states = call(self, inputs, states, training=training)
        return 2 * output, states

    return method


def of_doubled_inputs(call):
    def method(self, inputs, states, training=False):
        return call(self, 2 * inputs, states, training=training)

    return method


def clipped(step):
    def method(self, projected, recurrent, states):
        new, saved = step(self, projected, recurrent, states)
        return [ops.clip(each, -0.1, 0.1) for each in new], saved

    return method


def scaled(function):
    return lambda self, values, *more: 0.5 * function(self, values, *more)


def halved(function):
    return lambda self: [0.5 * each for each in function(self)]


# The name of a method, and what makes another one of it.
OVERRIDES = {
    # What the pass computes with, and goes back through.
    "step": ("step", clipped),
    "input_weights": ("input_weights", halved),
    "recurrent_weights": ("recurrent_weights", halved),
    # What it does in its own way: Keras's loop calls these.
    "call": ("call", doubled),
    "call, of its inputs": ("call", of_doubled_inputs),
    "__call__": ("__call__", doubled),
    "readout": ("readout", scaled),
    "recurrent_term": ("recurrent_term", scaled),
    "drop_inputs": ("drop_inputs", scaled),
    "drop_state": ("drop_state", scaled),
}
OF_THE_PASS = ("step", "input_weights", "recurrent_weights")


def results(layer, x=X, **arguments):
    """The outputs of a layer, and the gradients with respect to its weights and `x`."""
    found = autodiff(
        lambda x: ops.sum(ops.sin(3 * layer(x, **arguments))),
        layer.trainable_variables,
        [x],
    )
    return [ops.convert_to_numpy(layer(x, **arguments)), *found]


def check_equal(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=TOLERANCE)


def check_obeyed(cell, method, on_the_pass=False):
    """The cell gives in our layer what it gives in Keras's, whose loop calls it."""
    ours = RNN(cell, return_sequences=True, dtype=DTYPE)
    keras_layer = keras.layers.RNN(cell, return_sequences=True, dtype=DTYPE)
    ours.build(X.shape), keras_layer.build(X.shape)
    if on_the_pass:
        assert ours.uses_fast_pass
    else:
        assert method in ours.fast_pass_obstacle
    check_equal(results(ours), results(keras_layer))
    return ours


def plain(cell):
    """A layer over a cell with the same weights, and no method overridden."""
    kind = next(c for c in CELLS.values() if isinstance(cell, c))
    layer = RNN(kind.from_config(cell.get_config()), return_sequences=True, dtype=DTYPE)
    layer.build(X.shape)
    layer.set_weights(cell.get_weights())
    return layer


@pytest.mark.slow
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(
    "name, on",
    [(name, "class") for name in OVERRIDES]
    + [("call", "mixin"), ("call", "instance"), ("step", "instance")],
)
def test_an_overridden_method_of_a_cell(kind, name, on):
    (method, change), base = OVERRIDES[name], CELLS[kind]
    mine = change(getattr(base, method))
    if on == "class":
        cls = type("Mine", (base,), {method: mine})
    elif on == "mixin":
        cls = type("Other", (type("Mine", (), {method: mine}), base), {})
    else:
        cls = base
    cell = cls(4, output_units=3, dtype=DTYPE)
    if on == "instance":
        setattr(cell, method, types.MethodType(mine, cell))
    owner = "Mine" if on != "instance" else cell.name
    layer = check_obeyed(cell, f"{owner}.{method}", method in OF_THE_PASS)
    if name not in ("drop_inputs", "drop_state"):  # these work in training only
        difference = ops.convert_to_numpy(layer(X) - plain(cell)(X))
        assert np.abs(difference).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("name", ["get_dropout_mask", "get_recurrent_dropout_mask"])
def test_an_overridden_dropout_mask(kind, name):
    def mask(self, step_input):
        return ops.full_like(step_input, 0.5)

    cell = type("Mine", (CELLS[kind],), {name: mask})(4, dtype=DTYPE)
    layer = RNN(cell, return_sequences=True, dtype=DTYPE)
    layer.build(X.shape)
    assert f"Mine.{name}" in layer.fast_pass_obstacle
    weights = layer.get_weights()
    if name == "get_dropout_mask":
        wanted = plain(cell)(0.5 * X)
    else:  # half of the state is half of what it is multiplied by
        weights[1] = 0.5 * weights[1]
        halved = plain(cell)
        halved.set_weights(weights)
        wanted = halved(X)
    np.testing.assert_allclose(layer(X, training=True), wanted, atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CELLS)
def test_an_overridden_initial_state(kind):
    class Mine(CELLS[kind]):
        def get_initial_state(self, batch_size=None):
            return [3 * each for each in super().get_initial_state(batch_size)]

    layer = RNN(Mine(4, dtype=DTYPE), return_sequences=True, dtype=DTYPE)
    layer.build(X.shape)
    assert layer.uses_fast_pass
    check_equal(
        results(layer)[:1],
        results(plain(layer.cell), initial_state=layer.get_initial_state(3))[:1],
    )


def test_a_backward_step_of_ones_own_is_taken():
    class Halved(ElmanCell):
        """The gradient with respect to each state is halved in the backward pass."""

        def step_backward(self, d_states, h, saved):
            return super().step_backward([0.5 * each for each in d_states], h, saved)

    layer = RNN(Halved(4, dtype=DTYPE), dtype=DTYPE)
    layer.build(X[:, :1].shape)
    assert layer.uses_fast_pass
    same = RNN(ElmanCell(4, dtype=DTYPE), dtype=DTYPE)
    same.build(X.shape)
    same.set_weights(layer.get_weights())
    # With one step, each gradient is half of what it is.
    output, *found = results(layer, X[:, :1])
    wanted, *whole = results(same, X[:, :1])
    np.testing.assert_allclose(output, wanted, atol=TOLERANCE)
    check_equal(found, [0.5 * each for each in whole])


def test_a_cell_with_both_steps_takes_the_pass():
    class Leaky(ElmanCell):
        """h_t = h_{t-1} / 2 + tanh(x_t W_xh + h_{t-1} W_hh + b_h) / 2."""

        saved_count = 1

        def step(self, projected, recurrent, states):
            new = self.activation(projected + recurrent)
            return [(states[0] + new) / 2], [new]

        def step_backward(self, d_states, h, saved):
            half = d_states[0] / 2
            return [half * (1 - saved[0] ** 2)], [half]

    cell = Leaky(4, output_units=2, dtype=DTYPE)
    ours = RNN(cell, return_sequences=True, dtype=DTYPE)
    keras_layer = keras.layers.RNN(cell, return_sequences=True, dtype=DTYPE)
    ours.build(X.shape), keras_layer.build(X.shape)
    assert ours.uses_fast_pass
    check_equal(results(ours), results(keras_layer))


@pytest.mark.slow
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=pytest.mark.tensorflow)]
)
def test_an_activation_assigned_after_the_first_call(kind, compiled):
    """In what was compiled for the cell as it was, too."""
    layer = LAYERS[kind](4, activation="tanh", return_sequences=True, dtype=DTYPE)
    other = LAYERS[kind](4, activation="relu", return_sequences=True, dtype=DTYPE)
    layer.build(X.shape), other.build(X.shape)
    other.set_weights(layer.get_weights())

    def of(layer):
        if not compiled:
            return results(layer)
        import tensorflow as tf

        @tf.function
        def both(x):
            with tf.GradientTape() as tape:
                outputs = layer(x, training=True)
                loss = tf.reduce_sum(tf.sin(3 * outputs))
            return [outputs, *tape.gradient(loss, layer.trainable_variables)]

        return [each.numpy() for each in both(X)]

    before = of(layer)
    assert np.abs(before[0] - of(other)[0]).max() > 1e-3
    layer.cell.activation = keras.activations.relu
    check_equal(of(layer), of(other))
    layer.cell.activation = keras.activations.tanh
    check_equal(of(layer), before)
    layer.cell.activation = lambda z: 0 * z + 0.25  # without a derivative by hand
    assert layer.uses_fast_pass
    if kind == "elman":
        np.testing.assert_allclose(of(layer)[0], np.full((3, 4, 4), 0.25))


def test_calls_alone_compile_nothing_anew():
    layer = ElmanRNN(4, dropout=0.1, recurrent_dropout=0.1)
    layer(X, training=True)
    before = layer.cell.assignments
    layer(X, training=True), layer(X)
    assert layer.cell.assignments == before


@pytest.mark.slow
def test_an_activation_assigned_after_fit():
    x = X.astype("float32")
    model = keras.Sequential([ElmanRNN(4, learn_initial_state=False)])
    twin = keras.Sequential([keras.layers.SimpleRNN(4)])
    for each in (model, twin):
        each.compile(keras.optimizers.SGD(0.1), "mse")
        each.build(x.shape)
    twin.set_weights(model.get_weights())
    y = np.ones((3, 4), "float32")
    for activation in (keras.activations.tanh, keras.activations.relu):
        for each in (model, twin):
            cell = each.layers[0].cell
            cell.activation = activation
            each.compile(keras.optimizers.SGD(0.1), "mse")
            each.fit(x, y, epochs=2, verbose=0)
        np.testing.assert_allclose(model.predict(x, verbose=0), twin(x), atol=1e-5)
    check = zip(model.get_weights(), twin.get_weights(), strict=True)
    for ours, theirs in check:
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


# A stack of one cell ends in an error of Keras's loop on JAX.
@pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.tensorflow), 2])
def test_a_stack_with_a_call_of_its_own(count):
    class Stack(keras.layers.StackedRNNCells):
        def call(self, inputs, states, training=False, **kwargs):
            output, states = super().call(inputs, states, training=training)
            return 2 * output, states

    stack = Stack([ElmanCell(3, dtype=DTYPE) for _ in range(count)], dtype=DTYPE)
    cells = stack.cells
    doubled = RNN(stack, return_sequences=True, dtype=DTYPE)
    once = RNN(cells, return_sequences=True, dtype=DTYPE)
    doubled.build(X.shape), once.build(X.shape)
    assert "Stack.call" in doubled.fast_pass_obstacle
    assert once.uses_fast_pass
    np.testing.assert_allclose(doubled(X), 2 * once(X), atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CELLS)
def test_a_subclass_of_a_layer(kind):
    class Doubled(LAYERS[kind]):
        def call(self, sequences, *args, **kwargs):
            return 2 * super().call(sequences, *args, **kwargs)

    class Reversed(LAYERS[kind]):
        def inner_loop(self, sequences, initial_state, mask, training=False):
            sequences = ops.flip(sequences, axis=1)
            return super().inner_loop(sequences, initial_state, mask, training)

    base = LAYERS[kind](3, dtype=DTYPE)
    base.build(X.shape)
    for cls, wanted in ((Doubled, 2 * base(X)), (Reversed, base(X[:, ::-1]))):
        layer = cls(3, dtype=DTYPE)
        layer.build(X.shape)
        layer.set_weights(base.get_weights())
        np.testing.assert_allclose(layer(X), wanted, atol=TOLERANCE)
    assert "Reversed.inner_loop" in Reversed(3).fast_pass_obstacle


def test_another_cell_assigned_to_a_layer():
    layer, other = (RNN(ElmanCell(3, dtype=DTYPE), dtype=DTYPE) for _ in range(2))
    layer.cell = other.cell
    layer.build(X.shape), other.build(X.shape)
    np.testing.assert_allclose(layer(X), other(X), atol=TOLERANCE)


def test_an_activity_regularizer_of_a_cell_is_no_matter_of_the_pass():
    layer = RNN(ElmanCell(3, activity_regularizer="l2"))
    assert "activity_regularizer" in layer.fast_pass_obstacle


@keras.saving.register_keras_serializable("tests")
class Negated(ElmanCell):
    def call(self, inputs, states, training=False):
        output, states = super().call(inputs, states, training=training)
        return -output, states


def test_a_generator_writes_with_the_network_that_it_trains():
    generator = Generator("abc", Negated(8, output_units=5))
    tokens = generator.encode("abcabca")[None]
    whole = ops.convert_to_numpy(generator(tokens))
    states = generator.get_initial_state(1)
    for t in range(tokens.shape[1]):
        logits, states = generator.step(ops.convert_to_tensor(tokens[:, t]), states)
        np.testing.assert_allclose(logits, whole[:, t], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("dtype", ["int32", "bool"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unroll": True},
        {"activation": "softsign"},
        {"dropout": 0.5, "recurrent_dropout": 0.5},
        {"dropout": 0.5, "activation": "softsign"},
    ],
    ids=str,
)
def test_inputs_that_are_no_floats(kind, dtype, options):
    """As Keras's layers take them: counts, flags, one-hot vectors."""
    x = (X > 0).astype(dtype)
    layer = LAYERS[kind](4, **options)
    layer.build(x.shape)
    np.testing.assert_allclose(layer(x), layer(x.astype("float32")), atol=1e-6)
    assert np.isfinite(ops.convert_to_numpy(layer(x, training=True))).all()
    inner = keras.layers.RNN(layer.cell, unroll=options.get("unroll", False))
    np.testing.assert_allclose(inner(x), layer(x), atol=1e-6)
    symbolic = keras.Input(x.shape[1:], dtype=dtype)
    assert layer(symbolic).shape == (None, 4)
