"""The lesson of the names, cell by cell, and its solutions."""

import pytest

from tests.tutorials.notebooks import quick_run
from tests.tutorials.scripts import TUTORIALS, metrics, small_run

LESSON = TUTORIALS / "09_named_entities.py"


@pytest.mark.tensorflow
def test_cell_by_cell(tmp_path_factory):
    folder, out = quick_run(LESSON, tmp_path_factory)
    names = {f"{n}.png" for n in ("both_ways", "confusion", "confusions", "tagged")}
    assert {p.name for p in folder.glob("*.png")} == names
    found = metrics(folder)
    # Counted by hand in the lesson: precision 1/2, recall 1/3.
    assert "F1 by seqeval: 0.400" in out
    plain, padded = found["losses"]
    assert plain == pytest.approx(padded, rel=1e-5)
    # Each name became one thing.
    first, last = found["became"].values()
    assert [sum(row) for row in first] == [sum(row) for row in last]
    assert all(0 <= value <= 1 for value in found["f1"].values())


@pytest.mark.tensorflow
def test_the_solutions(tmp_path_factory):
    folder, _ = small_run(TUTORIALS / "solutions" / LESSON.name, tmp_path_factory)
    found = metrics(folder)
    known, new = (row["F1"] for row in found["looked_up"])
    assert new < known
    stray = found["stray"]
    assert stray["stray I"] > 0 or stray["F1"] == stray["F1, mended"]
    assert found["gates"][0]["weights"] < found["gates"][1]["weights"]
