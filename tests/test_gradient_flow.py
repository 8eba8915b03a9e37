"""The gradient through time, against NumPy loops and finite differences in float64."""

import csv
import functools
import sys

import keras
import numpy as np
import pytest
from keras import layers

import keras_rnn
from keras_rnn.gradient_flow import GradientFlow, jacobian_spectrum, state_gradients
from tests import oracle
from tests.gradients import finite_differences
from tests.own_call import OwnCall

BATCH, TIMESTEPS, FEATURES, UNITS = 3, 6, 2, 3
MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [0, 1, 0, 1, 1, 0]], bool)


@pytest.fixture(autouse=True)
def double():
    if keras.backend.backend() == "jax":  # which has no float64
        yield
        return
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


@pytest.fixture
def random():
    return np.random.default_rng(0)


# ------------------------------------------------------- the same networks in NumPy


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def step_of(cell):
    """The step of a cell from its equations. Nudges of the states stand in the input."""
    w = oracle.weights_of(cell)
    units, features = cell.units, w["kernel"].shape[0]

    def states_of(x, states):
        h = states[0]
        z = x @ w["kernel"]
        if isinstance(cell, layers.LSTMCell):
            i, f, g, o = np.split(z + h @ w["recurrent_kernel"] + w["bias"], 4)
            c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
            return [sigmoid(o) * np.tanh(c), c]
        if isinstance(cell, layers.GRUCell):
            x_z, x_r, x_n = np.split(z + w["bias"][0], 3)
            h_z, h_r, h_n = np.split(h @ w["recurrent_kernel"] + w["bias"][1], 3)
            keep = sigmoid(x_z + h_z)
            return [keep * h + (1 - keep) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n)]
        return [np.tanh(z + h @ w["recurrent_kernel"] + w["bias"])]

    def step(x, states):
        new = states_of(x[:features], states)
        nudges = [*x[features:].reshape(-1, units), *np.zeros((2, units))]
        new = [s + n for s, n in zip(new, nudges)]
        if "output_kernel" in w:
            return new[0] @ w["output_kernel"] + w["output_bias"], new
        return new[0], new

    return step


def first_states(cell, rows):
    states = cell.get_initial_state(batch_size=rows)
    return [keras.ops.convert_to_numpy(state) for state in states]


def along(layer, x, nudges, mask=None, go_backwards=False):
    """The output of a layer of one cell at each step, in the order of the reading."""
    cell = layer.cell if isinstance(layer, layers.RNN) else layer
    first = first_states(cell, len(x))
    nudged = np.concatenate([x, nudges], axis=-1)
    return oracle.run(step_of(cell), nudged, first, mask, go_backwards)[0]


def squared_error(dense, output, y, weights=None):
    """The loss of a `Dense` unit on the outputs: Keras's mean, weighed."""
    kernel, bias = map(keras.ops.convert_to_numpy, dense.weights)
    error = np.mean((output @ kernel + bias - y) ** 2, axis=-1)
    return np.mean(error if weights is None else error * weights)


def differences(loss, shape, epsilon=1e-5):
    """The norm of d loss(nudges) / d nudges for each example and step."""
    gradient = np.zeros(shape)
    for index in np.ndindex(*shape):
        nudges = np.zeros(shape)
        nudges[index] = epsilon
        gradient[index] = (loss(nudges) - loss(-nudges)) / (2 * epsilon)
    return np.linalg.norm(gradient, axis=-1)  # (batch, timesteps)


def model_of(*body, masked=False):
    """A model of some layers with a unit on top, compiled, with random biases, too."""
    inputs = keras.Input((TIMESTEPS, FEATURES))
    outputs = layers.Masking()(inputs) if masked else inputs
    for layer in body:
        outputs = layer(outputs)
    model = keras.Model(inputs, layers.Dense(1, name="dense")(outputs))
    model.compile("sgd", keras.losses.MeanSquaredError(dtype="float64"))
    random = np.random.default_rng(5)
    for weight in model.weights:
        weight.assign(random.normal(0, 0.6, weight.shape))
    return model


def batch(random, masked=False):
    x = random.normal(size=(BATCH, TIMESTEPS, FEATURES))
    if masked:
        x[~MASK] = 0  # what `Masking` takes for padding
    return x, random.normal(size=(BATCH, 1)), MASK if masked else None


