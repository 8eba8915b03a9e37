"""The n-grams against their formula, written down with dictionaries."""

import collections
import math

import numpy as np
import pytest

from tests.tutorials import scripts  # noqa: F401

# isort: split
from workshop.n_grams import n_gram


def by_dictionaries(train, order, characters):
    """Interpolated Kneser-Ney, written down from its formula: P(c | context)."""
    first = characters  # stands before each text
    grams = collections.Counter()
    for text in train:
        padded = [first] * order + list(text)
        for i in range(order + 1, len(padded)):
            grams[tuple(padded[i - order + 1 : i + 1])] += 1
    tables = {order: grams}
    for n in range(order - 1, 0, -1):  # how many different characters stood before
        tables[n] = collections.Counter(gram[1:] for gram in tables[n + 1])

    def p(context, c, n):
        if n == 0:
            return 1 / characters
        context = tuple(context[len(context) - n + 1 :])
        table = tables[n]
        after = {gram: count for gram, count in table.items() if gram[:-1] == context}
        shorter = p(context[1:], c, n - 1)
        if not after:
            return shorter
        once = sum(count == 1 for count in table.values())
        twice = sum(count == 2 for count in table.values())
        d = once / (once + 2 * twice) if once else 0.0
        total = sum(after.values())
        count = after.get((*context, c), 0)
        return (max(count - d, 0) + d * len(after) * shorter) / total

    return lambda context, c: p([first] * order + list(context), c, order)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_n_gram_is_the_formula(order):
    random = np.random.default_rng(order)
    train = [random.choice(4, 30, p=[0.5, 0.3, 0.15, 0.05]) for _ in range(4)]
    held_out = [random.integers(0, 4, 12), random.integers(0, 4, 2)]
    nats = n_gram(train, held_out, order, 4)
    p = by_dictionaries(train, order, 4)
    wanted = [-math.log(p(t[:i], t[i])) for t in held_out for i in range(1, len(t))]
    np.testing.assert_allclose(nats, wanted, rtol=1e-9)
    for context in held_out:
        total = sum(
            np.exp(-n_gram(train, [np.append(context, c)], order, 4)[-1])
            for c in range(4)
        )
        assert total == pytest.approx(1.0)
