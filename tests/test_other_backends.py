"""The tests that need no TensorFlow, run on JAX and on PyTorch.

On JAX, where each shape of each operation is compiled, only those of the cells and of the
pass over time are run, in a minute; the others, by `KERAS_BACKEND=jax python -m pytest`,
take another five. tests/test_backends.py compares what they give.
"""

import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.tensorflow

PASS = ["tests/cells", "tests/test_bptt.py"]
THE_REST = [
    "tests/test_rnn.py",
    "tests/test_export.py",
    "tests/test_generation.py",
    "tests/test_gradient_flow.py",
    "tests/test_seq2seq.py",
    "tests/test_text.py",
    "tests/test_vocabulary.py",
    "keras_rnn",
]


@pytest.mark.parametrize(
    "backend, paths", [("jax", PASS), ("torch", [*PASS, *THE_REST])]
)
def test_what_is_neutral_passes(backend, paths):
    pytest.importorskip(backend)
    # Not the settings of the run that this test is part of.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"]
        + ["-m", "not tensorflow", *paths],
        cwd=pathlib.Path(__file__).parent.parent,
        env={**environment, "KERAS_BACKEND": backend},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-8000:]
