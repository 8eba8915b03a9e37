"""The benchmark on PyTorch runs, and its peers agree."""

import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.tensorflow  # once is enough

ROOT = pathlib.Path(__file__).parents[2]


def test_it_runs():
    pytest.importorskip("torch")
    options = ["--quick", "--shapes", "A", "--cells", "lstm", "--rounds", "1"]
    result = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "on_torch.py", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    for kind in ("train", "infer"):
        for masked in ("whole", "padded"):
            assert f"{kind} lstm {masked}, geometric mean: torch.nn" in result.stdout
