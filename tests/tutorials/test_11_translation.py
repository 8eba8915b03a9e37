"""The lesson of translation, cell by cell, and its solutions."""

import pytest

from tests.tutorials.notebooks import quick_run
from tests.tutorials.scripts import TUTORIALS, metrics, small_run

LESSON = TUTORIALS / "11_translation.py"


@pytest.mark.tensorflow
def test_cell_by_cell(tmp_path_factory):
    folder, told = quick_run(LESSON, tmp_path_factory)
    names = "encoder_decoder attention_to_dates attention_to_words".split()
    assert {p.name for p in folder.glob("*.png")} == {f"{name}.png" for name in names}
    assert "pieces: " in told
    found = metrics(folder)
    assert found["alike"] == 1  # our own loop and the library's, with the same weights
    assert [row["task"] for row in found["table"]] == ["dates"] * 3 + ["phrases"] * 4
    assert all(0 <= row["BLEU"] <= 100 for row in found["table"][3:])


@pytest.mark.tensorflow
def test_the_solutions(tmp_path_factory):
    folder, _ = small_run(TUTORIALS / "solutions" / LESSON.name, tmp_path_factory)
    found = metrics(folder)
    assert [row["language"] for row in found["shares"]][-1] == "all"
    falls = found["falls"]
    assert falls["with attention"] > 3 * falls["without attention"]
    characters, pieces = (row["steps of the longest"] for row in found["units"])
    assert pieces < characters / 2
    assert found["slip"][0] == "3" and len(found["slip"]) == 10
