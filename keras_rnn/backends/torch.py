"""The loop over time and the gradients on PyTorch."""

import types

import keras
import torch


def scan(step, carry, sequences, widths, reverse=False, in_place=False):
    """Carries states along the time axis: see `keras_rnn.backends.tensorflow.scan`."""
    slices = list(zip(*(each.unbind(1) for each in sequences)))
    steps = []
    for each in reversed(slices) if reverse else slices:
        carry, outputs = step(carry, list(each))  # (batch, width) each
        steps.append(outputs)
    if reverse:
        steps.reverse()
    return list(carry), [torch.stack(each, dim=1) for each in zip(*steps)]


def choose(loop, kept, training, inputs):
    """A loop as the fast pass is to call it: as it is."""
    return loop


def shards(batch_size, training):
    """The number of parts in which to cut a batch: the loops would run in turn."""
    return 1


def split(tensors, count):
    """A batch in the one part that there is: see `shards`."""
    return [tensors]


class _ByHand(torch.autograd.Function):
    # A transform of `torch.func` may be at work on what this does not depend on.
    generate_vmap_rule = True

    @staticmethod
    def forward(call, *tensors):
        results, call.gradient = call.function(*tensors)
        return results

    @staticmethod
    def setup_context(context, inputs, results):
        context.call, *tensors = inputs
        context.save_for_backward(*tensors)

    @staticmethod
    def backward(context, *upstream):
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


def is_watched(tensors):
    """Whether what is done to tensors is traced, or a transform is at work on them.

    The transforms are those of `torch.func`, and forward mode.
    """

    def is_transformed(tensor):
        unwrapped = torch.func.debug_unwrap(tensor, recurse=False)
        dual = torch.autograd.forward_ad.unpack_dual(tensor)
        return unwrapped is not tensor or dual.tangent is not None

    return torch.compiler.is_compiling() or any(map(is_transformed, tensors))


def kept_apart(variables):
    """An object that holds variables, and that Keras's tracking does not look into."""
    return types.SimpleNamespace(held=variables)


def with_sizes(tensor, sizes, message):
    """`tensor`: sizes are known, and checked, before anything is computed."""
    return tensor


def custom_gradient(function, plain=None):
    """A function of several results whose gradient is by hand.

    Keras's own decorator takes functions of one. What `torch.func` and forward mode ask
    for beside a gradient (a batch of batches, a tangent) they find themselves in the
    operations of the function, and so does `torch.compile`. See
    `keras_rnn.backends.tensorflow.custom_gradient`.

    Args:
        function: As there.
        plain: Function of the same tensors with the same results, whose operations have
            gradients of all orders. Default: `function` is made of such.
    """
    plain = plain or (lambda *tensors: function(*tensors)[0])

    def with_gradient(*tensors):
        if is_watched(tensors):
            return plain(*tensors)
        call = types.SimpleNamespace(function=function, plain=plain)
        return _ByHand.apply(call, *tensors)

    return with_gradient


def value_and_gradients(function, values):
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


def compiled(model, function, arguments):
    """A function of tensors without gradients.

    See `keras_rnn.backends.tensorflow.compiled`.
    """

    @torch.no_grad()
    def without_gradients(*args):
        return function(*keras.tree.map_structure(keras.ops.convert_to_tensor, args))

    return without_gradients


def compiled_once(function):
    """A function of all that it depends on, as it is."""
    return function


def random_state_kept():
    """Within, nothing that is drawn moves what is drawn later.

    PyTorch has one random state for all; and Keras's recurrent layers draw the masks of
    their dropout even where they drop nothing.
    """
    return torch.random.fork_rng()
