"""The lesson of depth and direction, cell by cell, and its solutions."""

import pytest

from tests.tutorials.notebooks import quick_run
from tests.tutorials.scripts import TUTORIALS, metrics, small_run

LESSON = TUTORIALS / "06_deep_and_bidirectional.py"


@pytest.mark.tensorflow
def test_cell_by_cell(tmp_path_factory):
    folder, _ = quick_run(LESSON, tmp_path_factory)
    names = "stack both reach learning".split()
    assert {p.name for p in folder.glob("*.png")} == {f"{name}.png" for name in names}
    found = metrics(folder)
    assert found["apart"] < 1e-6
    # From left to right an output hears of its own step and of those before.
    ahead = (12 * 13 / 2) / 12**2
    assert found["reach"] == {
        "one level": ahead,
        "two levels": ahead,
        "both directions": 1,
    }
    one, two, both, _ = (row["weights"] for row in found["costs"])
    # 4 units, 2 inputs: a map and an initial state for each; and the dense map.
    assert one == 4 * (2 + 4 + 2) + 5
    assert two == one + 4 * (4 + 4 + 2)
    assert both == 2 * 4 * (2 + 4 + 2) + 9
    assert [row["GRU"] for row in found["long"]][-1] == "always 0"


@pytest.mark.tensorflow
def test_the_solutions(tmp_path_factory):
    folder, _ = small_run(TUTORIALS / "solutions" / LESSON.name, tmp_path_factory)
    found = metrics(folder)
    two, one = (row["weights"] for row in found["same_weights"])
    assert two <= one < 1.3 * two
    assert found["first"]["plain"] < found["first"]["with short cuts"]
    assert len(found["digits"]) == 3 and len(found["middle"]) == 2