# What is expected is computed in float64, and what is found if Keras does so.
RTOL, ATOL = (1e-6, 1e-9) if oracle.KERAS_IN_FLOAT64 else (1e-4, 1e-6)


def check(found, expected):
    np.testing.assert_allclose(found, expected, rtol=RTOL, atol=ATOL)


CELLS = {
    "keras SimpleRNN": layers.SimpleRNN,
    "keras LSTM": layers.LSTM,
    "keras GRU": layers.GRU,
    "ElmanRNN": keras_rnn.ElmanRNN,
    "ElmanRNN with y_t": lambda units: keras_rnn.ElmanRNN(units, output_units=2),
    "LSTM": keras_rnn.LSTM,
    "LSTM with y_t": lambda units: keras_rnn.LSTM(units, output_units=2),
    "GRU": keras_rnn.GRU,
    "RNN over a cell of Keras": lambda units: layers.RNN(layers.GRUCell(units)),
}


@pytest.mark.parametrize(
    ("name", "masked"),
    [*((name, True) for name in CELLS), ("keras GRU", False), ("LSTM", False)],
)
def test_each_cell(name, masked, random):
    layer = CELLS[name](UNITS)
    model = model_of(layer, masked=masked)
    x, y, mask = batch(random, masked)
    weights = np.array([1.0, 2.0, 0.5])

    def loss(nudges):
        output = along(layer, x, nudges, mask)[:, -1]
        return squared_error(model.get_layer("dense"), output, y, weights)

    expected = differences(loss, (BATCH, TIMESTEPS, UNITS))
    found = state_gradients(model, x, y, weights, per_example=True)
    assert list(found) == [layer.name]
    check(found[layer.name], expected)
    if masked:
        assert np.all(found[layer.name][~MASK] == 0)
    if name == "LSTM":
        (together,) = state_gradients(model, x, y, weights).values()
        check(together, np.linalg.norm(expected, axis=0))


@pytest.mark.slow
def test_memory_of_an_lstm(random):
    layer = keras_rnn.LSTM(UNITS)
    model = model_of(layer, masked=True)
    x, y, mask = batch(random, masked=True)

    def loss(nudges):
        nudges = np.concatenate([np.zeros_like(nudges), nudges], axis=-1)
        output = along(layer, x, nudges, mask)[:, -1]
        return squared_error(model.get_layer("dense"), output, y)

    (found,) = state_gradients(model, x, y, per_example=True, state=1).values()
    check(found, differences(loss, (BATCH, TIMESTEPS, UNITS)))


@pytest.mark.parametrize("masked", [False, True])
def test_stack_of_layers(masked, random):
    below = layers.LSTM(UNITS, return_sequences=True, name="below")
    above = keras_rnn.GRU(2, name="above")
    model = model_of(below, above, masked=masked)
    x, y, mask = batch(random, masked)

    def loss(nudges_below=0, nudges_above=0):
        zeros = np.zeros((BATCH, TIMESTEPS, UNITS))
        between = along(below, x, zeros + nudges_below, mask)
        output = along(above, between, zeros[:, :, :2] + nudges_above, mask)[:, -1]
        return squared_error(model.get_layer("dense"), output, y)

    found = state_gradients(model, x, y, per_example=True)
    assert list(found) == ["below", "above"]
    check(found["below"], differences(loss, (BATCH, TIMESTEPS, UNITS)))
    shape = (BATCH, TIMESTEPS, 2)
    check(found["above"], differences(lambda n: loss(nudges_above=n), shape))


@pytest.mark.slow
@pytest.mark.parametrize("rnn", [layers.RNN, keras_rnn.RNN])
def test_stack_of_cells(rnn, random):
    below = keras_rnn.LSTMCell(UNITS, output_units=2, name="below")
    above = layers.SimpleRNNCell(2, name="above")
    model = model_of(rnn([below, above], name="stack"), masked=True)
    x, y, mask = batch(random, masked=True)

    def loss(nudges_below=0, nudges_above=0):
        zeros = np.zeros((BATCH, TIMESTEPS, UNITS))
        between = along(below, x, zeros + nudges_below, mask)
        output = along(above, between, zeros[:, :, :2] + nudges_above, mask)[:, -1]
        return squared_error(model.get_layer("dense"), output, y)

    found = state_gradients(model, x, y, per_example=True)
    assert list(found) == ["stack/below", "stack/above"]
    check(found["stack/below"], differences(loss, (BATCH, TIMESTEPS, UNITS)))
    shape = (BATCH, TIMESTEPS, 2)
    check(found["stack/above"], differences(lambda n: loss(nudges_above=n), shape))


