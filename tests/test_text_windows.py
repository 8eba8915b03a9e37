"""Texts cut into windows, each by itself and one after the other."""

import numpy as np
import pytest

from keras_rnn import ConsecutiveWindows, windows


def test_texts_of_different_length_are_read_row_by_row():
    lengths, timesteps = [9, 3, 14, 6, 2, 5], 4
    texts = [np.arange(n) + 20 * i for i, n in enumerate(lengths)]
    batches = ConsecutiveWindows(texts, 2, timesteps, conditions=range(6), seed=1)
    orders = set()
    for _ in range(3):
        read = {}
        current = [None, None]
        for index in range(len(batches)):
            inputs, y = batches[index]
            assert inputs["tokens"].shape == y.shape == (2, timesteps)
            for row in range(2):
                real = y[row] >= 0
                if not real.any():
                    continue  # this row is at its end
                if inputs["fresh"][row]:
                    current[row] = inputs["conditions"][row]
                    assert current[row] not in read
                    read[current[row]] = []
                assert inputs["conditions"][row] == current[row]
                pairs = zip(inputs["tokens"][row][real], y[row][real])
                read[current[row]] += pairs
        assert read == {
            i: list(zip(text[:-1], text[1:])) for i, text in enumerate(texts)
        }
        orders.add(tuple(read))
        batches.on_epoch_end()
    assert len(orders) == 3
    # They are spread: no row has much more to read than the other.
    assert len(batches) <= 1 + sum(-(-(n - 1) // timesteps) for n in lengths) // 2 + 3


def test_windows_shift_the_text_by_one():
    ids = np.arange(23)
    x, y = windows(ids, 5)
    assert x.shape == (4, 5)
    np.testing.assert_array_equal(x.ravel(), ids[:20])
    np.testing.assert_array_equal(y, x + 1)


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("texts", {"texts": np.arange(5), "timesteps": 5}),
        ("texts", {"texts": None}),
        ("texts", {"texts": "the cat"}),
        ("texts", {"texts": ["the", "cat"]}),
        ("texts", {"texts": [None]}),
        ("texts", {"texts": np.linspace(0, 1, 40)}),
        ("texts", {"texts": np.full(40, np.nan)}),
        ("texts", {"texts": np.arange(40) - 1}),
        ("texts", {"texts": np.ones((2, 20), "int32")}),
        ("texts", {"texts": [np.arange(9), np.ones((2, 9), "int32")]}),
        ("texts", {"texts": [[1, [2]]]}),
        ("batch_size", {"batch_size": None}),
        ("batch_size", {"batch_size": 2.0}),
        ("timesteps", {"timesteps": "four"}),
        ("conditions", {"conditions": 5}),
        ("conditions", {"conditions": [0.5, 1.5]}),
        ("conditions", {"conditions": [-1, 0]}),
        ("conditions", {"conditions": ["a", "b"]}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": 1.5}),
        ("seed", {"seed": "one"}),
        ("seed", {"seed": True}),
        ("texts", {"texts": np.arange(11), "batch_size": 3}),
        ("texts", {"texts": [np.arange(4), np.arange(1)]}),
        ("texts", {"texts": [1, 2, 3]}),
        ("texts", {"texts": []}),
        ("batch_size", {"batch_size": 0}),
        ("timesteps", {"timesteps": 0}),
        ("conditions", {"texts": [np.arange(4)] * 2, "conditions": [1]}),
    ],
)
def test_windows_that_cannot_be_cut_are_refused(name, arguments):
    defaults = {"texts": np.arange(40), "batch_size": 2, "timesteps": 4}
    with pytest.raises(ValueError, match=f"`{name}`"):
        ConsecutiveWindows(**{**defaults, **arguments})


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("tokens", {"tokens": None}),
        ("tokens", {"tokens": 5}),
        ("tokens", {"tokens": "the cat sat"}),
        ("tokens", {"tokens": list("the cat sat")}),
        ("tokens", {"tokens": np.linspace(0, 1, 9)}),
        ("tokens", {"tokens": np.full(9, np.nan)}),
        ("tokens", {"tokens": np.arange(9) - 1}),
        ("tokens", {"tokens": np.ones((3, 3), "int32")}),
        ("tokens", {"tokens": []}),
        ("tokens", {"tokens": np.arange(3)}),
        ("timesteps", {"timesteps": None}),
        ("timesteps", {"timesteps": 0}),
        ("timesteps", {"timesteps": 1.5}),
    ],
)
def test_what_cannot_be_cut_is_refused(name, arguments):
    with pytest.raises(ValueError, match=f"`{name}`"):
        windows(**{"tokens": np.arange(9), "timesteps": 3, **arguments})


def test_a_list_of_numbers_is_one_text_and_there_is_no_batch_after_the_last():
    ids = np.arange(13)
    listed = ConsecutiveWindows(ids.tolist(), np.int64(2), np.int32(3))
    arrays = ConsecutiveWindows(ids, 2, 3)
    assert len([*listed]) == len(listed) == 2  # a loop over it ends
    for (inputs, y), (other, z) in zip(listed, arrays):
        np.testing.assert_array_equal(inputs["tokens"], other["tokens"])
        np.testing.assert_array_equal(y, z)
    np.testing.assert_array_equal(listed[-1][1], listed[1][1])
