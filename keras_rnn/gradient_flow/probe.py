"""The gradient of a model's loss with respect to each state, on one batch.

A *nudge* is added to each new state of the recurrent layers (`watching.py`). The nudges
are zeros, so that nothing changes. Their gradients are dL/dh_t.
"""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rnn.backends import compiled_once, value_and_gradients
from keras_rnn.gradient_flow.watching import cells_of, unnoticed, watched
from keras_rnn.hints import Nest, Tensor


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
    norms: list[np.ndarray]
    finite: np.ndarray
    real: np.ndarray
    backwards: bool
    shares: np.ndarray

    def profile(self) -> np.ndarray:
        """The norm of dL/dh_t at each step, all examples together."""
        return norm_of(self.norms[0], axis=0)

    def travelled(self) -> list[int]:
        """The numbers of the steps in the order of reading, but for those all masked."""
        steps = [int(t) for t in np.flatnonzero(self.real.any(axis=0))]
        return steps[::-1] if self.backwards else steps

    def saturated(self, kind: int) -> float:
        """The share of saturated units (0) or gates (1) in all real steps."""
        return float(self.shares[self.real, kind].mean()) if self.real.any() else 0.0


class Reading(NamedTuple):
    """What one pass over the probe found: all in NumPy.

    Attributes:
        loss: The loss.
        variables: The values of the trainable variables by path.
        gradients: The gradients with respect to them by path.
        levels: The recurrent cells, in the order of the calls.
    """

    loss: float
    variables: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]
    levels: list[Level]


class Probe:
    """The gradient of a model's loss on one batch: by its variables, and by its states.

    Args:
        model: The model.
        x: Its input.
        y: Its targets.
        sample_weight: Weights of the examples, or `None`.
        compiled: Whether to compile the pass, since it is to run many times.

    Raises:
        ValueError: `model` is not compiled, or has no recurrent layer; the others are
            no arrays, or of different lengths.
    """

    def __init__(
        self,
        model: keras.Model,
        x: Nest,
        y: Nest,
        sample_weight: Tensor | None = None,
        compiled: bool = False,
    ) -> None:
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

    def __call__(self) -> Reading:
        """One pass over the batch, with the weights that the model has now."""
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
        """The loss and what was watched, and the gradients of variables and nudges."""

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
        levels: list[Level] = []
        times: dict[str, int] = {}
        for (name, layer), call, gradients in zip(self._fixed, calls, nudges):
            states, saturated, mask = keras.tree.map_structure(
                ops.convert_to_numpy, call
            )
            times[name] = times.get(name, 0) + 1
            if times[name] > 1:
                name = f"{name} ({times[name]})"
            order = -1 if layer.go_backwards else 1
            real = mask[0].T if mask else np.ones(saturated.shape[1::-1], bool)
            norms = [
                norm_of(ops.convert_to_numpy(g), axis=-1).T[:, ::order]
                for g in gradients
            ]
            finite = [
                np.isfinite(s).all(axis=-1).T[:, ::order] for s in states
            ]  # (batch, timesteps) each
            real = real[:, ::order]
            cells = cells_of(layer)
            for level, cell in enumerate(cells):
                count = len(keras.tree.flatten(cell.state_size))
                levels.append(
                    Level(
                        name if len(cells) == 1 else f"{name}/{cell.name}",
                        norms[:count],
                        (finite[0] | ~real).all(axis=0),
                        real,
                        layer.go_backwards,
                        saturated.transpose(1, 0, 2, 3)[:, ::order, level],
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


def norm_of(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """The Euclidean norm, in float64: the square of a vanishing float32 would be 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.sqrt(np.sum(np.square(values.astype("float64")), axis=axis))
