"""The cells beside Elman, LSTM and GRU, against their equations in NumPy, and PyTorch."""

import importlib.util

import keras
import numpy as np
import pytest
from keras import ops

import keras_rnn
from keras_rnn import RNN
from keras_rnn.testing import check_cell
from tests import oracle

DTYPE, TOLERANCE = ("float64", 1e-9) if oracle.CELLS_IN_FLOAT64 else ("float32", 1e-5)
UNITS, FEATURES = 4, 3
X = np.random.default_rng(0).normal(size=(2, 6, FEATURES))


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def normalised(a):
    return (a - a.mean()) / np.sqrt(a.var() + 1e-5)


def layer_norm_elman(w, x, states):
    a = x @ w["kernel"] + states[0] @ w["recurrent_kernel"]
    return [np.tanh(w["gain"] * normalised(a) + w["bias"])]


def lstm_of(a, c_prev, squash):
    i, f, g, o = np.split(a, 4)
    c = sigmoid(f) * c_prev + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(squash(c)), c]


def layer_norm_lstm(w, x, states):
    h, c = states
    a = w["gain"] * normalised(x @ w["kernel"]) + w["bias"]
    a = a + w["recurrent_gain"] * normalised(h @ w["recurrent_kernel"])
    shown = lambda c: w["carry_gain"] * normalised(c) + w["carry_bias"]  # noqa: E731
    return lstm_of(a, c, shown)


def layer_norm_gru(w, x, states):
    (h,) = states
    u = w["gain"] * normalised(x @ w["kernel"]) + w["bias"][0]
    v = w["recurrent_gain"] * normalised(h @ w["recurrent_kernel"]) + w["bias"][1]
    (u_z, u_r, u_n), (v_z, v_r, v_n) = np.split(u, 3), np.split(v, 3)
    z, r = sigmoid(u_z + v_z), sigmoid(u_r + v_r)
    return [z * h + (1 - z) * np.tanh(u_n + r * v_n)]


