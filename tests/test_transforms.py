"""Transforms of each backend, over the pass and over Keras's loop with the same weights.

Forward mode, batches of batches, gradients of single examples, recomputation: what a
gradient by hand does not bring by itself.
"""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnn import RNN, ElmanCell, GRUCell, LSTMCell

BACKEND = keras.backend.backend()
CELLS = {"elman": ElmanCell, "lstm": LSTMCell, "gru": GRUCell}
MASK = np.arange(2) < [[2], [2], [1]]


def _jax_transforms():
    import jax

    def through_time(call, x, weights):
        """The gradient through a loop around the layer."""

        def loop(x):
            def step(carry, _):
                return carry + 0.1 * value(call)(x + carry, weights), None

            return jax.lax.scan(step, 0.0, None, length=2)[0]

        return jax.grad(loop)(x)

    def of_each_example(call, x, weights):
        # One row at a time, and the mask of the whole batch would not fit.
        def one(weights, row):
            return value(call)(row[None], weights, mask=None)

        return jax.vmap(jax.grad(one), (None, 0))(weights, x)

    def tangent(call, x, weights):
        ones = jax.tree.map(ops.ones_like, (x, weights))
        return jax.jvp(call, (x, weights), ones)

    return {
        "tangent": tangent,
        "hessian": lambda call, x, weights: jax.hessian(value(call))(x, weights),
        "back over forward": lambda call, x, weights: jax.grad(
            lambda x: value(lambda *a: tangent(call, *a)[1])(x, weights)
        )(x),
        "recomputed": lambda call, x, weights: jax.grad(
            jax.checkpoint(value(call)), (0, 1)
        )(x, weights),
        "of each example": of_each_example,
        "through a loop": through_time,
    }


def _torch_transforms():
    import torch
    from torch.autograd import forward_ad
    from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

    def dual(call, x, weights):
        with forward_ad.dual_level():
            outputs = call(forward_ad.make_dual(x, torch.ones_like(x)), weights)
            return forward_ad.unpack_dual(outputs).tangent

    def gradient_of_dual(call, x, weights):
        weights = [each.detach().requires_grad_() for each in weights]
        return torch.autograd.grad(dual(call, x, weights).sin().sum(), weights)

    def tangent(call, x, weights):
        ones = [torch.ones_like(each) for each in weights]
        return jvp(call, (x, weights), (torch.ones_like(x), ones))

    def of_each_example(call, x, weights):
        def one(weights, row):
            return value(call)(row[None], weights, mask=None)

        return vmap(grad(one), (None, 0))(weights, x)

    def elsewhere(transform):
        """Of what comes after the layer, whose weights have a gradient of their own."""

        def run(call, x, weights):
            weights = [each.detach().requires_grad_() for each in weights]
            after = torch.linspace(-1, 1, 6, dtype=x.dtype).reshape(3, 2)
            return transform(lambda after: (call(x, weights) @ after).sin().sum())(
                after
            )

        return run

    def recomputed(call, x, weights):
        weights = [each.detach().requires_grad_() for each in weights]
        outputs = torch.utils.checkpoint.checkpoint(
            call, x, weights, use_reentrant=False
        )
        return torch.autograd.grad(outputs.sin().sum(), weights)

    return {
        "grad": lambda call, x, weights: grad(value(call), (0, 1))(x, weights),
        "jacrev": lambda call, x, weights: jacrev(call)(x, weights),
        "jacfwd": lambda call, x, weights: jacfwd(call)(x, weights),
        "tangent": tangent,
        "dual numbers": dual,
        "gradient of dual numbers": gradient_of_dual,
        "hessian": lambda call, x, weights: hessian(value(call))(x, weights),
        "a batch of batches": lambda call, x, weights: vmap(call, (0, None))(
            torch.stack([x, 2 * x]), weights
        ),
        "of each example": of_each_example,
        "grad elsewhere": elsewhere(grad),
        "tangent elsewhere": elsewhere(lambda f: lambda a: jvp(f, (a,), (a,))),
        "vmap elsewhere": elsewhere(lambda f: lambda a: vmap(f)(torch.stack([a, a]))),
        "recomputed": recomputed,
    }


def _tensorflow_transforms():
    import tensorflow as tf

    def tangent(call, x, weights):
        ones = [tf.ones_like(each) for each in (x, *weights)]
        with tf.autodiff.ForwardAccumulator([x, *weights], ones) as accumulator:
            outputs = call(x, weights)
        return accumulator.jvp(outputs)

    def jacobian(call, x, weights):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = call(x, weights)
        return tape.jacobian(outputs, x)

    return {
        "tangent": tangent,
        "tangent in a graph": lambda call, *arguments: tf.function(
            lambda *a: tangent(call, *a), autograph=False
        )(*arguments),
        "jacobian": jacobian,
        "jacobian in a graph": lambda call, *arguments: tf.function(
            lambda *a: jacobian(call, *a), autograph=False
        )(*arguments),
    }


def value(call):
    return lambda *arguments, **named: ops.sum(ops.sin(3 * call(*arguments, **named)))


TRANSFORMS = {
    "jax": _jax_transforms,
    "tensorflow": _tensorflow_transforms,
    "torch": _torch_transforms,
}[BACKEND]()


def twins(kind, **options):
    """A layer of this package, and Keras's over the same cell and weights."""
    fast = RNN(CELLS[kind](3), **options)
    # Unrolled: on JAX, Keras's loop takes the state of a masked step for its y_t.
    slow = keras.layers.RNN(CELLS[kind](3), **options, unroll=True)
    fast.build((3, 2, 2)), slow.build((3, 2, 2))
    slow.set_weights(fast.get_weights())
    assert fast.uses_fast_pass
    return fast, slow


@pytest.mark.slow
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_gives_what_it_gives_of_the_loop(kind, name):
    x = ops.convert_to_tensor(np.random.randn(3, 2, 2).astype("float32"))
    mask = ops.convert_to_tensor(MASK)
    results = []
    for layer in twins(kind):
        weights = [ops.copy(each.value) for each in layer.trainable_variables]
        if BACKEND == "torch":
            weights = [each.detach() for each in weights]
        others = [each.value for each in layer.non_trainable_variables]

        def call(x, weights, mask=mask, layer=layer, others=others):
            return layer.stateless_call(weights, others, x, mask=mask)[0]

        def transformed(x, weights, call=call):
            return TRANSFORMS[name](call, x, weights)

        if BACKEND == "jax":
            import jax

            transformed = jax.jit(transformed)  # operation by operation it takes long
        results.append(keras.tree.flatten(transformed(x, weights)))
    for ours, theirs in zip(*results, strict=True):
        ours, theirs = map(ops.convert_to_numpy, (ours, theirs))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", CELLS)
def test_gradients_that_others_register_leave_no_trace(kind):
    """Explainers give operations other gradients for a while, and take them back."""
    import tensorflow as tf

    fast, slow = twins(kind)
    x = tf.random.normal((17, 2, 2))
    name = f"None for {kind}"
    tf.RegisterGradient(name)(lambda op, upstream: tf.zeros_like(upstream))

    def gradient(layer, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x)
        return tape.gradient(outputs, x)

    @tf.function
    def explained(x):
        with x.graph.gradient_override_map({"Tanh": name, "Sigmoid": name}):
            return tf.gradients(fast(x), x)[0]

    explained(x)
    for ours in (gradient, tf.function(gradient)):
        np.testing.assert_allclose(ours(fast, x), gradient(slow, x), atol=1e-5)
