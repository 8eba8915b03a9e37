"""What a user has to know or to put right, told in one line on stderr.

A program has a `main(argv=None)`, decorated with `reported`, which `start(main)` runs.
"""

import contextlib
import functools
import sys

import keras

from workshop import printing
from workshop.machine import in_notebook

# How to go on where a run is interrupted, while there is one: see `runs.Run`.
advice = None


class UsageError(Exception):
    """Something that the user has to put right, told in one line. Exit code 2."""


class CannotWrite(UsageError):
    """A file cannot be written. The run can go on when there is room for it."""


def report(error):
    """Tells an error in one line on stderr, if the user can do something about it.

    Returns:
        The exit code, or `None` for an error of another kind.
    """
    if isinstance(error, KeyboardInterrupt):
        line, code = "interrupted", 130
    elif isinstance(error, UsageError):
        line, code = f"error: {error}", 2
    else:
        return None
    if advice and isinstance(error, KeyboardInterrupt | CannotWrite):
        line += f"; {advice}"
    print(end="", flush=True)
    print(" ".join(line.split()), file=sys.stderr)
    return code


def reported(main):
    """A `main` whose errors are told in one line, and returned as exit code."""

    @functools.wraps(main)
    def told(argv=None):
        global advice
        advice = None
        with contextlib.redirect_stdout(sys.stdout):  # as it was, in the end
            printing.make_lenient()
            try:
                return main(argv) or 0
            except (UsageError, KeyboardInterrupt) as error:
                return report(error)
            finally:
                print(end="", flush=True)

    return told


def hook(kind, error, traceback):
    """In the place of `sys.excepthook`: what `reported` is to a program."""
    code = report(error)
    if code is None:
        sys.__excepthook__(kind, error, traceback)
    else:
        sys.exit(code)


def start(main):
    """Runs a program: as a script with its command line, in a notebook without."""
    if in_notebook():
        main([])
    else:
        sys.exit(main())


def need_tensorflow(what, or_jax=False):
    """Raises a `UsageError` unless Keras runs on TensorFlow (or, with `or_jax`, JAX)."""
    names = ["tensorflow", "jax"] if or_jax else ["tensorflow"]
    if keras.backend.backend() not in names:
        raise UsageError(
            f"{what} needs {' or '.join(names)}, but Keras runs on "
            f"{keras.backend.backend()}: set KERAS_BACKEND={' or '.join(names)}"
        )
