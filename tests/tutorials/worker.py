"""What the processes of a job do in test_distributed_training.py: they train a network.

    python worker.py

imports everything, and then forks: a line of JSON on stdin names the module whose `main` a
new process is to run (`__main__` is this one), its arguments, its environment and the file
for its output. The number of the process is printed. The
number of a process in a line asks for its exit code, `null` while it runs. So the imports
are paid for once, and each process is one of its own all the same: JAX starts in it.
"""

import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tutorials"), str(ROOT / "examples")]

from workshop import command_line, devices, errors, runs  # noqa: E402
from workshop.batches import ByLength  # noqa: E402

# isort: split
import keras  # noqa: E402
import numpy as np  # noqa: E402

import keras_rnn  # noqa: E402

EPOCHS = 6
read, rows, losses = [], [], []  # what a training did


class Batches(ByLength):
    """Data that the seed alone decides."""

    def __init__(self, shared, seed=None, seconds=0.0):
        random = np.random.default_rng(3)
        super().__init__(random.integers(3, 9, 75), 8, seed)
        self.x = random.normal(size=(75, 8, 4)).astype("float32")
        self.y = self.x[:, :, :1].sum(axis=1)
        self.shared, self.seconds = shared, seconds

    def take(self, indices, random):
        own, weights = self.shared.share(indices)
        if self.seed is not None:
            real = weights[0] > 0 if weights else np.full(len(own), True)
            read.append(own[real].tolist())
            rows.append(len(own))
        time.sleep(self.seconds)
        return self.x[own], self.y[own], *weights


class Losses(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        losses.append(float(logs["loss"]))
        print("step", flush=True)


def build(dropout, clip):
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input((8, 4)),
            keras_rnn.ElmanRNN(16),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(1),
        ]
    )
    network.compile(keras.optimizers.Adam(1e-2, clipnorm=clip), "mse")
    return network


@errors.reported
def main(argv=None):
    for each in (read, rows, losses):
        each.clear()
    parser = command_line.Options("", Path("results"))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--what", default="a", help="what must be alike in all")
    parser.add_argument("--seconds", type=float, default=0.0, help="to read a batch")
    parser.add_argument("--patience", type=int, default=devices.PATIENCE)
    devices.add_option(parser)
    options = parser.parse(argv, {})
    devices.PATIENCE = options.patience
    devices.SLOW = min(devices.SLOW, 2 * options.patience)
    signal.signal(signal.SIGUSR1, lambda *_: time.sleep(1_000))  # it lives, and hangs
    # On TensorFlow each device draws its own dropout, and clips its own part of the
    # gradient.
    alone = keras.backend.backend() == "tensorflow"
    dropout, clip = (0.0, None) if alone else (0.3, 1.0)
    folder = options.output
    folder.mkdir(exist_ok=True)
    shared = devices.find(options)
    with shared:
        chosen = {"what": options.what}
        run = runs.Run(folder, chosen, options.resume, options.discard, shared)
        network, history = run.train(
            "net",
            lambda: build(dropout, clip),
            Batches(shared, seed=5, seconds=options.seconds),
            Batches(shared),
            EPOCHS,
            [Losses()],
        )
    result = {
        "losses": losses,
        "history": history,
        "read": read[1:],  # what comes first is Keras's look at the shapes
        "rows": rows[1:],
        "weights": [w.tolist() for w in network.get_weights()],
    }
    name = os.environ.get(devices.PROCESS, "0")
    (folder / f"result{name}.json").write_text(json.dumps(result))
    if shared.first:
        run.finish()
    return 0


def forked():
    """Forks as it is told to. Returns in each new process what it is to do."""
    for line in sys.stdin:
        order = json.loads(line)
        if isinstance(order, int):
            ended, status = os.waitpid(order, os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        else:
            answer = os.fork()
            if not answer:
                return order
        print(json.dumps(answer), flush=True)
    sys.exit()


if __name__ == "__main__":
    order = forked()
    nowhere = os.open(os.devnull, os.O_RDONLY)
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT)
    for number, stream in enumerate((nowhere, output, output)):
        os.dup2(stream, number)
    os.environ |= order["environment"]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        half = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(cpu, [half, half])
    module = importlib.import_module(order["module"])
    codes = [module.main(arguments) for arguments in order["runs"]]
    sys.exit(max(codes))
