"""The loop over time and the gradients on JAX."""

import contextlib
import functools
import types
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import keras
from jax.flatten_util import ravel_pytree

from keras_rnn.cells.dense import dense
from keras_rnn.hints import Nest, Tensor


def scan(
    step: Callable,
    carry: list[Tensor],
    sequences: list[Tensor],
    widths: list[int],
    reverse: bool = False,
) -> tuple[list[Tensor], list[Tensor]]:
    """Carries states along the time axis: see `keras_rnn.backends.tensorflow_scan.scan`."""
    first, *others = sequences
    first = dense(*first) if isinstance(first, list) else first
    sequences = [jnp.swapaxes(each, 0, 1) for each in (first, *others)]
    carry, outputs = jax.lax.scan(
        lambda carry, slices: tuple(map(list, step(carry, slices))),
        list(carry),
        sequences,
        reverse=reverse,
    )
    return carry, [jnp.swapaxes(each, 0, 1) for each in outputs]


def choose(
    loop: Callable, kept: dict[Any, Any], training: bool, inputs: Tensor
) -> Callable:
    """A loop as the fast pass is to call it: compiled once for each shape."""
    if loop.__name__ not in kept:
        # A function of its own: what JAX traced of an equal one is not taken.
        kept[loop.__name__] = jax.jit(functools.partial(loop, scan))
    return kept[loop.__name__]


def project(inputs: Tensor, weights: list[Tensor], training: bool) -> Tensor | list:
    """What a loop reads of its inputs: it makes their map itself, compiled with it.

    See `keras_rnn.backends.tensorflow_scan.project`.
    """
    return [inputs, *weights]


def shards(batch_size: int | None, training: bool) -> int:
    """The number of parts in which to cut a batch: XLA sees to the cores itself."""
    return 1


def split(tensors: Nest, count: int) -> list[Nest]:
    """A batch in the one part that there is: see `shards`."""
    return [tensors]


def associative_scan(both: Callable, tensors: list[Tensor]) -> list[Tensor]:
    """What the steps 1 to t of tensors make together, for each t.

    See `keras_rnn.backends.tensorflow.associative_scan`.
    """
    return jax.lax.associative_scan(both, tensors, axis=1)


def kept_apart(variables: list[keras.Variable]) -> Any:
    """An object that holds variables, and that Keras's tracking does not look into."""
    return types.SimpleNamespace(held=variables)


def with_sizes(tensor: Tensor, sizes: list, message: str) -> Tensor:
    """`tensor`: sizes are known, and checked, before anything is computed."""
    return tensor


def custom_gradient(function: Callable) -> Callable:
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


def transposed(
    backward: Callable,
    results: tuple[Tensor, ...],
    tangents: list[Tensor],
    forward: Callable | None = None,
) -> tuple[Tensor, ...]:
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


def pullback(
    function: Callable, tensors: list[Tensor], upstream: list[Tensor]
) -> list[Tensor]:
    """From the gradients of the results of a function to those of its arguments.

    See `keras_rnn.backends.tensorflow.pullback`.
    """
    return list(jax.vjp(function, *tensors)[1](list(upstream)))


def value_and_gradients(function: Callable, values: Nest) -> tuple[Tensor, Any, Nest]:
    """A scalar function of a nest of tensors, and its gradients with respect to them.

    See `keras_rnn.backends.tensorflow.value_and_gradients`.
    """
    (value, more), found = jax.value_and_grad(function, has_aux=True)(values)
    return value, more, found


def compiled(model: keras.Model, function: Callable, arguments: list) -> Callable:
    """A function of tensors, compiled: see `keras_rnn.backends.tensorflow.compiled`."""

    @jax.jit
    def pure(values, *args):
        with keras.StatelessScope(zip(model.variables, values)):
            return function(*args)

    return lambda *args: pure([v.value for v in model.variables], *args)


def compiled_once(function: Callable) -> Callable:
    """A function of all that it depends on, compiled."""
    return jax.jit(function)


def random_state_kept() -> AbstractContextManager:
    """Within, nothing that is drawn moves what is drawn later: as ever on JAX.

    See `keras_rnn.backends.torch.random_state_kept`.
    """
    return contextlib.nullcontext()
