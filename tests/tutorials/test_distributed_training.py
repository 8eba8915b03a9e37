"""Several devices and several processes that train one network, on loopback."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.tutorials.scripts import contents

# isort: split
from workshop import devices
from workshop.errors import UsageError

needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None,
    reason="several processes need jax, of the extra [test]",
)


# ---------------------------------------------------------------- who reads what


@pytest.mark.parametrize("size", [1, 2, 7, 8, 12])
@pytest.mark.parametrize(("processes", "each"), [(1, 2), (2, 1), (2, 2), (3, 1)])
def test_each_example_is_read_once(size, processes, each):
    indices = np.arange(100, 100 + size)
    parts = [
        devices.part(indices, processes * each, processes, i) for i in range(processes)
    ]
    assert len({len(examples) for examples, _ in parts}) == 1
    examples, weights = (np.concatenate(each) for each in zip(*parts))
    assert len(examples) % (processes * each) == 0
    assert sorted(examples[weights > 0]) == list(indices)
    # The mean over all devices is the mean over the batch.
    values = examples.astype("float64") ** 2
    assert np.mean(weights * values) == pytest.approx(
        np.mean(indices.astype(float) ** 2)
    )


# ---------------------------------------------------------------- what is refused

ADDRESSES, PROCESSES, PROCESS = devices.VARIABLES
GIVEN = {ADDRESSES: "127.0.0.1:1234", PROCESSES: "2", PROCESS: "0"}


def options(batch_size=8):
    import argparse

    return argparse.Namespace(distribute=True, batch_size=batch_size)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "KERAS_BACKEND=jax"),  # the tests run on TensorFlow
        ({PROCESS: ""}, f"not {PROCESS}"),
        ({ADDRESSES: "", PROCESS: ""}, f"not {ADDRESSES} and {PROCESS}"),
        ({PROCESSES: "two"}, "'two'"),
        ({PROCESSES: "1"}, "2 or more"),
        ({PROCESS: "-1"}, "'-1'"),
        ({PROCESS: "2"}, "from 0 to 1"),
        ({ADDRESSES: "here:1,there:2,nowhere:3"}, "3 addresses"),
        ({ADDRESSES: "here"}, "'here'"),
        ({ADDRESSES: "here:99999"}, "'here:99999'"),
    ],
)
def test_a_job_that_cannot_be(changes, says, monkeypatch):
    for name, value in {**GIVEN, **changes}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    with pytest.raises(UsageError) as mistake:
        devices.find(options())
    assert says in str(mistake.value)


def test_one_device_has_none_to_share_with(monkeypatch):
    for name in devices.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="there is one device"):
        devices.find(options())


def test_without_the_option_nothing_is_shared(monkeypatch):
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    alone = devices.find(type("Options", (), {"distribute": False}))
    assert alone.first
    assert alone.share(np.arange(3))[1] == ()


# ------------------------------------------------------- two processes, on loopback

WORKER = Path(__file__).with_name("worker.py")


class Workers:
    """`worker.py` under a backend: it forks the processes of jobs."""

    def __init__(self, backend, **environment):
        environment = {**os.environ, "KERAS_BACKEND": backend, **environment}
        for name in ("TF_CPP_MIN_LOG_LEVEL", *devices.VARIABLES):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, WORKER],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running = set()

    def _ask(self, question):
        print(json.dumps(question), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def start(self, runs, output, environment, module="__main__"):
        """Starts a process: its number."""
        pid = self._ask(
            {
                "module": module,
                "runs": runs,
                "output": str(output),
                "environment": environment,
            }
        )
        self.running.add(pid)
        return pid

    def code(self, pid):
        """The exit code of a process, `None` while it runs."""
        code = self._ask(pid)
        if code is not None:
            self.running.remove(pid)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for pid in self.running:
            os.kill(pid, signal.SIGKILL)
        self.process.communicate()


class Job:
    """Processes that train together, and what each of them prints.

    Args:
        workers: `Workers`.
        folder: For the results.
        *arguments: For all processes.
        each: Arguments for each process.
        module: Whose `main` they run.
    """

    def __init__(self, workers, folder, *arguments, each=((), ()), module="__main__"):
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{found.getsockname()[1]}"
        self.workers, self.pids, self.codes, self.outputs = workers, [], {}, []
        for i, own in enumerate(each):
            output = folder.with_name(f"{folder.name}.{time.monotonic_ns()}.{i}.txt")
            values = dict(zip(devices.VARIABLES, (address, str(len(each)), str(i))))
            run = ["--distribute", "--output", str(folder), *arguments, *own]
            self.pids.append(workers.start([run], output, values, module))
            self.outputs.append(output)

    def printed(self, i):
        return self.outputs[i].read_text("utf-8")

    def ended(self, i):
        """Whether a process has ended."""
        if self.codes.get(i) is None:
            self.codes[i] = self.workers.code(self.pids[i])
        return self.codes[i] is not None

    def wait(self, i, seconds=200):
        """The exit code of a process, and what it printed."""
        wait_until(lambda: self.ended(i), seconds)
        return self.codes[i], self.printed(i)

    def disturb(self, i, how, steps):
        """Sends a process a signal when the job has taken some steps."""

        def taken():
            for each in range(len(self.pids)):
                assert not self.ended(each), self.printed(each)
            return self.printed(0).count("step\n") >= steps

        wait_until(taken)
        os.kill(self.pids[i], how)


def wait_until(true, seconds=200):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)


def results(folder):
    return [
        json.loads(path.read_text()) for path in sorted(folder.glob("result*.json"))
    ]


def batch_losses(means, rows):
    """The loss of each batch, from Keras's means over an epoch so far."""
    means, rows = (
        np.reshape(each, (6, 10)).astype("float64") for each in (means, rows)
    )
    sums = means * np.cumsum(rows, axis=1)
    return (np.diff(sums, axis=1, prepend=0) / rows).ravel()


