"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from keras_rnn.hints import StrPath

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows: what a killed writer leaves stays there
    fcntl = None


@contextlib.contextmanager
def replacing(path: StrPath) -> Iterator[pathlib.Path]:
    """A path to write a file or a folder to, which then takes the place of `path`.

    Whenever the writer fails or is killed, `path` is what it was before, or whole and
    new. (A folder cannot take the place of another at once: between two renamings there
    is none. Who is killed just then leaves the new one to the next writer, who puts it
    in place.) What a killed writer left is removed by the next one in the same folder
    with the same name; what another one is writing at the moment is not.

    A link stays a link: what it points to is replaced.

    Args:
        path: String or `pathlib.Path`. The folder that it is in is made if need be.

    Yields:
        A `pathlib.Path` that does not exist yet, with the name of `path`.
    """
    name, path = pathlib.Path(path).name, pathlib.Path(os.path.realpath(path))
    parent = path.parent  # of what a link points to
    parent.mkdir(parents=True, exist_ok=True)
    prefix = f".new-{path.name[:50]}-"
    with _locked(parent):
        for left in parent.iterdir():
            if re.fullmatch(re.escape(prefix) + "[a-z0-9_]{8}", left.name):
                _clear(left)
        work = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        alive = _lock(work)
    try:
        new, old = work / "new" / (name or path.name), work / "old" / path.name
        for each in (new, old):
            each.parent.mkdir()
        yield new
        with _locked(parent):
            _put(new, path, old)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        _unlock(alive)


def _put(new, path, old):
    """Puts `new` in the place of `path`, and what was there, if a folder, at `old`."""
    if path.is_dir() or (path.exists() and new.is_dir()):
        os.replace(path, old)
    try:
        os.replace(new, path)
    except BaseException:
        if old.exists():
            os.replace(old, path)
        raise


def _clear(work):
    """Removes what a writer left that is no more, and ends what it was about to end."""
    alive = _lock(work)
    if alive is None:
        return
    try:
        for old in [*work.glob("old/*")]:
            path = work.parent / old.name
            if not path.exists():  # killed between the two renamings
                os.replace(next(work.glob("new/*"), old), path)
        shutil.rmtree(work, ignore_errors=True)
    finally:
        _unlock(alive)


# A lock on a folder ends with its process, however that ends.


@contextlib.contextmanager
def _locked(folder):
    """Within, no other process or thread is in here with the same folder."""
    held = _lock(folder, wait=True)
    try:
        yield
    finally:
        _unlock(held)


def _lock(folder, wait=False):
    """A lock on a folder, or `None` where another has it, or where there are none."""
    if fcntl is None:
        return None
    file = None
    try:
        file = os.open(folder, os.O_RDONLY)
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        if file is not None:
            os.close(file)
        return None
    return file


def _unlock(file):
    if file is not None:
        fcntl.flock(file, fcntl.LOCK_UN)  # a forked process may have it open, too
        os.close(file)
