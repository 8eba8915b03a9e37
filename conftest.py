"""Which tests run, and what the examples in the docstrings find at hand."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

import keras  # noqa: E402

# What is another backend's may not be installed.
BACKENDS = {"tensorflow", "jax", "torch"} - {keras.backend.backend()}
collect_ignore_glob = [f"keras_rnn/backends/{name}*.py" for name in BACKENDS]
collect_ignore = ["keras_rnn/sampling.py"]  # the old name of a module warns
if keras.backend.backend() == "torch":
    collect_ignore.append("keras_rnn/export.py")  # writes a SavedModel in its example

# Whole programs, processes and other backends: minutes, and the packages of [dev].
SLOW = [
    Path(__file__).parent / "tests" / name
    for name in (
        "benchmarks",
        "docs",
        "examples",
        "tutorials",
        "test_backends.py",
        "test_other_backends.py",
        "test_packaging.py",
    )
]


def pytest_addoption(parser):
    parser.addoption(
        "--all", action="store_true", help="run all tests, not the quick ones alone"
    )


def pytest_ignore_collect(collection_path, config):
    """Leaves out what is slow by its place, unless it is asked for by name."""
    if config.getoption("--all") or collection_path not in SLOW:
        return None
    named = [Path(config.invocation_params.dir, arg) for arg in config.args]
    return not any(collection_path in (p, *p.parents) for p in named) or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Leaves out what is marked `slow`; what is slow by its place has the mark, too."""
    every = config.getoption("--all")
    left_out = [i for i in items if i.get_closest_marker("slow") and not every]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]
    for item in items:
        if any(path in (item.path, *item.path.parents) for path in SLOW):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def examples_have_numpy(doctest_namespace):
    import numpy

    doctest_namespace["numpy"] = numpy
