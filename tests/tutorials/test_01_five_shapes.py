"""The lesson of the five shapes, as a notebook and as a script, and its solutions."""

import json

import pytest

from tests.tutorials import notebooks
from tests.tutorials.scripts import TUTORIALS, python, small_run

LESSON = TUTORIALS / "01_five_shapes.py"


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text("utf-8"))


@pytest.mark.tensorflow
def test_as_a_notebook(tmp_path):
    notebooks.check(notebooks.execute(LESSON, quick=True, output=str(tmp_path)))


@pytest.mark.tensorflow
def test_as_a_script(tmp_path_factory):
    folder, out = small_run(LESSON, tmp_path_factory)
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


def test_a_wrong_parameter(tmp_path):
    code, out, error = python(LESSON, "--units", "0", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert error == "error: units: must be greater than 0, not 0\n"
