"""How the tests run a tutorial as a script, and look at what it wrote."""

import csv
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "tutorials"
if str(TUTORIALS) not in sys.path:  # so that tests can import them as modules
    sys.path.insert(0, str(TUTORIALS))


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


def small_run(script, tmp_path_factory):
    """Runs a script with `--quick`: the folder that it wrote, and what it printed."""
    folder = tmp_path_factory.mktemp("quick") / "results" / "here"
    code, out, error = python(
        script, "--quick", "--output", folder, cwd=folder.parents[1]
    )
    assert (code, error) == (0, "")
    return folder, out


def rows(path):
    """The rows of a CSV file, a dict for each."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


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
    import workshop

    keep = workshop._Keeper.on_epoch_end

    def keep_and_stop(keeper, epoch, logs=None):
        keep(keeper, epoch, logs)
        raise KeyboardInterrupt

    monkeypatch.setattr(workshop._Keeper, "on_epoch_end", keep_and_stop)
