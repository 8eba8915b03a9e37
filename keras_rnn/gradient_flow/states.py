"""The gradient with respect to each state, and the Jacobians between states."""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rnn.arguments import as_tensor, positive_integer
from keras_rnn.backends import value_and_gradients
from keras_rnn.gradient_flow.probe import Probe, norm_of
from keras_rnn.gradient_flow.watching import step_of, unnoticed, watched
from keras_rnn.hints import Nest, Tensor


def state_gradients(
    model: keras.Model,
    x: Nest,
    y: Nest,
    sample_weight: Tensor | None = None,
    per_example: bool = False,
    state: int = 0,
) -> dict[str, np.ndarray]:
    """How much the loss depends on each state: the norm of dL/dh_t at each time step.

    It is the total derivative, through the output of step t and through all later
    steps. L is the loss that `fit` minimises, with its weights and regularizers, in
    inference mode (no dropout). The call changes nothing in the model.

    A step that is masked computes no state: there it is 0. Time runs as in the input,
    also for a layer that reads it backwards.

    Args:
        model: A compiled Sequential, functional or subclassed model with recurrent
            layers: those of this package, `keras.layers.SimpleRNN`, `LSTM`, `GRU`, or
            `RNN` over cells whose output is the first of their states; also in `Bidirectional`,
            in stacks, and within other models.
        x: Input of the model, with a known number of time steps.
        y: Targets of the loss.
        sample_weight: Weights of the examples, as in `fit`.
        per_example: Boolean, default `False`: a norm for each example instead of one
            for all of them together.
        state: Integer, which of the states of a cell: 0 (default) is h. 1 is the c of
            an LSTM, whose gradient is the one of the pair (h_t, c_t), that is, through
            c_{t+1} alone. Cells without such a state are left out.

    Returns:
        Dictionary with a float64 array for each recurrent layer, of shape
        `(timesteps,)`, or `(batch, timesteps)` with `per_example`. The names are those
        of the layers, `outer/inner` where one is inside the other. A stack of cells has
        an entry for each, `layer/cell`, and a layer that is called again gets another,
        `layer (2)`.

    Raises:
        ValueError: the model is not compiled, has no recurrent layer with such a state,
            or has a cell of which the output is neither the state nor `cell.readout` of
            it; `x`, `y` or `sample_weight` are no arrays, or of different lengths;
            `state` is no integer, or negative.

    Example:
    >>> model = keras.Sequential([keras.layers.LSTM(8, name="lstm"), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> norms = state_gradients(model, numpy.ones((4, 20, 3)), numpy.ones((4, 1)))
    >>> [(name, norm.shape) for name, norm in norms.items()]
    [('lstm', (20,))]
    """
    if isinstance(state, bool) or not isinstance(state, (int, np.integer)) or state < 0:
        raise ValueError(
            f"`state` must be the number of a state, from 0. Received: state={state!r}"
        )
    levels = Probe(model, x, y, sample_weight)().levels
    found = {
        level.name: level.norms[state] for level in levels if state < len(level.norms)
    }
    if not found:
        raise ValueError(
            f"No recurrent layer of the model has a state of number {state}. "
            f"Received: state={state}, model={model.name}"
        )
    if per_example:
        return found
    return {name: norm_of(norms, axis=0) for name, norms in found.items()}


class JacobianSpectrum(NamedTuple):
    """What `jacobian_spectrum` finds, in float64.

    Attributes:
        singular_values: Array of shape `(batch, timesteps - steps + 1, size)`, the
            largest first: by how much a small change is stretched, along each of the
            directions that stay at right angles.
        spectral_radius: Array of shape `(batch, timesteps - steps + 1)`: the largest
            absolute eigenvalue.
    """

    singular_values: np.ndarray
    spectral_radius: np.ndarray


