"""The loop over time and the gradients on JAX."""

import contextlib
import functools
import types

import jax
import jax.numpy as jnp
import keras
from jax.flatten_util import ravel_pytree


def scan(step, carry, sequences, widths, reverse=False, in_place=False):
    """Carries states along the time axis: see `keras_rnn.backends.tensorflow.scan`."""
    sequences = [jnp.swapaxes(each, 0, 1) for each in sequences]
    carry, outputs = jax.lax.scan(
        lambda carry, slices: tuple(map(list, step(carry, slices))),
        list(carry),
        sequences,
        reverse=reverse,
    )
    return carry, [jnp.swapaxes(each, 0, 1) for each in outputs]


def choose(loop, kept, training, inputs):
    """A loop as the fast pass is to call it: compiled once for each shape."""
    if loop.__name__ not in kept:
        # A function of its own: what JAX traced of an equal one is not taken.
        kept[loop.__name__] = jax.jit(functools.partial(loop))
    return kept[loop.__name__]


def shards(batch_size, training):
    """The number of parts in which to cut a batch: XLA sees to the cores itself."""
    return 1


def split(tensors, count):
    """A batch in the one part that there is: see `shards`."""
    return [tensors]


def kept_apart(variables):
    """An object that holds variables, and that Keras's tracking does not look into."""
    return types.SimpleNamespace(held=variables)


def with_sizes(tensor, sizes, message):
    """`tensor`: sizes are known, and checked, before anything is computed."""
    return tensor


def custom_gradient(function):
    """A function of several results whose gradient is by hand.

    Forward mode takes the transpose of the gradient, which JAX finds. See
    `keras_rnn.backends.tensorflow.custom_gradient`.
    """

    @jax.custom_jvp
    def with_gradient(*tensors):
        results, _ = function(*tensors)
        return results

    @with_gradient.defjvp
    def tangents_of(tensors, tangents):
        results, gradient = function(*tensors)
        floating = [jnp.issubdtype(each.dtype, jnp.floating) for each in tensors]

        def backward(*upstream):
            found = zip(tensors, gradient(*upstream), floating)
            return [
                jnp.zeros_like(tensor) if each is None else each
                for tensor, each, wanted in found
                if wanted
            ]

        tangents = [each for each, wanted in zip(tangents, floating) if wanted]
        return results, transposed(backward, results, tangents)

    return with_gradient


def transposed(backward, results, tangents, forward=None):
    """The transpose of a linear function at `tangents`, for JAX to go back by `backward`.

    JAX would transpose the transpose by itself, too, but what it finds takes a fourth
    more time. It accepts such a pair, for batches and derivatives of all orders, as the
    two directions of a linear solve: here of t = tangents, y - transpose(t) = 0.

    Args:
        backward: Linear function of tensors like `results`, which returns a list of
            tensors like `tangents`.
        results: Tuple of tensors.
        tangents: List of tensors.
        forward: The transpose of `backward`, a function of such a list. Default: what JAX
            finds.

    Returns:
        Tuple of tensors like `results`.
    """
    zeros = jax.tree.map(jnp.zeros_like, results)
    # As one vector: a solve goes back by all of its right side, or by nothing of it.
    right, unraveled = ravel_pytree((tangents, zeros))

    if forward is None:

        def forward(tangents):
            return jax.linear_transpose(backward, *results)(tangents)

    def equations(unknown):
        t, y = unraveled(unknown)
        return ravel_pytree((t, jax.tree.map(jnp.subtract, y, forward(t))))[0]

    def solve(_, right):
        t, y = unraveled(right)
        return ravel_pytree((t, jax.tree.map(jnp.add, y, forward(t))))[0]

    def solve_transposed(_, right):
        t, y = unraveled(right)
        return ravel_pytree((jax.tree.map(jnp.add, t, backward(*y)), y))[0]

    solution = jax.lax.custom_linear_solve(equations, right, solve, solve_transposed)
    return unraveled(solution)[1]


def value_and_gradients(function, values):
    """A scalar function of a nest of tensors, and its gradients with respect to them.

    See `keras_rnn.backends.tensorflow.value_and_gradients`.
    """
    (value, more), found = jax.value_and_grad(function, has_aux=True)(values)
    return value, more, found


def compiled(model, function, arguments):
    """A function of tensors, compiled: see `keras_rnn.backends.tensorflow.compiled`."""

    @jax.jit
    def pure(values, *args):
        with keras.StatelessScope(zip(model.variables, values)):
            return function(*args)

    return lambda *args: pure([v.value for v in model.variables], *args)


def compiled_once(function):
    """A function of all that it depends on, compiled."""
    return jax.jit(function)


def random_state_kept():
    """Within, nothing that is drawn moves what is drawn later: as ever on JAX.

    See `keras_rnn.backends.torch.random_state_kept`.
    """
    return contextlib.nullcontext()
