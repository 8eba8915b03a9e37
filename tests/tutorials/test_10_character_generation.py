"""The lesson of the network that writes, cell by cell, and its solutions."""

import numpy as np
import pytest

from tests.tutorials.notebooks import quick_run
from tests.tutorials.scripts import TUTORIALS, metrics, small_run

LESSON = TUTORIALS / "10_character_generation.py"


@pytest.mark.tensorflow
def test_cell_by_cell(tmp_path_factory):
    folder, told = quick_run(LESSON, tmp_path_factory)
    names = "writer temperature by_place".split()
    assert {p.name for p in folder.glob("*.png")} == {f"{name}.png" for name in names}
    assert all(f"temperature {heat}: " in told for heat in (0.0, 0.5, 1.0, 1.5))
    found = metrics(folder)
    nats = found["nats"]
    uniform = nats["every character alike"]
    assert nats["5-gram"] < nats["3-gram"] < nats["1-gram"] < uniform
    networks = [name for name in nats if "," in name]
    assert len(networks) == 4 and all(nats[name] < uniform for name in networks)
    assert np.mean(found["by_place"]) == pytest.approx(
        nats["Elman, each window by itself"], rel=1e-3
    )
    assert 0 <= found["recognised"] <= 1


@pytest.mark.tensorflow
def test_the_solutions(tmp_path_factory):
    folder, _ = small_run(TUTORIALS / "solutions" / LESSON.name, tmp_path_factory)
    found = metrics(folder)
    assert [row["sampled from"] for row in found["words"]] == [
        "all characters",
        "top_p=0.9",
    ]
    assert [row["state carried"] for row in found["short"]] == [True, False, True]
    assert all(abs(row["correlation"]) <= 1 for row in found["counting"])
    assert all(two["best"] >= two["first"] for two in found["odds"].values())