def jacobian_spectrum(
    layer: keras.layers.RNN, x: Tensor, steps: int = 1, mask: Tensor | None = None
) -> JacobianSpectrum:
    """What becomes of a small change of the state: the spectrum of dh_t/dh_{t-steps}.

    With `steps=1` that is the Jacobian of one step of the cell, at the states and inputs
    of a real sequence. With more it is the product of so many of them,

        dh_t/dh_{t-k}  =  dh_t/dh_{t-1} ... dh_{t-k+1}/dh_{t-k},

    and its largest singular value says how much of a change k steps ago survives, at
    most. A cell with several states has one Jacobian for all of them together: for an
    LSTM, h and c side by side.

    Args:
        layer: A recurrent layer, as in `state_gradients`. Of a `Bidirectional`, pass
            `forward_layer` or `backward_layer`.
        x: Array of shape `(batch, timesteps, features)`. It takes a pass over the cell
            for each step, with as many rows as the batch times the size of the state.
        steps: Positive integer, k.
        mask: Boolean array of shape `(batch, timesteps)`. A masked step keeps the state:
            its Jacobian is the identity.

    Returns:
        A `JacobianSpectrum`, of t = steps ... timesteps in the order in which the layer
        reads.

    Raises:
        ValueError: `layer` is not a recurrent layer, `x` or `mask` has the wrong shape,
            `steps` is not a number from 1 to the number of time steps, or something in
            `x` or the weights is not finite.

    Example:
    >>> layer = keras.layers.SimpleRNN(4, recurrent_initializer="orthogonal")
    >>> spectrum = jacobian_spectrum(layer, numpy.zeros((1, 10, 3)), steps=5)
    >>> spectrum.singular_values.shape, spectrum.spectral_radius.shape
    ((1, 6, 4), (1, 6))
    """
    if not isinstance(layer, keras.layers.RNN):
        raise ValueError(
            "`layer` must be a recurrent layer, a `keras.layers.RNN` (of a "
            f"`Bidirectional`, its `forward_layer`). Received: layer={layer}"
        )
    steps = positive_integer("steps", steps)
    x = ops.convert_to_tensor(as_tensor("x", x, rank=3))
    timesteps = x.shape[1]
    if mask is not None:
        mask = ops.convert_to_tensor(as_tensor("mask", mask, rank=2))
        if mask.shape != x.shape[:2]:
            raise ValueError(
                "`mask` must have the shape (batch, timesteps) of `x`, "
                f"{tuple(x.shape[:2])}. Received: mask.shape={tuple(mask.shape)}"
            )
    if steps > timesteps:
        raise ValueError(
            f"`steps` must be at most {timesteps}, the number of time steps. "
            f"Received: steps={steps}"
        )
    if not layer.built:
        layer.build(tuple(x.shape))
    with unnoticed(), watched({layer.name: layer}) as calls:
        layer(x, mask=mask)
    (call,) = calls
    jacobians = np.stack([_jacobian(layer, call, t) for t in range(timesteps)], axis=1)
    if call.mask is not None:
        real = ops.convert_to_numpy(call.mask).T  # (batch, timesteps)
        identity = np.eye(jacobians.shape[-1])
        jacobians = np.where(real[..., None, None], jacobians, identity)
    if not np.isfinite(jacobians).all():
        raise ValueError(
            "`x` and the weights of `layer` must be finite, and such that the Jacobians "
            f"are: those of {np.isfinite(jacobians).all((0, 2, 3)).sum()} of "
            f"{timesteps} steps are. Received: x={x}"
        )
    count = timesteps - steps + 1
    product = jacobians[:, steps - 1 :]  # (batch, count, size, size)
    for back in range(1, steps):
        start = steps - 1 - back
        product = product @ jacobians[:, start : start + count]
    return JacobianSpectrum(
        np.linalg.svd(product, compute_uv=False),
        np.abs(np.linalg.eigvals(product)).max(-1),
    )


def _jacobian(layer, call, t):
    """d(states after step t) / d(states before it), of shape (batch, size, size)."""
    before = call.states_before(t)  # a list of (batch, units)
    sizes = [state.shape[-1] for state in before]
    batch, size = before[0].shape[0], sum(sizes)
    # A copy of each example for each number of the state: the gradient of the i-th number
    # of the i-th copy is the i-th row.
    copies = [ops.repeat(state, size, axis=0) for state in before]
    inputs = ops.repeat(call.inputs[t], size, axis=0)
    chosen = ops.cast(ops.tile(ops.eye(size), (batch, 1)), before[0].dtype)

    def loss(states):
        _, after = step_of(layer, inputs, states)
        return ops.sum(ops.concatenate(after, axis=-1) * chosen), ()

    _, _, rows = value_and_gradients(loss, copies)
    rows = np.concatenate([ops.convert_to_numpy(row) for row in rows], axis=-1)
    return rows.reshape(batch, size, size).astype("float64")
