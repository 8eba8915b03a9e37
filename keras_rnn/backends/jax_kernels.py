"""JAX's own kernel: the LSTM of `jax.experimental.rnn`, by cuDNN.

It takes one vector of all weights, and how many steps of each row are real: those come
first. It has a gradient, and nothing beside: `with_all_derivatives` gives it the rest
(tangents, batches of batches, the gradient of a gradient) from the loop of
`keras_rnn.bptt`, which computes the same.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.custom_batching import custom_vmap
from jax.experimental import rnn

from keras_rnn.backends.jax import scan, transposed
from keras_rnn.cells import CellMixin, LSTMCell
from keras_rnn.cells.dense import dense
from keras_rnn.hints import Tensor


def native(
    cell: CellMixin, otherwise: Callable, use_cudnn: bool | str
) -> Callable | str:
    """JAX's kernel of a cell: see `keras_rnn.backends.tensorflow_kernels.native`."""
    if not isinstance(cell, LSTMCell):
        return "JAX has a kernel of the LSTM only"
    if use_cudnn is False:
        return "JAX's only kernel is cuDNN's, and use_cudnn=False"
    if (cell.activation, cell.recurrent_activation) != (
        keras.activations.tanh,
        keras.activations.sigmoid,
    ):
        return f"JAX's lstm knows tanh and sigmoid, not those of {cell.name}"
    if cell.compute_dtype != "float32":
        return "JAX's lstm computes in float32"
    if not _has_cuda():
        return "JAX's lstm needs a GPU with CUDA"
    if keras.distribution.distribution() is not None:
        return "JAX's lstm runs on one device"
    return Kernel(cell, otherwise)


def _has_cuda():
    try:
        return jax.default_backend() == "gpu" and bool(jax.devices("cuda"))
    except RuntimeError:
        return False


class Kernel:
    """An LSTM over time by cuDNN, called as `keras_rnn.bptt.Pass` is.

    Args:
        cell: A `keras_rnn.LSTMCell` with the equations of the kernel.
        otherwise: The `Pass` of the cell, for what the kernel cannot do.
    """

    def __init__(self, cell: CellMixin, otherwise: Any) -> None:
        self.cell, self.otherwise = cell, otherwise

    def __str__(self) -> str:
        return "JAX's lstm (cuDNN)"

    def __call__(
        self,
        inputs: Tensor,
        states: list[Tensor],
        mask: Tensor | None = None,
        training: bool = False,
        return_sequences: bool = True,
    ) -> tuple[Tensor | None, list[Tensor]]:
        """Runs the cell along a batch of sequences: see `keras_rnn.bptt.Pass`."""
        cell = self.cell
        arguments = inputs, list(states), cell.input_weights(), cell.recurrent_weights()
        tensors = keras.tree.flatten(arguments)
        masks = () if mask is None else (mask,)
        _, drop = cell.held_masks(training)
        if (
            drop is not None
            or any(each.dtype != "float32" for each in tensors)
            # What is exported for any size runs elsewhere, too.
            or not all(isinstance(size, int) for size in inputs.shape)
        ):
            return self.otherwise(inputs, states, mask, training, return_sequences)

        def nested(tensors):
            return keras.tree.pack_sequence_as(arguments, tensors)

        def kernel(tensors, masks):
            return _run(*nested(tensors), *masks)

        def plain(tensors, others):
            inputs, states, weights, recurrent = nested(tensors)
            masks = [each[..., None] for each in others]
            last, sequence, _ = self.otherwise.forward(
                scan, dense(inputs, *weights), recurrent, [], states, masks, drops=[]
            )
            return sequence, *last

        run = with_all_derivatives(kernel, plain)
        sequence, *last = run(tuple(tensors), masks)
        return sequence if return_sequences else None, last


def _run(inputs, states, weights, recurrent, mask=None):
    """The sequence of h_t, masked steps included, and the last states."""
    if mask is None:
        lengths = jnp.full(inputs.shape[:1], inputs.shape[1])
        return _lstm(inputs, states, weights, recurrent, lengths)
    counts = jnp.cumsum(mask, axis=1)  # the real steps so far, (batch, timesteps)
    order = jnp.argsort(~mask, axis=1, stable=True)  # the real steps first
    inputs = jnp.take_along_axis(inputs, order[..., None], axis=1)
    lengths = counts[:, -1]
    # cuDNN refuses rows of no step.
    sequence, *last = _lstm(inputs, states, weights, recurrent, jnp.maximum(lengths, 1))
    found = jnp.take_along_axis(sequence, jnp.maximum(counts - 1, 0)[..., None], axis=1)
    sequence = jnp.where((counts > 0)[..., None], found, states[0][:, None])
    pairs = zip(last, states)
    return sequence, *[
        jnp.where((lengths > 0)[:, None], after, before) for after, before in pairs
    ]


