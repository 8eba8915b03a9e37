"""The gradient of a loss by each state of a network: recurrent layers, watched.

Within `watched`, each recurrent layer goes along the sequence with its own cell, and
writes down what happens. A *nudge* is added to each new state, before anyone sees it. The
nudges are zeros, so that nothing changes. Their gradients are dL/dh_t: a `Probe` takes
them, and those of the variables, of one batch.
"""

import contextlib
import functools
import inspect
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rnn.backends import compiled_once, random_state_kept, value_and_gradients
from keras_rnn.cells.cell import DERIVATIVES

# A unit is saturated where its activation has less than this part of its steepest slope.
FLAT = 0.05
# The slopes of the activations at their steepest, where that is not 1.
STEEPEST = {keras.activations.sigmoid: 0.25}


class Call(NamedTuple):
    """What happened in one call of a recurrent layer, in the order of its reading.

    Attributes:
        name: Of the layer.
        layer: The layer.
        inputs: Tensor of shape `(timesteps, batch, features)`.
        first: List of tensors of shape `(batch, units)`: the first states.
        states: List of tensors of shape `(timesteps, batch, units)`: each later state.
        saturated: Tensor of shape `(timesteps, batch, cells, 2)`: the share of units and
            of gates that are saturated.
        mask: Tensor of shape `(timesteps, batch)`, or `None`.
    """

    name: str
    layer: keras.layers.RNN
    inputs: object
    first: list
    states: list
    saturated: object
    mask: object

    def states_before(self, t):
        return self.first if t == 0 else [state[t - 1] for state in self.states]


@contextlib.contextmanager
def watched(layers, nudges=None):
    """Within, the layers go step by step, and each of their calls is written down.

    Args:
        layers: Dictionary of recurrent layers by name.
        nudges: List with, for each call, a list of what is added to its states: tensors
            of shape `(timesteps, batch, units)`. `None`: nothing.

    Yields:
        The list that gets a `Call` for each call.
    """
    calls = []

    def inner_loop(name, layer, sequences, initial_state, mask, training=False):
        added = None if nudges is None else nudges[len(calls)]
        result, call = _loop(
            name, layer, sequences, initial_state, mask, training, added
        )
        calls.append(call)
        return result

    # `inner_loop` is the method that `keras.layers.RNN.call` leaves the sequence to.
    # Past Keras's own `__setattr__`, which would track what is set.
    for name, layer in layers.items():
        mine = functools.partial(inner_loop, name, layer)
        object.__setattr__(layer, "inner_loop", mine)
    try:
        yield calls
    finally:
        for layer in layers.values():
            object.__delattr__(layer, "inner_loop")


@contextlib.contextmanager
def unnoticed(mapping=()):
    """Within, nothing changes for good: no metric, no carried state, no random number."""
    with keras.StatelessScope(mapping, collect_losses=True), random_state_kept():
        yield


