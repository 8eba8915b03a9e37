"""The layers that are compared: one cell in four frameworks, behind one interface.

A peer is made from a `Problem` and has three methods. `train` runs one training step:
it reads the inputs, computes the loss sum(outputs * upstream) and the gradients of the
inputs, of all weights and of the state before the first step, and returns the loss and
the gradients. `infer` returns the outputs alone. Both return when the numbers are
there. `gradients` turns what `train` returned into NumPy arrays, all peers alike.

All peers do the same work. Inputs are (batch, steps, features), outputs (batch, steps,
units), float32, shapes fixed. The state before the first step is a vector (units,),
repeated for each example: our layers have it by default, the others get it as an
argument. PyTorch has a second bias that the others do not have; it is zero.

Each framework is imported when its first peer is made, so that a process that measures
memory holds one framework only.
"""

import importlib.util
import os
from dataclasses import dataclass

import numpy

# (batch, steps, features, units)
SIX_SHAPES = {
    "A": (64, 100, 64, 128),
    "B": (32, 200, 128, 64),
    "C": (64, 200, 64, 64),
    "D": (64, 100, 256, 512),
    "E": (32, 1000, 64, 128),
    "F": (64, 28, 28, 128),
}
GATES = {"elman": 1, "lstm": 4, "gru": 3}
CORES = (
    len(os.sched_getaffinity(0))
    if hasattr(os, "sched_getaffinity")
    else os.cpu_count() or 1
)


@dataclass
class Problem:
    """What all peers get: data, and weights in Keras's layout.

    Attributes:
        cell: "elman", "lstm" or "gru".
        inputs: Array of shape `(batch, steps, features)`.
        upstream: Array of shape `(batch, steps, units)`, dL/d outputs.
        weights: Arrays by name: `kernel`, `recurrent_kernel`, `bias`.
        states: Arrays of shape `(units,)` by name: `initial_state`, and for the LSTM
            `initial_carry`.
    """

    cell: str
    inputs: numpy.ndarray
    upstream: numpy.ndarray
    weights: dict
    states: dict

    @classmethod
    def random(cls, cell, batch, steps, features, units):
        rng = numpy.random.default_rng(0)

        def normal(*shape, scale=1.0):
            return (scale * rng.standard_normal(shape)).astype("float32")

        gates = GATES[cell] * units
        names = ["initial_state", "initial_carry"][: 2 if cell == "lstm" else 1]
        return cls(
            cell,
            inputs=normal(batch, steps, features),
            upstream=normal(batch, steps, units),
            weights={
                "kernel": normal(features, gates, scale=0.7 * features**-0.5),
                "recurrent_kernel": normal(units, gates, scale=0.7 * units**-0.5),
                # Two rows for the GRU with reset_after=True, Keras's default.
                "bias": normal(*[2] * (cell == "gru"), gates, scale=0.1),
            },
            states={name: normal(units, scale=0.1) for name in names},
        )

    @property
    def units(self):
        return self.upstream.shape[-1]

    @property
    def names(self):
        """The names of the gradients, in the order in which the peers compute them."""
        return ["inputs", *self.weights, *self.states]


class _KerasLayer:
    """A layer in a `tf.function`, as `keras.Model` would run it on this backend."""

    def __init__(self, problem):
        import tensorflow as tf

        self.problem = problem
        self.inputs = tf.constant(problem.inputs)
        self.upstream = tf.constant(problem.upstream)
        forward, variables = self.prepare(problem)

        @tf.function
        def train(inputs, upstream):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                loss = tf.reduce_sum(forward(inputs, training=True) * upstream)
            return loss, tape.gradient(loss, [inputs, *variables])

        @tf.function
        def infer(inputs):
            return forward(inputs, training=False)

        self._train, self._infer = train, infer

    def train(self):
        return self._train(self.inputs, self.upstream)

    def infer(self):
        return self._infer(self.inputs)

    def gradients(self, result):
        return dict(zip(self.problem.names, [g.numpy() for g in result[1]]))


