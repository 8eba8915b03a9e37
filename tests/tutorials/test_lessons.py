"""What every lesson that runs cell by cell has in common, as its readers meet it."""

import pytest

from tests.tutorials import notebooks
from tests.tutorials.scripts import TUTORIALS, python

LESSONS = [
    path
    for path in sorted(TUTORIALS.glob("[0-9]*.py"))
    if "lesson.begin(" in path.read_text("utf-8")
]


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return request.param


@pytest.mark.tensorflow
def test_as_a_notebook_each_step_shows_something(lesson, tmp_path):
    notebooks.check(notebooks.execute(lesson, quick=True, output=str(tmp_path)))


@pytest.mark.tensorflow
def test_a_wrong_parameter_ends_in_one_line(lesson, tmp_path):
    code, out, error = python(lesson, "--seed", "-1", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert error == f"error: seed: must be from 0 to {2**32 - 1}, not -1\n"
    assert not list(tmp_path.iterdir())
