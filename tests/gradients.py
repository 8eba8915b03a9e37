"""Gradients for the tests: by autodiff, and by finite differences."""

import keras
import numpy as np
import tensorflow as tf


def autodiff(loss, variables, inputs=()):
    """Gradients of `loss(*inputs)`: a list for the variables, then for the inputs."""
    inputs = [tf.convert_to_tensor(each) for each in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = loss(*inputs)
    gradients = tape.gradient(
        value,
        [*(v.value for v in variables), *inputs],
        unconnected_gradients="zero",
    )
    return [np.array(tf.convert_to_tensor(g)) for g in gradients]


def finite_differences(loss, variables, epsilon=1e-6):
    """The gradient of `loss()` by central differences, a list for the variables."""
    gradients = []
    for variable in variables:
        value = keras.ops.convert_to_numpy(variable)
        gradient = np.zeros_like(value)
        for index in np.ndindex(*value.shape):
            losses = []
            for sign in (1, -1):
                moved = value.copy()
                moved[index] += sign * epsilon
                variable.assign(moved)
                losses.append(float(loss()))
            gradient[index] = (losses[0] - losses[1]) / (2 * epsilon)
        variable.assign(value)
        gradients.append(gradient)
    return gradients
