"""How surprising a text is to who counts: n-grams, interpolated by Kneser and Ney.

The last n - 1 characters are looked up in the training text: what came after them there,
how often? Counting has to say something about what it never saw. So it takes a bit, D,
off each count, and shares out what it took by the next shorter context:

    P(c | abcd) = max(n(abcdc) - D, 0) / n(abcd)  +  D kinds(abcd) / n(abcd)  P(c | bcd)

n counts, and kinds(abcd) is how many different characters followed. In the shorter
contexts it is not the occurrences of bcdc that count, but how many different characters
stood before it: "Francisco" is common, but only after "San". D is n_1 / (n_1 + 2 n_2),
with n_1 and n_2 the numbers of contexts seen once and twice.

Source: Reinhard Kneser, Hermann Ney, 1995, Improved backing-off for m-gram language
modeling; and Stanley Chen, Joshua Goodman, 1999, An empirical study of smoothing
techniques for language modeling.
"""

import numpy as np


def n_gram(train, held_out, order, characters):
    """The surprise of each held-out character but the first of each text, in nats.

    Args:
        train: List of arrays of numbers from 0 to `characters` - 1: the texts to count.
        held_out: The same, of those to predict.
        order: How many characters are looked at, the predicted one with them.
        characters: The size of the vocabulary.

    Returns:
        Array of numbers, in the order of the characters.
    """
    base = characters + 1  # a context before the text starts has zeros
    seen, asked = (runs(texts, order, base) for texts in (train, held_out))
    levels = []
    for n in range(order, 0, -1):  # a run of n characters is a number below base**n
        kinds, counts = np.unique(seen, return_counts=True)
        contexts, inverse = np.unique(kinds // base, return_inverse=True)
        once, twice = np.sum(counts == 1), np.sum(counts == 2)
        discount = once / (once + 2 * twice) if once else 0.0
        run = asked % base**n
        levels.append(
            (
                np.maximum(look_up(kinds, counts, run) - discount, 0),
                look_up(contexts, np.bincount(inverse, counts), run // base),
                look_up(contexts, np.bincount(inverse), run // base) * discount,
            )
        )
        seen = kinds % base ** (n - 1)  # each kind counts once in the shorter context
    p = np.full(len(asked), 1 / characters)
    for count, total, taken in reversed(levels):
        p = np.where(total > 0, (count + taken * p) / np.maximum(total, 1), p)
    return -np.log(p)


def runs(texts, order, base):
    """Each run of `order` characters as one number, for all but a text's first."""
    found = []
    for text in texts:
        padded = np.concatenate([np.zeros(order, "int64"), text + 1])
        run = np.zeros(len(text), "int64")
        for i in range(order):
            run = run * base + padded[i + 1 : i + 1 + len(text)]
        found.append(run[1:])
    return np.concatenate(found)


def look_up(keys, values, asked):
    """The values of the keys that are asked for, 0 where there is none."""
    at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[at] == asked, values[at], 0)
