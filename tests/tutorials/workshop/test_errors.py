"""What ends a program, and what does not."""

import io
import os
import sys

import pytest

from tests.tutorials.scripts import python

# isort: split
from workshop import errors, files


def ending(error, advice=None):
    """Runs a program that ends with an error."""

    @errors.reported
    def main(argv=None):
        errors.advice = advice
        raise error

    return main([])


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (errors.UsageError("this\nor that"), 2, "error: this or that\n"),
        (errors.CannotWrite("full"), 2, "error: full; go on\n"),
        (KeyboardInterrupt(), 130, "interrupted; go on\n"),
    ],
)
def test_one_line_and_a_code(error, code, line, capsys):
    assert ending(error, "go on") == code
    assert capsys.readouterr() == ("", line)


def test_no_advice_without_a_run(capsys):
    ending(KeyboardInterrupt())
    assert capsys.readouterr().err == "interrupted\n"


def test_other_errors_are_the_programs():
    with pytest.raises(ZeroDivisionError):
        ending(ZeroDivisionError())


@errors.reported
def tell_and_save(argv):
    """A program that prints more than a pipe holds, and then saves."""
    for _ in range(100):
        print("\u2192 " + "x" * 1000, flush=True)
    files.write_json(argv, {"saved": True})


def test_a_pipe_that_is_closed(tmp_path, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert tell_and_save(tmp_path / "a.json") == 0
        assert sys.stdout is stream
    assert files.read_json(tmp_path / "a.json") == {"saved": True}


def test_a_terminal_of_ascii(tmp_path, monkeypatch):
    said = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(said, "ascii"))
    assert tell_and_save(tmp_path / "a.json") == 0
    assert said.getvalue().startswith(b"\\u2192 xxx")
    assert files.read_json(tmp_path / "a.json") == {"saved": True}


def test_a_script_without_main():
    """A lesson has no `main`: there it is the hook that tells."""
    code = (
        "import sys\nfrom workshop import errors\nsys.excepthook = errors.hook\n"
        "raise errors.UsageError('so')"
    )
    tutorials = os.path.dirname(os.path.dirname(errors.__file__))
    assert python("-c", code, cwd=tutorials) == (2, "", "error: so\n")


def test_the_hook_lets_other_errors_be(capsys):
    errors.hook(ValueError, ValueError("so"), None)
    assert capsys.readouterr().err == "ValueError: so\n"
