"""What a measured figure depends on: where, when and with what it was measured."""

import contextlib
import datetime
import importlib.metadata
import os
import platform
import sys
from pathlib import Path


def in_notebook():
    """Whether a notebook runs here, rather than a script that has imported IPython."""
    ipython = sys.modules.get("IPython")
    return bool(ipython and ipython.get_ipython())


def machine_and_date():
    """Where and when something was measured: "2 cores of a ..., 1 January 2026"."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    cores, day = os.cpu_count(), datetime.date.today()
    return (
        f"{cores} {'core' if cores == 1 else 'cores'} of an "
        f"{(names or ['unknown CPU'])[0]}, {day.day} {day:%B %Y}"
    )


def versions():
    """The versions of what a result depends on."""
    names = ["keras", "tensorflow", "jax", "numpy", "keras-rnn"]
    found = {"python": platform.python_version()}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
