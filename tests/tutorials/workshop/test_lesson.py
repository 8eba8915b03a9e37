"""A lesson of a few cells, as a script and as a notebook."""

import json
import os

import nbclient
import numpy as np
import pytest

from tests.tutorials import notebooks
from tests.tutorials.scripts import TUTORIALS, contents, python

# isort: split
from workshop import lesson

LESSON = """\
# %% [markdown]
# # How much is a half?

# %%
import matplotlib.pyplot as plt
import numpy as np

from workshop import lesson

# %% tags=["parameters"]
units = 64  # size of it, 100% of it
rate = 0.5
shift = -1.5  # may be anything
cell = "elman"  # elman, lstm or gru
carry = True  # from batch to batch
seed = 1  # of all randomness
quick = False
output = "output/half"  # folder for the figures

# %%
lesson.begin(
    globals(), quick={"units": 4, "rate": 0.25}, choices={"cell": ("elman", "gru")}
)

# %%
print([units, rate, shift, cell, carry, seed, quick])

# %%
print(np.random.random())

# %%
figure, axes = plt.subplots()
axes.plot([1, 2])
axes.set_title("A line")
lesson.show(figure, "line.png")

# %%
lesson.table([{"name": "a", "accuracy": 0.5}, {"name": "bb", "units": units}])
lesson.record(accuracy=np.float32(0.5), losses=np.arange(2))
lesson.record(more={"a": 1})
"""
USUAL = [64, 0.5, -1.5, "elman", True, 1, False]
TABLE = """\
name  accuracy  units
----  --------  -----
a        0.500
bb                 64
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "13_half.py"
    path.write_text(LESSON, "utf-8")
    return path


def run(script, *arguments):
    """The exit code, the first two lines and stderr of the lesson as a script.

    In the folder of the script, and with the modules that the lessons share.
    """
    code = f"""
import runpy, sys
sys.path.insert(0, {str(TUTORIALS)!r})
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    return python("-c", code, script, *arguments, cwd=script.parent)


def test_a_script_with_the_usual_parameters(script):
    code, out, error = run(script)
    assert (code, error) == (0, "")
    values, number, *rest = out.splitlines(keepends=True)
    assert values == f"{USUAL}\n"
    assert float(number) == np.random.RandomState(1).random_sample()
    assert "".join(rest[1:]) == TABLE
    folder = script.parent / "output" / "half"
    assert {path.name for path in folder.iterdir()} == {"line.png", "metrics.json"}
    assert (folder / "line.png").read_bytes().startswith(b"\x89PNG")
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert (metrics["accuracy"], metrics["losses"]) == (0.5, [0, 1])
    assert metrics["more"] == {"a": 1}
    assert metrics["parameters"]["units"] == 64
    assert "keras" in metrics["versions"] and "core" in metrics["machine"]


def values_of(monkeypatch, script, *arguments):
    """The parameters that `begin` sets for a command line, in this process."""
    monkeypatch.chdir(script.parent)
    monkeypatch.setattr("sys.argv", [str(script), *arguments])
    namespace = {"__name__": "__main__", "__file__": str(script)}
    lesson.begin(namespace, {"units": 4, "rate": 0.25}, {"cell": ("elman", "gru")})
    names = ["units", "rate", "shift", "cell", "carry", "seed", "quick", "output"]
    return [namespace[name] for name in names]


@pytest.mark.parametrize(
    ("arguments", "at", "value"),
    [
        (["--units", "3"], 0, 3),
        (["--rate", "2"], 1, 2.0),
        (["--shift", "3"], 2, 3.0),
        (["--shift=-3"], 2, -3.0),
        (["--cell", "gru"], 3, "gru"),
        (["--no-carry"], 4, False),
        (["--seed", "0"], 5, 0),
        (["--output", "x/y"], 7, "x/y"),
    ],
)
def test_a_parameter_of_the_command_line(script, monkeypatch, arguments, at, value):
    found = values_of(monkeypatch, script, *arguments)
    expected = [*USUAL, "output/half"]
    expected[at] = value
    assert found == expected and type(found[at]) is type(value)


def test_quick_is_for_what_is_not_given(script, monkeypatch, capsys):
    found = values_of(monkeypatch, script, "--quick", "--units", "9")
    assert found[:2] == [9, 0.25] and found[6] is True
    assert capsys.readouterr().out == (
        "Quick, to see that everything works: units=9, rate=0.25\n"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--unit", "3"], "--unit"),
        (["--units", "3.5"], "'3.5'"),
        (["--units", "0"], "units: must be greater than 0, not 0"),
        (["--rate", "nan"], "rate: must be finite"),
        (["--rate=-1"], "rate: must be greater than 0"),
        (["--cell", "lstm"], "cell: must be one of elman, gru, not 'lstm'"),
        (["--seed", "-1"], "seed: must be from 0 to 4294967295"),
        (["--seed", "4294967296"], "seed: must be from 0 to 4294967295"),
        (["--output", __file__], "cannot write to"),
        (["more"], "more"),
    ],
)
def test_what_a_script_refuses(script, monkeypatch, capsys, arguments, says):
    with pytest.raises(SystemExit) as end:
        values_of(monkeypatch, script, *arguments)
    out, error = capsys.readouterr()
    assert end.value.code == 2 and out == ""
    assert error.startswith("error: ") and error.count("\n") == 1 and says in error
    assert contents(script.parent).keys() == {script.name}


def test_help(script, monkeypatch, capsys):
    with pytest.raises(SystemExit) as end:
        values_of(monkeypatch, script, "--help")
    out = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 0
    assert "How much is a half?" in out and "--carry, --no-carry" in out
    assert "--units INT size of it, 100% of it (default: 64)" in out


def test_a_notebook(script):
    folder = script.parent / "there"
    given = {"quick": True, "units": 9, "shift": 2, "output": str(folder)}
    notebook = notebooks.make.execute(script, **given)
    notebooks.check(notebook)
    texts = [
        o["text"] for c in notebook.cells for o in c.get("outputs", []) if "text" in o
    ]
    assert texts[1] == f"{[9, 0.25, 2.0, 'elman', True, 1, True]}\n"
    assert float(texts[2]) == np.random.RandomState(1).random_sample()
    assert {path.name for path in folder.iterdir()} == {"line.png", "metrics.json"}


def test_a_lesson_in_french(script):
    folder = script.parent / "there"
    code, out, error = run(script, "--language", "fr", "--output", folder)
    assert (code, error) == (0, "")
    table = TABLE.replace("name ", "nom ").replace(
        "accuracy  units", "exactitude  unités"
    )
    assert table.splitlines()[0].split() == out.splitlines()[-4].split()
    assert f"La figure est dans {folder / 'line.png'}" in out


def test_a_notebook_is_told_what_is_wrong(script):
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="'much'") as told:
        notebooks.make.execute(
            script, units="much", output=str(script.parent / "there")
        )
    assert "UsageError" in str(told.value)
    assert os.listdir(script.parent) == [script.name]


def test_silent_cells_are_found(script):
    silent = "\n# %%\na = 1\n" * 3
    script.write_text(LESSON + silent, "utf-8")
    notebook = notebooks.make.execute(script, output=str(script.parent / "there"))
    with pytest.raises(AssertionError, match="a = 1"):
        notebooks.check(notebook)
