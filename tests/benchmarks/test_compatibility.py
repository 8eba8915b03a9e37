"""The table of compatibility, in a small part: two rows, three runtimes."""

import compatibility
import pytest

pytestmark = pytest.mark.tensorflow
PART = ["--kinds", "masked", "generator, one step", "--cells", "LSTM"]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("docs") / "table.md"
    runtimes = ["--runtimes", "TensorFlow", "SavedModel", "ONNX"]
    assert compatibility.main([*PART, *runtimes, "--output", str(path)]) == 0
    assert [each.name for each in path.parent.iterdir()] == ["table.md"]
    return path.read_text("utf-8")


def test_the_table_has_small_numbers_in_every_cell(text):
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if "|" in line]
    assert rows[0] == ["model", "cell", "TensorFlow", "SavedModel", "ONNX"]
    assert [row[:2] for row in rows[2:]] == [
        ["masked", "LSTM"],
        ["generator, one step", "LSTM"],
    ]
    for row in rows[2:]:
        assert all(0 < float(value) < 1e-6 for value in row[2:])


def test_the_versions_are_told(text):
    assert "onnxruntime 1." in text and "keras 3." in text


def test_what_is_not_there_or_fails_is_named_in_its_cell():
    options = compatibility.read_options([*PART, "--runtimes", "ONNX", "JAX"])
    found = {"ONNX": "onnx: not installed", "JAX": {0: 2e-7, 1: "ValueError: no"}}
    text = compatibility.document(options, found)
    assert "| masked | LSTM | no [1] | 2e-7 |" in text
    assert "| generator, one step | LSTM | no [1] | no [2] |" in text
    assert "[1] onnx: not installed" in text and "[2] ValueError: no" in text


def test_a_difference_shows(tmp_path, monkeypatch):
    step = compatibility.step
    monkeypatch.setattr(compatibility, "step", lambda *a: [h * 1.001 for h in step(*a)])
    options = compatibility.read_options(PART)
    compatibility.prepare(options, tmp_path)
    found = compatibility.measure(options, tmp_path)
    assert all(value > 1e-5 for value in found.values())
