"""The benchmark of cells of one's own runs, and all its ways have the same gradients."""

import json
import sys
from unittest import mock

import any_cell
import pytest


@pytest.mark.tensorflow
def test_it_runs(tmp_path, capsys):
    arguments = ["any_cell.py", "--quick", "--output", str(tmp_path)]
    with mock.patch.object(sys, "argv", arguments):
        any_cell.main()
    record = json.loads((tmp_path / "any_cell.json").read_text("utf-8"))
    assert [*record["steps"]] == ["elman", "lstm", "gru"]
    assert [*record["lengths"]] == ["10", "20"]
    assert (tmp_path / "lengths.png").exists()
    assert capsys.readouterr().out.count("\n| ") == 2 + 3 + 2
