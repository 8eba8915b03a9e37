"""How one character is sampled from the probabilities that a network gives to all.

`sample` draws from logits, with temperature, `top_k` and `top_p`. What is random comes
from `uniform`, by seed and place, so that a text is the same on every backend and in an
exported graph. `Sampling` is all that `Generator.generate` is told of it, checked.
"""

import operator
import random
from collections.abc import Sequence

import numpy as np
from keras import ops

from keras_rnn.arguments import is_number, positive_integer
from keras_rnn.generation.stopping import checked_stops
from keras_rnn.hints import Tensor

LARGEST = float(np.finfo("float32").max)


class Sampling:
    """How texts are sampled, and where they end: arguments of `Generator.generate`.

    Args:
        vocabulary: The characters that may be sampled.
        temperature, top_k, top_p, stop, seed: see `Generator.generate`.

    Attributes:
        settings: The temperature, `top_k` and `top_p`, as arrays, with nothing left out.
        seed: Array that broadcasts with rows and steps.
        stops: List of strings.

    Raises:
        ValueError: an argument is not what it must be; the message names it.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        stop: str | list[str] | None,
        seed: int | None,
    ) -> None:
        self.settings = _checked_settings(temperature, top_k, top_p, len(vocabulary))
        self.seed = _checked_seed(seed)
        self.stops = checked_stops(stop)

    def uniforms(self, rows: int, start: int, steps: int) -> Tensor:
        """Random numbers for so many rows, and for so many steps from `start` on.

        Returns:
            Numbers in [0, 1), `(steps, rows)`.
        """
        places = np.arange(start, start + steps, dtype="uint32")[:, None]
        return uniform(self.seed, np.arange(rows, dtype="uint32")[None], places)


def sample(
    logits: Tensor,
    uniforms: Tensor,
    temperature: Tensor | float = 1.0,
    top_k: Tensor | int | None = None,
    top_p: Tensor | float | None = None,
) -> Tensor:
    """Draws a character from each row of logits.

    With the characters sorted from the likeliest, p their probabilities

        p = softmax(logits / temperature)       of the first `top_k`

    and of these the first whose p sum up to `top_p`, the one sampled is where the running
    sum of p passes `uniforms` times the sum of all that are left.

    Args:
        logits: Tensor of shape `(batch, characters)`.
        uniforms: Tensor of shape `(batch,)`, numbers in [0, 1).
        temperature: Scalar, at least 0; 0 takes the likeliest.
        top_k: Integer scalar, or `None`.
        top_p: Scalar in (0, 1], or `None`.

    Returns:
        Integer tensor of shape `(batch,)`, int32.
    """
    prepared = prepare(uniforms, logits.shape[-1], temperature, top_k, top_p)
    return draw(logits, *prepared)


def prepare(
    uniforms: Tensor,
    characters: int,
    temperature: Tensor | float,
    top_k: Tensor | int | None,
    top_p: Tensor | float | None,
) -> tuple[Tensor, ...]:
    """What `draw` needs beside the logits, worked out once for all steps."""
    top_k = characters if top_k is None else top_k
    top_p = 1.0 if top_p is None else top_p
    # 0 is always before the likeliest, whatever the scale.
    uniforms = ops.where(temperature > 0, uniforms, 0.0)
    scale = 1.0 / ops.maximum(ops.cast(temperature, "float32"), 1e-6)
    ranks = ops.arange(characters)
    penalty = ops.where(ranks < top_k, 0.0, -np.inf)  # (characters,)
    # Running sums end at about 1: at 2 nothing is cut.
    reach = ops.where(ops.less(top_p, 1.0), top_p, 2.0)
    return uniforms, scale, ranks, penalty, ops.cast(reach, "float32")


def draw(
    logits: Tensor,
    uniforms: Tensor,
    scale: Tensor,
    ranks: Tensor,
    penalty: Tensor,
    reach: Tensor,
) -> Tensor:
    """One draw for each row, (batch,): the loop runs this, so it is short."""
    logits, ids = ops.top_k(ops.cast(logits, "float32"), logits.shape[-1])
    p = ops.softmax(logits * scale + penalty)  # (batch, characters), falling
    sums = ops.cumsum(p, axis=-1)
    kept = sums - p < reach
    total = ops.max(ops.where(kept, sums, 0.0), axis=-1, keepdims=True)
    passed = ops.where(kept, sums, 2.0) <= ops.expand_dims(uniforms, -1) * total
    rank = ops.sum(ops.cast(passed, "int32"), axis=-1, keepdims=True)
    chosen = ops.where(ops.equal(ranks, rank), ids, 0)
    return ops.cast(ops.sum(chosen, axis=-1), "int32")


def uniform(seed: Tensor, rows: Tensor, steps: Tensor) -> Tensor:
    """Random numbers that are a hash of where they stand, and so need no order.

    That of a row and a step is the same whatever else is sampled, on every backend, and in
    an exported graph. The hash is the last stage of Austin Appleby's MurmurHash3; that a
    hash of a counter makes good random numbers: John K. Salmon et al., 2011, Parallel
    random numbers: as easy as 1, 2, 3.

    Args:
        seed: Unsigned 32-bit integer, as an array or a tensor of TensorFlow, as are
        rows: the numbers of the rows, and
        steps: the numbers of the steps, which broadcast with them.

    Returns:
        Numbers in [0, 1), multiples of 2**-23, float32.
    """

    def mix(x):
        x = x + np.uint32(0x9E3779B9)
        x = (x ^ x // np.uint32(1 << 16)) * np.uint32(0x85EBCA6B)
        x = (x ^ x // np.uint32(1 << 13)) * np.uint32(0xC2B2AE35)
        return x ^ x // np.uint32(1 << 16)

    bits = mix(mix(mix(seed) ^ mix(rows)) ^ mix(steps)) // np.uint32(1 << 9)
    return ops.cast(bits, "float32") * 2.0**-23


def _checked_settings(temperature, top_k, top_p, characters):
    """Temperature, `top_k` and `top_p` as arrays, checked, with nothing left out."""
    # What is computed with is a float32, to which 1e39 is infinite.
    if not is_number(temperature) or not 0 <= temperature <= LARGEST:
        raise ValueError(
            "`temperature` must be a finite number, at least 0. "
            f"Received: temperature={temperature}"
        )
    top_k = characters if top_k is None else positive_integer("top_k", top_k)
    top_p = 1.0 if top_p is None else top_p
    if not is_number(top_p) or not 0 < top_p <= 1:
        raise ValueError(
            f"`top_p` must be a number above 0, at most 1. Received: top_p={top_p}"
        )
    return np.float32(temperature), np.int32(min(top_k, characters)), np.float32(top_p)


def _checked_seed(seed):
    """The seed as an array that broadcasts with rows and steps, checked, or a new one."""
    if seed is None:
        seed = random.getrandbits(32)
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**32 or isinstance(seed, bool):
        raise ValueError(
            f"`seed` must be an integer from 0 to 2**32 - 1. Received: seed={seed!r}"
        )
    return np.full((1, 1), number, "uint32")
