"""How fast the layers of keras_rnn are, beside Keras, PyTorch and JAX.

    python benchmarks/train_step.py            # all, some tens of minutes on 2 cores
    python benchmarks/train_step.py --quick    # tiny sizes: does it run at all?

Run it on a quiet machine. What is measured (see `peers.py` for what the peers compute):

- **train**: a training step: forward, backward, gradients of all weights, of the inputs
  and of the initial state. **inference**: the outputs of all steps. For each cell and
  each of the shapes A to G (G, one sequence, for inference only). All peers run in one
  process, in turn, in each of some rounds. A sample is a call, or as many as fill 20
  ms, and comes right after an equal one that is not counted: a framework's threads go
  on spinning after its call, and slow down the next call of another. A speed-up is peer
  / ours within a round; its median and its 10th and 90th percentile are reported.
- **the floating-point limit**: the rate of a large matrix product by TensorFlow, taken
  in the same rounds. A step has at least

      forward:   2 * batch * steps * gates * units * (features + units)
      backward:  twice that (a product by the weights, one by what they multiplied)

  floating-point operations, with gates = 1 (Elman), 4 (LSTM), 3 (GRU), and the fraction
  of the limit is their rate. What is not a matrix product is not counted.
- **compile time**: the first training step, less the median of the later ones.
- **fit**: whole steps of `model.fit`: Embedding(20000) -> layer, last output only ->
  Dense(1), Adam, at shape B, ours and Keras's, from a `tf.data.Dataset` of fixed shapes
  and from NumPy arrays (there the batch size is not fixed), and steps of `model.predict`
  from these arrays. The median step of a fit, from the end of one to the end of the next,
  after a fit that is not counted.
- **lengths**: the same model, new in each round, on ten lengths, one batch of each in
  an epoch: from a dataset with an unknown number of steps ("one dataset"), and in ten
  calls of `fit` with arrays ("ten fits"). The first epoch, with all that is traced and
  compiled in it, and the median of the later ones; "graph" is ours, kept from compiling
  anything.
- **sizes**: the same model on batches of one length, each of another size, in a fresh
  process for each peer: the first epoch, the median of the later ones, and the resident
  memory that the first one has taken and keeps.
- **memory**: the peak of resident memory during two training steps, less what was
  resident before them, in a fresh process for each peer and number of steps. That
  process has made training steps on a short sequence before: what a framework loads
  once (XLA's code, some 60 MiB, among it) is told apart, as "first use".

fit and sizes are measured for all cells, lengths and memory for the first of `--cells`. Peers that
are not installed are named and skipped. `train_step.json` holds every sample, and is
rewritten after each measurement; `train_step.png` shows the speed-ups; the tables at
the end are Markdown.
"""

import argparse
import contextlib
import datetime
import gc
import importlib.metadata
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import report  # noqa: E402
from peers import (  # noqa: E402
    CORES,
    GATES,
    PEERS,
    SIX_SHAPES,
    Problem,
    check_agreement,
    installed,
)

# (batch, steps, features, units)
SHAPES = SIX_SHAPES | {"G": (1, 200, 64, 128)}
INFERENCE_ONLY = "G"
KINDS = ["train", "inference", "fit", "lengths", "sizes", "memory"]
WORDS = 20_000
SHORT = 10  # steps of the sequence that a process measures before

FULL = {
    "shapes": SHAPES,
    "sample": 0.02,  # seconds, at least
    "matrix": 2048,  # rows and columns of the product that sets the limit
    "fit_steps": 50,
    "length_rounds": 3,
    "length_epochs": 5,
    "sizes": [*range(5, 65)],
    "sizes_shape": (None, 50, 128, 64),
    "sizes_epochs": 3,
    "memory": [(32, steps, 64, 128) for steps in (1000, 2000, 5000)],
}
QUICK = {
    "shapes": {name: (min(batch, 16), 6, 4, 8) for name, (batch, *_) in SHAPES.items()},
    "sample": 0.001,
    "matrix": 256,
    "fit_steps": 2,
    "length_rounds": 1,
    "length_epochs": 2,
    "sizes": [1, 2, 3],
    "sizes_shape": (None, 6, 4, 8),
    "sizes_epochs": 2,
    "memory": [(16, 20, 4, 8)],
}


