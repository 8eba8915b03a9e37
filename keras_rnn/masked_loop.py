"""In place of Keras's loop, where that goes wrong with masks."""

import inspect
from typing import Any

import keras
from keras import ops

from keras_rnn.backends import scan
from keras_rnn.hints import Nest, Tensor
from keras_rnn.states import masked


def keras_errs(layer: keras.layers.RNN) -> bool:
    """Whether Keras's loop goes wrong where there is a mask.

    On JAX it takes the state of a step for its y_t; unrolled, it is right but for
    `zero_output_for_mask`, which it does not know. On PyTorch, unrolled, it fails where it
    goes backwards.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        return not layer.unroll or layer.zero_output_for_mask
    return backend == "torch" and layer.unroll and layer.go_backwards


def masked_loop(
    layer: keras.layers.RNN,
    sequences: Tensor,
    initial_state: Nest,
    mask: Tensor,
    training: bool,
) -> tuple[Any, Any, Any]:
    """The loop of a layer, called as its `inner_loop` is."""
    cell = layer.cell
    if layer.go_backwards:
        sequences, mask = ops.flip(sequences, axis=1), ops.flip(mask, axis=1)
    takes_training = "training" in inspect.signature(cell.call).parameters
    arguments = {"training": training} if takes_training else {}
    # A step whose result nobody reads tells how the cell nests its output.
    like, _ = cell(sequences[:, 0], initial_state, **arguments)
    zeros = [ops.zeros_like(each) for each in keras.tree.flatten(like)]
    count = len(zeros)

    def step(carry, slices):
        inputs, real = slices
        states = keras.tree.pack_sequence_as(initial_state, carry[count:])
        output, states = cell(inputs, states, **arguments)
        new, old = [*keras.tree.flatten(output), *keras.tree.flatten(states)], carry
        if layer.zero_output_for_mask:
            old = [*zeros, *carry[count:]]
        carry = masked(real, new, old)
        return carry, carry[:count]

    carry, outputs = scan(
        step,
        [*zeros, *keras.tree.flatten(initial_state)],
        [sequences, mask],
        [each.shape[-1] for each in zeros],
    )
    return (
        keras.tree.pack_sequence_as(like, carry[:count]),
        keras.tree.pack_sequence_as(like, outputs),
        keras.tree.pack_sequence_as(initial_state, carry[count:]),
    )
