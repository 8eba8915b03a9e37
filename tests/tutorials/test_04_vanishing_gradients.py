"""The lesson of vanishing gradients, cell by cell, and its solutions."""

import pytest

from tests.tutorials.notebooks import quick_run
from tests.tutorials.scripts import TUTORIALS, metrics, small_run

LESSON = TUTORIALS / "04_vanishing_gradients.py"


@pytest.mark.tensorflow
def test_cell_by_cell(tmp_path_factory):
    folder, _ = quick_run(LESSON, tmp_path_factory)
    names = "chains ellipses gains profiles flow clipping".split()
    assert {p.name for p in folder.glob("*.png")} == {f"{name}.png" for name in names}
    found = metrics(folder)
    # A gain bounds the largest singular value, if the slopes are at most 1.
    for gain in (0.5, 0.9, 1.0):
        for k, left in zip((1, 5, 10, 20, 30, 40, 50), found["gains"][f"gain {gain}"]):
            assert 0 < left <= gain**k * (1 + 1e-4)
    # Gates start with less gradient at the first step than an orthogonal matrix.
    before = {
        row["network"]: row["dL/dh_1 at the start"] for row in found["runs"][::-1]
    }
    assert max(before["LSTM"], before["GRU"]) < before["Elman"]
    used = {row["clipping"]: row for row in found["clipped"]}
    assert used["none"]["used"] == "[3.  4.  0.5]"
    assert used["clipnorm"]["used"] == "[0.6 0.8 0.5]"
    assert used["clipvalue"]["used"] == "[0.1 0.1 0.1]"
    assert used["global_clipnorm"]["cosine"] == pytest.approx(1, abs=1e-6)
    assert max(used[name]["cosine"] for name in ("clipnorm", "clipvalue")) < 0.95


@pytest.mark.tensorflow
def test_the_solutions(tmp_path_factory):
    folder, _ = small_run(TUTORIALS / "solutions" / LESSON.name, tmp_path_factory)
    found = metrics(folder)
    for row in found["millionth"]:
        assert row["gain"] ** row["steps, at most"] <= 1e-6
        assert row["gain"] ** (row["steps, at most"] - 1) > 1e-6
        assert row["then measured"] < 1e-6
    closed, open_ = found["first"].values()
    assert closed < open_ < 1
    assert len(found["watched"]) == 10 and len(found["sizes"]) == 3
