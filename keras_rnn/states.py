"""From which states a row goes on: a masked step keeps them, a fresh start replaces them."""

from keras import ops, tree

from keras_rnn.hints import Nest, Tensor


def masked(mask: Tensor, new: Nest, old: Nest) -> Nest:
    """The new values where a mask is true, and the old ones where it is not.

    Args:
        mask: Boolean tensor of the first axes of the values, `(batch,)` say.
        new: Tensor, or a nest of tensors.
        old: The same, of the same shapes.

    Returns:
        What `new` is.
    """

    def chosen(new, old):
        missing = list(range(len(mask.shape), len(new.shape)))
        return ops.where(ops.expand_dims(mask, missing) if missing else mask, new, old)

    pairs = zip(tree.flatten(new), tree.flatten(old))
    return tree.pack_sequence_as(new, [chosen(*pair) for pair in pairs])


def carry_on(fresh: Tensor, first: Nest, carried: Nest) -> Nest:
    """The states that a batch starts from: those carried, or the initial ones.

    Args:
        fresh: Boolean tensor, of shape `()` or `(batch,)`: whether to start afresh.
        first: Nest of tensors of shape `(batch, ...)`, the initial states.
        carried: Nest of as many tensors or variables, where the batch before ended.

    Returns:
        What `first` is.
    """
    flat = zip(tree.flatten(first), tree.flatten(carried))
    states = [masked(fresh, a, ops.cast(b, a.dtype)) for a, b in flat]
    return tree.pack_sequence_as(first, states)