def _lstm(inputs, states, weights, recurrent, lengths):
    """The same of rows whose first steps are the real ones, `lengths` of them."""
    y, *last = rnn.lstm(
        inputs,
        *[state[None] for state in states],  # one layer's
        flat_weights(weights, recurrent),
        lengths.astype("int32"),
        input_size=inputs.shape[-1],
        hidden_size=states[0].shape[-1],
        num_layers=1,
        dropout=0.0,
        bidirectional=False,
    )
    return y, *[state[0] for state in last]


def flat_weights(weights: list[Tensor], recurrent: list[Tensor]) -> Tensor:
    """Keras's weights of an LSTM in cuDNN's order: two kernels, two biases, one vector.

    The gates are i, f, g, o in both, the kernels transposed.
    """
    kernel, *bias = weights
    (recurrent_kernel,) = recurrent
    zeros = jnp.zeros(kernel.shape[1], kernel.dtype)
    first = bias[0] if bias else zeros
    return jnp.concatenate([kernel.T.ravel(), recurrent_kernel.T.ravel(), first, zeros])


def with_all_derivatives(kernel: Callable, plain: Callable) -> Callable:
    """A function that has a gradient, with the other derivatives of an equal one.

    Args:
        kernel: Function of two tuples, of floating tensors and of others, which returns a
            tuple of tensors. JAX can take its gradient, but no tangent, no batch, and no
            gradient of that gradient.
        plain: Function of the same tensors with the same results, made of operations of
            which JAX can take everything.

    Returns:
        Function like `kernel`.
    """

    def pulled_back(function, tensors, others):
        return jax.vjp(lambda *tensors: function(tensors, others), *tensors)

    def recorded(tensors, others):
        """The results, and what the gradient needs, as a list of tensors."""
        results, back = pulled_back(kernel, tensors, others)
        return results, jax.tree.leaves(back)

    def gradient(tensors, others, kept, upstream):
        # What was recorded, put together again.
        back = jax.eval_shape(lambda *a: pulled_back(kernel, *a)[1], tensors, others)
        return jax.tree.unflatten(jax.tree.structure(back), kept)(upstream)

    forward, backward = custom_vmap(recorded), custom_vmap(gradient)

    @forward.def_vmap
    def _(size, batched, tensors, others):
        results = jax.vmap(plain, _axes(batched))(tensors, others)
        one = jax.tree.map(
            lambda t, b: t[0] if b else t, (tensors, others), tuple(batched)
        )
        # Nobody reads it: what goes back is a batch, too.
        kept = [
            jnp.zeros(each.shape, each.dtype)
            for each in jax.eval_shape(recorded, *one)[1]
        ]
        return (results, kept), (tuple(True for _ in results), [False for _ in kept])

    @backward.def_vmap
    def _(size, batched, tensors, others, kept, upstream):
        def gradient(tensors, others, upstream):
            return pulled_back(plain, tensors, others)[1](upstream)

        axes = _axes((batched[0], batched[1], batched[3]))
        found = jax.vmap(gradient, axes)(tensors, others, upstream)
        return found, jax.tree.map(lambda _: True, found)

    @jax.custom_jvp
    def run(tensors, others):
        return forward(tensors, others)

    @run.defjvp
    def _(primals, tangents):
        tensors, others = primals
        results, kept = run(tensors, others)

        def back(*upstream):
            return list(backward(tensors, others, kept, upstream))

        def ahead(tangents):
            call = functools.partial(plain, others=others)
            return jax.jvp(call, (tensors,), (tuple(tangents),))[1]

        tangents = transposed(back, results, list(tangents[0]), ahead)
        # `ahead` has all derivatives that anyone asks for; what is kept has none.
        return (results, kept), (tangents, jax.tree.map(_no_tangent, kept))

    return lambda tensors, others: run(tensors, others)[0]


def _axes(batched):
    return jax.tree.map(lambda each: 0 if each else None, batched)


def _no_tangent(each):
    floating = jnp.issubdtype(each.dtype, jnp.inexact)
    return jnp.zeros_like(each) if floating else np.zeros(each.shape, jax.dtypes.float0)
