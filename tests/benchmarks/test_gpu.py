"""The benchmark for a GPU runs, here on a CPU, at sizes of which the numbers mean nothing."""

import json

import gpu
import keras
import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("benchmark") / "gpu.json"
    tiny = ["--device", "cpu", "--tiny", "--minutes", "3", "--only", "times"]
    chosen = ["--backends", "tensorflow", "--cells", "elman"]
    gpu.main([*tiny, *chosen, "--output", str(path)])
    return json.loads(path.read_text())


def test_all_is_measured_in_a_process_of_its_own(record):
    assert record["machine"]["versions"]["keras"] == keras.__version__
    kinds = [found["kind"] for found in record["records"]]
    assert kinds == ["about", "train", "inference"]
    for found in record["records"][1:]:
        assert set(found["samples"]) == {"ours", "ours, zeros", "ours, loop", "keras"}
        assert all(min(samples) > 0 for samples in found["samples"].values())
        assert not found["notes"]
    assert "tensorflow, train" in gpu.markdown(record["records"])


@pytest.mark.parametrize("case", ["second, right-padded", "backwards, right-padded"])
def test_the_numbers_are_those_of_the_cpu(case, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "tasks_of", lambda options: [("check", "gru", case)])
    options = gpu.parse(["--oracle", str(tmp_path / "oracle.npz")])
    gpu.write_oracle(options)
    backend = gpu.OnTensorFlow("cpu")
    arguments = [backend, "tensorflow", "cpu", "gru", case]
    assert not gpu.check(*arguments, options.oracle)["faults"]
    with np.load(options.oracle) as oracle:
        wrong = {name: 1.1 * array for name, array in oracle.items()}
    np.savez(options.oracle, **wrong)
    assert len(gpu.check(*arguments, options.oracle)["faults"]) == len(wrong)


class Backend:
    def wait(self, result):
        pass


def test_what_fails_is_told_and_the_rest_goes_on():
    def broken():
        raise RuntimeError("out of\nmemory")

    first, samples, notes = gpu.in_turns(
        Backend(), {"good": lambda: 1, "bad": broken}, 0.1
    )
    assert samples["good"] and "good" in first
    assert "bad" not in samples and notes == {"bad": "RuntimeError: out of memory"}


def test_a_process_that_hangs_is_ended(monkeypatch):
    import subprocess
    import sys
    import time

    monkeypatch.setattr(gpu, "SILENCE", 1)
    code = 'import time; print(\'{"kind": "about"}\', flush=True); time.sleep(60)'
    program = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    )
    found = list(gpu.lines_of(program, time.time() + 60))
    assert [each["kind"] for each in found] == ["about", "killed"]
    assert program.wait() != 0


def test_masks():
    right, left = (gpu.masks_of((3, 5, 1, 1), kind) for kind in ("right", "left"))
    assert right.any(axis=1).all() and not right.all()
    assert (np.diff(right.astype(int), axis=1) <= 0).all()  # real steps come first
    np.testing.assert_array_equal(left, right[:, ::-1])