def peephole(w, x, states):
    h, c_prev = states
    i, f, g, o = np.split(x @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"], 4)
    p_i, p_f, p_o = w["peepholes"]
    c = sigmoid(f + p_f * c_prev) * c_prev + sigmoid(i + p_i * c_prev) * np.tanh(g)
    return [sigmoid(o + p_o * c) * np.tanh(c), c]


def projected(w, x, states):
    h, c_prev = states
    a = x @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"]
    wide, c = lstm_of(a, c_prev, lambda c: c)
    return [wide @ w["projection"], c]


def independent(w, x, states):
    a = x @ w["kernel"] + states[0] * w["recurrent_kernel"] + w["bias"]
    return [np.maximum(a, 0)]


def min_gru(w, x, states):
    z, n = np.split(x @ w["kernel"] + w["bias"], 2)
    return [(1 - sigmoid(z)) * states[0] + sigmoid(z) * n]


def min_lstm(w, x, states):
    f, i, n = np.split(x @ w["kernel"] + w["bias"], 3)
    f, i = sigmoid(f), sigmoid(i)
    return [f / (f + i + 1e-7) * states[0] + i / (f + i + 1e-7) * n]


def lru(w, x, states):
    re, im = np.split(x @ w["kernel"] + w["bias"], 2)
    h_re, h_im = np.split(states[0], 2)
    turn = np.exp(-np.exp(w["nu"]) + 1j * np.exp(w["theta"]))
    h = turn * (h_re + 1j * h_im) + np.exp(w["log_gamma"]) * (re + 1j * im)
    return [np.concatenate([h.real, h.imag])]


CELLS = {
    "LayerNormElmanCell": layer_norm_elman,
    "LayerNormLSTMCell": layer_norm_lstm,
    "LayerNormGRUCell": layer_norm_gru,
    "PeepholeLSTMCell": peephole,
    "ProjectedLSTMCell": projected,
    "IndRNNCell": independent,
    "MinGRUCell": min_gru,
    "MinLSTMCell": min_lstm,
    "LRUCell": lru,
}


def made(name, **arguments):
    sizes = (UNITS, 2) if name == "ProjectedLSTMCell" else (UNITS,)
    return getattr(keras_rnn, name)(*sizes, dtype=DTYPE, **arguments)


def layer_of(cell, **arguments):
    """A layer over a cell whose weights are all random."""
    layer = RNN(cell, return_sequences=True, dtype=DTYPE, **arguments)
    layer.build(X.shape)
    random = np.random.default_rng(1)
    for weight in cell.weights:
        weight.assign(
            ops.convert_to_numpy(weight) + random.normal(size=weight.shape) / 3
        )
    return layer


@pytest.mark.parametrize("name", CELLS)
def test_the_equations(name):
    cell = made(name)
    layer = layer_of(cell)
    assert layer.uses_fast_pass
    weights = {k: v.astype("float64") for k, v in oracle.weights_of(cell).items()}

    def step(x, states):
        states = CELLS[name](weights, x, states)
        return states[0], states

    states = [ops.convert_to_numpy(each) for each in cell.get_initial_state(2)]
    mask = np.array([[1, 1, 0, 1, 1, 1], [1, 1, 1, 1, 0, 0]], bool)
    wanted, _ = oracle.run(step, X, states, mask=mask)
    found = layer(X.astype(DTYPE), mask=mask)
    # Keras's scan rounds float64 on PyTorch.
    rounds = isinstance(cell, keras_rnn.cells.LinearCell) and (
        keras.backend.backend() == "torch"
    )
    tolerance = 1e-5 if rounds else TOLERANCE
    np.testing.assert_allclose(ops.convert_to_numpy(found), wanted, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_each_cell_passes_the_check(name):
    check_cell(made(name))


@pytest.mark.slow
def test_our_own_pass_the_check_too():
    check_cell(keras_rnn.GRUCell(3, reset_after=False, output_units=2))
    check_cell(keras_rnn.LSTMCell(3, "softsign"))


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="no PyTorch here")
def test_projection_and_its_gradients_are_those_of_pytorch():
    import torch

    from tests.gradients import autodiff

    cell = made("ProjectedLSTMCell", learn_initial_state=False)
    layer = layer_of(cell)
    theirs = torch.nn.LSTM(FEATURES, UNITS, proj_size=2, batch_first=True).double()
    w = oracle.weights_of(cell)
    blocks = {
        "weight_ih_l0": w["kernel"].T,
        "weight_hh_l0": w["recurrent_kernel"].T,
        "bias_ih_l0": w["bias"],
        "bias_hh_l0": 0 * w["bias"],
        "weight_hr_l0": w["projection"].T,
    }
    theirs.load_state_dict(
        {k: torch.tensor(v.astype("float64")) for k, v in blocks.items()}
    )
    outputs, _ = theirs(torch.tensor(X))
    torch.sin(3 * outputs).sum().backward()
    found = ops.convert_to_numpy(layer(X.astype(DTYPE)))
    np.testing.assert_allclose(found, outputs.detach().numpy(), atol=TOLERANCE)
    gradients = autodiff(
        lambda x: ops.sum(ops.sin(3 * layer(x))),
        layer.trainable_variables,
        [X.astype(DTYPE)],
    )
    by_name = dict(zip([v.name for v in layer.trainable_variables], gradients))
    for ours, name in (
        ("kernel", "weight_ih_l0"),
        ("recurrent_kernel", "weight_hh_l0"),
        ("projection", "weight_hr_l0"),
        ("bias", "bias_ih_l0"),
    ):
        wanted = getattr(theirs, name).grad.numpy()
        np.testing.assert_allclose(by_name[ours], wanted.T, atol=100 * TOLERANCE)


@pytest.mark.parametrize("name", ["MinGRUCell", "MinLSTMCell", "LRUCell"])
def test_a_scan_gives_what_the_steps_give(name):
    cell = made(name, output_units=2)
    layer = layer_of(cell)
    assert "parallel scan" in layer.engine
    states, outputs = cell.get_initial_state(2), []
    for t in range(X.shape[1]):
        output, states = cell(X[:, t].astype(DTYPE), states)
        outputs.append(ops.convert_to_numpy(output))
    found = ops.convert_to_numpy(layer(X.astype(DTYPE)))
    np.testing.assert_allclose(found, np.stack(outputs, axis=1), atol=1e-5)


def test_the_start_of_a_linear_recurrent_unit():
    cell = keras_rnn.LRUCell(200, smallest=0.5, largest=0.9, largest_angle=1.0)
    cell.build((None, FEATURES))
    w = oracle.weights_of(cell)
    size = np.exp(-np.exp(w["nu"]))
    assert 0.5 <= size.min() < 0.6 and 0.8 < size.max() <= 0.9
    assert 0 <= np.exp(w["theta"]).min() and np.exp(w["theta"]).max() <= 1
    np.testing.assert_allclose(np.exp(w["log_gamma"]) ** 2, 1 - size**2, atol=1e-5)


@pytest.mark.parametrize(
    "arguments, says",
    [
        (lambda: keras_rnn.ProjectedLSTMCell(4, 0), "`projection_units` must be"),
        (lambda: keras_rnn.LRUCell(4, smallest=0.9, largest=0.5), "`smallest`"),
        (lambda: keras_rnn.LayerNormGRUCell(4, reset_after=False), "`reset_after`"),
        (lambda: keras_rnn.RecurrentCell(0), "`units` must be a positive"),
        (lambda: keras_rnn.MinGRUCell(4, dropout=2), "`dropout` must be"),
    ],
)
def test_bad_arguments(arguments, says):
    with pytest.raises(ValueError, match=says):
        arguments()


def test_the_forget_gate_of_a_projected_lstm_starts_open():
    cell = made("ProjectedLSTMCell")
    cell.build((None, FEATURES))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(cell.bias), np.repeat([0, 1, 0, 0], UNITS)
    )