def alone_and_shared(workers, base):
    """One process trains on one of its devices, and again on both: the two results."""
    runs = [
        ["--output", str(base / "one")],
        ["--output", str(base / "devices"), "--distribute"],
    ]
    two_devices = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    pid = workers.start(runs, base / "printed.txt", two_devices)
    codes = []
    wait_until(lambda: codes.append(workers.code(pid)) or codes[-1] is not None)
    assert codes[-1] == 0, (base / "printed.txt").read_text("utf-8")
    return [results(base / name)[0] for name in ("one", "devices")]


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """Of JAX, which keeps what it compiled for the next process."""
    folder = str(tmp_path_factory.mktemp("compiled"))
    with Workers(
        "jax",
        JAX_COMPILATION_CACHE_DIR=folder,
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
        JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES="-1",
    ) as workers:
        yield workers


@pytest.fixture(scope="module")
def trained(workers, tmp_path_factory):
    """The folder of the same job by one process, by its two devices, and by two."""
    base = tmp_path_factory.mktemp("distributed")
    job = Job(workers, base / "two")
    alone_and_shared(workers, base)
    for i in range(2):
        code, printed = job.wait(i)
        assert code == 0, printed
    return base


@needs_jax
def test_two_processes_learn_what_one_learns(trained):
    (one,), (first, second) = results(trained / "one"), results(trained / "two")
    assert len(one["losses"]) == 60  # 6 epochs of 10 batches
    assert sorted(one["rows"])[:6] == [3] * 6  # of which one is uneven
    alone = batch_losses(one["losses"], one["rows"])
    rows = np.add(first["rows"], second["rows"])
    for two in (first, second):
        np.testing.assert_allclose(
            batch_losses(two["losses"], rows), alone, rtol=0, atol=1e-4
        )
        for a, b in zip(two["weights"], one["weights"]):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)
    assert np.mean(alone[-10:]) < 0.5 * np.mean(alone[:10])  # and that it learns


