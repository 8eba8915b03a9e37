"""The loop that writes a translation: beam search, of which the greedy text is a part."""

import keras
from keras import ops

from keras_rnn.hints import Tensor
from keras_rnn.seq2seq.network import EncoderDecoderNetwork
from keras_rnn.vocabulary import PADDING, STOP

NEVER = -1e9  # the log-probability of what must not be written


def beam_search(
    model: EncoderDecoderNetwork, source: Tensor, beam_width: int, max_length: int
) -> tuple[Tensor, Tensor]:
    """From sources to what is written. See `EncoderDecoder.translate`.

    Args:
        model: The network.
        source: Integer tensor of shape `(batch, S)`.
        beam_width: Positive integer.
        max_length: Positive integer.

    Returns:
        Integer tensor of shape `(batch, max_length + 1)`, each text with its stop, and
        their log-probabilities, `(batch,)`.
    """
    states, memory = model.read(source)
    states = [[ops.repeat(s, beam_width, axis=0) for s in level] for level in states]
    batch, length = ops.shape(source)[0], max_length + 1
    tokens = ops.zeros((batch, beam_width), "int32") + PADDING
    texts = ops.zeros((batch * beam_width, length), "int32") + PADDING
    # Place 0 of the beam starts alone: the other places have nothing yet.
    alone = ops.where(ops.arange(beam_width) > 0, NEVER, 0.0)
    scores = ops.zeros((batch, beam_width), alone.dtype) + alone
    character = ops.arange(model.logits.units)
    first_row = ops.expand_dims(ops.arange(batch) * beam_width, 1)  # (batch, 1)

    def ended(texts):
        stops = ops.any(ops.equal(texts, STOP), axis=-1)
        return ops.reshape(stops, (-1, beam_width))  # (batch, beams)

    def goes_on(t, tokens, texts, scores, states):
        # Scores only fall: none overtakes the best text of a source that has ended.
        best = ops.one_hot(ops.argmax(scores, -1), beam_width, dtype="bool")
        done = ops.any(ops.logical_and(best, ended(texts)), axis=-1)  # (batch,)
        return ops.logical_not(ops.all(done))

    def one_more(t, tokens, texts, scores, states):
        logits, states = model.step(tokens, states, memory)
        gain = ops.log_softmax(ops.cast(logits, scores.dtype), axis=-1)
        allowed = ops.where(t < max_length, character != PADDING, character == STOP)
        gain = ops.where(allowed, gain, NEVER)  # (batch, beams, characters)
        # What has ended goes on with padding, which costs nothing.
        still = ops.where(character == PADDING, 0.0, NEVER)
        gain = ops.where(ops.expand_dims(ended(texts), -1), still, gain)
        scores, place, tokens = continuations(ops.expand_dims(scores, -1) + gain)
        rows = ops.reshape(first_row + place, (-1,))  # (batch * beams,)
        texts = ops.where(
            ops.arange(length) == t,
            ops.reshape(tokens, (-1, 1)),
            ops.take(texts, rows, axis=0),
        )
        states = keras.tree.map_structure(
            lambda state: ops.take(state, rows, axis=0), states
        )
        return t + 1, tokens, texts, scores, states

    _, _, texts, scores, _ = ops.while_loop(
        goes_on,
        one_more,
        (0, tokens, texts, scores, states),
        maximum_iterations=length,
    )
    best = ops.expand_dims(ops.argmax(scores, -1), 1)  # (batch, 1)
    texts = ops.take(texts, ops.reshape(first_row + best, (-1,)), axis=0)
    return texts, ops.max(scores, axis=-1)


def continuations(totals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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