def timed(call, count=1):
    """The seconds of a call: the mean of `count` in a row."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def interleaved(calls, rounds, least=0.0):
    """Times some functions in turn, each in every round.

    Args:
        calls: Functions without arguments, by name.
        rounds: Integer.
        least: The seconds that a sample is to last. Above zero, each sample follows an
            equal one that is not counted.

    Returns:
        Two dictionaries by name: the seconds of the first call of all, and the list of
        the samples, in seconds for one call.
    """
    first, counts = {}, {}
    for name, call in calls.items():
        first[name] = timed(call)
        once = min(timed(call) for _ in range(3)) if least else 1.0
        counts[name] = max(1, math.ceil(least / once))
    samples = {name: [] for name in calls}
    names = list(calls)
    for turn in range(rounds):
        start = turn % len(names)  # nobody always follows the same one
        for name in names[start:] + names[:start]:
            if least:
                timed(calls[name], counts[name])
            samples[name].append(timed(calls[name], counts[name]))
    return first, samples


def measure_steps(kind, cell, shape, sizes, rounds, names):
    """Training steps or inference of all peers at one shape."""
    import tensorflow as tf

    problem = Problem.random(cell, *shape)
    peers = {name: PEERS[name](problem) for name in names}
    calls = {
        name: peer.train if kind == "train" else peer.infer
        for name, peer in peers.items()
    }
    size = sizes["matrix"]
    square = tf.constant(numpy.random.default_rng(0).random((size, size), "float32"))
    calls["limit"] = lambda: tf.matmul(square, square)
    first, samples = interleaved(calls, rounds, sizes["sample"])

    batch, steps, features, units = shape
    work = 2 * batch * steps * GATES[cell] * units * (features + units)
    work *= 3 if kind == "train" else 1
    limits = [2 * size**3 / seconds for seconds in samples.pop("limit")]
    first.pop("limit")
    return {
        "first_call": first,
        "samples": samples,
        "limits": limits,  # operations per second
        "fractions": [work / s / limit for s, limit in zip(samples["ours"], limits)],
    }


def model_of(name, cell, shape):
    """A compiled model that makes one number of a sequence of words."""
    import keras

    _, _, features, units = shape
    model = keras.Sequential(
        [
            keras.layers.Embedding(WORDS, features),
            PEERS[name].layer(cell, units),
            keras.layers.Dense(1),
        ]
    )
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    return model


def words(count, steps):
    """Random words of shape `(count, steps)`, and a label for each sequence."""
    rng = numpy.random.default_rng(0)
    tokens = rng.integers(0, WORDS, (count, steps), "int32")
    return tokens, rng.integers(0, 2, (count, 1)).astype("float32")


def seconds_of_step(run, data):
    """Seconds of a step of `fit` or `predict`: the median, blind to start and end."""
    import keras

    ends = []

    def mark(batch, logs):
        ends.append(time.perf_counter())

    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=mark, on_predict_batch_end=mark
    )
    run(**data, verbose=0, callbacks=[clock])
    return statistics.median(b - a for a, b in zip(ends, ends[1:]))


def measure_fit(cell, sizes, rounds):
    """Seconds of a step of `fit`, from a dataset and from arrays, and of `predict`."""
    import tensorflow as tf

    shape, count = sizes["shapes"]["B"], sizes["fit_steps"]
    batch, steps, *_ = shape
    arrays = words(batch * count, steps)
    dataset = tf.data.Dataset.from_tensor_slices(arrays)
    dataset = dataset.batch(batch, drop_remainder=True)
    ways = {
        "dataset": ("fit", {"x": dataset, "shuffle": False}),
        "arrays": ("fit", {"x": arrays[0], "y": arrays[1], "batch_size": batch}),
        "predict": ("predict", {"x": arrays[0], "batch_size": batch}),
    }
    results = {}
    for way, (method, data) in ways.items():
        models = {name: model_of(name, cell, shape) for name in ("ours", "keras")}
        results[way] = {name: [] for name in models}
        for turn in range(-1, rounds):  # the first fit is not counted
            for name, model in models.items():
                seconds = seconds_of_step(getattr(model, method), data)
                if turn >= 0:
                    results[way][name].append(seconds)
    return results


@contextlib.contextmanager
def graphs_only():
    """What our layers trace in here takes the loops of graphs, whatever its sizes."""
    import tensorflow as tf

    from keras_rnn import bptt

    usual = bptt.choose
    bptt.choose = lambda loop, kept, training, inputs: usual(
        loop, kept, training, tf.TensorSpec((None, None, None), inputs.dtype)
    )
    try:
        yield
    finally:
        bptt.choose = usual


def measure_lengths(cell, sizes):
    """Seconds of the first and of a later epoch over ten lengths."""
    import tensorflow as tf

    shape = sizes["shapes"]["B"]
    batch, steps, *_ = shape
    batches = [words(batch, steps + (i * steps) // 10) for i in range(10)]
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(batches),
        output_signature=(
            tf.TensorSpec((batch, None), tf.int32),
            tf.TensorSpec((batch, 1), tf.float32),
        ),
    ).apply(tf.data.experimental.assert_cardinality(len(batches)))

    def ten_fits(model):
        for tokens, labels in batches:
            model.fit(tokens, labels, batch_size=batch, verbose=0)

    ways = {
        "one dataset": lambda model: model.fit(dataset, shuffle=False, verbose=0),
        "ten fits": ten_fits,
    }
    results = {
        way: {name: {"first": [], "later": []} for name in ("ours", "graph", "keras")}
        for way in ways
    }
    for _ in range(sizes["length_rounds"]):
        for way, epoch in ways.items():
            for name, found in results[way].items():
                model = model_of("ours" if name == "graph" else name, cell, shape)
                with graphs_only() if name == "graph" else contextlib.nullcontext():
                    first, *later = [
                        timed(lambda model=model, epoch=epoch: epoch(model))
                        for _ in range(sizes["length_epochs"])
                    ]
                found["first"].append(first)
                found["later"].append(statistics.median(later))
    return results


def measure_sizes(name, cell, quick):
    """Seconds of epochs over batches that each have their own size, and MiB they keep."""
    first, *later, kept = in_process("sizes", name, cell, *["quick"] * quick)
    return {"first": first, "later": statistics.median(later), "MiB": kept}


def sizes_worker(name, cell, quick=False):
    """What runs in that process: prints the seconds of each epoch, and the MiB."""
    import tensorflow as tf

    sizes = QUICK if quick else FULL
    shape = sizes["sizes_shape"]
    batches = [words(size, shape[1]) for size in sizes["sizes"]]
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(batches),
        output_signature=(
            tf.TensorSpec((None, shape[1]), tf.int32),
            tf.TensorSpec((None, 1), tf.float32),
        ),
    ).apply(tf.data.experimental.assert_cardinality(len(batches)))
    model = model_of(name, cell, shape)
    gc.collect()
    before = resident("VmRSS")
    for epoch in range(sizes["sizes_epochs"]):
        print(timed(lambda: model.fit(dataset, shuffle=False, verbose=0)))
        if not epoch:
            kept = resident("VmRSS") - before
    print(kept)


def measure_memory(name, cell, shape):
    """MiB that two training steps of one peer need, in a process of its own.

    Returns:
        The MiB of the steps at this shape, and of those on a short sequence before them.
    """
    first_use, steps = in_process("memory", name, cell, *shape)
    return steps, first_use


def in_process(kind, *arguments):
    """The numbers that a worker of this kind prints, in a process of its own."""
    command = [sys.executable, __file__, "--worker", kind, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        what = " ".join(command[3:])
        raise RuntimeError(f"{what}: not measured\n{done.stderr}")
    return [float(line) for line in done.stdout.splitlines()]


def memory_worker(name, cell, batch, steps, features, units):
    """What runs in that process: prints the MiB of a short sequence and of this one."""
    for timesteps in (SHORT, steps):
        shape = map(int, (batch, timesteps, features, units))
        peer = PEERS[name](Problem.random(cell, *shape))
        gc.collect()
        with contextlib.suppress(OSError):  # Linux: the peak so far, of making the data
            Path("/proc/self/clear_refs").write_text("5")
        before = resident("VmRSS")
        for _ in range(2):
            peer.train()
        print(resident("VmHWM") - before)


def resident(field):
    """MiB of resident memory of this process: now (VmRSS) or at most (VmHWM)."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not `ru_maxrss`: on Linux a new process starts with that of its parent.
        (line,) = [s for s in status.read_text().splitlines() if s.startswith(field)]
        return int(line.split()[1]) / 2**10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2 ** (20 if sys.platform == "darwin" else 10)


