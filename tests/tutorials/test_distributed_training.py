"""Several devices and several processes that train one network, on loopback."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest

from tests.tutorials.scripts import ROOT, TUTORIALS, contents

# isort: split
import devices
import workshop

needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None,
    reason="several processes need jax, of the extra [test]",
)


# ---------------------------------------------------------------- who reads what


@pytest.mark.parametrize("size", [1, 2, 7, 8, 12])
@pytest.mark.parametrize(("processes", "each"), [(1, 2), (2, 1), (2, 2), (3, 1)])
def test_each_example_is_read_once(size, processes, each):
    heap = np.arange(100, 100 + size)
    parts = [
        devices.part(heap, processes * each, processes, i) for i in range(processes)
    ]
    assert len({len(examples) for examples, _ in parts}) == 1
    examples, weights = (np.concatenate(each) for each in zip(*parts))
    assert len(examples) % (processes * each) == 0
    assert sorted(examples[weights > 0]) == list(heap)
    # The mean over all devices is the mean over the batch.
    values = examples.astype("float64") ** 2
    assert np.mean(weights * values) == pytest.approx(np.mean(heap.astype(float) ** 2))


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
    with pytest.raises(workshop.Mistake) as mistake:
        devices.find(options())
    assert says in str(mistake.value)


def test_one_device_has_none_to_share_with(monkeypatch):
    for name in devices.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(workshop.Mistake, match="there is one device"):
        devices.find(options())


def test_without_the_option_nothing_is_shared(monkeypatch):
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    alone = devices.find(type("Options", (), {"distribute": False}))
    assert alone.first
    assert alone.share(np.arange(3))[1] == ()


# ------------------------------------------------------- two processes, on loopback

# A network and data that the seed alone decides; steps that are slow enough to be ended
# by a signal in the middle.
WORKER = """
import json, os, sys, time
from pathlib import Path
sys.path.insert(0, {tutorials!r})
import workshop, devices
import keras, numpy as np
import keras_rnn

what, slow, arguments = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
# On TensorFlow each device draws its own dropout, and clips its own part of the gradient.
dropout, clip = (0.0, None) if what == "mirrored" else (0.3, 1.0)
if what == "mirrored":
    import tensorflow as tf
    (cpu,) = tf.config.list_physical_devices("CPU")
    half = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [half, half])
read, rows, losses = [], [], []

class Batches(workshop.ByLength):
    def __init__(self, shared, seed=None):
        random = np.random.default_rng(3)
        super().__init__(random.integers(3, 9, 75), 8, seed)
        self.x = random.normal(size=(75, 8, 4)).astype("float32")
        self.y = self.x[:, :, :1].sum(axis=1)
        self.shared = shared

    def take(self, heap, random):
        own, weights = self.shared.share(heap)
        if self.seed is not None:
            real = weights[0] > 0 if weights else np.full(len(own), True)
            read.append(own[real].tolist())
            rows.append(len(own))
        time.sleep(slow)
        return self.x[own], self.y[own], *weights

