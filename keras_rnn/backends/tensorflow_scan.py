"""The loop over time on TensorFlow: in a graph, and as XLA runs it fast."""

from collections.abc import Callable

import tensorflow as tf
from keras import ops

from keras_rnn.cells.dense import dense
from keras_rnn.hints import Tensor

# An iteration of a loop costs some microseconds by itself, about as much as the matrix
# product of a small step: so one iteration of a graph runs several steps. More than these
# bring little, and take longer to trace. Under XLA, whose iterations cost less, a second
# step brings nothing, and takes a fifth more time to compile.
STEPS_PER_ITERATION = 5
# The widest `kernel` by which a loop multiplies the inputs itself, in inference: up to
# here it took 5 to 20 % less time than with the product before the loop, and from 300 on
# as much more.
NARROW = 256


def scan(
    step: Callable,
    carry: list[Tensor],
    sequences: list[Tensor],
    widths: list[int],
    reverse: bool = False,
) -> tuple[list[Tensor], list[Tensor]]:
    """Carries states along the time axis of some sequences.

    Args:
        step: Function of two lists of tensors, the carry and the slices of one step,
            which returns the next carry and the outputs of the step.
        carry: List of tensors of shape `(batch, width)`.
        sequences: List of tensors of shape `(batch, timesteps, width)`. The first may be
            what `project` returned.
        widths: List of integers: the last dimension of each output.
        reverse: Whether to go from the last step to the first. The outputs stand at
            their own step either way.

    Returns:
        The last carry, and a list of the outputs, `(batch, timesteps, width)` each.
    """
    return _scan(step, carry, sequences, widths, reverse, _loops)


def scan_one_by_one(
    step: Callable,
    carry: list[Tensor],
    sequences: list[Tensor],
    widths: list[int],
    reverse: bool = False,
) -> tuple[list[Tensor], list[Tensor]]:
    """`scan` with one step in each iteration of the loop."""
    return _scan(step, carry, sequences, widths, reverse, lambda n: [(n, 1)])


def project(inputs: Tensor, weights: list[Tensor], training: bool) -> Tensor | list:
    """What a loop reads of its inputs: their map by weights, or what it makes that of.

    In inference, where the map is narrow, a loop makes it itself (`scan_in_place`).

    Args:
        inputs: Tensor of shape `(batch, timesteps, features)`.
        weights: The list `[kernel]`, or `[kernel, bias]`.
        training: Boolean.

    Returns:
        inputs @ kernel + bias, a tensor of shape `(batch, timesteps, gates)`; or a list
        of the three.
    """
    if training or weights[0].shape[1] > NARROW:
        return dense(inputs, *weights)
    return [inputs, *weights]


def scan_in_place(
    step: Callable,
    carry: list[Tensor],
    sequences: list[Tensor],
    widths: list[int],
    reverse: bool = False,
) -> tuple[list[Tensor], list[Tensor]]:
    """`scan` as XLA runs it fast: the outputs are written into arrays of their final size.

    XLA does so without a copy; a graph would copy the whole array each time. The array of
    the first output is the projected inputs themselves, where the loop makes them, they
    are as wide, and it does not go in `reverse`: each h_t is then written over the
    projection of its step, which takes less time than to write it beside, and the bias
    waits for its step.
    """
    first, *sequences = sequences
    bias, over_first = [], isinstance(first, list)
    if over_first:
        first, kernel, *bias = first
        first = dense(first, kernel)
    sequences = _with_known_batch([first, *sequences], carry)
    static_shape = sequences[0].shape[:2]
    timesteps = static_shape[1]
    if timesteps is None:
        timesteps = tf.shape(first)[1]
    # What they hold at first is written over. To copy a sequence takes XLA less time
    # than to fill with zeros, which it divides among threads that are at work.
    arrays = [
        first
        if width == first.shape[-1]
        else tf.zeros((tf.shape(first)[0], timesteps, width), carry[0].dtype)
        for width in widths
    ]
    over_first &= widths[0] == first.shape[-1] and not reverse
    ahead = []
    if over_first:
        # XLA would copy the whole array in each iteration if some part of a step could
        # read there once it is written over. So one that has written reads for the next.
        ahead, sequences = [first[:, 0]], sequences[1:]

    def iteration(i, carry, ahead, arrays):
        place = timesteps - 1 - i if reverse else i
        slices = [*ahead, *(tf.gather(s, place, axis=1) for s in sequences)]
        slices[0] = sum(bias, slices[0])
        carry, outputs = step(carry, slices)  # (batch, width) each
        arrays = [
            ops.slice_update(array, (0, place, 0), output[:, None])
            for array, output in zip(arrays, outputs)
        ]
        if over_first:
            following = tf.minimum(place + 1, timesteps - 1)
            ahead = [tf.gather(arrays[0], following, axis=1)]
        return i + 1, carry, ahead, arrays

    if isinstance(timesteps, int) and timesteps == 1:
        _, carry, _, arrays = iteration(0, carry, ahead, arrays)
    else:
        _, carry, _, arrays = tf.while_loop(
            lambda i, *_: i < timesteps,
            iteration,
            (0, carry, ahead, arrays),
            maximum_iterations=timesteps,
        )
    for array, width in zip(arrays, widths):
        array.set_shape((*static_shape, width))  # XLA's update forgets it
    return carry, arrays


