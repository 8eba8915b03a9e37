"""Phrases in two languages, and pairs of texts that are cut and read."""

import numpy as np
import pytest
from workshop import phrases
from workshop.errors import UsageError


def test_phrases_say_the_same():
    pairs = phrases.compose(300, np.random.default_rng(0))
    assert len(dict(pairs)) == 300
    french = dict(phrases.places())
    assert len(french) > 200 and french["Germany"] == "Allemagne"
    for english, other in pairs:
        assert english.count(" ago") == other.count("il y a ")
        digits = [
            sorted(word.strip(",") for word in text.split() if word[0].isdigit())
            for text in (english, other)
        ]
        assert digits[0] == digits[1] != []
        where = english.split(", ")[0].split(" and ")[0]  # one place, or the first
        assert other.startswith(french[where])


def test_a_source_is_in_one_part_only():
    pairs = [(f"{i % 40}", f"{i}") for i in range(100)]
    parts = phrases.cut(pairs, np.random.default_rng(0))
    assert sorted(pair for part in parts for pair in part) == sorted(pairs)
    sources = [{source for source, _ in part} for part in parts]
    assert [len(found) for found in sources] == [32, 4, 4]
    assert len(set.union(*sources)) == 40
    _, validation, test = phrases.cut(pairs, np.random.default_rng(0), most=2)
    assert [len(dict(part)) for part in (validation, test)] == [2, 2]


def test_all_targets_of_a_source_are_references():
    pairs = [("a", "x"), ("b", "z"), ("a", "y"), ("a", "x")]
    assert phrases.references(pairs) == (["a", "b"], [["x", "z"], ["y", None]])


@pytest.mark.parametrize(
    ("text", "says"),
    [("a\tb\nno tab", "line 2: no tab"), ("a\t ", "line 1: the target is empty")],
)
def test_bad_files(text, says, tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=says):
        phrases.read(path)


def test_a_path_may_be_a_string(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("number 1\tnum\u00e9ro 1\n", "utf-8")
    assert (
        phrases.read(str(path)) == phrases.read(path) == [("number 1", "num\u00e9ro 1")]
    )
