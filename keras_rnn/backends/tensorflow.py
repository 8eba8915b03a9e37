"""Where the loop over time runs, and the gradients, on TensorFlow.

`choose` hands a loop to XLA where that pays, and `shards` cuts a batch into parts whose
loops run side by side. The loop itself is in `tensorflow_scan.py`.
"""

import contextlib
import functools
import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import keras
import tensorflow as tf

from keras_rnn.backends.tensorflow_scan import (
    project,
    scan,
    scan_in_place,
    scan_one_by_one,
)
from keras_rnn.hints import Nest, Tensor

__all__ = ["project", "scan"]  # of the interface, beside what is defined here

# To compile a loop pays after some twenty batches of its shape. A layer that has met more
# shapes than these is going to meet others, and each of them seldom.
BATCHES_UNCOMPILED = 20
SHAPES_COMPILED = 4
# The fewest rows of a batch that are worth a loop of their own.
ROWS_PER_SHARD = 8


def choose(
    loop: Callable, kept: dict[Any, Any], training: bool, inputs: Tensor
) -> Callable:
    """A loop as the fast pass is to call it: as it is, traced once, or compiled.

    XLA runs a loop of small steps faster than a graph does, but compiles anew for each
    shape, which takes about a second and some MiB. So it compiles the loops of a model in
    training whose number of steps is fixed, and otherwise only what is fixed altogether;
    and of each layer the first few shapes. Where the batch size is known only when the
    graph runs, it compiles the first few sizes that come up often: the last batch of an
    epoch, which is smaller, or batches that each have a size of their own, are not worth
    it. Shapes that vary cost next to nothing more, and a model that is exported for any
    batch size holds plain operations only. Products of bfloat16 it leaves to the graph:
    on a CPU they take XLA five times as long.

    Args:
        loop: A function of a `scan`, which this here chooses, and of tensors.
        kept: Dictionary, which keeps what was made of the loops for the next call,
            and for which shapes.
        training: Boolean.
        inputs: Tensor of shape `(batch, timesteps, features)`: that its sizes are known
            before the graph runs, and its dtype, decide.

    Returns:
        The function of the tensors.
    """
    batch_size, timesteps = inputs.shape[:2]
    shapes = kept.setdefault("shapes", set())
    fixed = timesteps is not None and (training or batch_size is not None)
    slow = inputs.dtype == tf.bfloat16 and not _has_gpu()
    known = (batch_size, timesteps) in shapes or len(shapes) < SHAPES_COMPILED
    plain = functools.partial(loop, scan)

    def made(function, **kind):
        key = (loop.__name__, *kind)
        if key not in kept:
            kept[key] = tf.function(function, autograph=False, **kind)
        return kept[key]

    if tf.executing_eagerly():
        return made(plain, reduce_retracing=True)
    if fixed and known and not slow:
        shapes.add((batch_size, timesteps))
        fast = made(functools.partial(loop, scan_in_place), jit_compile=True)
        if batch_size is not None or _is_compiled_whole():
            return _differentiable(fast, plain)
        traced = made(plain)
        often = _comes_up_often(tf.shape(inputs)[0])

        def either(*arguments):
            return tf.cond(often, lambda: fast(*arguments), lambda: traced(*arguments))

        return _differentiable(either, plain)
    if training:
        return made(plain)
    # What may be exported, and so to ONNX, too: its loop stacks one thing of each kind an
    # iteration.
    return functools.partial(loop, scan_one_by_one)


def _comes_up_often(size):
    """Whether a batch size is one of the first few that came up often.

    Each time that the graph runs counts. The table of the counts belongs to this place
    in the graph, unlike a variable, which the layer would have to own and save.

    Args:
        size: Integer tensor without axes.
    """
    table = tf.raw_ops.MutableHashTableV2(key_dtype=tf.int64, value_dtype=tf.int64)
    # Beside the count of each size, the number of sizes that came up often.
    keys = tf.stack([tf.cast(size, tf.int64), -1])
    found = tf.raw_ops.LookupTableFindV2(
        table_handle=table, keys=keys, default_value=tf.constant(0, tf.int64)
    )
    count, sizes = tf.unstack(found)
    often = count == BATCHES_UNCOMPILED
    full = (count == BATCHES_UNCOMPILED - 1) & (sizes == SHAPES_COMPILED)
    count = tf.where(often | full, count, count + 1)
    new = (count == BATCHES_UNCOMPILED) & ~often
    tf.raw_ops.LookupTableInsertV2(
        table_handle=table,
        keys=keys,
        values=tf.stack([count, sizes + tf.cast(new, tf.int64)]),
    )
    return often


