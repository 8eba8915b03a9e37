"""Gradients for the tests: by autodiff, and by finite differences."""

import keras
import numpy as np


def autodiff(loss, variables, inputs=()):
    """Gradients of `loss(*inputs)`: a list for the variables, then for the inputs."""
    inputs = [keras.ops.convert_to_tensor(each) for each in inputs]
    return [
        keras.ops.convert_to_numpy(gradient)
        for gradient in _by_backend[keras.backend.backend()](loss, variables, inputs)
    ]


def _tensorflow(loss, variables, inputs):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = loss(*inputs)
    found = tape.gradient(
        value,
        [*(v.value for v in variables), *inputs],
        unconnected_gradients="zero",
    )
    return [tf.convert_to_tensor(gradient) for gradient in found]


def _jax(loss, variables, inputs):
    import jax

    def pure(values, inputs):
        with keras.StatelessScope(zip(variables, values)):
            return loss(*inputs)

    gradient = jax.jit(jax.grad(pure, argnums=(0, 1)))
    found = gradient([v.value for v in variables], inputs)
    return keras.tree.flatten(found)


def _torch(loss, variables, inputs):
    import torch

    inputs = [each.detach().requires_grad_() for each in inputs]
    value = loss(*inputs)
    wanted = [*(v.value for v in variables), *inputs]
    return torch.autograd.grad(value, wanted, allow_unused=True, materialize_grads=True)


_by_backend = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}


def squared_slope(value, x):
    """The sum of the squares of d value(x) / dx, which itself has a gradient."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            y = value(x)
        slope = tape.gradient(y, x)
    elif backend == "jax":
        import jax

        slope = jax.grad(value)(x)
    else:
        import torch

        x = x if x.requires_grad else x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(value(x), x, create_graph=True)
    return keras.ops.sum(slope**2)


def finite_differences(loss, variables, epsilon=1e-6):
    """The gradient of `loss()` by central differences, a list for the variables."""
    gradients = []
    for variable in variables:
        value = np.array(keras.ops.convert_to_numpy(variable))
        gradient = np.zeros_like(value)
        for index in np.ndindex(*value.shape):
            losses = []
            for sign in (1, -1):
                moved = value.copy()
                moved[index] += sign * epsilon
                variable.assign(moved)
                losses.append(float(keras.ops.convert_to_numpy(loss())))
            gradient[index] = (losses[0] - losses[1]) / (2 * epsilon)
        variable.assign(value)
        gradients.append(gradient)
    return gradients