class Ours(_KerasLayer):
    """A layer of `keras_rnn` as it is by default, with its learned initial state."""

    @staticmethod
    def layer(cell, *args, **kwargs):
        import keras_rnn

        classes = {
            "elman": keras_rnn.ElmanRNN,
            "lstm": keras_rnn.LSTM,
            "gru": keras_rnn.GRU,
        }
        return classes[cell](*args, **kwargs)

    def prepare(self, problem):
        layer = self.layer(problem.cell, problem.units, return_sequences=True)
        layer.build(problem.inputs.shape)
        layer.set_weights([*problem.weights.values(), *problem.states.values()])
        if not layer.uses_fast_pass:
            raise RuntimeError(f"No fast pass to measure: {layer.fast_pass_obstacle}")
        return layer, layer.trainable_variables


class Keras(_KerasLayer):
    """A layer of `keras.layers`, with a state (units,) tiled over the batch."""

    @staticmethod
    def layer(cell, *args, **kwargs):
        import keras

        classes = {
            "elman": keras.layers.SimpleRNN,
            "lstm": keras.layers.LSTM,
            "gru": keras.layers.GRU,
        }
        return classes[cell](*args, **kwargs)

    def prepare(self, problem):
        import tensorflow as tf

        layer = self.layer(problem.cell, problem.units, return_sequences=True)
        layer.build(problem.inputs.shape)
        layer.set_weights(list(problem.weights.values()))
        states = [tf.Variable(state) for state in problem.states.values()]
        batch = problem.inputs.shape[0]

        def forward(inputs, training):
            tiled = [tf.tile(state[tf.newaxis], [batch, 1]) for state in states]
            return layer(inputs, initial_state=tiled, training=training)

        return forward, [*layer.trainable_variables, *states]


class Torch:
    """A layer of `torch.nn`, with a state (units,) expanded over the batch."""

    def __init__(self, problem):
        import torch

        torch.set_num_threads(CORES)
        self.torch, self.problem = torch, problem
        _, _, features = problem.inputs.shape
        classes = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
        self.layer = classes[problem.cell](features, problem.units, batch_first=True)

        weights = {name: self._gates(w) for name, w in problem.weights.items()}
        bias, second_bias = weights["bias"], numpy.zeros_like(weights["bias"])
        if problem.cell == "gru":
            bias, second_bias = bias
        arrays = [
            weights["kernel"].T,
            weights["recurrent_kernel"].T,
            bias,
            second_bias,
        ]
        with torch.no_grad():
            for parameter, array in zip(self.layer.parameters(), arrays):
                parameter.copy_(torch.tensor(array))
        self.inputs = torch.tensor(problem.inputs, requires_grad=True)
        self.upstream = torch.tensor(problem.upstream)
        self.states = [
            torch.nn.Parameter(torch.tensor(state)) for state in problem.states.values()
        ]

    def _gates(self, array):
        """Keras's order of the gates in the last axis to PyTorch's, and vice versa."""
        if self.problem.cell != "gru":  # i, f, g, o in both
            return array
        z, r, n = numpy.split(array, 3, axis=-1)
        return numpy.concatenate([r, z, n], axis=-1)

    def _forward(self):
        batch, units = self.inputs.shape[0], self.problem.units
        states = [state.expand(1, batch, units).contiguous() for state in self.states]
        outputs, _ = self.layer(
            self.inputs, tuple(states) if len(states) > 1 else states[0]
        )
        return outputs

    def train(self):
        loss = (self._forward() * self.upstream).sum()
        wanted = [self.inputs, *self.layer.parameters(), *self.states]
        return loss.detach(), self.torch.autograd.grad(loss, wanted)

    def infer(self):
        with self.torch.inference_mode():
            return self._forward()

    def gradients(self, result):
        inputs, kernel, recurrent, bias, second, *states = [
            gradient.numpy() for gradient in result[1]
        ]
        if self.problem.cell == "gru":
            bias = numpy.stack([bias, second])
        weights = [self._gates(w) for w in (kernel.T, recurrent.T, bias)]
        return dict(zip(self.problem.names, [inputs, *weights, *states]))


