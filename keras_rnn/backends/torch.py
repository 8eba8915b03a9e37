"""The loop over time and the gradients on PyTorch."""

import functools
import types
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import torch

from keras_rnn.cells.dense import dense
from keras_rnn.hints import Nest, Tensor


def scan(
    step: Callable,
    carry: list[Tensor],
    sequences: list[Tensor],
    widths: list[int],
    reverse: bool = False,
) -> tuple[list[Tensor], list[Tensor]]:
    """Carries states along the time axis: see `keras_rnn.backends.tensorflow_scan.scan`."""
    slices = list(zip(*(each.unbind(1) for each in sequences)))
    steps = []
    for each in reversed(slices) if reverse else slices:
        carry, outputs = step(carry, list(each))  # (batch, width) each
        steps.append(outputs)
    if reverse:
        steps.reverse()
    return list(carry), [torch.stack(each, dim=1) for each in zip(*steps)]


def choose(
    loop: Callable, kept: dict[Any, Any], training: bool, inputs: Tensor
) -> Callable:
    """A loop as the fast pass is to call it: as it is."""
    return functools.partial(loop, scan)


def project(inputs: Tensor, weights: list[Tensor], training: bool) -> Tensor | list:
    """What a loop reads of its inputs: their map by weights, one product for all steps.

    See `keras_rnn.backends.tensorflow_scan.project`.
    """
    return dense(inputs, *weights)


def shards(batch_size: int | None, training: bool) -> int:
    """The number of parts in which to cut a batch: the loops would run in turn."""
    return 1


def split(tensors: Nest, count: int) -> list[Nest]:
    """A batch in the one part that there is: see `shards`."""
    return [tensors]


def associative_scan(both: Callable, tensors: list[Tensor]) -> list[Tensor]:
    """What the steps 1 to t of tensors make together, for each t.

    See `keras_rnn.backends.tensorflow.associative_scan`. Keras's own goes through tensors
    of the default dtype on the default device.
    """
    timesteps, reach = tensors[0].shape[1], 1
    while reach < timesteps:  # each step has what `reach` steps make, itself the last
        found = both([x[:, :-reach] for x in tensors], [x[:, reach:] for x in tensors])
        tensors = [torch.cat([x[:, :reach], y], 1) for x, y in zip(tensors, found)]
        reach *= 2
    return tensors


class _ByHand(torch.autograd.Function):
    # A transform of `torch.func` may be at work on what this does not depend on.
    generate_vmap_rule = True

    @staticmethod
    def forward(call: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        results, call.gradient = call.function(*tensors)
        return results

    @staticmethod
    def setup_context(context: Any, inputs: tuple, results: tuple) -> None:
        context.call, *tensors = inputs
        context.save_for_backward(*tensors)

    @staticmethod
    def backward(context: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        call = context.call
        if not torch.is_grad_enabled():
            return None, *call.gradient(*upstream)
        # `create_graph`: the gradient is itself to be differentiated. What the gradient by
        # hand kept of the forward pass is not recorded, so the forward pass runs again.
        tensors = context.saved_tensors
        wanted = [each for each in tensors if each.requires_grad]
        results = call.plain(*tensors)
        found = torch.autograd.grad(
            results, wanted, upstream, create_graph=True, allow_unused=True
        )
        found = iter(found)
        return None, *(next(found) if each.requires_grad else None for each in tensors)


def is_watched(tensors: Sequence[Tensor]) -> bool:
    """Whether what is done to tensors is traced, or a transform is at work on them.

    The transforms are those of `torch.func`, and forward mode.
    """

    def is_transformed(tensor):
        unwrapped = torch.func.debug_unwrap(tensor, recurse=False)
        dual = torch.autograd.forward_ad.unpack_dual(tensor)
        return unwrapped is not tensor or dual.tangent is not None

    return torch.compiler.is_compiling() or any(map(is_transformed, tensors))


def kept_apart(variables: list[keras.Variable]) -> Any:
    """An object that holds variables, and that Keras's tracking does not look into."""
    return types.SimpleNamespace(held=variables)


def with_sizes(tensor: Tensor, sizes: list, message: str) -> Tensor:
    """`tensor`: sizes are known, and checked, before anything is computed."""
    return tensor


def custom_gradient(function: Callable) -> Callable:
    """A function of several results whose gradient is by hand.

    Keras's own decorator takes functions of one. See
    `keras_rnn.backends.tensorflow.custom_gradient`.
    """
    return with_all_derivatives(function, lambda *tensors: function(*tensors)[0])


def with_all_derivatives(function: Callable, plain: Callable) -> Callable:
    """A function with a hand-written gradient, and the other derivatives of an equal one.

    What `torch.func` and forward mode ask for beside a gradient (a batch of batches, a
    tangent) they find themselves in the operations of `plain`, and so does
    `torch.compile`.

    Args:
        function: As in `custom_gradient`.
        plain: Function of the same tensors with the same results, whose operations have
            gradients of all orders.
    """

    def with_gradient(*tensors):
        if is_watched(tensors):
            return plain(*tensors)
        call = types.SimpleNamespace(function=function, plain=plain)
        return _ByHand.apply(call, *tensors)

    return with_gradient


def pullback(
    function: Callable, tensors: list[Tensor], upstream: list[Tensor]
) -> list[Tensor]:
    """From the gradients of the results of a function to those of its arguments.

    See `keras_rnn.backends.tensorflow.pullback`.
    """
    with torch.enable_grad():
        tensors = [each.detach().requires_grad_() for each in tensors]
        results = function(*tensors)
    pairs = [(r, d) for r, d in zip(results, upstream) if r.requires_grad]
    if not pairs:
        return [torch.zeros_like(each) for each in tensors]
    connected, upstream = map(list, zip(*pairs))
    return list(
        torch.autograd.grad(
            connected, tensors, upstream, allow_unused=True, materialize_grads=True
        )
    )


def value_and_gradients(function: Callable, values: Nest) -> tuple[Tensor, Any, Nest]:
    """A scalar function of a nest of tensors, and its gradients with respect to them.

    See `keras_rnn.backends.tensorflow.value_and_gradients`.
    """
    values = keras.tree.map_structure(
        lambda each: each.detach().requires_grad_(), values
    )
    value, more = function(values)
    flat = keras.tree.flatten(values)
    found = torch.autograd.grad(value, flat, allow_unused=True, materialize_grads=True)
    return value, more, keras.tree.pack_sequence_as(values, list(found))


def compiled(model: keras.Model, function: Callable, arguments: list) -> Callable:
    """A function of tensors without gradients.

    See `keras_rnn.backends.tensorflow.compiled`.
    """

    @torch.no_grad()
    def without_gradients(*args):
        return function(*keras.tree.map_structure(keras.ops.convert_to_tensor, args))

    return without_gradients


def compiled_once(function: Callable) -> Callable:
    """A function of all that it depends on, as it is."""
    return function


def random_state_kept() -> AbstractContextManager:
    """Within, nothing that is drawn moves what is drawn later.

    PyTorch has one random state for all; and Keras's recurrent layers draw the masks of
    their dropout even where they drop nothing.
    """
    return torch.random.fork_rng()