def _loop(name, layer, sequences, initial_state, mask, training, nudges):
    """A layer along its sequence: what `inner_loop` returns, and a `Call`."""
    first = keras.tree.flatten(initial_state)
    inputs = ops.transpose(sequences, (1, 0, 2))  # (timesteps, batch, features)
    if mask is not None:
        mask = ops.transpose(ops.cast(mask, "bool"))  # (timesteps, batch)
    if layer.go_backwards:
        inputs = ops.flip(inputs, axis=0)
        mask = None if mask is None else ops.flip(mask, axis=0)
    slices = {"inputs": inputs}
    if nudges is not None:
        slices["nudges"] = nudges
    if mask is not None:
        slices["mask"] = ops.expand_dims(mask, -1)

    def step(before, now):
        shares = []
        output, states = step_of(
            layer, now["inputs"], before["states"], now.get("nudges"), training, shares
        )
        if "mask" in now:  # a masked step keeps the state, and the output
            states = [
                ops.where(now["mask"], new, old)
                for new, old in zip(states, before["states"])
            ]
            old = before["output"]
            kept = ops.zeros_like(old) if layer.zero_output_for_mask else old
            output = ops.where(now["mask"], output, kept)
        after = {
            "states": states,
            "output": output,
            "saturated": ops.stack(shares, axis=1),  # (batch, cells, 2)
        }
        return after, after

    # A first step, without its mask, tells the shapes. Nothing else of it is used.
    now = {
        name: keras.tree.map_structure(lambda each: each[0], each)
        for name, each in slices.items()
        if name != "mask"
    }
    shapes, _ = step({"states": first}, now)
    start = {
        "states": [ops.cast(s, z.dtype) for s, z in zip(first, shapes["states"])],
        "output": ops.zeros_like(shapes["output"]),
        "saturated": ops.zeros_like(shapes["saturated"]),
    }
    last, each = ops.scan(step, start, slices)
    outputs = ops.transpose(each["output"], (1, 0, 2))  # (batch, timesteps, size)
    last_states = keras.tree.pack_sequence_as(initial_state, last["states"])
    call = Call(name, layer, inputs, first, each["states"], each["saturated"], mask)
    return (last["output"], outputs, last_states), call


def step_of(layer, inputs, states, nudges=None, training=False, shares=None):
    """One step of all cells of a layer, each state with its nudge.

    Returns:
        The output, and the list of the new states of all cells.
    """
    output, after, states = inputs, [], list(states)
    nudges = list(nudges) if nudges is not None else [0.0] * len(states)
    for cell in _cells(layer):
        count = len(keras.tree.flatten(cell.state_size))
        own, states = states[:count], states[count:]
        knows = "training" in inspect.signature(cell.call).parameters
        with _overheard(cell) as heard, _readouts(cell) as readouts:
            output, new = cell(output, own, **({"training": training} if knows else {}))
        new = keras.tree.flatten(new)
        nudged = [state + nudges.pop(0) for state in new]
        if output is new[0]:
            output = nudged[0]
        elif any(state is new[0] and output is y for state, y in readouts):
            output = cell.readout(nudged[0])
        else:
            raise ValueError(
                "The output of a cell must be its first state, or what its `call` gets "
                "from `self.readout` of it, for the gradient to be known. "
                f"Received: cell={cell}"
            )
        after += nudged
        if shares is not None:
            shares.append(_shares(heard, ops.shape(nudged[0])[0]))
    return output, after


def _cells(layer):
    return getattr(layer.cell, "cells", [layer.cell])


@contextlib.contextmanager
def _overheard(cell):
    """Within, what the activations of a cell return is written down as well."""
    heard = {"activation": [], "recurrent_activation": []}
    own = {name: getattr(cell, name, None) for name in heard}
    own = {name: each for name, each in own.items() if each in DERIVATIVES}

    def listening(name, z):
        value = own[name](z)
        slope = DERIVATIVES[own[name]](value)
        heard[name].append(slope < FLAT * STEEPEST.get(own[name], 1.0))
        return value

    for name in own:
        object.__setattr__(cell, name, functools.partial(listening, name))
    try:
        yield heard
    finally:
        for name, activation in own.items():
            object.__setattr__(cell, name, activation)


@contextlib.contextmanager
def _readouts(cell):
    """Within, the states that `cell.readout` is called with, and what it returns."""
    pairs = []
    if not hasattr(cell, "readout"):
        yield pairs
        return
    readout, mine = cell.readout, vars(cell).get("readout")  # a layer, of some cells

    def listening(state):
        pairs.append((state, readout(state)))
        return pairs[-1][1]

    object.__setattr__(cell, "readout", listening)
    try:
        yield pairs
    finally:
        object.__delattr__(cell, "readout")
        if mine is not None:
            object.__setattr__(cell, "readout", mine)


def _shares(heard, batch):
    """The share of units and of gates that were heard to be saturated, (batch, 2)."""
    columns = []
    for values in heard.values():
        flat = [ops.mean(ops.cast(value, "float32"), axis=-1) for value in values]
        nothing = ops.full((batch,), float("nan"))
        columns.append(sum(flat) / len(flat) if flat else nothing)
    return ops.stack(columns, axis=-1)


