"""The tasks: what their labels say, computed here from the inputs in another way."""

import sys

import numpy as np
import pytest
from workshop import memory_tasks
from workshop.errors import UsageError


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.mark.parametrize("timesteps", [2, 7, 50])
def test_adding(timesteps, random):
    x, sums = memory_tasks.adding(300, timesteps, random)
    assert x.shape == (300, timesteps, 2) and sums.shape == (300, 1)
    for (numbers, marks), said in zip(x.transpose(0, 2, 1), sums):
        first, second = np.flatnonzero(marks)
        assert first < timesteps // 2 <= second
        assert numbers[first] + numbers[second] == pytest.approx(said[0])
    assert np.all((x >= 0) & (x <= 1))


def test_marked_number(random):
    x, told = memory_tasks.marked_number(300, 7, random)
    assert x.shape == (300, 7, 2) and told.shape == (300, 1)
    at = set()
    for (numbers, marks), said in zip(x.transpose(0, 2, 1), told):
        (mark,) = np.flatnonzero(marks)
        assert marks[mark] == 1 and numbers[mark] == said[0]
        at.add(mark)
    assert at == set(range(7)) and np.all(np.abs(x) <= 1)


def test_baseline_of_adding(random):
    _, sums = memory_tasks.adding(200_000, 4, random)
    assert np.mean((sums - 1) ** 2) == pytest.approx(memory_tasks.ADDING_BASELINE, 0.01)


@pytest.mark.parametrize(("by", "shape"), [("pixel", (64, 1)), ("row", (8, 8))])
def test_digits(by, shape, random):
    from sklearn.datasets import load_digits

    (x, y), (test_x, test_y) = memory_tasks.digits(by, random)
    assert x.shape == (1437, *shape) and test_x.shape == (360, *shape)
    images, labels = load_digits(return_X_y=True)
    found = np.concatenate([x, test_x]).reshape(-1, 64) * 16
    both = np.column_stack([found, np.concatenate([y, test_y])])
    expected = np.column_stack([images, labels])
    assert sorted(map(tuple, both)) == sorted(map(tuple, expected))


def test_digits_without_scikit_learn(random, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UsageError, match="scikit-learn"):
        memory_tasks.digits("row", random)


def test_fresh_batches_are_new_and_repeatable():
    def batches():
        fresh = memory_tasks.Fresh(memory_tasks.adding, 5, 2, 3, seed=1)
        found = []
        for _ in range(2):
            found += [fresh[i][0] for i in range(len(fresh))]
            fresh.on_epoch_end()
        return found

    first, again = batches(), batches()
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len({a.tobytes() for a in first}) == 4
