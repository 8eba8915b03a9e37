"""What all lessons have in common, as their readers meet it."""

import make
import pytest

from tests.tutorials import notebooks
from tests.tutorials.scripts import TUTORIALS, run, small_run

# isort: split
from workshop import languages


@pytest.fixture(params=make.LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return request.param


@pytest.mark.tensorflow
def test_a_wrong_parameter_ends_in_one_line(lesson, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, error = run(lesson, "--seed", "-1")
    assert (code, out) == (2, "")
    assert error == f"error: seed: must be from 0 to {2**32 - 1}, not -1\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.tensorflow
def test_a_script_measures_what_its_notebook_does(tmp_path_factory):
    script = TUTORIALS / "03_backpropagation_through_time.py"
    folder, printed = small_run(script, tmp_path_factory)
    other, shown = notebooks.quick_run(script, tmp_path_factory)
    assert {p.name for p in folder.iterdir()} == {p.name for p in other.iterdir()}
    lines = [line for line in printed.splitlines() if "The figure is in" not in line]
    assert [line for line in lines if line not in shown] == []


@pytest.mark.parametrize("language", languages.LANGUAGES)
def test_each_notebook_is_that_of_its_script(lesson, language):
    if language == "fr" and not make.path_of(lesson, "fr").exists():
        pytest.skip("this lesson has not been run in French yet")
    assert make.disagreement(lesson, language) == ""


def test_the_notebooks_are_small_and_tell_of_no_machine():
    paths = list((make.ROOT / "notebooks").glob("*/*.ipynb"))
    assert len(paths) >= len(make.LESSONS)
    assert sum(path.stat().st_size for path in paths) < 12e6
    for path in paths:
        text = path.read_text("utf-8")
        assert not any(word in text for word in ("/root", "/home", "/tmp", "Warning"))