def machine():
    """The processor, the cores in use, the date and the versions."""
    model, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    versions = {"python": platform.python_version()}
    for package in ("tensorflow", "keras", "torch", "jax"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass  # `installed` names it
    return {
        "processor": model,
        "cores": CORES,
        "date": datetime.date.today().isoformat(),
        "versions": versions,
    }


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="+", choices=GATES)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES)
    parser.add_argument("--rounds", type=int, help="default 15, with --quick 2")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--output", type=Path, default=Path("output/benchmarks"))
    parser.add_argument("--quick", action="store_true", help="tiny sizes; elman, A, G")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.shapes = options.shapes or (["A", "G"] if options.quick else list(SHAPES))
    options.cells = options.cells or (["elman"] if options.quick else list(GATES))
    options.rounds = options.rounds or (2 if options.quick else 15)
    return options


def main(arguments=None):
    options = parse(arguments)
    if options.worker:
        kind, *arguments = options.worker
        {"memory": memory_worker, "sizes": sizes_worker}[kind](*arguments)
        return
    sizes, names = QUICK if options.quick else FULL, installed()
    first_cell = options.cells[0]
    for name in PEERS:
        if name not in names:
            print(f"{name} is not installed: skipped", flush=True)

    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # each shape is a function of its own, on purpose

    record = {"machine": machine(), "quick": options.quick, "rounds": options.rounds}
    record |= {
        "peers": names,
        "shapes": sizes["shapes"],
        "fit_steps": sizes["fit_steps"],
    }
    options.output.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()

    def keep(kind, entry):
        record.setdefault(kind, []).append(entry)
        report.write_json(record, options.output / "train_step.json")
        line = report.progress(kind, entry)
        print(f"{time.perf_counter() - started:6.0f} s  {line}", flush=True)

    check_agreement(options.cells, names)
    print(f"{time.perf_counter() - started:6.0f} s  all peers agree", flush=True)
    for kind in [kind for kind in ("train", "inference") if kind in options.only]:
        for cell in options.cells:
            for shape in sorted(options.shapes):
                if kind == "train" and shape in INFERENCE_ONLY:
                    continue
                found = measure_steps(
                    kind, cell, sizes["shapes"][shape], sizes, options.rounds, names
                )
                keep(kind, {"cell": cell, "shape": shape, **found})
                gc.collect()  # the peers of this shape, before those of the next
    if "fit" in options.only:
        for cell in options.cells:
            keep("fit", {"cell": cell, **measure_fit(cell, sizes, options.rounds)})
    if "lengths" in options.only:
        keep("lengths", {"cell": first_cell, **measure_lengths(first_cell, sizes)})
    if "sizes" in options.only:
        for cell in options.cells:
            found = {
                n: measure_sizes(n, cell, options.quick) for n in ("ours", "keras")
            }
            keep("sizes", {"cell": cell, **found})
    if "memory" in options.only:
        for shape in sizes["memory"]:
            chosen = names[:2] if options.quick else names  # each takes some seconds
            found = {name: measure_memory(name, first_cell, shape) for name in chosen}
            steps, first_use = (
                {name: both[i] for name, both in found.items()} for i in (0, 1)
            )
            keep(
                "memory",
                {
                    "cell": first_cell,
                    "shape": shape,
                    "MiB": steps,
                    "first_use_MiB": first_use,
                },
            )

    print("\n" + report.markdown(record))
    if "train" in record or "inference" in record:
        report.plot(record, options.output / "train_step.png")
    print(f"\nEvery sample, and the plot: {options.output}")


if __name__ == "__main__":
    main()
