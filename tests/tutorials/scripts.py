"""How the tests run a tutorial as a script, and look at what it wrote."""

import contextlib
import csv
import io
import json
import os
import runpy
import subprocess
import sys
import warnings
from pathlib import Path
from unittest import mock

from workshop import runs

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "tutorials"


def python(*arguments, cwd=None, wait=True, **popen):
    """Runs Python in a process of its own: its code, stdout and stderr.

    With `wait=False` the process itself, running.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **popen,
    )
    if not wait:
        return process
    out, error = process.communicate(timeout=300)
    return process.returncode, out, error


def run(script, *options):
    """Runs a script: its exit code, and what it wrote to stdout and stderr.

    It is run as `python SCRIPT` runs it, but in this process: another one would first
    import TensorFlow for some seconds.
    """
    out, error, code = io.StringIO(), io.StringIO(), 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(error))
        stack.enter_context(mock.patch.object(sys, "argv", [str(script), *options]))
        told = stack.enter_context(warnings.catch_warnings(record=True))
        for hidden in (DeprecationWarning, PendingDeprecationWarning):  # as Python does
            warnings.simplefilter("ignore", hidden)
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as end:
            code = end.code
    assert told == []
    return code, out.getvalue(), error.getvalue()


def small_run(script, tmp_path_factory, *options):
    """Runs a script with `--quick`: the folder that it wrote, and what it printed."""
    folder = tmp_path_factory.mktemp("quick") / "results" / "here"
    with contextlib.chdir(folder.parents[1]):
        code, out, error = run(script, "--quick", *options, "--output", str(folder))
    assert (code, error) == (0, "")
    return folder, out


def rows(path):
    """The rows of a CSV file, a dict for each."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def metrics(folder):
    """What a lesson recorded in its folder."""
    return json.loads((folder / "metrics.json").read_text("utf-8"))


def contents(folder):
    """All files under a folder, with what is in them."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def refused(main, arguments, says, folder, capsys):
    """Checks that the arguments give one line on stderr, code 2 and no change."""
    before = contents(folder)
    assert main([str(argument) for argument in arguments]) == 2
    out, error = capsys.readouterr()
    assert error.startswith("error: ") and error.count("\n") == 1
    assert says in error
    assert "Epoch" not in out
    assert contents(folder) == before


def break_off_after_one_epoch(monkeypatch):
    """Lets the next training end by a `KeyboardInterrupt` when its epoch is kept."""
    keep = runs._Keeper.on_epoch_end

    def keep_and_stop(keeper, epoch, logs=None):
        keep(keeper, epoch, logs)
        raise KeyboardInterrupt

    monkeypatch.setattr(runs._Keeper, "on_epoch_end", keep_and_stop)