def _recurrent_layers(model):
    """All recurrent layers of a model by name, however deep inside."""
    found, known = {}, set()

    def search(layer, path):
        if id(layer) in known:
            return
        known.add(id(layer))
        if isinstance(layer, keras.layers.RNN):
            name = "/".join(path) or layer.name
            while name in found:  # two layers may have one name
                name += "'"
            found[name] = layer
            return
        inner = layer.layers if isinstance(layer, keras.Model) else vars(layer).values()
        for each in keras.tree.flatten([v for v in inner if _holds_layers(v)]):
            if isinstance(each, keras.Layer):
                search(each, [*path, each.name])

    search(model, [])
    return found


def _holds_layers(value):
    return isinstance(value, (keras.Layer, list, tuple, dict))


class Level(NamedTuple):
    """One cell in one call of a layer. Time runs as in the input.

    Attributes:
        name: Of the layer, and of the cell in a stack.
        norms: List with, for each state, the norms of its gradient, of shape `(batch,
            timesteps)`.
        finite: Boolean array of shape `(timesteps,)`: whether h_t is, for all examples.
        real: Boolean array of shape `(batch, timesteps)`: the steps that are not masked.
        backwards: Whether the layer reads from the end.
        shares: Array of shape `(batch, timesteps, 2)`, see `Call.saturated`.
    """

    name: str
    norms: list
    finite: np.ndarray
    real: np.ndarray
    backwards: bool
    shares: np.ndarray

    def profile(self):
        """The norm of dL/dh_t at each step, all examples together."""
        return norm_of(self.norms[0], axis=0)

    def travelled(self):
        """The numbers of the steps in the order of reading, but for those all masked."""
        steps = [int(t) for t in np.flatnonzero(self.real.any(axis=0))]
        return steps[::-1] if self.backwards else steps

    def saturated(self, kind):
        """The share of saturated units (0) or gates (1) in all real steps."""
        return float(self.shares[self.real, kind].mean()) if self.real.any() else 0.0


class Reading(NamedTuple):
    """What one pass over the probe found: all in NumPy."""

    loss: float
    variables: dict
    gradients: dict
    levels: list


