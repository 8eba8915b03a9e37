"""What a cell has to keep to, as a check for cells of one's own."""

import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_rnn.backends import name as backend
from keras_rnn.backends import value_and_gradients
from keras_rnn.cells import CellMixin
from keras_rnn.rnn import RNN

BATCH, TIMESTEPS = 3, 5


def check_cell(cell: CellMixin, features: int = 2, seed: int = 0) -> None:
    """Checks that a cell keeps to all that `keras_rnn.RNN` promises of it.

    On small random sequences: its config makes the same cell; one step has the shapes that
    it says; the fast pass gives the outputs and the gradients of Keras's loop; the
    gradients are those of finite differences; a masked step leaves the state, whatever
    stands there, and padding changes nothing; a model with it is saved and loaded.

    The cell itself is not built: what is checked is made from its config, in float64
    where the backend has it.

    Args:
        cell: A cell of keras_rnn, or of a class derived from one. Its class must be
            registered (`keras.saving.register_keras_serializable`).
        features: Positive integer, size of x_t.
        seed: Integer, of all that is random.

    Raises:
        AssertionError: says what does not hold, and by how much.

    Example:
    >>> import keras_rnn
    >>> check_cell(keras_rnn.MinGRUCell(3))
    """
    exact = backend in ("tensorflow", "torch")
    dtype, tolerance = ("float64", 1e-6) if exact else ("float32", 1e-3)
    config = {**cell.get_config(), "dtype": dtype, "name": "checked"}
    random = np.random.default_rng(seed)
    x = random.normal(size=(BATCH, TIMESTEPS, features)).astype(dtype)

    _check_config(cell)
    checked = type(cell).from_config(config)
    layer = RNN(checked, return_sequences=True, return_state=True, dtype=dtype)
    layer.build(x.shape)
    for weight in layer.trainable_variables:  # what is 0 at the start must not hide
        value = 0.5 * random.normal(size=weight.shape)
        weight.assign(ops.convert_to_numpy(weight) + value)
    _check_shapes(checked, x)
    loop = keras.layers.RNN(
        checked, return_sequences=True, return_state=True, dtype=dtype
    )
    loop.build(x.shape)
    value, found = _gradients(layer, x)
    _same("the fast pass and Keras's loop: the outputs", layer(x), loop(x), tolerance)
    for name, ours, theirs in zip(_names(layer), found, _gradients(loop, x)[1]):
        _same(f"the fast pass and Keras's loop: {name}", ours, theirs, tolerance)
    _check_slope(layer, x, value, found, random, 1e-5 if exact else 1e-2)
    _check_masks(layer, x, tolerance)
    _check_saving(checked, x, dtype)


def _check_config(cell):
    config = cell.get_config()
    again = type(cell).from_config(config).get_config()
    for key, value in config.items():
        assert key in again and again[key] == value, (
            f"get_config: from_config(config) has another {key!r}: "
            f"{again.get(key)!r}, not {value!r}"
        )


def _check_shapes(cell, x):
    states = cell.get_initial_state(BATCH)
    output, new = cell(x[:, 0], states)
    _shape("the output of one step", output, (BATCH, cell.output_size))
    sizes = keras.tree.flatten(cell.state_size)
    assert len(new) == len(sizes), (
        f"one step: {len(new)} new states, where state_size says {len(sizes)}"
    )
    for i, (before, after, size) in enumerate(zip(states, new, sizes)):
        _shape(f"initial state {i}", before, (BATCH, size))
        _shape(f"new state {i}", after, (BATCH, size))


def _names(layer):
    names = [variable.name for variable in layer.trainable_variables]
    return [f"the gradient with respect to `{name}`" for name in [*names, "inputs"]]


def _loss(layer, x, **arguments):
    """A number in which each output and state has its share."""
    results = keras.tree.flatten(layer(x, **arguments))
    return sum(ops.sum(ops.sin(3 * each)) for each in results)


def _gradients(layer, x, **arguments):
    """The loss, and its gradients with respect to the weights and the inputs."""
    variables = layer.trainable_variables

    def function(values):
        with keras.StatelessScope([*zip(variables, values[:-1])]):
            return _loss(layer, values[-1], **arguments), None

    values = [ops.convert_to_tensor(variable.value) for variable in variables]
    value, _, found = value_and_gradients(function, [*values, ops.convert_to_tensor(x)])
    return value, [_numpy(each) for each in found]


def _check_slope(layer, x, value, gradients, random, tolerance):
    """Finite differences along a random direction of each weight, and of the inputs."""
    size = 1e-6 if tolerance < 1e-4 else 1e-2
    variables = [*layer.trainable_variables, None]
    for name, variable, gradient in zip(_names(layer), variables, gradients):
        direction = random.normal(size=gradient.shape)
        direction /= np.linalg.norm(direction)
        ends = []
        for sign in (1, -1):
            step = sign * size * direction
            if variable is None:
                ends.append(_numpy(_loss(layer, (x + step).astype(x.dtype))))
                continue
            before = _numpy(variable)
            variable.assign(before + step)
            ends.append(_numpy(_loss(layer, x)))
            variable.assign(before)
        slope, wanted = (ends[0] - ends[1]) / (2 * size), (gradient * direction).sum()
        _same(f"finite differences: {name}", wanted, slope, tolerance * 10)


def _check_masks(layer, x, tolerance):
    mask = np.ones((BATCH, TIMESTEPS), bool)
    mask[0, 2], mask[1, -2:] = False, False
    garbage = np.where(mask[..., None], x, np.nan).astype(x.dtype)
    _same(
        "a NaN in a masked step: the outputs",
        layer(garbage, mask=mask),
        layer(x, mask=mask),
        tolerance,
    )
    with_nan, with_x = (_gradients(layer, each, mask=mask)[1] for each in (garbage, x))
    for name, ours, theirs in zip(_names(layer), with_nan, with_x):
        _same(f"a NaN in a masked step: {name}", ours, theirs, tolerance)
    padded = np.concatenate([x, np.ones_like(x)], axis=1)
    longer = np.concatenate([mask, np.zeros_like(mask)], axis=1)
    _same(
        "padding: the last states",
        layer(padded, mask=longer)[1:],
        layer(x, mask=mask)[1:],
        tolerance,
    )
    short = np.delete(x[:1], 2, axis=1)
    _same(
        "a masked step against none: the last states",
        [each[:1] for each in layer(x, mask=mask)[1:]],
        layer(short)[1:],
        tolerance,
    )


def _check_saving(cell, x, dtype):
    inputs = keras.Input(x.shape[1:], dtype=dtype)
    fresh = type(cell).from_config(cell.get_config())
    model = keras.Model(inputs, RNN(fresh, dtype=dtype)(inputs))
    model.set_weights([_numpy(weight) for weight in cell.weights])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path)
    _same("saving: the outputs", loaded(x), model(x), 1e-6)


def _numpy(tensor):
    return np.array(ops.convert_to_numpy(tensor))


def _shape(what, tensor, wanted):
    assert tuple(tensor.shape) == wanted, (
        f"{what} has the shape {tuple(tensor.shape)}, not {wanted}"
    )


def _same(what, ours, theirs, tolerance):
    """Asserts that two nests of numbers are equal but for rounding."""
    for a, b in zip(keras.tree.flatten(ours), keras.tree.flatten(theirs), strict=True):
        a, b = _numpy(a), _numpy(b)
        apart = np.abs(a - b) / (1 + np.abs(b))
        assert apart.max() <= tolerance, (  # NaN is not
            f"{what} differ by {apart.max():.1e}, more than {tolerance:.0e}"
        )
