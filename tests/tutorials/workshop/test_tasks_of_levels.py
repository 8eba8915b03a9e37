"""The tasks: what their labels say, computed here from the inputs in another way."""

import numpy as np
import pytest
from workshop import tasks_of_levels


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_future(random):
    x, labels = tasks_of_levels.future(50, 9, random)
    assert x.shape == labels.shape == (50, 9, 1)
    for numbers, row in zip(x[..., 0], labels[..., 0]):
        for t in range(9):
            before = numbers[t - 2] if t >= 2 else 0
            after = numbers[t + 2] if t + 2 < 9 else 0
            assert row[t] == (before + after > 0)


def test_ceiling(random):
    """Who goes by the sign of x_{t-2}, and guesses at first, is as good as can be."""
    x, labels = tasks_of_levels.future(20_000, 10, random)
    guess = random.choice([False, True], (20_000, 10))
    guess[:, 2:] = x[:, :-2, 0] > 0
    right = np.mean(guess == labels[..., 0])
    assert right == pytest.approx(tasks_of_levels.CEILING, abs=0.005)


def test_slow_and_fast(random):
    x, labels = tasks_of_levels.slow_and_fast(50, 40, random)
    assert x.shape == (50, 40, 2) and labels.shape == (50, 40, 1)
    assert 0.03 < np.mean(x[:, 1:, 1] != 0) < 0.15
    for (quick, slow), row in zip(x.transpose(0, 2, 1), labels[..., 0]):
        switch = 0
        for t in range(40):
            switch = slow[t] or switch
            before = quick[t - 2] if t >= 2 else 1
            assert row[t] == (quick[t] * before * switch > 0)


@pytest.mark.parametrize(
    ("place", "first"), [("beginning", 0), ("middle", 10), ("end", 20)]
)
def test_marked(place, first, random):
    x, y = tasks_of_levels.marked(place)(300, 30, random)
    assert x.shape == (300, 30, 2) and y.shape == (300, 1)
    rows, at = np.nonzero(x[:, :, 1])
    np.testing.assert_array_equal(rows, np.arange(300))  # one in each
    assert set(at) == set(range(first, first + 10))
    np.testing.assert_array_equal(x[rows, at, 0], y[:, 0])
    assert np.abs(x[:, :, 0]).max() <= 1 and np.ptp(x[:, :, 0]) > 1.9