def _is_compiled_whole():
    """Whether XLA compiles all of the graph that is traced here, for each of its shapes.

    TensorFlow marks a condition that is to become plain operations, as elsewhere.
    """
    probe = tf.cond(tf.constant(True), lambda: tf.zeros(()), lambda: tf.ones(()))
    (condition,) = probe.op.inputs
    return "_lower_using_switch_merge" not in condition.op.node_def.attr


def _differentiable(compiled, loop):
    """A compiled loop, which has no gradient, with that of the same loop in a graph.

    The pass has a hand-written gradient: that of its loops is needed for the gradient of a
    gradient only.

    Args:
        compiled: Function of nests of tensors.
        loop: What was compiled.
    """

    @tf.custom_gradient
    def function(*arguments):
        tensors = keras.tree.flatten(arguments)
        floating = [each for each in tensors if each.dtype.is_floating]  # no mask

        def gradient(*upstream):
            with tf.GradientTape() as tape:
                tape.watch(floating)
                results = keras.tree.flatten(loop(*arguments))
            found = iter(tape.gradient(results, floating, upstream))
            return [next(found) if t.dtype.is_floating else None for t in tensors]

        # A tape that is persistent, or has another one around it, would ask for the
        # gradient of what is compiled at once.
        hidden = keras.tree.map_structure(tf.stop_gradient, arguments)
        return compiled(*hidden), gradient

    def of_either_mode(*arguments):
        # Forward mode does not ask for that gradient, and finds none in what is compiled.
        if any(map(_has_tangent, keras.tree.flatten(arguments))):
            return tf.function(loop, autograph=False)(*arguments)
        return function(*arguments)

    return of_either_mode


def _has_tangent(tensor):
    """Whether a `tf.autodiff.ForwardAccumulator` is at work on a tensor of a graph.

    It takes derivatives as soon as an operation is made, which this one refuses.
    """
    try:
        tf.raw_ops.PreventGradient(input=tensor, message="")
    except LookupError:
        return True
    return False