class Jax:
    """The equations in `jax.lax.scan`; one product projects the inputs of all steps."""

    def __init__(self, problem):
        import jax

        self.jax, self.problem = jax, problem
        self.weights = {
            name: jax.numpy.asarray(array)
            for name, array in {**problem.weights, **problem.states}.items()
        }
        self.inputs = jax.numpy.asarray(problem.inputs)
        self.upstream = jax.numpy.asarray(problem.upstream)

        def loss(inputs, weights, upstream):
            return jax.numpy.sum(self._forward(weights, inputs) * upstream)

        self._train = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
        self._infer = jax.jit(self._forward)

    def _forward(self, weights, inputs):
        np, sigmoid = self.jax.numpy, self.jax.nn.sigmoid
        cell, kernel = self.problem.cell, weights["recurrent_kernel"]
        bias = second_bias = weights["bias"]
        if cell == "gru":
            bias, second_bias = bias

        def elman(states, projected):
            h = np.tanh(projected + states[0] @ kernel)
            return [h], h

        def lstm(states, projected):
            h, c = states
            i, f, g, o = np.split(projected + h @ kernel, 4, axis=-1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            return [h, c], h

        def gru(states, projected):
            (h,) = states
            x_z, x_r, x_n = np.split(projected, 3, axis=-1)
            h_z, h_r, h_n = np.split(h @ kernel + second_bias, 3, axis=-1)
            z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
            h = z * h + (1 - z) * np.tanh(x_n + r * h_n)
            return [h], h

        step = {"elman": elman, "lstm": lstm, "gru": gru}[cell]
        inputs = np.swapaxes(inputs, 0, 1)  # (steps, batch, features)
        projected = inputs @ weights["kernel"] + bias
        shape = (inputs.shape[1], self.problem.units)
        first = [np.broadcast_to(weights[s], shape) for s in self.problem.states]
        _, outputs = self.jax.lax.scan(step, first, projected)
        return np.swapaxes(outputs, 0, 1)

    def train(self):
        result = self._train(self.inputs, self.weights, self.upstream)
        return self.jax.block_until_ready(result)

    def infer(self):
        return self.jax.block_until_ready(self._infer(self.weights, self.inputs))

    def gradients(self, result):
        inputs, weights = result[1]
        gradients = {"inputs": inputs, **weights}
        return {name: numpy.asarray(g) for name, g in gradients.items()}


PEERS = {"ours": Ours, "keras": Keras, "torch": Torch, "jax": Jax}


def installed():
    """The names of the peers whose framework is there, ours first."""
    return [
        name
        for name in PEERS
        if name in ("ours", "keras") or importlib.util.find_spec(name)
    ]


def check_agreement(cells, names):
    """Raises an `AssertionError` unless all peers compute the same numbers.

    Outputs, loss and gradients of a small problem are compared with Keras's, within
    1e-4. The batch is large enough to be cut in parts as a real one is.
    """
    for cell in cells:
        problem = Problem.random(cell, batch=16 * CORES, steps=7, features=3, units=5)
        found = {}
        for name in names:
            peer = PEERS[name](problem)
            result = peer.train()
            found[name] = peer.gradients(result)
            found[name]["outputs"] = numpy.asarray(peer.infer())
            found[name]["loss"] = float(result[0])
        for name, arrays in found.items():
            for what, wanted in found["keras"].items():
                numpy.testing.assert_allclose(
                    arrays[what],
                    wanted,
                    rtol=1e-4,
                    atol=1e-4,
                    err_msg=f"{cell}: {what} of {name} is not that of keras",
                )
