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
