"""From which states a row goes on: a masked step keeps them, a fresh start replaces them."""

from typing import Any

from keras import ops, tree


def masked(mask: Any, new: Any, old: Any) -> Any:
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
        where = ops.expand_dims(mask, missing) if missing else mask
        return ops.where(where, new, old)

    return tree.map_structure(chosen, new, old)


def carry_on(fresh: Any, first: Any, carried: Any) -> Any:
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