def shards(batch_size: int | None, training: bool) -> int:
    """The number of parts in which to cut a batch, so that each core has a loop.

    Args:
        batch_size: Integer, or `None` where it is known only when the graph runs.
        training: Boolean. Training batches are large, or all of one size but the last.
    """
    if _has_gpu():
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if batch_size is None:
        return cores if training else 1
    return max(1, min(cores, batch_size // ROWS_PER_SHARD))


def _has_gpu():
    return bool(tf.config.list_logical_devices("GPU"))


def split(tensors: Nest, count: int) -> list[Nest]:
    """A nest of tensors cut along their first axis into `count` parts as equal as can be.

    Slices would do, but the gradient of a slice is as large as the whole.

    Args:
        tensors: Nest of tensors whose first axis is the batch.
        count: Positive integer.

    Returns:
        List of `count` nests.
    """
    if count == 1:
        return [tensors]
    flat = keras.tree.flatten(tensors)
    size = tf.shape(flat[0])[0] if flat[0].shape[0] is None else flat[0].shape[0]
    edges = [size * i // count for i in range(count + 1)]
    sizes = [b - a for a, b in zip(edges, edges[1:])]
    cut = [tf.split(each, sizes, num=count) for each in flat]
    return [keras.tree.pack_sequence_as(tensors, part) for part in zip(*cut)]


def associative_scan(both: Callable, tensors: list[Tensor]) -> list[Tensor]:
    """What the steps 1 to t of tensors make together, for each t.

    Args:
        both: Function of what earlier and what later steps make, two lists of tensors,
            which returns what they make together. It is associative.
        tensors: List of tensors of shape `(batch, timesteps, ...)`.

    Returns:
        List of tensors of the same shapes.
    """
    return keras.ops.associative_scan(both, tensors, axis=1)


def kept_apart(variables: list[keras.Variable]) -> Any:
    """An object that holds variables, and that Keras's tracking does not look into.

    That of TensorFlow does, as it must: no function goes into a SavedModel whose variables
    it does not find.
    """
    holder = tf.Module()
    holder.held = variables
    return holder


def with_sizes(tensor: Tensor, sizes: list, message: str) -> Tensor:
    """`tensor`, which is refused when the graph runs if it has other sizes.

    Args:
        tensor: Tensor.
        sizes: List of integers and scalar integer tensors: what its first axes must be.
        message: String, the error's.
    """
    known = (*tensor.shape[: len(sizes)], *sizes)
    if all(isinstance(size, int) for size in known):
        return tensor  # checked when it was traced
    if all(isinstance(size, int) for size in sizes):
        # The optimizer of graphs takes a size for given that a later operation asks for,
        # and strikes out an assertion of it. This stays, and its name tells the rest.
        rest = [None] * (len(tensor.shape) - len(sizes))
        name = re.sub(r"\W+", "_", message).strip("_")
        return tf.ensure_shape(tensor, [*sizes, *rest], name=name)
    given, wanted = tf.shape(tensor), tf.stack(sizes)
    first = given[: len(sizes)]
    # One operation, where `tf.debugging` makes a branch that no other runtime takes.
    same = tf.raw_ops.Assert(
        condition=tf.reduce_all(first == wanted),
        data=[f"{message} Received:", first, "instead of", wanted],
    )
    with tf.control_dependencies([same]):
        # XLA leaves out assertions: there the new shape refuses by itself.
        return tf.reshape(tensor, tf.concat([wanted, given[len(sizes) :]], 0))


def custom_gradient(function: Callable) -> Callable:
    """A function of several results whose gradient is by hand.

    Args:
        function: Function of tensors, which returns a tuple of tensors, and a function
            from the gradients of these to the gradients of the arguments,
            `None` where there is none.
    """
    return tf.custom_gradient(function)


def pullback(
    function: Callable, tensors: list[Tensor], upstream: list[Tensor]
) -> list[Tensor]:
    """From the gradients of the results of a function to those of its arguments.

    Args:
        function: Function of tensors, which returns a list of tensors.
        tensors: List of its arguments.
        upstream: List of the gradients of a scalar with respect to the results.

    Returns:
        List of the gradients with respect to the arguments, zeros where there is none.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        results = function(*tensors)
    return tape.gradient(
        results,
        tensors,
        output_gradients=upstream,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )


def value_and_gradients(function: Callable, values: Nest) -> tuple[Tensor, Any, Nest]:
    """A scalar function of a nest of tensors, and its gradients with respect to them.

    Args:
        function: Function of the nest, which returns a scalar and something more.
        values: The nest.

    Returns:
        The scalar, the something, and the nest of gradients (zeros where there is none).
    """
    flat = keras.tree.flatten(values)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(flat)
        value, more = function(values)
    found = tape.gradient(
        value, flat, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    found = [tf.convert_to_tensor(each) for each in found]
    return value, more, keras.tree.pack_sequence_as(values, found)


def compiled(model: keras.Model, function: Callable, arguments: list) -> Callable:
    """A function of tensors, compiled as the backend does it, without gradients.

    Args:
        model: The `keras.Model` whose variables the function uses.
        function: Function of tensors.
        arguments: The shape and dtype of each of them, nested as they are.
    """

    def spec(each):
        if isinstance(each, list):
            return [spec(part) for part in each]
        return tf.TensorSpec(*each)

    return tf.function(function, input_signature=spec(arguments))


def compiled_once(function: Callable) -> Callable:
    """A function of all that it depends on, compiled where the backend does so."""
    return tf.function(function, autograph=False)


def random_state_kept() -> AbstractContextManager:
    """Within, nothing that is drawn moves what is drawn later: as ever on TensorFlow.

    See `keras_rnn.backends.torch.random_state_kept`.
    """
    return contextlib.nullcontext()