@needs_jax
def test_two_processes_read_each_example_once(trained):
    (one,), both = results(trained / "one"), results(trained / "two")
    for i in range(0, 60, 10):
        alone, *parts = [
            sorted(sum(each["read"][i : i + 10], [])) for each in (one, *both)
        ]
        assert alone == sorted(sum(parts, [])) == list(range(75))
        assert all(len(each) > 30 for each in parts)


@needs_jax
def test_two_devices_of_one_process_learn_what_one_learns(trained):
    (one,), (two,) = results(trained / "one"), results(trained / "devices")
    for a, b in zip(two["weights"], one["weights"]):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)


def test_mirrored_devices_learn_what_one_learns(tmp_path):
    with Workers("tensorflow") as workers:
        one, two = alone_and_shared(workers, tmp_path)
    assert sum(two["rows"]) > sum(one["rows"])  # one batch is filled up
    for a, b in zip(two["weights"], one["weights"]):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)


@needs_jax
def test_one_process_writes(trained):
    one, two = contents(trained / "one"), contents(trained / "two")
    assert set(two) - set(one) == {"result1.json"}


@needs_jax
def test_killed_stopped_and_resumed(workers, trained, tmp_path):
    """The same job, disturbed four times, comes to the same end."""
    folder = tmp_path / "job"
    for lost, how, steps, patience, resume in (
        (0, signal.SIGKILL, 25, devices.PATIENCE, ()),
        (1, signal.SIGKILL, 15, devices.PATIENCE, ["--resume"]),
        (1, signal.SIGSTOP, 15, 10, ["--resume"]),
        (1, signal.SIGUSR1, 15, 5, ["--resume"]),
    ):
        slow = ["--seconds", "0.05", "--patience", str(patience)]
        job = Job(workers, folder, *slow, *resume)
        job.disturb(lost, how, steps)
        at = time.monotonic()
        code, printed = job.wait(1 - lost)
        took = time.monotonic() - at
        if how == signal.SIGKILL:
            assert took < patience / 2  # its connections close
        else:
            assert took < 2 * patience + 10
        if how == signal.SIGSTOP:
            assert not job.ended(lost)
            os.kill(job.pids[lost], signal.SIGCONT)
        lost_code, lost_printed = job.wait(lost)
        assert code != 0 and lost_code != 0
        for text in (printed, lost_printed):  # a progress bar may stand before it
            assert "--resume" in text[text.index("error: process ") :]
        if resume:
            assert "Going on after epoch" in job.printed(0)
        assert not results(folder)

    job = Job(workers, folder, "--resume")
    for i in range(2):
        code, printed = job.wait(i)
        assert code == 0, printed
    undisturbed, resumed = results(trained / "two")[0], results(folder)[0]
    assert len(resumed["losses"]) < 30
    for a, b in zip(resumed["weights"], undisturbed["weights"]):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert not (folder / "unfinished").exists()


@needs_jax
def test_a_tutorial_in_two_processes(workers, tmp_path):
    """Each carries the states of its own rows; the first one alone tells and writes."""
    folder, short = tmp_path / "written", ["--quick", "--epochs", "1"]
    job = Job(workers, folder, *short, module="train_characters")
    (code, printed), (other_code, other_printed) = job.wait(0), job.wait(1)
    assert (code, other_code) == (0, 0), printed + other_printed
    assert "Bits per character" in printed
    assert "Bits per character" not in other_printed
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    bits = metrics["test_bits_per_character"]
    assert 2 < bits["network"] < 6  # of log2(96) = 6.6: it has learned something
    assert (folder / "model.keras").is_file()
    assert not (folder / "unfinished").exists()


@needs_jax
def test_processes_that_are_not_alike(workers, tmp_path):
    job = Job(workers, tmp_path / "job", each=[(), ["--what", "b"]])
    for i in range(2):
        code, printed = job.wait(i)
        assert code == 2
        assert "process 1 has other options or other data than process 0" in printed
