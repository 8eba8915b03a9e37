"""Batches by length, of which the seed and the epoch decide all."""

import numpy as np
import pytest

# isort: split
from workshop.batches import ByLength


class Numbers(ByLength):
    """Batches that are the examples' own numbers."""

    def take(self, heap, random):
        return heap, None if random is None else random.integers(1000)


def test_batches_by_length():
    lengths = np.random.default_rng(0).integers(1, 50, 103)
    batches = Numbers(lengths, 8, seed=4, blur=5.0)

    def epoch():
        return [batches[n] for n in range(len(batches))]

    first = epoch()
    assert sorted(np.concatenate([heap for heap, _ in first])) == list(range(103))
    assert all(np.ptp(lengths[heap]) <= 20 for heap, _ in first)
    batches.on_epoch_end()
    second = epoch()
    assert [random for _, random in first] != [random for _, random in second]
    assert any(set(a) != set(b) for (a, _), (b, _) in zip(first, second))
    again = Numbers(lengths, 8, seed=4, blur=5.0)
    again.epoch = 1
    for n, (heap, random) in enumerate(second):
        np.testing.assert_array_equal(heap, again[n][0])
        assert random == again[n][1]


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_first_two_batches_differ_in_length(seed):
    lengths = np.array([5] * 40 + [7] * 2)
    batches = Numbers(lengths, 2, seed=seed)
    (first, random), (second, _) = batches[0], batches[1]
    assert lengths[first].max() != lengths[second].max()
    assert (random is None) == (seed is None)
    batches = Numbers([3] * 10, 2, seed=seed)  # there is nothing to differ in
    assert len(batches) == 5 and len(batches[0][0]) == 2
