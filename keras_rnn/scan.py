"""The loop over time of the fast pass: the one place that is TensorFlow's own.

`scan` carries a state through a sequence, `choose` hands such a loop to XLA where that
pays, and `shards` cuts a batch into parts whose loops run side by side.
"""

import os

import tensorflow as tf

# A turn of a loop costs some microseconds by itself, about as much as the matrix product
# of a small step: so several steps stand in one turn. More than these bring little, and
# make the graph longer to trace and to compile.
STEPS_PER_TURN = 5
# The fewest rows of a batch that are worth a loop of their own.
ROWS_PER_SHARD = 8


def scan(step, carry, sequences, widths, reverse=False, batch_major=()):
    """Carries states along the first axis of some sequences.

    Args:
        step: Function of two lists of tensors, the carry and the slices of one step,
            which returns the next carry and the outputs of the step.
        carry: List of tensors of shape `(batch, width)`.
        sequences: List of tensors of shape `(timesteps, batch, width)`.
        widths: List of integers: the last dimension of each output.
        reverse: Whether to go from the last step to the first. The outputs stand at
            their own step either way.
        batch_major: List of tensors of shape `(batch, timesteps, width)`, whose slices
            come after those of the sequences: to read a step here and there costs less
            than to transpose all of them before.

    Returns:
        The last carry, and a list of the outputs, `(timesteps, batch, width)` each.
    """
    timesteps = sequences[0].shape[0]
    if timesteps is None:
        timesteps = tf.shape(sequences[0])[0]
        loops = [(timesteps // STEPS_PER_TURN, STEPS_PER_TURN)]
        loops += [(timesteps % STEPS_PER_TURN, 1)]
    else:
        size = _steps_per_turn(timesteps)
        loops = [(timesteps // size, size), (1, timesteps % size)]
    arrays = [
        tf.TensorArray(
            carry[0].dtype, timesteps, element_shape=[*carry[0].shape[:1], w]
        )
        for w in widths
    ]

    def turn(start, size, carry, arrays):
        """`size` steps written out, the first of them (in time or back) at `start`."""
        for i in range(size):
            place = timesteps - 1 - start - i if reverse else start + i
            slices = [tf.gather(s, place) for s in sequences]
            slices += [tf.gather(s, place, axis=1) for s in batch_major]
            carry, outputs = step(carry, slices)
            arrays = [a.write(place, o) for a, o in zip(arrays, outputs)]
        return carry, arrays

    start = 0
    for turns, size in loops:
        if isinstance(turns, int) and turns == 1:
            carry, arrays = turn(start, size, carry, arrays)
        else:
            _, carry, arrays = tf.while_loop(
                lambda i, *_, turns=turns: i < turns,
                lambda i, c, a, start=start, size=size: (
                    i + 1,
                    *turn(start + i * size, size, c, a),
                ),
                (0, carry, arrays),
                maximum_iterations=turns,
            )
        start = start + turns * size
    return carry, [array.stack() for array in arrays]


def _steps_per_turn(timesteps):
    """A number of steps near `STEPS_PER_TURN`, one that divides `timesteps` if any."""
    near = range(STEPS_PER_TURN - 1, STEPS_PER_TURN + 4)
    best = min(near, key=lambda n: (timesteps % n > 0, abs(n - STEPS_PER_TURN)))
    return min(best, timesteps)


def choose(loop, compiled, training, timesteps, batch_size):
    """A loop as the fast pass is to call it: as it is, traced once, or compiled.

    XLA runs a loop of small steps faster than a graph does, but compiles anew for each
    shape, which takes about a second. So it compiles the loops of a model in training
    whose number of steps is fixed, where the batch has one size or two, and otherwise
    only what is fixed altogether. Lengths that vary cost nothing more, and a model that
    is exported for any batch size holds plain operations only.

    Args:
        loop: A function of tensors.
        compiled: Dictionary, which keeps what was made of the loop for the next call.
        training: Boolean.
        timesteps: Integer, or `None` where it is known only when the graph runs.
        batch_size: Likewise.
    """
    if tf.executing_eagerly():
        kind = {"reduce_retracing": True}
    elif timesteps is not None and (training or batch_size is not None):
        kind = {"jit_compile": True}
    else:
        return loop
    key = (loop.__name__, *kind)
    if key not in compiled:
        compiled[key] = tf.function(loop, autograph=False, **kind)
    return compiled[key]


def shards(batch_size, training):
    """The number of parts in which to cut a batch, so that each core has a loop.

    Args:
        batch_size: Integer, or `None` where it is known only when the graph runs.
        training: Boolean. Training batches are large, or all of one size but the last.
    """
    if tf.config.list_logical_devices("GPU"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if batch_size is None:
        return cores if training else 1
    return max(1, min(cores, batch_size // ROWS_PER_SHARD))


def split(tensor, count):
    """A tensor cut along its first axis into `count` parts as equal as can be.

    Slices would do, but the gradient of a slice is as large as the whole.
    """
    if tensor is None:
        return [None] * count
    size = tf.shape(tensor)[0] if tensor.shape[0] is None else tensor.shape[0]
    edges = [size * i // count for i in range(count + 1)]
    return tf.split(tensor, [b - a for a, b in zip(edges, edges[1:])], num=count)
