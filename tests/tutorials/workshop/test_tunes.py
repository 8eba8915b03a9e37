"""Tunes with bars that are counted by hand."""

import pytest

from tests.tutorials import scripts  # noqa: F401

# isort: split
from workshop import tunes


def test_bars_are_counted():
    pytest.importorskip("music21", reason="the extra [music]")
    abc = "M: 3/4\nL: 1/4\nK: C\nCDE | FGA | B2 | c2A | G3 |\n"
    assert tunes.bars(abc) == (3, 2)  # without the first and the last
    long = "M: 2/4\nL: 1/4\nK: C\nCD | EFG | AB | cd | c2 |\n"  # E F, and G alone
    assert tunes.bars(long) == (4, 3)
    found = tunes.count_bars([abc, "M: what\nK:\n[[["])
    assert found.tolist() == [[3, 2], [0, 0]]
    assert tunes.count_bars([]).shape == (0, 2)


def test_the_best_tune_is_saved(tmp_path):
    music21 = pytest.importorskip("music21", reason="the extra [music]")
    head = "M: 2/4\nL: 1/4\nK: C\n"
    written = ["[[[", head + "CD | " * 9, head + "CDE | " * 12, head + "CD | "]
    path = tmp_path / "tune_china.abc"
    abc = tunes.save_best(written, path, "China")
    assert abc == path.read_text() and abc.startswith("X:1\nT: China\nM: 2/4")
    assert path.read_text().count("CD | ") == 8 and "CDE" not in path.read_text()
    notes = music21.converter.parse(path.with_suffix(".mid")).flatten().notes
    assert [note.pitch.name for note in notes] == ["C", "D"] * 9
    assert tunes.save_best(["[[["], tmp_path / "none.abc", "China") is None
    assert len(list(tmp_path.iterdir())) == 2