@pytest.mark.parametrize(
    ("name", "sequences"), [("keras LSTM", False), ("ElmanRNN", True)]
)
def test_bidirectional(name, sequences, random):
    inner = CELLS[name](UNITS)
    inner.return_sequences = sequences
    layer = layers.Bidirectional(inner, merge_mode="sum", name="both")
    model = model_of(layer, masked=True)
    x, y, mask = batch(random, masked=True)
    if sequences:  # a target for each step; the loss leaves the masked ones out
        y = random.normal(size=(BATCH, TIMESTEPS, 1))

    def loss(nudges_ahead=0, nudges_back=0):
        zeros = np.zeros((BATCH, TIMESTEPS, UNITS))
        ahead = along(layer.forward_layer, x, zeros + nudges_ahead, mask)
        back = along(layer.backward_layer, x, zeros + nudges_back, mask, True)
        if not sequences:
            output = ahead[:, -1] + back[:, -1]
            return squared_error(model.get_layer("dense"), output, y)
        # Each output stands at the step that it was made at.
        output = (ahead + back[:, ::-1])[mask]
        return squared_error(model.get_layer("dense"), output, y[mask])

    found = state_gradients(model, x, y, per_example=True)
    ahead, back = found
    assert ahead.startswith("both/forward_") and back.startswith("both/backward_")
    shape = (BATCH, TIMESTEPS, UNITS)
    check(found[ahead], differences(loss, shape))
    check(found[back], differences(lambda n: loss(nudges_back=n), shape))


# --------------------------------------------------------------- models of all kinds


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """A model that calls one layer twice, and holds another in a list in a layer."""

    def __init__(self):
        super().__init__()
        self.twice = keras_rnn.GRU(UNITS, return_sequences=True, name="twice")
        self.inside = keras.Sequential([layers.LSTM(UNITS, name="lstm")], name="inside")
        self.dense = layers.Dense(1)

    def call(self, x, training=False):
        x = x + keras.ops.sum(self.twice(x), axis=-1, keepdims=True)
        return self.dense(self.inside(self.twice(x)))


@pytest.mark.slow
def test_subclassed_model(random):
    model = Subclassed()
    model.compile("sgd", "mse")
    x, y, _ = batch(random)
    found = state_gradients(model, x, y)
    assert list(found) == ["twice", "twice (2)", "inside/lstm"]
    # The same as a functional model with the same weights.
    inputs = keras.Input((TIMESTEPS, FEATURES))
    again = inputs + keras.ops.sum(model.twice(inputs), axis=-1, keepdims=True)
    same = keras.Model(inputs, model.dense(model.inside(model.twice(again))))
    same.compile("sgd", "mse")
    for a, b in zip(state_gradients(same, x, y).values(), found.values()):
        check(a, b)


def test_several_outputs_and_losses(random):
    """All that makes up the loss counts: each output, `add_loss`, regularizers."""
    inputs = keras.Input((TIMESTEPS, FEATURES))
    state = layers.GRU(UNITS, activity_regularizer="l2", name="memory")(inputs)
    outputs = [layers.Dense(1, name="a")(state), layers.Dense(1, name="b")(state)]
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss=["mse", "mse"], loss_weights=[0.0, 0.0])
    x, y, _ = batch(random)
    (found,) = state_gradients(model, x, [y, y]).values()
    # L = 0.01 * sum of squares / batch: its gradient w.r.t. h_T.
    last = keras.ops.convert_to_numpy(model.get_layer("memory")(x))
    check(found[-1], np.linalg.norm(0.02 * last / BATCH))
    assert np.all(found[:-1] > 0)


