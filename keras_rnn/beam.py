"""Which continuations of its texts a beam search keeps."""

from keras import ops

NEVER = -1e9  # the log-probability of what must not be written


def continuations(totals):
    """The best continuations of a beam, of which the first is the greedy one.

    Args:
        totals: Tensor of shape `(batch, beams, characters)`: the log-probability of each
            text with each character after it.

    Returns:
        For the texts that are kept their log-probabilities, which text they go on from,
        and with which character: three tensors of shape `(batch, beams)`.
    """
    beams, characters = totals.shape[1:]
    greedy = ops.argmax(totals[:, 0], axis=-1)  # (batch,)
    total = ops.max(totals[:, 0], axis=-1)
    scores, tokens = ops.expand_dims(total, 1), ops.expand_dims(greedy, 1)
    tokens = ops.cast(tokens, "int32")
    place = ops.zeros_like(tokens)
    if beams == 1:
        return scores, place, tokens
    flat = ops.reshape(totals, (-1, beams * characters))
    # In place 0, the number of a continuation is that of its character.
    taken = ops.one_hot(greedy, beams * characters, dtype="bool")
    others, index = ops.top_k(ops.where(taken, 2 * NEVER, flat), beams - 1)
    index = ops.cast(index, "int32")
    return (
        ops.concatenate([scores, others], axis=1),
        ops.concatenate([place, index // characters], axis=1),
        ops.concatenate([tokens, index % characters], axis=1),
    )
