"""The tests that need no TensorFlow, run on JAX and on PyTorch.

On JAX, where each shape of each operation is compiled, only those of the cells and of the
pass over time are run, in a minute; the others, by `KERAS_BACKEND=jax python -m pytest`,
take another five. tests/test_backends.py compares what they give.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.tensorflow

PASS = [
    "tests/cells",
    "tests/test_bptt.py",
    "tests/test_kernels.py",
    "tests/test_transforms.py",
]
# What is compiled for a cell is JAX's to keep, too.
OVERRIDES = "tests/test_overrides.py"
COMPILED = [
    f"{OVERRIDES}::test_an_activation_assigned_after_the_first_call",
    f"{OVERRIDES}::test_an_activation_assigned_after_fit",
]
THE_REST = [
    OVERRIDES,
    "tests/test_weight_files.py",
    "tests/test_rnn_contract.py",
    "tests/test_drop_in.py",
    "tests/test_conversion.py",
    "tests/test_rnn.py",
    "tests/test_export.py",
    "tests/test_generation.py",
    "tests/test_gradient_flow.py",
    "tests/test_sampling.py",
    "tests/test_seq2seq.py",
    "tests/test_text.py",
    "tests/test_text_windows.py",
    "tests/test_vocabulary.py",
    "keras_rnn",
]

RUNS = {"jax": [*PASS, *COMPILED], "torch": [*PASS, *THE_REST]}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The run on each backend that is installed, side by side, and where it writes."""
    # Not the settings of the run that this test is part of.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short"]
    command += ["-p", "no:cacheprovider", "--all", "-m", "not tensorflow"]
    programs = {}
    for backend in RUNS:
        if importlib.util.find_spec(backend):
            path = tmp_path_factory.mktemp(backend) / "output.txt"
            with path.open("w") as file:
                program = subprocess.Popen(
                    command + RUNS[backend],
                    cwd=pathlib.Path(__file__).parent.parent,
                    env={**environment, "KERAS_BACKEND": backend},
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            programs[backend] = program, path
    yield programs
    for program, _ in programs.values():
        program.kill()  # where the test was broken off


@pytest.mark.parametrize("backend", RUNS)
def test_what_is_neutral_passes(backend, programs):
    pytest.importorskip(backend)
    program, path = programs[backend]
    assert program.wait() == 0, path.read_text()[-8000:]
