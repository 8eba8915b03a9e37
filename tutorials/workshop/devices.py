"""Several devices that share the work on each batch: the option `--distribute`.

Each device reads its own part of each batch, and computes the gradient of the mean loss
of that part. The mean of these gradients is the gradient of the whole batch, and each
device takes the same step with it: the networks stay alike, and alike to that of one
device which had read the whole batch. This is *data parallelism*; the network is not
changed for it.

| where | how | backend |
|---|---|---|
| several devices of one machine | `tf.distribute.MirroredStrategy` | TensorFlow |
| | `keras.distribution.DataParallel` | JAX |
| several processes, of one machine or of many | the same, and `jax.distributed` | JAX |

`distributed_training.md` has the commands.
"""

import atexit
import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from workshop.errors import UsageError

# isort: split
import keras
import numpy as np

# What `keras.distribution.initialize` reads: the same in all processes but the last.
ADDRESSES, PROCESSES, PROCESS = VARIABLES = (
    "KERAS_DISTRIBUTION_JOB_ADDRESSES",
    "KERAS_DISTRIBUTION_NUM_PROCESSES",
    "KERAS_DISTRIBUTION_PROCESS_ID",
)
# How long the processes wait for each other, in seconds: at the start; for a sign of life
# of one that is stopped, or cut off; for one that lives and does not come to take part. One
# that was killed is missed at once: its connections close.
START, PATIENCE, SLOW = 120, 60, 300
AGAIN = "once all processes have ended, start them all again with --resume"


def add_option(parser):
    """Adds `--distribute` to a command line."""
    parser.add_argument(
        "--distribute",
        action="store_true",
        help="share each batch among the devices of this machine, or the processes that "
        "KERAS_DISTRIBUTION_... names: see distributed_training.md",
    )


def find(options):
    """What shares the work, as options and environment say, or a `UsageError`.

    Args:
        options: The options of the command line, with `distribute` and `batch_size`.

    Returns:
        `Alone`, or a context of which the training is the body.
    """
    if not options.distribute:
        return Alone()
    backend = keras.backend.backend()
    job = _job(os.environ)
    if backend == "jax":
        import jax

        if job:
            devices = Processes(*job, options.batch_size)
        else:
            devices = OneMachine(jax.local_device_count())
    elif backend == "tensorflow":
        if job:
            raise UsageError(
                f"--distribute: {PROCESSES} is set, and several processes need "
                "KERAS_BACKEND=jax; on TensorFlow it is for the devices of one machine"
            )
        devices = Mirrored()
    else:
        raise UsageError(
            f"--distribute: not with {backend}, but with KERAS_BACKEND=jax or tensorflow"
        )
    if devices.count < 2:
        raise UsageError(
            "--distribute: there is one device in this machine, and none of "
            f"{', '.join(VARIABLES)} is set to name other processes"
        )
    devices.check(options.batch_size)
    return devices


def _job(environment):
    """The address of the first process, how many there are, and which one this is."""
    given = {name: environment.get(name, "").strip() for name in VARIABLES}
    missing = [name for name in VARIABLES if not given[name]]
    if len(missing) == len(VARIABLES):
        return None
    if missing:
        there = next(name for name in VARIABLES if given[name])
        raise UsageError(
            f"--distribute: {there} is set, but not {' and '.join(missing)}"
        )
    numbers = {}
    for name, least in ((PROCESSES, 2), (PROCESS, 0)):
        if not given[name].isdecimal() or int(given[name]) < least:
            raise UsageError(
                f"--distribute: {name} must be a whole number, {least} or more, not "
                f"{given[name]!r}"
            )
        numbers[name] = int(given[name])
    if numbers[PROCESS] >= numbers[PROCESSES]:
        raise UsageError(
            f"--distribute: {PROCESS} must be from 0 to {numbers[PROCESSES] - 1}, since "
            f"{PROCESSES} is {numbers[PROCESSES]}, not {numbers[PROCESS]}"
        )
    addresses = [address.strip() for address in given[ADDRESSES].split(",")]
    if len(addresses) not in (1, numbers[PROCESSES]):
        raise UsageError(
            f"--distribute: {ADDRESSES} must have the address of the first process, or "
            f"of each of the {numbers[PROCESSES]}, not {len(addresses)} addresses"
        )
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise UsageError(
                f"--distribute: {ADDRESSES} must be HOST:PORT, with a comma between two "
                f"of them, not {address!r}"
            )
    return addresses[0], numbers[PROCESSES], numbers[PROCESS]