@pytest.mark.slow
def test_nothing_changes(random):
    x, y, _ = batch(random)
    inputs = keras.Input(batch_shape=(BATCH, TIMESTEPS, FEATURES))
    sequences = layers.BatchNormalization()(layers.Dropout(0.5)(inputs))
    layer = keras_rnn.LSTM(UNITS, stateful=True, dropout=0.2)
    model = keras.Model(inputs, layers.Dense(1)(layer(sequences)))
    model.compile("sgd", "mse", metrics=["mae"], run_eagerly=True)
    model.fit(x, y, batch_size=BATCH, verbose=0)
    watched = [*model.variables, *layer.variables, *model.metrics_variables]
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in watched]
    state_gradients(model, x, y)
    jacobian_spectrum(layer, x)
    for value, variable in zip(before, watched):
        np.testing.assert_array_equal(value, keras.ops.convert_to_numpy(variable))
    assert "inner_loop" not in vars(layer)
    assert layer.cell.activation is keras.activations.tanh
    assert layer.uses_fast_pass


def test_wrong_arguments(random):
    x, y, _ = batch(random)
    model = model_of(layers.GRU(UNITS))
    with pytest.raises(ValueError, match="`state`"):
        state_gradients(model, x, y, state=-1)
    with pytest.raises(ValueError, match="state of number 1"):
        state_gradients(model, x, y, state=1)
    dense = model_of(layers.Flatten())
    with pytest.raises(ValueError, match="must have a recurrent layer"):
        state_gradients(dense, x, y)
    with pytest.raises(ValueError, match="must be compiled"):
        state_gradients(keras.Model(model.inputs, model.outputs), x, y)
    with pytest.raises(ValueError, match="`layer` must be a recurrent layer"):
        jacobian_spectrum(layers.Dense(1), x)
    for steps in (0, 1.5, TIMESTEPS + 1):
        with pytest.raises(ValueError, match="`steps`"):
            jacobian_spectrum(layers.GRU(UNITS), x, steps=steps)
    with pytest.raises(ValueError, match="`every`"):
        GradientFlow(x, y, every=0)


@pytest.mark.parametrize(
    "name, change",
    [
        ("x", {"x": None}),
        ("x", {"x": object()}),
        ("x", {"x": 5.0}),
        ("y", {"y": object()}),
        ("sample_weight", {"sample_weight": object()}),
        ("sample_weight", {"sample_weight": 2.0}),
        ("sample_weight", {"sample_weight": np.ones(1)}),
        ("y", {"y": np.ones((1, 1))}),
        ("model", {"model": None}),
        ("state", {"state": None}),
        ("state", {"state": 0.5}),
        ("state", {"state": True}),
    ],
)
def test_nonsense_for_state_gradients(name, change, random):
    x, y, _ = batch(random)
    model = gru_model()
    with pytest.raises(ValueError, match=f"`{name}`"):
        state_gradients(**{"model": model, "x": x, "y": y, **change})


@functools.cache
def gru_model():
    return model_of(layers.GRU(UNITS))


@pytest.mark.parametrize(
    "name, change",
    [
        ("layer", {"layer": None}),
        ("layer", {"layer": layers.GRUCell(UNITS)}),
        ("x", {"x": None}),
        ("x", {"x": "text"}),
        ("x", {"x": np.ones((2, 3))}),
        ("x", {"x": np.full((1, 3, 2), np.nan)}),
        ("steps", {"steps": None}),
        ("steps", {"steps": 4}),
        ("mask", {"mask": 5}),
        ("mask", {"mask": np.ones((1, 2), bool)}),
        ("mask", {"mask": np.ones((2, 3), bool)}),
    ],
)
def test_nonsense_for_a_spectrum(name, change):
    arguments = {"layer": layers.SimpleRNN(2), "x": np.ones((1, 3, 2))}
    with pytest.raises(ValueError, match=f"`{name}`"):
        jacobian_spectrum(**{**arguments, **change})


@pytest.mark.parametrize(
    "name, change",
    [
        ("x", {"x": None}),
        ("every", {"every": None}),
        ("every", {"every": 1.5}),
        ("csv", {"csv": 5}),
        ("csv", {"csv": ""}),
        ("log_dir", {"log_dir": 5}),
        ("vanish", {"vanish": None}),
        ("vanish", {"vanish": float("nan")}),
        ("vanish", {"vanish": -1}),
        ("explode", {"explode": "much"}),
        ("explode", {"explode": float("nan")}),
    ],
)
def test_nonsense_for_the_callback(name, change):
    with pytest.raises(ValueError, match=f"`{name}`"):
        GradientFlow(**{"x": np.ones((1, 3, 2)), "y": np.ones(1), **change})


