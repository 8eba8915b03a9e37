"""What Keras has no word for, and each backend its own: compiled functions, gradients.

The loop of the fast pass, which is TensorFlow's alone, is in `keras_rnn.scan`.
"""

import keras
from keras import ops


def compiled(model, function, arguments):
    """A function of tensors, compiled as the backend does it, without gradients.

    Args:
        model: The `keras.Model` whose variables the function uses.
        function: Function of tensors.
        arguments: The shape and dtype of each of them, nested as they are.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        def spec(each):
            if isinstance(each, list):
                return [spec(part) for part in each]
            return tf.TensorSpec(*each)

        return tf.function(function, input_signature=spec(arguments))
    if backend == "jax":
        import jax

        @jax.jit
        def pure(values, *args):
            with keras.StatelessScope(zip(model.variables, values)):
                return function(*args)

        return lambda *args: pure([v.value for v in model.variables], *args)
    if backend == "torch":
        import torch

        @torch.no_grad()
        def without_gradients(*args):
            return function(*keras.tree.map_structure(ops.convert_to_tensor, args))

        return without_gradients
    return function


def compiled_once(function):
    """A function of all that it depends on, compiled where the backend does so."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    if backend == "jax":
        import jax

        return jax.jit(function)
    return function


def value_and_gradients(function, values):
    """A function of a nest of tensors, and its gradients by them.

    Args:
        function: Function of the nest, which returns a scalar and something more.
        values: The nest.

    Returns:
        The scalar, the something, and the nest of gradients (zeros where there is none).
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        flat = keras.tree.flatten(values)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(flat)
            value, more = function(values)
        found = tape.gradient(
            value, flat, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        found = [tf.convert_to_tensor(each) for each in found]
    elif backend == "jax":
        import jax

        (value, more), found = jax.value_and_grad(function, has_aux=True)(values)
        return value, more, found
    elif backend == "torch":
        import torch

        values = keras.tree.map_structure(
            lambda each: each.detach().requires_grad_(), values
        )
        flat = keras.tree.flatten(values)
        value, more = function(values)
        found = torch.autograd.grad(
            value, flat, allow_unused=True, materialize_grads=True
        )
    else:
        raise NotImplementedError(
            f"Gradients need TensorFlow, JAX or PyTorch, and Keras runs on {backend}."
        )
    return value, more, keras.tree.pack_sequence_as(values, list(found))
