"""The loop over time and the gradients on JAX."""

import contextlib
import functools
import types

import jax
import jax.numpy as jnp
import keras


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

    See `keras_rnn.backends.tensorflow.custom_gradient`.
    """

    @jax.custom_gradient
    def with_gradient(*tensors):
        results, gradient = function(*tensors)
        return results, lambda upstream: gradient(*upstream)

    return with_gradient


def value_and_gradients(function, values):
    """A scalar function of a nest of tensors, and its gradients by them.

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