class Twofold(layers.SimpleRNNCell):
    """A cell whose output is neither its state nor read off it in a known way."""

    def call(self, inputs, states, training=False):
        output, states = super().call(inputs, states, training=training)
        return 2 * output, states


@pytest.mark.parametrize("cell", [Twofold, OwnCall])
@pytest.mark.parametrize("rnn", [layers.RNN, keras_rnn.RNN])
def test_cell_with_an_output_of_its_own(cell, rnn, random):
    x, y, _ = batch(random)
    model = model_of(rnn(cell(UNITS)))
    with pytest.raises(ValueError, match="output of a cell"):
        state_gradients(model, x, y)


class Halved(keras_rnn.ElmanCell):
    """A cell with a `call` of its own whose output is known: half the state, read off."""

    def call(self, inputs, states, training=False):
        _, states = super().call(inputs, states, training=training)
        states = [states[0] / 2]
        return self.readout(states[0]), states

    @property
    def fast_pass_obstacle(self):
        return "a `call` of its own"


def test_cell_with_a_call_of_its_own_that_reads_off_its_state(random):
    """The last state sees the loss through `readout` alone; those before as the chain."""
    x, y, _ = batch(random)
    cell = Halved(UNITS, output_units=2, activation="linear")
    model = model_of(keras_rnn.RNN(cell))
    norms = state_gradients(model, x, y, per_example=True)
    (norms,) = norms.values()
    weights = [as_array(w) for w in (cell.recurrent_kernel, cell.output_kernel)]
    recurrent, readout = weights
    output = as_array(keras_rnn.RNN(cell)(x))
    kernel, bias = (as_array(w) for w in model.layers[-1].weights)
    wrong = 2 * (output @ kernel + bias - y) / y.size
    gradient = wrong @ kernel.T @ readout.T
    for t in reversed(range(x.shape[1])):
        np.testing.assert_allclose(norms[:, t], np.linalg.norm(gradient, axis=-1), 1e-4)
        gradient = gradient @ recurrent.T / 2


def as_array(tensor):
    return keras.ops.convert_to_numpy(tensor).astype("float64")


# ------------------------------------------------------------------------- Jacobians


@pytest.mark.parametrize(
    ("name", "steps"),
    [("keras SimpleRNN", 3), ("keras LSTM", 1), ("LSTM", 3), ("GRU", 3)],
)
def test_spectrum(name, steps, random):
    layer = CELLS[name](UNITS)
    model_of(layer)
    x, _, _ = batch(random)
    found = jacobian_spectrum(layer, x, steps=steps)
    step, count = step_of(layer.cell), 2 if "LSTM" in name else 1

    def after(row, start, state):
        """The state `steps` steps after `start`."""
        states = list(np.split(state, count))
        for t in range(start, start + steps):
            _, states = step(x[row, t], states)
        return np.concatenate(states)

    size, epsilon = count * UNITS, 1e-5
    for row in range(BATCH):
        state = np.concatenate(first_states(layer.cell, 1), axis=-1)[0]
        for t in range(TIMESTEPS - steps + 1):
            columns = [
                (after(row, t, state + e) - after(row, t, state - e)) / (2 * epsilon)
                for e in epsilon * np.eye(size)
            ]
            expected = np.stack(columns, axis=1)
            check(
                found.singular_values[row, t],
                np.linalg.svd(expected, compute_uv=False),
            )
            radius = np.max(np.abs(np.linalg.eigvals(expected)))
            check(found.spectral_radius[row, t], radius)
            states = list(np.split(state, count))
            state = np.concatenate(step(x[row, t], states)[1])


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
def test_spectrum_of_a_linear_layer(gain, random):
    """With a linear activation each step is the recurrent matrix: gain^k after k."""
    initializer = keras.initializers.Orthogonal(gain)
    layer = layers.SimpleRNN(4, activation=None, recurrent_initializer=initializer)
    x, _, _ = batch(random)
    for steps in (1, 4):
        found = jacobian_spectrum(layer, x, steps=steps)
        assert found.singular_values.shape == (BATCH, TIMESTEPS - steps + 1, 4)
        np.testing.assert_allclose(found.singular_values, gain**steps, rtol=1e-5)
        np.testing.assert_allclose(found.spectral_radius, gain**steps, rtol=1e-5)