class Losses(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        losses.append(float(logs["loss"]))
        print("step", flush=True)

def build():
    keras.utils.set_random_seed(1)
    network = keras.Sequential([
        keras.Input((8, 4)),
        keras_rnn.ElmanRNN(16),
        keras.layers.Dropout(dropout),
        keras.layers.Dense(1),
    ])
    network.compile(keras.optimizers.Adam(1e-2, clipnorm=clip), "mse")
    return network

@workshop.tells_mistakes
def main(argv=None):
    for each in (read, rows, losses):
        each.clear()
    parser = workshop.Options("", Path("results"))
    parser.add_argument("--batch-size", type=int, default=8)
    devices.add_option(parser)
    options = parser.parse(argv, {{}})
    folder = options.output
    folder.mkdir(exist_ok=True)
    shared = devices.find(options)
    with shared:
        run = workshop.Run(folder, {{"what": what}}, options.resume, shared)
        network, history = run.train(
            "net", build, Batches(shared, seed=5), Batches(shared), 6, [Losses()]
        )
    result = {{
        "losses": losses,
        "history": history,
        "read": read[1:],  # what comes first is Keras's look at the shapes
        "rows": rows[1:],
        "weights": [w.tolist() for w in network.get_weights()],
    }}
    name = os.environ.get("KERAS_DISTRIBUTION_PROCESS_ID", "0")
    (folder / f"result{{name}}.json").write_text(json.dumps(result))
    if shared.first:
        run.finish()

code = main(arguments)
if what == "mirrored":
    code = code or main([*arguments, "--distribute", "--output", arguments[-1] + "s"])
sys.exit(code)
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Job:
    """Processes of one job, and what each of them printed."""

    def __init__(self, folder, *arguments, count=2, what="a", slow=0.0, **more):
        folder.mkdir(exist_ok=True)
        script = folder.parent / "worker.py"
        script.write_text(WORKER.format(tutorials=str(TUTORIALS)))
        port, self.processes, self.printed = free_port(), [], []
        names = [what] * count if isinstance(what, str) else what
        for i in range(count):
            environment = {
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "KERAS_BACKEND": "jax",
            }
            environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
            environment |= more
            command = [sys.executable, script, names[i], str(slow), *arguments]
            if count > 1:
                values = (f"127.0.0.1:{port}", str(count), str(i))
                environment |= dict(zip(devices.VARIABLES, values))
                command += ["--distribute"]
            process = subprocess.Popen(
                [*command, "--output", folder],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            lines = []
            reader = threading.Thread(
                target=lambda p=process, to=lines: to.extend(p.stdout), daemon=True
            )
            reader.start()
            self.processes.append((process, reader))
            self.printed.append(lines)

    def running(self):
        return all(process.poll() is None for process, _ in self.processes)

    def wait(self):
        """The exit codes, and what each one printed."""
        codes = []
        for process, reader in self.processes:
            codes.append(process.wait(timeout=280))
            reader.join(timeout=20)
        return codes, ["".join(lines) for lines in self.printed]


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


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folders of the same job by one process, and by two."""
    base = tmp_path_factory.mktemp("distributed")
    two_devices = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    jobs = {
        "one": Job(base / "one", count=1),
        "two": Job(base / "two"),
        "devices": Job(base / "devices", "--distribute", count=1, **two_devices),
    }
    for job in jobs.values():
        codes, printed = job.wait()
        assert set(codes) == {0}, printed
    return {name: base / name for name in jobs}


@needs_jax
def test_two_processes_learn_what_one_learns(trained):
    (one,), (first, second) = results(trained["one"]), results(trained["two"])
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
    (one,), both = results(trained["one"]), results(trained["two"])
    for i in range(0, 60, 10):
        alone, *parts = [
            sorted(sum(each["read"][i : i + 10], [])) for each in (one, *both)
        ]
        assert alone == sorted(sum(parts, [])) == list(range(75))
        assert all(len(each) > 30 for each in parts)


@needs_jax
def test_two_devices_of_one_process_learn_what_one_learns(trained):
    (one,), (two,) = results(trained["one"]), results(trained["devices"])
    for a, b in zip(two["weights"], one["weights"]):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)


def test_mirrored_devices_learn_what_one_learns(tmp_path):
    folder = tmp_path / "one"
    job = Job(folder, count=1, what="mirrored", KERAS_BACKEND="tensorflow")
    codes, printed = job.wait()
    assert codes == [0], printed
    (one,), (two,) = results(folder), results(tmp_path / "ones")
    assert sum(two["rows"]) > sum(one["rows"])  # one batch is filled up
    for a, b in zip(two["weights"], one["weights"]):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)


@needs_jax
def test_one_process_writes(trained):
    one, two = contents(trained["one"]), contents(trained["two"])
    assert set(two) - set(one) == {"result1.json"}


@needs_jax
@pytest.mark.parametrize("killed", [0, 1])
def test_killed_and_resumed(killed, trained, tmp_path):
    folder = tmp_path / "job"
    job = Job(folder, slow=0.05)
    until = time.monotonic() + 200
    while sum(line.endswith("step\n") for line in job.printed[0]) < 25:
        assert time.monotonic() < until and job.running(), job.printed
        time.sleep(0.02)
    os.kill(job.processes[killed][0].pid, signal.SIGKILL)
    at = time.monotonic()
    codes, printed = job.wait()
    assert time.monotonic() - at < devices.PATIENCE + 30
    assert codes[killed] == -signal.SIGKILL and codes[1 - killed] != 0
    for text in printed:  # a progress bar may stand before it in its line
        assert text.count("error: process ") == 1
        assert "--resume" in text[text.index("error: process ") :]
    assert not results(folder)

    codes, printed = Job(folder, "--resume").wait()
    assert codes == [0, 0], printed
    assert "Going on after epoch" in printed[0]
    undisturbed, resumed = results(trained["two"])[0], results(folder)[0]
    assert len(resumed["losses"]) < 60
    for a, b in zip(resumed["weights"], undisturbed["weights"]):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert not (folder / "unfinished").exists()


@needs_jax
def test_processes_that_are_not_alike(tmp_path):
    codes, printed = Job(tmp_path / "job", what=["a", "b"]).wait()
    assert codes == [2, 2], printed
    for text in printed:
        assert "process 1 has other options or other data than process 0" in text
