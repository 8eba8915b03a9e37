"""Files that are read with care, and written whole or not at all."""

import contextlib
import csv
import errno
import json
import os
import shutil
import tempfile

import keras_rnn.files
from workshop.errors import CannotWrite, UsageError


@contextlib.contextmanager
def reading(path, kind="text", **how):
    """The user's file, open to be read. Raises a `UsageError` if it cannot be read.

    Args:
        path: String or `Path`, the file.
        kind: String, what it should be, in UTF-8.
        **how: More arguments of `open`.
    """
    try:
        with open(path, encoding="utf-8-sig", **how) as file:
            yield file
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is not a {kind} in UTF-8: {error}") from error


def make_writable(folder):
    """Makes the folder if need be. Raises a `UsageError` if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CannotWrite(f"cannot write to {folder}: {error.strerror}") from error


def read_json(path, kind=dict):
    """What a JSON file holds. Raises a `UsageError` unless it is there, and of a kind."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, kind):
        raise UsageError(f"{path} is damaged: there is no {kind.__name__} in it")
    return value


def remove(path):
    """Removes a file, a folder with all that is in it, or a link, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path):
    """As `keras_rnn.files.replacing`. Raises `CannotWrite` if the disk is full, say."""
    try:
        with keras_rnn.files.replacing(path) as new:
            yield new
    except Exception as error:
        # TensorFlow and HDF5 have errors of their own, but the words of the system.
        full = os.strerror(errno.ENOSPC)
        if not (isinstance(error, OSError) or full in str(error)):
            raise
        reason = error.strerror if isinstance(error, OSError) else full
        raise CannotWrite(f"cannot write {path}: {reason or error}") from error


def write_json(path, value):
    """Writes the value as a JSON file, whole or not at all."""
    with replacing(path) as new:
        new.write_text(json.dumps(value, indent=2) + "\n", "utf-8")


def write_csv(path, rows):
    """Writes a list of dicts, all with the same keys, as a CSV file."""
    with replacing(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
