"""Words, letters and tags as numbers, and the batches of them."""

import numpy as np
import pytest
from workshop.tagging import Batches, Lists, became, f1, pad

SENTENCES = [
    (["Ada", "met", "Ada", "Bo"], ["B-PER", "O", "B-PER", "I-PER"]),
    (["Turin"], ["B-LOC"]),
    (["in", "Turin"], ["O", "B-LOC"]),
] * 4


@pytest.fixture(scope="module")
def lists():
    return Lists.of(SENTENCES, fewest=5)


def test_lists(lists):
    assert lists.words == ["ada", "turin"]  # often enough, in lower case
    assert lists.tags == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    numbers, letters = lists.encode(["TURIN", "Bo", "Ada"], word_length=2)
    np.testing.assert_array_equal(numbers, [3, 1, 2])
    capital = lists.letter_number["A"], lists.letter_number["d"]
    np.testing.assert_array_equal(letters[0], [lists.letter_number["T"], 1])
    np.testing.assert_array_equal(letters[2], capital)


def test_inputs_and_tags_are_those_of_real_words(lists):
    sentences = [["Turin", "met"], ["Ada"]]
    words, letters = lists.inputs(sentences, word_length=3)
    assert words.shape == (2, 2) and letters.shape == (2, 2, 3)
    assert words[1, 1] == 0 and not letters[1, 1].any()
    said = np.full((2, 2, 6), 0.1)
    said[..., 0] = 1  # padding is never said
    said[0, 0, 2] = said[0, 1, 1] = said[1, 0, 4] = 0.5
    assert lists.tags_of(said, sentences) == [["B-LOC", "O"], ["B-PER"]]


def test_hidden_words(lists):
    batches = Batches(SENTENCES, lists, 4, batch_size=12, seed=1, hidden=0.5)
    (first, letters), tags = batches[0]
    assert 0.2 < np.mean(first[tags > 0] == 1) < 0.95
    assert np.all((first > 0) == (tags > 0)) and np.all(letters.any(-1) == (tags > 0))
    batches.on_epoch_end()
    (second, _), _ = batches[0]
    assert np.any(first != second)


def test_without_a_seed_nothing_is_hidden(lists):
    batches = Batches(SENTENCES, lists, 4, batch_size=3, hidden=1.0)
    for (words, letters), tags in (batches[n] for n in range(len(batches))):
        known = letters[..., 0] == lists.letter_number["T"]  # of "Turin"
        assert np.all(words[known] == 3) and np.all((words > 0) == (tags > 0))


def test_padding():
    rows = [np.array([[1, 2]]), np.array([[3, 4], [5, 6]])]
    expected = [[[1, 2], [0, 0], [0, 0]], [[3, 4], [5, 6], [0, 0]]]
    np.testing.assert_array_equal(pad(rows, extra=1), expected)


def test_what_became_of_the_names():
    truth = [["B-A", "I-A", "O", "B-B", "B-A"], ["B-B", "B-A"]]
    found = [["B-A", "O", "O", "B-A", "B-A"], ["B-B", "O"]]
    # Of A: other borders, right, not found. Of B: taken for A, right.
    expected = [[1, 0, 1, 1], [1, 1, 0, 0]]
    np.testing.assert_array_equal(became(truth, found, ["A", "B"]), expected)


def test_f1_by_hand():
    """A name counts if its class and its borders are right, and its tags are IOB2."""
    truth = [["B-A", "I-A", "O", "B-B"], ["B-B", "B-B", "O"]]
    found = [["B-A", "I-A", "O", "B-A"], ["B-B", "I-B", "I-A"]]
    precision, recall = 1 / 3, 1 / 4
    expected = 2 * precision * recall / (precision + recall)
    assert f1(truth, found) == pytest.approx(expected)
    assert f1(truth, [["O"] * 4, ["O"] * 3]) == 0
