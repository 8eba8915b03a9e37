"""The lesson of the gates, cell by cell, and its solutions."""

import numpy as np
import pytest

from tests.tutorials.notebooks import quick_run
from tests.tutorials.scripts import TUTORIALS, metrics, small_run

LESSON = TUTORIALS / "05_gates.py"


@pytest.mark.tensorflow
def test_cell_by_cell(tmp_path_factory):
    folder, _ = quick_run(LESSON, tmp_path_factory)
    names = "lstm gru roads profiles gates forget_bias".split()
    assert {p.name for p in folder.glob("*.png")} == {f"{name}.png" for name in names}
    found = metrics(folder)
    assert max(found["apart"].values()) < 1e-12  # the steps by hand, in float64
    # The wider the forget gate is open at the start, the longer the road.
    left = found["left"]
    assert left["LSTM, b_f = 0"] < left["LSTM, b_f = 1"] < left["LSTM, b_f = 3"]
    # At the start, gates lose more than an orthogonal matrix.
    assert max(left["LSTM, b_f = 1"], left["GRU"]) < left["Elman, at most"]
    before = {row["network"]: row["at step 1, before"] for row in found["networks"]}
    assert before["GRU"] < before["LSTM"] < before["Elman"]
    ratios = {row["network"]: row["weights / Elman"] for row in found["costs"]}
    assert ratios["Elman"] == 1 and 2.5 < ratios["GRU"] < 3.5 < ratios["LSTM"] < 4.5


@pytest.mark.tensorflow
def test_the_solutions(tmp_path_factory):
    folder, _ = small_run(TUTORIALS / "solutions" / LESSON.name, tmp_path_factory)
    found = metrics(folder)
    half = found["half"]
    assert half["f"] ** 100 == pytest.approx(0.5)
    assert 1 / (1 + np.exp(-half["bias"])) == pytest.approx(half["f"])
    lstm, elman = (row["weights"] for row in found["same_weights"])
    assert elman == pytest.approx(lstm, rel=0.2)
    assert len(found["gru"]) == 2 and len(found["gru"][0]) == 10