class Probe:
    """The gradient of a model's loss on one batch: by its variables, and by its states.

    Args:
        model: The model.
        x: Its input.
        y: Its targets.
        sample_weight: Weights of the examples, or `None`.
        compiled: Whether to compile the pass, since it is to run many times.
    """

    def __init__(self, model, x, y, sample_weight=None, compiled=False):
        if not getattr(model, "compiled", False):
            raise ValueError(
                "`model` must be compiled: its loss is what the gradient is taken of. "
                f"Received: model={model}"
            )
        self.model = model
        if x is None:
            raise ValueError("`x` must be the input of the model. Received: x=None")
        batch = {"x": x, "y": y, "sample_weight": sample_weight}
        self.batch = [_tensors(name, each) for name, each in batch.items()]
        rows = {
            each.shape[0] for each in keras.tree.flatten(self.batch) if each is not None
        }
        if len(rows) > 1:
            raise ValueError(
                "`x`, `y` and `sample_weight` must have as many examples each. "
                f"Received: {sorted(rows)} examples"
            )
        if not model.built:
            # A call on what has a shape and no values draws no random number either.
            model(keras.tree.map_structure(_symbol, self.batch[0]), training=False)
        self.layers = _recurrent_layers(model)
        # A pass without nudges tells what shape they have.
        with unnoticed(), watched(self.layers) as calls:
            model(self.batch[0], training=False)
        if not calls:
            raise ValueError(
                "`model` must have a recurrent layer, a `keras.layers.RNN`. "
                f"Received: model={model.name}"
            )
        self.nudges = [
            [ops.zeros(state.shape, state.dtype) for state in call.states]
            for call in calls
        ]
        self._pass = compiled_once(self._backward) if compiled else self._backward

    def __call__(self):
        model = self.model
        trainable = [ops.copy(v) for v in model.trainable_variables]
        others = [ops.copy(v) for v in model.non_trainable_variables]
        loss, calls, gradients, nudges = self._pass(trainable, others)
        paths = [variable.path for variable in model.trainable_variables]
        return Reading(
            float(ops.convert_to_numpy(loss)),
            dict(zip(paths, map(ops.convert_to_numpy, trainable))),
            dict(zip(paths, map(ops.convert_to_numpy, gradients))),
            self._levels(calls, nudges),
        )

    def _backward(self, trainable, others):
        """The loss and what was watched, and the gradients by variables and by nudges."""

        def loss(values):
            variables, nudges = values
            return self._loss(variables, others, nudges)

        loss, calls, (by_variables, by_nudges) = value_and_gradients(
            loss, (trainable, self.nudges)
        )
        return loss, calls, by_variables, by_nudges

    def _loss(self, trainable, others, nudges):
        model, (x, y, sample_weight) = self.model, self.batch
        mapping = [
            *zip(model.trainable_variables, trainable),
            *zip(model.non_trainable_variables, others),
        ]
        with unnoticed(mapping), watched(self.layers, nudges) as calls:
            y_pred = model(x, training=False)
            loss = model.compute_loss(
                x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False
            )
        # What is the same in each pass stays here; tensors go out.
        self._fixed = [(call.name, call.layer) for call in calls]
        masks = [[] if call.mask is None else [call.mask] for call in calls]
        return loss, [
            (call.states, call.saturated, mask) for call, mask in zip(calls, masks)
        ]

    def _levels(self, calls, nudges):
        """The levels of all calls, in the order of the calls."""
        levels, times = [], {}
        for (name, layer), call, gradients in zip(self._fixed, calls, nudges):
            states, saturated, mask = keras.tree.map_structure(
                ops.convert_to_numpy, call
            )
            times[name] = times.get(name, 0) + 1
            if times[name] > 1:
                name = f"{name} ({times[name]})"
            turn = -1 if layer.go_backwards else 1
            real = mask[0].T if mask else np.ones(saturated.shape[1::-1], bool)
            norms = [
                norm_of(ops.convert_to_numpy(g), axis=-1).T[:, ::turn]
                for g in gradients
            ]
            finite = [
                np.isfinite(s).all(axis=-1).T[:, ::turn] for s in states
            ]  # (batch, timesteps) each
            real = real[:, ::turn]
            cells = _cells(layer)
            for level, cell in enumerate(cells):
                count = len(keras.tree.flatten(cell.state_size))
                levels.append(
                    Level(
                        name if len(cells) == 1 else f"{name}/{cell.name}",
                        norms[:count],
                        (finite[0] | ~real).all(axis=0),
                        real,
                        layer.go_backwards,
                        saturated.transpose(1, 0, 2, 3)[:, ::turn, level],
                    )
                )
                norms, finite = norms[count:], finite[count:]
        return levels


def _tensors(name, values):
    """A nest of arrays as tensors, `None` as it is."""
    try:
        tensors = keras.tree.map_structure(
            lambda each: None if each is None else ops.convert_to_tensor(each), values
        )
        shapes = [t.shape for t in keras.tree.flatten(tensors) if t is not None]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` must be an array, or a list or dictionary of arrays. "
            f"Received: {name}={values!r}"
        ) from error
    if not all(map(len, shapes)):
        raise ValueError(
            f"`{name}` must have a row for each example. "
            f"Received: the shapes {[tuple(shape) for shape in shapes]}"
        )
    return tensors


def _symbol(tensor):
    return keras.KerasTensor(
        tensor.shape, keras.backend.standardize_dtype(tensor.dtype)
    )


def norm_of(values, axis=None):
    """The Euclidean norm, in float64: the square of a vanishing float32 would be 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.sqrt(np.sum(np.square(values.astype("float64")), axis=axis))
