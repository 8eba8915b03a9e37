"""What a user has to put right, told in one line on stderr, with exit code 2.

A program has a `main(argv=None)`, decorated with `reported`, which `start(main)` runs.
"""

import functools
import sys

import keras


class UsageError(Exception):
    """Something that the user has to put right, told in one line."""


def report(error):
    """Tells an error in one line on stderr, and returns the exit code."""
    print("error:", " ".join(str(error).split()), file=sys.stderr)
    return 2


def reported(main):
    """A `main` whose usage errors are told in one line, and returned as exit code 2."""

    @functools.wraps(main)
    def told(argv=None):
        try:
            return main(argv) or 0
        except UsageError as error:
            return report(error)

    return told


def start(main):
    """Runs a program: as a script with its command line, in a notebook without."""
    if "ipykernel" in sys.modules:
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
