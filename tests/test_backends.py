"""JAX and PyTorch give what TensorFlow gives, from the files that it saved."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests import other_backend as models

pytestmark = pytest.mark.tensorflow

ROOT = pathlib.Path(__file__).parent.parent
OTHERS = ("jax", "torch")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder of models and of what they give, on all backends that are installed."""
    folder = tmp_path_factory.mktemp("models")
    every = models.layer_models() | models.other_models()
    every["stateful"] = models.stateful_model()
    for name, model in every.items():
        models.with_large_weights(model).save(folder / f"{name}.keras")
    programs = {
        backend: subprocess.Popen(
            [sys.executable, "-m", "tests.other_backend", folder],
            cwd=ROOT,
            # What is computed here takes less time than to make it fast.
            env={
                **os.environ,
                "KERAS_BACKEND": backend,
                "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for backend in OTHERS
    }
    for name, model in every.items():
        np.savez(folder / f"{name}.npz", **models.what_it_gives(name, model))
    errors = {name: program.communicate()[1] for name, program in programs.items()}
    return folder, errors


@pytest.mark.parametrize("backend", OTHERS)
def test_all_models_give_the_same_without_tensorflow(saved, backend):
    pytest.importorskip(backend)
    folder, errors = saved
    differences = {}
    for path in sorted(folder.glob("*.keras")):
        there = path.with_suffix(f".{backend}.npz")
        assert there.exists(), errors[backend][-4000:]
        ours, theirs = np.load(path.with_suffix(".npz")), np.load(there)
        assert set(ours) == set(theirs)
        for key in ours:
            assert ours[key].shape == theirs[key].shape, (path.stem, key)
            scale = max(1.0, np.abs(ours[key]).max(initial=0))
            difference = np.abs(ours[key] - theirs[key]).max(initial=0) / scale
            if not difference <= 1e-5:
                differences[path.stem, key] = difference
    assert not differences


def test_a_backend_without_gradients():
    script = "import keras_rnn"
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "numpy"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert result.returncode
    assert "tensorflow, jax, torch (it is numpy)" in result.stderr
    assert keras.backend.backend() == "tensorflow"
