"""A standard output that never stops a program: what was computed must be saved."""

import contextlib
import os
import sys


class _Lenient:
    """A stream that drops what cannot be written, once it cannot.

    A pipe may be closed at its other end (`| head`), a disk full, a terminal gone.
    """

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        try:
            return self._stream.write(text)
        except OSError:
            return self._drop()

    def flush(self):
        try:
            self._stream.flush()
        except OSError:
            self._drop()

    def _drop(self):
        """From now on all goes to nowhere, and what waits in the buffer, too."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name):
        return getattr(self._stream, name)


def make_lenient():
    """From now on `print` ends no program: see `_Lenient`.

    Characters that the terminal does not know are written as Python escapes them.
    """
    if sys.stdout is None or isinstance(sys.stdout, _Lenient):
        return
    with contextlib.suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout = _Lenient(sys.stdout)
