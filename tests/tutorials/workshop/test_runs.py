"""Runs: what decides them, what becomes of them where they end too early."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.tutorials.scripts import break_off_after_one_epoch, contents

# isort: split
from workshop import command_line, models, runs
from workshop.errors import UsageError


class Same(keras.utils.PyDataset):
    """The same two batches in each epoch."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        random = np.random.default_rng(index)
        return random.random((8, 4)), random.random((8, 1))


def train(folder, resume=False):
    """Trains a network with all that has a state. Returns it, and its losses."""

    def build():
        keras.utils.set_random_seed(1)
        layers = [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        rate = models.rise_and_fall(1e-2, 3 * len(Same()))
        model.compile(keras.optimizers.Adam(rate), "mse")
        return model

    run = runs.Run(folder, {"seed": 1}, resume)
    model, history = run.train("net", build, Same(), Same()[0], epochs=3)
    return model, [(row["loss"], row["val_loss"]) for row in history]


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A folder with a training that was broken off after one epoch."""
    folder = tmp_path_factory.mktemp("broken")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        break_off_after_one_epoch(patch)
        train(folder)
    return folder


@pytest.fixture
def unfinished(broken, tmp_path):
    """A copy of it."""
    shutil.copytree(broken, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_training_goes_on_as_it_would_have(unfinished, tmp_path_factory):
    """Weights, optimizer and dropout are those of a training that was not broken off."""
    whole, losses = train(tmp_path_factory.mktemp("whole"))
    resumed, again = train(unfinished, resume=True)
    assert len(again) == 3
    np.testing.assert_allclose(again, losses, rtol=1e-6)
    finished, once_more = train(unfinished, resume=True)  # nothing is left
    assert once_more == again
    for model in (resumed, finished):
        assert int(model.optimizer.iterations) == int(whole.optimizer.iterations) > 0
        for a, b in zip(whole.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
        pairs = zip(whole.optimizer.variables, model.optimizer.variables, strict=True)
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=1e-6)


EPOCH = "net/epoch-0001/"
DAMAGE = {
    "run.json": [b"", b"{", b"[]", b"\xff"],
    EPOCH + "history.json": [b"", b"[", b"{}", b"[]", b"[1]", b'[{"epoch": 1}]', None],
    EPOCH + "dice.json": [b"", b"[]", b'["a"]', b"[[1]]", None],
    EPOCH + "network.keras": [b"", b"half", None],
    EPOCH + "best.weights.h5": [b"", b"half", None],
}


@pytest.mark.parametrize(
    ("name", "content"), [(n, content) for n in DAMAGE for content in DAMAGE[n]]
)
def test_damaged_files(unfinished, name, content):
    path = unfinished / "unfinished" / name
    if content is None:
        path.unlink()
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    before = contents(unfinished)
    with pytest.raises(UsageError, match="^--resume: .* .--discard starts anew.$"):
        train(unfinished, resume=True)
    assert contents(unfinished) == before


def test_an_unfinished_run_is_not_lost(unfinished):
    before = contents(unfinished)
    with pytest.raises(UsageError, match="--resume goes on with it, --discard starts"):
        runs.Run(unfinished, {"seed": 1})
    with pytest.raises(UsageError, match="seed=1, not 2"):
        runs.Run(unfinished, {"seed": 2}, resume=True)
    assert contents(unfinished) == before
    run = runs.Run(unfinished, {"seed": 2}, discard=True)
    assert contents(unfinished).keys() == {"unfinished/lock", "unfinished/run.json"}
    run.finish()
    assert not list(unfinished.iterdir())


def test_a_run_that_saved_nothing_is_in_no_ones_way(tmp_path):
    runs.Run(tmp_path, {"seed": 1})
    (tmp_path / "unfinished" / "net").mkdir()
    runs.Run(tmp_path, {"seed": 2})
    assert contents(tmp_path).keys() == {"unfinished/lock", "unfinished/run.json"}


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"discard": True}])
@pytest.mark.parametrize("name", ["thesis.txt", "run.json", None])
def test_a_folder_that_is_not_ours(tmp_path, how, name):
    (tmp_path / "unfinished").mkdir()
    if name:
        (tmp_path / "unfinished" / name).write_text("{}")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="is not of a run"):
        runs.Run(tmp_path, {"seed": 1}, **how)
    assert contents(tmp_path) == before and (tmp_path / "unfinished").is_dir()


def test_nothing_to_resume_makes_no_folder(tmp_path):
    with pytest.raises(UsageError, match="there is no unfinished run"):
        runs.Run(tmp_path / "results", {"seed": 1}, resume=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"discard": True}])
def test_a_run_in_progress_is_left_alone(unfinished, how):
    lock = unfinished / "unfinished" / "lock"
    code = """
import fcntl, sys
lock = open(sys.argv[1], "a")
fcntl.lockf(lock, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""
    other = subprocess.Popen(
        [sys.executable, "-S", "-c", code, str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout.readline() == b"locked\n"
        before = contents(unfinished)
        with pytest.raises(UsageError, match="a run is in progress"):
            runs.Run(unfinished, {"seed": 1}, **how)
        assert contents(unfinished) == before
    finally:
        other.kill()
        other.communicate()
    runs.Run(unfinished, {"seed": 1}, resume=True)  # one that is killed has it no more


def test_the_optimizer_is_there_before_the_first_step(tmp_path):
    """So that TensorFlow traces the step once."""
    traced = []

    class Traced(keras.Sequential):
        def train_step(self, data):
            traced.append(data)
            return super().train_step(data)

    def build():
        model = Traced([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    class Zeros(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return np.zeros((8, 4)), np.zeros((8, 1))

    run = runs.Run(tmp_path, {"seed": 1}, resume=False)
    run.train("net", build, Zeros(), Zeros()[0], epochs=1)
    assert len(traced) == 1


def test_what_decides_a_run(tmp_path):
    """The options, paths as strings, and a digest of the data; not where and how."""
    parser = command_line.Options("", tmp_path)
    parser.add_argument("--files", type=Path, nargs=2)
    parser.add_argument("--predict")
    parser.add_argument("--write")
    parser.count("--units", 3, "")
    parser.switch("--carry", True, "")
    options = parser.parse(["--files", "a/b", "c", "--no-carry"], {})
    run = runs.Run.of(options, aside=("write",), texts=b"abc")
    assert run.options == {
        "files": ["a/b", "c"],
        "units": 3,
        "carry": False,
        "seed": 1,
        "quick": False,
        "texts": hashlib.sha256(b"abc").hexdigest()[:16],
    }
    run.record({"accuracy": 0.5})
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert metrics["accuracy"] == 0.5 and metrics["seed"] == 1
    assert metrics["options"] == run.options


@pytest.mark.parametrize("name", ["content", "text"])
def test_a_file_may_lie_elsewhere(name, tmp_path):
    """What is in it decides, whatever it is called when the run is resumed."""
    parser = command_line.Options("", tmp_path)
    parser.add_argument("--text", type=Path)
    asked = ["--text", "a.txt"], ["--resume", "--text", "/b/a.txt"]
    first, second = (parser.parse(arguments, {}) for arguments in asked)
    runs.Run.of(first, **{name: b"abc"})
    runs.Run.of(second, **{name: b"abc"})
    with pytest.raises(UsageError, match=f"{name}="):
        runs.Run.of(second, **{name: b"abd"})