def part(indices, count, parts=1, index=0):
    """The part of a batch that one process reads, and the weight of each example.

    A batch that `count` devices cannot share evenly is filled up with examples of
    weight 0. The others weigh more for it: the mean over all is that of the batch.

    Args:
        indices: Array of shape `(examples,)`: which examples make the batch.
        count: How many devices there are.
        parts: How many processes: each has `count / parts` of the devices.
        index: Which process this is.

    Returns:
        Two arrays of the same length: examples, and weights.
    """
    size = -(-len(indices) // count) * count
    full = np.resize(indices, size)  # begins again where the batch is too short
    weights = np.zeros(size, "float32")
    weights[: len(indices)] = size / len(indices)
    own = slice(index * size // parts, (index + 1) * size // parts)
    return full[own], weights[own]


class Alone:
    """The one process of a run that shares its work with no other.

    With `--distribute` one of the classes below stands in its place.
    """

    first = True  # of the processes: the one that writes and prints
    carries = True  # from batch to batch the state of each row

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def agree(self, options):
        """Raises a `UsageError` unless all processes run with the same options."""

    def share(self, indices):
        """The examples of a batch that this process reads, and a tuple of weights.

        Args:
            indices: Array of integers: which examples make the batch.
        """
        return indices, ()

    def scope(self):
        """The context in which networks are made and trained."""
        return contextlib.nullcontext()

    def apart(self):
        """The context in which what is made and done is this process's own."""
        return contextlib.nullcontext()

    def from_first(self, folder):
        """A context with a folder (or `None`) that the first process has, by its name."""
        return contextlib.nullcontext(folder)

    def local(self, network, copy=None):
        """The network for this process by itself; a copy made before is used again."""
        if keras.backend.backend() == "jax":
            network.jax_state_sync()  # `fit` has the weights, not the network
        return network


class OneMachine(Alone):
    """The devices of one machine, on the JAX backend: `keras.distribution.DataParallel`.

    Args:
        count: How many devices there are.
    """

    def __init__(self, count):
        self.count = count

    def check(self, batch_size):
        """Raises a `UsageError` unless all devices have as much to do."""
        if batch_size % self.count:
            raise UsageError(
                f"--batch-size: must be a multiple of {self.count}, the number of devices "
                f"that share a batch, not {batch_size}"
            )

    def share(self, indices):
        examples, weights = part(indices, self.count)
        return examples, (weights,)

    def scope(self):
        return keras.distribution.DataParallel(auto_shard_dataset=False).scope()

    @contextlib.contextmanager
    def apart(self):
        shared = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(shared)

    def local(self, network, copy=None):
        network = super().local(network)
        with self.apart():
            if copy is None:
                copy = type(network).from_config(network.get_config())
            copy.set_weights(network.get_weights())
        return copy


class Mirrored(OneMachine):
    """The devices of one machine, on TensorFlow: `tf.distribute.MirroredStrategy`.

    A variable is the same on all devices: none can hold what is of one device's rows.
    """

    carries = False

    def __init__(self):
        import tensorflow as tf

        found = tf.config.list_logical_devices("GPU")
        found = found or tf.config.list_logical_devices("CPU")
        super().__init__(len(found))
        if self.count > 1:
            self.strategy = tf.distribute.MirroredStrategy([d.name for d in found])

    def scope(self):
        return self.strategy.scope()


# The process is watched by another one, which tells what the process itself cannot: JAX
# ends it from within where the first process is gone, or another one hangs.
WITNESS = "import sys\nif not sys.stdin.read(): print(sys.argv[1], file=sys.stderr)"


class Processes(OneMachine):
    """Several processes, of one machine or of many, on the JAX backend.

    `keras.distribution.initialize` would connect them as well, by the same variables,
    but has no word for how long to wait.

    Args:
        address: Of the first process: HOST:PORT.
        processes: How many there are.
        process: Which of them this is, from 0.
        batch_size: Of the batches that they share.
    """

    def __init__(self, address, processes, process, batch_size):
        super().__init__(processes)  # they have one device each, or more
        self.batch_size = batch_size
        self.address, self.processes, self.process = address, processes, process
        self.first = process == 0
        self.name = f"process {process} (of {processes}, from 0)"

    def __enter__(self):
        import jax

        print(f"This is {self.name}: it waits for the others at {self.address}.")
        sys.stdout.flush()
        # XLA's own patience is half an hour. What the user has set comes last, and counts.
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"--xla_cpu_collective_timeout_seconds={SLOW} {flags}"
        lost = f"error: {self.name} was killed, or has lost another one: {AGAIN}"
        self.witness = subprocess.Popen(
            [sys.executable, "-S", "-c", WITNESS, lost],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            jax.distributed.initialize(
                self.address,
                self.processes,
                self.process,
                initialization_timeout=START,
                heartbeat_timeout_seconds=PATIENCE,
                shutdown_timeout_seconds=PATIENCE,
            )
            self.count = jax.device_count()
            self.check(self.batch_size)
        except RuntimeError as error:
            self._leave(2)
            raise UsageError(
                f"--distribute: {self.name} does not reach the others at {self.address} "
                f"within {START} seconds: {_last(error)}"
            ) from error
        except UsageError:
            self._leave(2)
            raise
        self.stack = contextlib.ExitStack()
        if not self.first:
            nowhere = self.stack.enter_context(open(os.devnull, "w"))
            self.stack.enter_context(contextlib.redirect_stdout(nowhere))
        return self

    def __exit__(self, kind, error, traceback):
        import jax

        if kind is None:
            try:
                jax.distributed.shutdown()
            except jax.errors.JaxRuntimeError as failure:
                kind, error = type(failure), failure
        self.stack.close()
        self._leave(kind and (130 if kind is KeyboardInterrupt else 2))
        if kind is not None and issubclass(kind, jax.errors.JaxRuntimeError):
            raise UsageError(
                f"{self.name} has lost another one: {AGAIN} ({_last(error)})"
            ) from error

    def _leave(self, code):
        """No witness is needed any more, and after an error nothing to wait for."""
        if code:
            # JAX would wait at the end of the process for those that wait for this one.
            atexit.register(self._end, code)
        else:
            self.witness.communicate(b"done")

    def _end(self, code):
        """When it has been told what went wrong, and not before: JAX may be faster."""
        sys.stdout.flush()
        sys.stderr.flush()
        self.witness.communicate(b"done")
        os._exit(code)

    def share(self, indices):
        examples, weights = part(indices, self.count, self.processes, self.process)
        return examples, (weights,)

    def scope(self):
        # Layers without a seed draw one: alike in all processes, whatever they drew so far.
        keras.utils.set_random_seed(0)
        return super().scope()

    def agree(self, options):
        from jax.experimental import multihost_utils

        said = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).digest()
        all_said = multihost_utils.process_allgather(np.frombuffer(said, "uint8"))
        other = np.flatnonzero((all_said != all_said[0]).any(axis=1))
        if len(other):
            raise UsageError(
                f"--distribute: process {other[0]} has other options or other data than "
                "process 0: all must be started alike"
            )

    @contextlib.contextmanager
    def from_first(self, folder):
        files = io.BytesIO()
        if self.first and folder is not None:
            with tarfile.open(fileobj=files, mode="w") as archive:
                archive.add(folder, folder.name)
        content = self._broadcast(files.getvalue())
        if self.first or not content:
            yield folder if content else None
            return
        with tempfile.TemporaryDirectory() as copy:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                archive.extractall(copy, filter="data")
            (found,) = Path(copy).iterdir()
            yield found

    def _broadcast(self, content):
        """The bytes that the first process passes, in all processes."""
        from jax.experimental import multihost_utils

        send = multihost_utils.broadcast_one_to_all
        size = int(send(np.array(len(content), "int32")))
        full = np.zeros(size, "uint8")
        if self.first:
            full[:] = np.frombuffer(content, "uint8")
        return send(full).tobytes()


def _last(error):
    """The end of a long message, where JAX says what happened."""
    return " ".join(str(error).split())[-200:]
