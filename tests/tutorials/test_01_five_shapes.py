"""The lesson of the five shapes, cell by cell, and its solutions."""

import pytest

from tests.tutorials.notebooks import quick_run
from tests.tutorials.scripts import TUTORIALS, metrics, small_run

LESSON = TUTORIALS / "01_five_shapes.py"


@pytest.mark.tensorflow
def test_cell_by_cell(tmp_path_factory):
    folder, out = quick_run(LESSON, tmp_path_factory)
    names = {path.name for path in folder.iterdir()}
    assert names == {"five_shapes.png", "initial_state.png", "map.png", "metrics.json"}
    found = metrics(folder)
    assert found["dense_apart"] < 1e-6  # one step is a dense network, trained or not
    weights = found["weights"]
    assert len({row["recurrent"] for row in weights}) == 1 < len(weights)
    assert len({row["dense"] for row in weights}) == len(weights)
    assert len(found["measured"]) == 5
    assert "quatre" in out


@pytest.mark.tensorflow
def test_the_solutions(tmp_path_factory):
    folder, _ = small_run(TUTORIALS / "solutions" / LESSON.name, tmp_path_factory)
    found = metrics(folder)
    for name in ("two_ones", "parity", "largest", "repeated", "to_digits"):
        assert name in found
