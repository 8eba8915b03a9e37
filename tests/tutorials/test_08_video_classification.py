"""The lesson of the clips, cell by cell, and its solutions."""

import pytest

from tests.tutorials.notebooks import quick_run
from tests.tutorials.scripts import TUTORIALS, metrics, small_run

LESSON = TUTORIALS / "08_video_classification.py"


@pytest.mark.tensorflow
def test_cell_by_cell(tmp_path_factory):
    folder, _ = quick_run(LESSON, tmp_path_factory)
    names = "network clips vectors paths by_frames".split()
    assert {p.name for p in folder.glob("*.png")} == {f"{name}.png" for name in names}
    found = metrics(folder)
    # Four clips have the middle frame in common, and two the mean over their frames: so
    # much is right, whatever a network has learned.
    assert found["accuracy"]["the frame in the middle"] == 0.25
    assert found["accuracy"]["mean over frames"] <= 0.5
    # A mean over places does not change when the digit moves.
    assert found["change"]["averages over places"] < 1e-4
    assert found["change"]["keeps places"] > 0.1
    # In one frame there is no motion.
    assert [len(row) for row in found["by_frames"].values()] == [8, 8, 8]
    assert all(row[0] == 0.25 for row in found["by_frames"].values())
    assert len(found["by_meeting"]) == 3


@pytest.mark.tensorflow
def test_the_solutions(tmp_path_factory):
    folder, _ = small_run(TUTORIALS / "solutions" / LESSON.name, tmp_path_factory)
    found = metrics(folder)
    assert [row["units"] for row in found["sizes"]] == [1, 2, 4, 8]
    assert all(row[0] == 0.25 for row in found["lengths"].values())  # one frame
    assert set(found["orders"]) >= {"backwards", "shuffled"}