def test_spectrum_of_masked_steps(random):
    layer = layers.GRU(UNITS)
    x, _, _ = batch(random)
    found = jacobian_spectrum(layer, x, mask=MASK)
    np.testing.assert_array_equal(found.singular_values[~MASK], 1)
    real = found.singular_values[0]
    check(real, jacobian_spectrum(layer, x)[0][0])
    assert np.all(real != 1)


def test_spectrum_of_a_stack_of_cells(random):
    """The level above changes nothing below: that block of the Jacobian is 0."""
    layer = keras_rnn.RNN([keras_rnn.ElmanCell(2), keras_rnn.LSTMCell(3)])
    x, _, _ = batch(random)
    assert jacobian_spectrum(layer, x).singular_values.shape == (BATCH, TIMESTEPS, 8)


# ---------------------------------------------------------------------- the callback


class Losses(keras.callbacks.Callback):
    """The loss after each batch, and what another callback had said until then."""

    def __init__(self, flow):
        super().__init__()
        self.flow, self.losses, self.said = flow, [], []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))
        self.said.append(list(self.flow.messages))


def train(layer, timesteps, epochs=8, **arguments):
    """Trains a network to recall the first number of a sequence, watched."""
    random = np.random.default_rng(0)
    x = random.normal(size=(64, timesteps, 2))
    y = x[:, 0, :1]
    model = keras.Sequential([layer, layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    flow = GradientFlow(x[:16], y[:16], **{"every": 1, **arguments})
    losses = Losses(flow)
    callbacks = [flow, losses]
    model.fit(x, y, epochs=epochs, batch_size=16, callbacks=callbacks, verbose=0)
    return flow, losses, model


@pytest.mark.slow
def test_exploding(capsys):
    recurrent = keras.initializers.Orthogonal(1.6)
    layer = layers.SimpleRNN(8, None, recurrent_initializer=recurrent, name="memory")
    flow, losses, _ = train(layer, timesteps=40)
    assert not np.isfinite(losses.losses[-1])
    broken = int(np.argmax(~np.isfinite(losses.losses)))
    warned = int(np.argmax([len(said) > 0 for said in losses.said]))
    assert warned < broken
    explosion, breakdown = flow.messages
    assert "explodes in memory" in explosion and "clipnorm" in explosion
    assert "from step 40 to step 1 of 40" in explosion
    assert "not finite" in breakdown and "memory" in breakdown
    out = capsys.readouterr().out
    assert explosion in out and breakdown in out


@pytest.mark.slow
def test_exploding_backwards():
    """A layer that reads from the end: the gradient travels to the last step."""
    recurrent = keras.initializers.Orthogonal(1.6)
    layer = layers.SimpleRNN(
        8, None, recurrent_initializer=recurrent, go_backwards=True, name="memory"
    )
    flow, _, _ = train(layer, timesteps=40, epochs=1)
    assert "from step 1 to step 40 of 40" in flow.messages[0]


@pytest.mark.slow
def test_vanishing():
    recurrent = keras.initializers.Orthogonal(0.3)
    layer = keras_rnn.ElmanRNN(8, recurrent_initializer=recurrent, name="memory")
    flow, _, _ = train(layer, timesteps=40)
    (said,) = flow.messages
    assert "vanishes in memory" in said and "LSTM" in said
    profile = flow.records[flow.patience - 1]["state_gradient_norms"]["memory"]
    step = int(said.split("at step ")[1].split()[0])
    assert profile[step - 1] < 1e-6 * profile.max() <= profile[step]


@pytest.mark.slow
def test_healthy_runs_are_silent():
    for layer in (layers.LSTM(8), layers.Bidirectional(keras_rnn.ElmanRNN(8))):
        flow, losses, _ = train(layer, timesteps=15, epochs=3)
        assert flow.messages == [] and np.all(np.isfinite(losses.losses))
        assert len(flow.records) == 12


@pytest.mark.slow
def test_nan_in_the_data_names_the_step(random):
    x, y = random.normal(size=(8, 10, 2)), random.normal(size=(8, 1))
    x[3, 6, 1] = np.nan
    model = keras.Sequential([layers.GRU(4, name="memory"), layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    flow = GradientFlow(x, y)
    model.fit(x, y, callbacks=[flow], epochs=2, verbose=0)
    (said,) = flow.messages
    assert "memory is not finite from step 7 of 10 on" in said
    # Where the step is masked, it is no state.
    mask = np.ones((8, 10), bool)
    mask[3, 6] = False
    inputs = [keras.Input((10, 2)), keras.Input((10,), dtype="bool")]
    state = keras_rnn.GRU(4)(inputs[0], mask=inputs[1])
    model = keras.Model(inputs, layers.Dense(1)(state))
    model.compile("sgd", "mse", run_eagerly=True)
    flow = GradientFlow([x, mask], y)
    model.fit([x, mask], y, callbacks=[flow], verbose=0)
    assert flow.messages == []


def test_saturated_units(random):
    layer = layers.LSTM(4, use_bias=True, name="memory")
    model = keras.Sequential([layer, layers.Dense(1)])
    x, y, _ = batch(random)
    model.build(x.shape)
    model.compile("sgd", "mse", run_eagerly=True)
    bias = np.zeros(16)
    bias[:4] = 100  # the input gates stand wide open, one of three kinds of gates
    bias[8:10] = -100  # two of four candidates: one of two uses of tanh
    layer.set_weights([np.zeros((2, 16)), np.zeros((4, 16)), bias])
    flow = GradientFlow(x, y)
    model.fit(x, y, callbacks=[flow], verbose=0)
    (record,) = flow.records
    # c_t = i_t g_t + f_t c_{t-1}, with f_t = 1/2: -1, -1.5, -1.75 ... -1.97, of which
    # tanh is flat (slope below 1/20) where |c_t| > 2.18.
    assert record["saturated"]["memory"] == pytest.approx((0.5 + 0.0) / 2)
    assert record["saturated_gates"]["memory"] == pytest.approx(1 / 3)


def test_records(random, tmp_path):
    x, y = random.normal(size=(96, 7, 2)), random.normal(size=(96, 1))
    model = keras.Sequential([keras_rnn.GRU(4, name="memory"), layers.Dense(1)])
    # PyTorch takes but one step at a time.
    steps = 1 if keras.backend.backend() == "torch" else 2
    model.compile("sgd", "mse", steps_per_execution=steps)
    path = tmp_path / "new" / "flow.csv"
    flow = GradientFlow(x[:8], y[:8], every=4, csv=path)
    seen = []

    class Rows(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(len(path.read_text("utf-8").splitlines()))

    model.build(x.shape)
    first = model.evaluate(x[:8], y[:8], verbose=0)
    profile = state_gradients(model, x[:8], y[:8])["memory"]
    calls = [flow, Rows()]
    model.fit(x, y, batch_size=8, epochs=1, callbacks=calls, verbose=0)
    model.fit(x, y, batch_size=8, epochs=1, callbacks=calls, verbose=0)
    assert [record["batch"] for record in flow.records] == [0, 4, 8, 12, 16, 20]
    check(flow.records[0]["loss"], first)
    check(flow.records[0]["state_gradient_norms"]["memory"], profile)
    # The file grows as training goes on, and holds what was recorded.
    assert seen[0] > 1 and len(set(seen)) == 6
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["batch", "quantity", "name", "step", "value"]
    assert {len(row) for row in rows} == {5}
    found = {tuple(row[:4]): float(row[4]) for row in rows}
    assert len(found) == len(rows) == 6 * (1 + 1 + 6 + 7 + 1 + 1)
    for record in flow.records:
        batch = str(record["batch"])
        assert found[batch, "global_norm", "", ""] == record["global_norm"]
        for t, norm in enumerate(record["state_gradient_norms"]["memory"], start=1):
            assert found[batch, "state_gradient_norm", "memory", str(t)] == norm


@pytest.mark.slow
def test_norms_of_the_variables(random):
    """Against finite differences of the loss in NumPy, the penalty in it."""
    x, y = random.normal(size=(8, 7, 2)), random.normal(size=(8, 1))
    layer = keras_rnn.LSTM(2, kernel_regularizer="l2")
    model = keras.Sequential([layer, layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    flow = GradientFlow(x, y)
    model.fit(x, y, callbacks=[flow], verbose=0)
    norms = flow.records[0]["gradient_norms"]
    assert list(norms) == [v.path for v in model.trainable_variables]
    total = np.sqrt(sum(norm**2 for norm in norms.values()))
    assert flow.records[0]["global_norm"] == pytest.approx(total, rel=1e-12)

    def loss():
        output = along(layer, x, np.zeros((8, 7, 2)))[:, -1]
        penalty = 0.01 * np.sum(oracle.weights_of(layer.cell)["kernel"] ** 2)
        return squared_error(model.layers[-1], output, y) + penalty

    # A float32 weight must move by more than it is rounded.
    epsilon = 1e-5 if oracle.CELLS_IN_FLOAT64 else 1e-3
    for variable, gradient in zip(
        model.trainable_variables,
        finite_differences(loss, model.trainable_variables, epsilon),
    ):
        check(norms[variable.path], np.linalg.norm(gradient))


@pytest.mark.slow
def test_training_is_the_same_with_and_without(random):
    x, y = random.normal(size=(16, 5, 2)), random.normal(size=(16, 1))
    weights = []
    for watched in (False, True):
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [layers.Dropout(0.5), layers.GRU(3, dropout=0.3), layers.Dense(1)]
        )
        model.compile("adam", "mse", metrics=["mae"])
        calls = [GradientFlow(x[:8], y[:8], every=1)] if watched else []
        history = model.fit(x, y, batch_size=8, epochs=2, callbacks=calls, verbose=0)
        weights.append([*model.get_weights(), *history.history.values()])
    for a, b in zip(*weights):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_precision(policy, random):
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    x, y, _ = batch(random)
    layer = keras_rnn.GRU(UNITS, dtype=policy)
    model = keras.Sequential([layer, layers.Dense(1, dtype="float32")])
    model.compile("sgd", "mse")
    (norms,) = state_gradients(model, x, y).values()
    assert norms.shape == (TIMESTEPS,) and np.all(norms > 0)


@pytest.mark.slow
def test_tensorboard(random, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorflow import make_ndarray

    layer = keras_rnn.ElmanRNN(4, name="memory")
    flow, _, model = train(layer, 7, epochs=1, log_dir=tmp_path)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    tags = events.Tags()["tensors"]
    written = events.Tensors("gradient_flow/global_norm")
    assert [event.step for event in written] == [r["batch"] for r in flow.records]
    np.testing.assert_allclose(
        [float(make_ndarray(event.tensor_proto)) for event in written],
        [record["global_norm"] for record in flow.records],
        rtol=1e-6,
    )
    for variable in model.trainable_variables:
        assert f"gradient_norm/{variable.path}" in tags
        (histogram, *_) = events.Tensors(f"gradient/{variable.path}")
        counts = make_ndarray(histogram.tensor_proto)[:, 2]
        assert counts.sum() == np.prod(variable.shape)
    for step in ("first_step", "last_step"):
        assert f"state_gradient_norm/memory/{step}" in tags


def test_tensorboard_that_is_not_there(random, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    x, y, _ = batch(random)
    with pytest.raises(
        ImportError, match=r"tensorboard: pip install .keras-rnn\[plots\]"
    ):
        GradientFlow(x, y, log_dir=tmp_path)


def test_plot(tmp_path):
    flow, _, _ = train(
        layers.Bidirectional(layers.SimpleRNN(4), name="both"), 7, epochs=1
    )
    figure = flow.plot()
    ahead, back, norms = figure.axes[:3]
    names = list(flow.records[0]["state_gradient_norms"])
    assert [ahead.get_title(), back.get_title()] == names
    assert len(ahead.lines) == len(flow.records) == 4
    for line, record in zip(ahead.lines, flow.records):
        check(line.get_xdata(), np.arange(1, 8))
        check(line.get_ydata(), record["state_gradient_norms"][names[0]])
    check(norms.lines[0].get_ydata(), [r["global_norm"] for r in flow.records])
    assert "time step" in ahead.get_xlabel() and "dL/dh_t" in ahead.get_ylabel()
    assert len(flow.plot(names[1]).axes) == 3  # one profile, the norm, the colours
    with pytest.raises(ValueError, match="must be one of"):
        flow.plot("elsewhere")
    with pytest.raises(ValueError, match="nothing to plot"):
        GradientFlow([], []).plot()