def _scan(step, carry, sequences, widths, reverse, loops_of):
    """`scan`, in as many loops, iterations and steps in each as `loops_of` says."""
    first, *sequences = sequences
    if isinstance(first, list):
        first = dense(*first)
    sequences = _with_known_batch([first, *sequences], carry)
    batch_size, timesteps = static_shape = sequences[0].shape[:2]
    if timesteps is None:
        timesteps = tf.shape(sequences[0])[1]
    arrays = [
        tf.TensorArray(carry[0].dtype, timesteps, element_shape=[batch_size, width])
        for width in widths
    ]

    def iteration(start, size, carry, arrays):
        """`size` steps, the first of them (in the order of the loop) at `start`."""
        if not size:
            return carry, arrays
        first, next_one = (timesteps - 1 - start, -1) if reverse else (start, 1)
        places = [first, *(first + next_one * i for i in range(1, size))]
        for place in places:
            slices = [tf.gather(s, place, axis=1) for s in sequences]
            carry, outputs = step(carry, slices)  # (batch, width) each
            arrays = [a.write(place, o) for a, o in zip(arrays, outputs)]
        return carry, arrays

    start = 0
    for count, size in loops_of(timesteps):
        if isinstance(count, int) and count == 1:
            carry, arrays = iteration(start, size, carry, arrays)
        else:
            _, carry, arrays = tf.while_loop(
                lambda i, *_, count=count: i < count,
                lambda i, c, a, start=start, size=size: (
                    i + 1,
                    *iteration(start + i * size, size, c, a),
                ),
                (0, carry, arrays),
                maximum_iterations=count,
            )
        start = start + count * size
    arrays = [tf.transpose(array.stack(), (1, 0, 2)) for array in arrays]
    for array, width in zip(arrays, widths):
        array.set_shape((*static_shape, width))
    return carry, arrays


def _loops(timesteps):
    """The loops of a graph, one after the other: iterations, and the steps in each."""
    if isinstance(timesteps, int):
        size = _steps_per_iteration(timesteps)
        return [(timesteps // size, size), (1, timesteps % size)]
    size = STEPS_PER_ITERATION
    return [(timesteps // size, size), (timesteps % size, 1)]


def _steps_per_iteration(timesteps):
    """A number of steps near what is best, one that divides `timesteps` if any."""
    near = range(STEPS_PER_ITERATION - 1, STEPS_PER_ITERATION + 4)
    best = min(near, key=lambda n: (timesteps % n > 0, abs(n - STEPS_PER_ITERATION)))
    return min(best, timesteps)


def _with_known_batch(sequences, carry):
    """The sequences, with the batch size of the carry where only that is known.

    A loop refuses a state that knows its size before an iteration and not after.
    """
    batch_size = carry[0].shape[0]
    if sequences[0].shape[0] is None and batch_size is not None:
        for each in sequences:
            each.set_shape((batch_size, *each.shape[1:]))
    return sequences
