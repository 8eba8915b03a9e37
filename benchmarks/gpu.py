"""Whether the layers compute on a GPU what they compute on a CPU, and how fast.

    python benchmarks/gpu.py --minutes 10            # on a machine with a GPU
    python benchmarks/gpu.py --quick                 # two shapes, under a minute
    python benchmarks/gpu.py --device cpu --tiny     # does it run at all?

Each backend that is installed runs in a process of its own. What kills that process, or
keeps it from answering, is told in a line, and the next measurement starts a new one;
so is any other failure. `--output` is rewritten after each measurement.

- **checks**: outputs, last states and gradients (of the inputs, all weights and the
  initial state), and second derivatives, beside those of Keras's layers in float64 on the
  CPU. There TF32 is off. The largest difference is given as a fraction of the largest
  number, or of 1; it must be under 1e-5 for outputs, under 1e-4 for gradients. Where a
  kernel of cuDNN is expected and another loop runs, the check fails.
- **train**: the outputs of all steps, then the gradients of sum(outputs * upstream) by
  the inputs and all weights. **inference**: the outputs alone. float32 with what the
  framework takes by default for TF32 (the output says what), and bfloat16 at the largest
  shape. "ours" learns its initial state, "ours, zeros" does not, and starts from zeros as
  the peers do (the plain `lax.scan` learns its own). On JAX all is jitted whole, but for
  "eager".

A sample is some calls in a row, as many as fill 20 ms, and then the wait for the device;
it follows an equal one that is not counted. The peers of a shape take turns. A peer whose
step takes over two seconds has that one sample.
"""

import argparse
import concurrent.futures
import functools
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import queue
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import numpy
import report
from peers import CORES, GATES, SIX_SHAPES, Problem

BACKENDS = ["torch", "jax", "tensorflow"]

# (batch, steps, features, units), the most telling first: time may end before the list.
LARGE = {"H": (256, 512, 512, 1024), "I": (1024, 100, 256, 512)}
SHAPES = {name: (SIX_SHAPES | LARGE)[name] for name in "AIDHFBEC"}
QUICK = ["A", "I"]
TINY = {"A": (4, 5, 3, 6)}
LARGEST = "H"
CLOSER = "A"  # where ours without cuDNN, and JAX without `jax.jit`, are measured, too
CELLS = ["lstm", "gru", "elman"]
ROUNDS = 15
SAMPLE = 0.02  # seconds, at least
SLOW = 2.0  # seconds of a step, above which there is one sample
SILENCE = 90  # seconds after which a process is taken to hang

# What is checked: the shape, the options of the layer, and which steps are real.
SMALL, MEDIUM = (6, 12, 5, 8), (32, 50, 40, 64)
CASES = {
    "plain": (MEDIUM, {}, None),
    "right-padded": (MEDIUM, {}, "right"),
    "second": (SMALL, {}, None),
    "second, right-padded": (SMALL, {}, "right"),
    "left-padded": (SMALL, {}, "left"),
    "backwards, right-padded": (SMALL, {"go_backwards": True}, "right"),
}
TOLERANCES = {"outputs": 1e-5, "gradients": 1e-4}
# Where a GPU is to run a kernel of cuDNN.
CUDNN = {"torch": CELLS, "jax": ["lstm"], "tensorflow": []}
CUDNN_CASES = ["plain", "right-padded", "second", "second, right-padded"]


# ------------------------------------------------------------------------- the backends


class OnTorch:
    def __init__(self, device):
        import torch

        if device == "gpu" and not torch.cuda.is_available():
            raise SystemExit("torch sees no GPU")
        self.torch = torch
        self.device = "cuda" if device == "gpu" else "cpu"

    def about(self):
        torch = self.torch
        name = torch.cuda.get_device_name() if self.device == "cuda" else "CPU"
        flags = (
            f"TF32: products {torch.backends.cuda.matmul.allow_tf32}, cuDNN "
            f"{torch.backends.cudnn.allow_tf32}; cuDNN {torch.backends.cudnn.version()}"
        )
        return name, flags

    def exact(self, exact):
        """Turns TF32 off, or back to the default."""
        if exact:
            self.usual = (
                self.torch.backends.cuda.matmul.allow_tf32,
                self.torch.backends.cudnn.allow_tf32,
            )
        matmul, cudnn = (False, False) if exact else self.usual
        self.torch.backends.cuda.matmul.allow_tf32 = matmul
        self.torch.backends.cudnn.allow_tf32 = cudnn

    def tensor(self, array, dtype=None, differentiable=True):
        tensor = self.torch.tensor(array, device=self.device)
        if dtype is not None:
            tensor = tensor.to(getattr(self.torch, dtype))
        return tensor.requires_grad_(differentiable and tensor.is_floating_point())

    def array(self, tensor):
        return tensor.detach().float().cpu().numpy().astype("float64")

    def double(self, tensor):
        return tensor.detach().cpu().numpy()

    def values(self, layer):
        return [variable.value for variable in layer.trainable_variables]

    def apply(self, layer, inputs, weights, **kwargs):
        return layer(inputs, **kwargs)

    def tile(self, vector, batch):
        return vector.expand(batch, *vector.shape)

    def gradient(self, function, values, again=False):
        return self.torch.autograd.grad(function(values), values, create_graph=again)

    def compiled(self, functions):
        """Functions of no arguments, from (function, arguments, whether it trains)."""

        def call(function, arguments, trains):
            with self.torch.set_grad_enabled(trains):
                return function(*arguments)

        return {name: functools.partial(call, *f) for name, f in functions.items()}

    def wait(self, result):
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def kernel(self, function, *arguments):
        """What ran: the operations of cuDNN or oneDNN, else "loop"."""
        from torch.profiler import ProfilerActivity, profile

        # What the CPU launches has the names of the operations, too.
        with profile(activities=[ProfilerActivity.CPU]) as found:
            self.wait(function(*arguments))
        names = {event.key for event in found.key_averages()}
        pattern = r"cudnn_rnn|mkldnn_rnn|^aten::(lstm|gru|rnn_tanh|rnn_relu)$"
        return sorted(name for name in names if re.search(pattern, name)) or ["loop"]

    def peers(self, cell, shape, dtype, name):
        """What PyTorch has itself."""
        torch, (_, _, features, units) = self.torch, shape
        classes = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
        module = classes[cell](features, units, batch_first=True, device=self.device)
        module = module.to(getattr(torch, dtype))

        def forward(values, training):
            return module(values[0])[0]

        return {"torch.nn": (forward, list(module.parameters()))}

    def release(self):
        if self.device == "cuda":
            self.torch.cuda.empty_cache()


class OnJax:
    def __init__(self, device):
        import jax

        if device == "gpu" and jax.default_backend() != "gpu":
            raise SystemExit("jax sees no GPU")
        self.jax = jax

    def about(self):
        precision = self.jax.config.jax_default_matmul_precision
        return self.jax.devices()[0].device_kind, (
            f"jax_default_matmul_precision: {precision}"
            + (" (TF32 where the GPU has it)" if precision is None else "")
        )

    def exact(self, exact):
        precision = "highest" if exact else None
        self.jax.config.update("jax_default_matmul_precision", precision)

    def tensor(self, array, dtype=None, differentiable=True):
        return self.jax.numpy.asarray(array, dtype=dtype)

    def array(self, tensor):
        return numpy.asarray(tensor.astype("float32")).astype("float64")

    def double(self, tensor):
        return numpy.asarray(tensor)

    def values(self, layer):
        return [variable.value for variable in layer.trainable_variables]

    def apply(self, layer, inputs, weights, **kwargs):
        others = [variable.value for variable in layer.non_trainable_variables]
        return layer.stateless_call(weights, others, inputs, **kwargs)[0]

    def tile(self, vector, batch):
        return self.jax.numpy.broadcast_to(vector, (batch, *vector.shape))

    def gradient(self, function, values, again=False):
        return self.jax.grad(function)(values)

    def compiled(self, functions):
        """Traced one after another, then compiled side by side."""
        calls = {}
        with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
            for name, (function, arguments, _) in functions.items():
                if "eager" in name[-1]:
                    calls[name] = functools.partial(function, *arguments)
                    continue
                try:
                    lowered = self.jax.jit(function).lower(*arguments)
                except Exception as error:
                    calls[name] = functools.partial(_raise, error)
                    continue
                calls[name] = pool.submit(lowered.compile), arguments
        for name, call in calls.items():
            if isinstance(call, tuple):
                future, arguments = call
                try:
                    calls[name] = functools.partial(future.result(), *arguments)
                except Exception as error:
                    calls[name] = functools.partial(_raise, error)
        return calls

    def wait(self, result):
        self.jax.block_until_ready(result)

    def kernel(self, function, *arguments):
        text = self.jax.jit(function).lower(*arguments).as_text()
        calls = set(
            re.findall(r"custom_call @([\w.$]*rnn[\w.$]*)", text, re.IGNORECASE)
        )
        return sorted(calls) or ["loop"]

    def peers(self, cell, shape, dtype, name):
        """The equations in a plain `lax.scan`, and layers that are not jitted."""
        from peers import Jax

        problem = problem_of(cell, shape)
        jax = object.__new__(Jax)  # its equations alone: the data is here already
        jax.jax, jax.problem = self.jax, problem
        names = [*problem.weights, *problem.states]

        def forward(values, training):
            return jax._forward(dict(zip(names, values[1:])), values[0])

        arrays = {**problem.weights, **problem.states}
        weights = [self.tensor(arrays[each], dtype) for each in names]
        found = {"lax.scan": (forward, weights)}
        if name == CLOSER and dtype == "float32":
            for peer in ("ours", "keras"):
                found[f"{peer}, eager"] = layer_peer(self, peer, cell, shape, dtype)
        return found

    def release(self):
        pass


class OnTensorFlow:
    def __init__(self, device):
        import tensorflow

        if device == "gpu" and not tensorflow.config.list_physical_devices("GPU"):
            raise SystemExit("tensorflow sees no GPU")
        self.tf = tensorflow

    def about(self):
        gpus = self.tf.config.list_physical_devices("GPU")
        enabled = self.tf.config.experimental.tensor_float_32_execution_enabled()
        details = [self.tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        names = [each.get("device_name", "GPU") for each in details]
        return ", ".join(names) or "CPU", f"TF32: {enabled}"

    def exact(self, exact):
        self.tf.config.experimental.enable_tensor_float_32_execution(not exact)

    def tensor(self, array, dtype=None, differentiable=True):
        tensor = self.tf.constant(array)
        return tensor if dtype is None else self.tf.cast(tensor, dtype)

    def array(self, tensor):
        return self.tf.cast(tensor, "float64").numpy()

    double = array

    def values(self, layer):
        return [variable.value for variable in layer.trainable_variables]

    def apply(self, layer, inputs, weights, **kwargs):
        return layer(inputs, **kwargs)

    def tile(self, vector, batch):
        return self.tf.repeat(vector[None], batch, axis=0)

    def gradient(self, function, values, again=False):
        with self.tf.GradientTape() as tape:
            for value in values:
                tape.watch(value)
            result = function(values)
        return tape.gradient(result, values)

    def compiled(self, functions):
        return {
            name: functools.partial(self.tf.function(f), *arguments)
            for name, (f, arguments, _) in functions.items()
        }

    def wait(self, result):
        for each in self.tf.nest.flatten(result)[:1]:
            each.numpy()

    def kernel(self, function, *arguments):
        graph = self.tf.function(function).get_concrete_function(*arguments).graph
        found = re.findall(r'op: "(\w*Cudnn\w*)"', str(graph.as_graph_def()))
        return sorted(set(found)) or ["loop"]

    def peers(self, cell, shape, dtype, name):
        return {}

    def release(self):
        pass


ON = {"torch": OnTorch, "jax": OnJax, "tensorflow": OnTensorFlow}


def _raise(error):
    raise error


# ----------------------------------------------------------------------- what is compared


@functools.cache
def _problem(cell, shape):
    return Problem.random(cell, *shape)


def problem_of(cell, shape):
    """The weights of a cell for a shape, and data of one example."""
    _, _, features, units = shape
    return _problem(cell, (1, 1, features, units))


@functools.lru_cache(1)
def data_of(shape):
    """Inputs and the gradient of the outputs, the same for all cells."""
    batch, steps, features, units = shape
    rng = numpy.random.default_rng(1)
    return [
        rng.standard_normal((batch, steps, width), dtype="float32")
        for width in (features, units)
    ]


def layer_of(name, cell, units, **options):
    """A layer of Keras's, or one of ours."""
    import keras

    if name.startswith("keras"):
        classes = {"elman": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
        return getattr(keras.layers, classes[cell])(units, **options)
    import keras_rnn

    classes = {"elman": "ElmanRNN", "lstm": "LSTM", "gru": "GRU"}
    if "zeros" in name:
        options["learn_initial_state"] = False
    if "loop" in name:
        options["use_cudnn"] = False
    return getattr(keras_rnn, classes[cell])(units, **options)


def layer_peer(on, name, cell, shape, dtype):
    """What a layer computes, as a function of its inputs and weights."""
    policy = "mixed_bfloat16" if dtype == "bfloat16" else dtype
    layer = layer_of(name, cell, shape[-1], return_sequences=True, dtype=policy)
    layer.build(shape[:3])

    def forward(values, training):
        return on.apply(layer, values[0], list(values[1:]), training=training)

    forward.layer = layer
    return forward, on.values(layer)


def peers_of(on, cell, shape, dtype, name):
    """The functions and weights of all that is measured at a shape; errors instead."""
    found = {}
    loop = ["ours, loop"] if name == CLOSER and dtype == "float32" else []
    for peer in ["ours", "ours, zeros", *loop, "keras"]:
        try:
            found[peer] = layer_peer(on, peer, cell, shape, dtype)
        except Exception as error:
            found[peer] = error
    try:
        found |= on.peers(cell, shape, dtype, name)
    except Exception as error:
        found["peers of the backend"] = error
    return found


# ------------------------------------------------------------------------------ the checks


def masks_of(shape, kind):
    """Which steps are real: rows of many lengths, the first one whole; or `None`."""
    if kind is None:
        return None
    batch, steps, *_ = shape
    lengths = steps - (numpy.arange(batch) * 7) % steps
    mask = numpy.arange(steps) < lengths[:, None]
    return mask if kind == "right" else mask[:, ::-1].copy()


def case_function(on, cell, case, layer, states, dtype):
    """The loss of a case as a function of values, those values, and all it computes."""
    shape, _, padding = CASES[case]
    batch, steps, features, units = shape
    rng = numpy.random.default_rng(2)
    inputs = rng.standard_normal((batch, steps, features))
    upstream = rng.standard_normal((batch, steps, units))
    last = rng.standard_normal((batch, units))
    along = rng.standard_normal(inputs.shape)
    mask = masks_of(shape, padding)
    fixed = functools.partial(on.tensor, dtype=dtype, differentiable=False)
    upstream, last, along = map(fixed, (upstream, last, along))
    kwargs = {} if mask is None else {"mask": on.tensor(mask, differentiable=False)}
    weights = on.values(layer)
    count = 1 + len(weights)

    def forward(values):
        first = [on.tile(state, batch) for state in values[count:]]
        more = {"initial_state": first} if first else {}
        return on.apply(
            layer, values[0], list(values[1:count]), training=True, **kwargs, **more
        )

    def loss(values):
        outputs, *states = forward(values)
        parts = [outputs * upstream, *(state * last for state in states)]
        return sum(_sum(on, part) for part in parts)

    def curvature(values):
        return _sum(on, on.gradient(loss, values, again=True)[0] * along)

    states = [on.tensor(state, dtype) for state in states]
    return forward, loss, curvature, [on.tensor(inputs, dtype), *weights, *states]


def _sum(on, tensor):
    return on.tf.reduce_sum(tensor) if isinstance(on, OnTensorFlow) else tensor.sum()


def results_of(on, cell, case, name, dtype):
    """The arrays of a case by name, and the layer, the gradient and its arguments."""
    shape, options, _ = CASES[case]
    problem = problem_of(cell, shape)
    layer = layer_of(
        name,
        cell,
        shape[-1],
        return_sequences=True,
        return_state=True,
        dtype=dtype,
        **options,
    )
    layer.build(shape[:3])
    states = list(problem.states.values())
    own = [] if name == "keras" else states
    layer.set_weights([*problem.weights.values(), *own])
    forward, loss, curvature, values = case_function(
        on, cell, case, layer, states if name == "keras" else [], dtype
    )
    functions = {"outputs": forward, "gradients": functools.partial(on.gradient, loss)}
    if case.startswith("second"):
        functions["gradients: second"] = functools.partial(on.gradient, curvature)
    calls = on.compiled({(name,): (f, [values], True) for name, f in functions.items()})
    array, found = on.double if dtype == "float64" else on.array, {}
    for (kind,), call in calls.items():
        names = ["y", "h", "c"] if kind == "outputs" else problem.names
        found |= {f"{kind}: {each}": array(a) for each, a in zip(names, call())}
    return found, layer, functions["gradients"], values


def write_oracle(options):
    """What Keras's layers compute in float64 on a CPU, in a file."""
    import keras

    on, found = ON[keras.backend.backend()]("cpu"), {}
    for what, *arguments in tasks_of(options):
        if what == "check":
            arrays, *_ = results_of(on, *arguments, "keras", "float64")
            found["/".join(arguments)] = arrays
    flat = {
        f"{c}/{name}": a for c, arrays in found.items() for name, a in arrays.items()
    }
    numpy.savez(options.oracle, **flat)


def check(on, backend, device, cell, case, oracle):
    """A record of one case: the largest differences, and what ran."""
    on.exact(True)
    try:
        found, layer, gradient, values = results_of(on, cell, case, "ours", "float32")
        kernel = on.kernel(gradient, values)
    finally:
        on.exact(False)
    worst, faults = {kind: 0.0 for kind in TOLERANCES}, []
    with numpy.load(oracle) as wanted:
        for name, array in found.items():
            want = wanted[f"{cell}/{case}/{name}"]
            kind = name.split(":")[0]
            scale = max(1.0, float(numpy.abs(want).max()))
            difference = float(numpy.abs(array - want).max()) / scale
            worst[kind] = max(worst[kind], difference)
            if not difference < TOLERANCES[kind]:  # NaN, too
                faults.append(f"{name} differs by {difference:.1e}")
    if (
        device == "gpu"
        and cell in CUDNN[backend]
        and case in CUDNN_CASES
        and not any("cudnn" in name.lower() for name in kernel)
    ):
        faults.append("no kernel of cuDNN ran")
    return {
        "kind": "check",
        "cell": cell,
        "case": case,
        "worst": worst,
        "engine": str(getattr(layer, "engine", "unknown")),
        "kernel": kernel,
        "faults": faults,
    }


# ------------------------------------------------------------------------ the measurements


def timed(on, call, count=1):
    """The seconds of a call: the mean of `count` in a row, and the wait for them."""
    start = time.perf_counter()
    for _ in range(count):
        result = call()
    on.wait(result)
    return (time.perf_counter() - start) / count


def in_turns(on, calls, seconds):
    """Samples of functions in turns, in at most some seconds.

    Returns:
        Dictionaries by name: the seconds of the first call, the samples, and what there
        is to say (of a failure, or of a function with one sample).
    """
    first, samples, notes, plans = {}, {}, {}, {}
    share = seconds / max(1, len(calls))
    for name, call in calls.items():
        try:
            first[name] = timed(on, call)
            once = min(timed(on, call) for _ in range(1 if first[name] > SLOW else 2))
        except Exception as error:
            notes[name] = in_a_line(error)
            continue
        samples[name] = []
        if once > SLOW:
            samples[name], notes[name] = [once], "slow: one sample"
            continue
        count = max(1, math.ceil(SAMPLE / once))
        rounds = int(share / (2 * count * once))
        plans[name] = count, min(ROUNDS, max(1, rounds))
    for turn in range(ROUNDS):
        for name, (count, rounds) in plans.items():
            if turn < rounds and name not in notes:
                try:
                    timed(on, calls[name], count)
                    samples[name].append(timed(on, calls[name], count))
                except Exception as error:
                    notes[name] = in_a_line(error)
    return first, {name: found for name, found in samples.items() if found}, notes


def measure(on, cell, name, shape, dtype, seconds):
    """The records of training and inference of all peers at one shape."""
    end = time.perf_counter() + seconds
    arrays = data_of(shape)
    inputs = on.tensor(arrays[0], dtype)
    upstream = on.tensor(arrays[1], dtype, differentiable=False)
    functions, notes, engine = {}, {}, "unknown"
    for peer, made in peers_of(on, cell, shape, dtype, name).items():
        if isinstance(made, Exception):
            notes["train", peer] = in_a_line(made)
            continue
        forward, weights = made
        if peer == "ours":
            engine = str(getattr(forward.layer, "engine", engine))

        def train(values, upstream, forward=forward):
            def loss(values):
                return _sum(on, forward(values, True) * upstream)

            return on.gradient(loss, values)

        def infer(values, forward=forward):
            return forward(values, False)

        values = [inputs, *weights]
        functions["train", peer] = train, (values, upstream), True
        functions["inference", peer] = infer, (values,), False
    calls = on.compiled(functions)
    left = max(0.5, end - time.perf_counter())
    first, samples, more = in_turns(on, calls, left)
    notes |= more
    for mode in ("train", "inference"):
        kept = [
            {key[1]: value for key, value in each.items() if key[0] == mode}
            for each in (first, samples, notes)
        ]
        yield {
            "kind": mode,
            "cell": cell,
            "shape": name,
            "sizes": shape,
            "dtype": dtype,
            "engine": engine,
            **dict(zip(("first", "samples", "notes"), kept)),
        }


# ------------------------------------------------------------------------------ processes


def tasks_of(options):
    """All that a process does, in this order: checks, then the most telling shapes."""
    tasks = []
    cases = ["plain", "right-padded", "second"] if options.quick else list(CASES)
    if "checks" in options.only:
        tasks += [("check", cell, case) for case in cases for cell in options.cells]
    if "times" in options.only:
        shapes = (
            TINY if options.tiny else {name: SHAPES[name] for name in options.shapes}
        )
        for name, shape in shapes.items():
            dtypes = ["float32", "bfloat16"] if name == LARGEST else ["float32"]
            tasks += [
                ("time", cell, name, shape, dtype)
                for dtype in dtypes
                for cell in options.cells
            ]
    return tasks


def worker(options):
    """Does the tasks of a backend from a certain one on; prints a line of JSON for each."""
    import keras

    # Whatever else is printed goes elsewhere.
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def tell(**record):
        print(json.dumps(record), file=lines, flush=True)

    backend = keras.backend.backend()
    on = ON[backend](options.device)
    name, flags = on.about()
    tell(kind="about", device=name, flags=flags, keras=keras.version())
    tasks = tasks_of(options)
    for index in range(options.start, len(tasks)):
        what, *arguments = tasks[index]
        left = options.deadline - time.time()
        if left < 2:
            tell(kind="note", text=f"out of time: {len(tasks) - index} tasks left out")
            return
        tell(kind="begin", index=index, task=str(tasks[index]))
        try:
            if what == "check":
                tell(**check(on, backend, options.device, *arguments, options.oracle))
            else:
                cell, *rest = arguments
                for record in measure(on, cell, *rest, left / (len(tasks) - index)):
                    tell(**record)
            on.release()
        except Exception as error:
            traceback.print_exc()
            tell(kind="error", task=str(tasks[index]), text=in_a_line(error))
            # A GPU may refuse everything after a fault: another process is to go on.
            on.wait(on.tensor(numpy.ones(2, "float32")) * 2)


def in_a_line(error):
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) < 300 else text[:300] + " ..."


def environment_of(backend, device):
    """The settings of a process on a backend."""
    root = Path(__file__).resolve().parent.parent
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    if device == "cpu":
        found |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    return found


def command_of(options, *more):
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", *more]
    command += ["--device", options.device, "--only", *options.only]
    command += ["--cells", *options.cells, "--shapes", *options.shapes]
    command += ["--quick"] * options.quick + ["--tiny"] * options.tiny
    return command


def lines_of(program, end):
    """The lines that a process prints; ends with it, or kills it where it hangs.

    Yields:
        Dictionaries; the last one may be of the kind "killed".
    """
    found = queue.Queue()

    def read():
        for line in program.stdout:
            found.put(line)
        found.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        silence = min(SILENCE, max(1.0, end + 15 - time.time()))
        try:
            line = found.get(timeout=silence)
        except queue.Empty:
            program.kill()
            yield {"kind": "killed", "text": f"no word in {silence:.0f} s"}
            return
        if line is None:
            program.wait()
            return
        yield json.loads(line)


def run_backend(backend, options, oracle, end, keep):
    """All tasks of a backend until a time, in as many processes as it takes."""
    start = 0
    while time.time() < end - 5:
        more = ["--start", str(start), "--deadline", str(end), "--oracle", str(oracle)]
        program = subprocess.Popen(
            command_of(options, *more),
            stdout=subprocess.PIPE,
            text=True,
            env=environment_of(backend, options.device),
        )
        task, begun, killed = None, False, None
        for record in lines_of(program, end):
            if record["kind"] == "begin":
                start, task, begun = record["index"] + 1, record["task"], True
            elif record["kind"] == "killed":
                killed = record["text"]
            else:
                keep({"backend": backend, **record})
        code = program.wait()
        if not killed and not code:
            return
        text = killed or f"the process ended with {code}"
        keep({"backend": backend, "kind": "error", "task": task, "text": text})
        if not begun:  # it does not even start
            return


def versions():
    found = {"python": platform.python_version()}
    for package in ("keras", "torch", "jax", "tensorflow", "numpy"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def gpu():
    """The GPUs, their memory and driver, as far as NVIDIA's tool tells."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version"]
    try:
        done = subprocess.run(
            [*query, "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
        )
        return "; ".join(done.stdout.splitlines())
    except (OSError, subprocess.SubprocessError) as error:
        return in_a_line(error)


def processor():
    info = Path("/proc/cpuinfo")
    names = (
        re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    )
    return names[0] if names else platform.machine()


# --------------------------------------------------------------------------------- output


def line_of(record):
    """A record in a line."""
    kind, head = record["kind"], f"{record['backend']:10} "
    if kind == "about":
        return head + f"{record['device']}; Keras {record['keras']}; {record['flags']}"
    if kind == "check":
        worst = ", ".join(f"{k} {v:.1e}" for k, v in record["worst"].items())
        verdict = "; ".join(record["faults"])
        return (
            f"{head}check {record['cell']:5} {record['case']:23} "
            f"{'FAILED: ' + verdict if verdict else 'ok'} ({worst}); "
            f"engine {record['engine']}; ran {', '.join(record['kernel'])}"
        )
    if kind in ("train", "inference"):
        parts = [
            f"{peer} {report.milliseconds(samples)} ({len(samples)})"
            for peer, samples in record["samples"].items()
        ]
        parts += [f"{peer}: {text}" for peer, text in record["notes"].items()]
        return (
            f"{head}{kind:9} {record['cell']:5} {record['shape']} "
            f"{record['dtype']:8} " + ", ".join(parts) + f"; engine {record['engine']}"
        )
    task = f"{record['task']}: " if record.get("task") else ""
    return f"{head}{kind.upper()} {task}{record['text']}"


def markdown(records):
    """The tables: milliseconds of ours, and how many times as fast as each peer."""
    parts = []
    failed = [r for r in records if r["kind"] == "check" and r["faults"]]
    checks = [r for r in records if r["kind"] == "check"]
    parts.append(f"Checks: {len(checks) - len(failed)} passed, {len(failed)} failed.")
    for backend in dict.fromkeys(r["backend"] for r in records):
        for mode in ("train", "inference"):
            chosen = [
                r
                for r in records
                if (r["backend"], r["kind"]) == (backend, mode)
                and "ours" in r["samples"]
            ]
            if not chosen:
                continue
            peers = list(
                dict.fromkeys(p for r in chosen for p in r["samples"] if p != "ours")
            )
            rows = []
            for record in chosen:
                samples = {
                    name: statistics.median(found)
                    for name, found in record["samples"].items()
                }
                sizes = " x ".join(map(str, record["sizes"]))
                row = [f"{record['shape']} ({sizes}) {record['dtype']}"]
                row += [report.TITLES[record["cell"]], f"{1e3 * samples['ours']:.3g}"]
                row += [
                    f"{samples[peer] / samples['ours']:.2f}" if peer in samples else ""
                    for peer in peers
                ]
                rows.append(row)
            head = [f"{backend}, {mode}", "cell", "ours, ms"]
            parts.append(report.table(head + [f"x {peer}" for peer in peers], rows))
    parts.append("x: how many times as fast as the peer ours is (medians).")
    return "\n\n".join(parts)


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, help="default 10, with --quick 0.9")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS)
    parser.add_argument("--cells", nargs="+", choices=GATES, default=CELLS)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES)
    parser.add_argument(
        "--only", nargs="+", choices=["checks", "times"], default=["checks", "times"]
    )
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--output", type=Path, default=Path("output/gpu.json"))
    parser.add_argument("--quick", action="store_true", help="two shapes, few cases")
    parser.add_argument("--tiny", action="store_true", help="sizes that mean nothing")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--start", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--deadline", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--oracle", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.minutes = options.minutes or (0.9 if options.quick else 10)
    options.shapes = options.shapes or (QUICK if options.quick else list(SHAPES))
    return options


def main(arguments=None):
    options = parse(arguments)
    if options.worker:
        if options.deadline:
            worker(options)
        else:
            write_oracle(options)
        return
    started = time.time()
    end = started + 60 * options.minutes
    there = [name for name in BACKENDS if importlib.util.find_spec(name)]
    backends = [name for name in options.backends or BACKENDS if name in there]
    machine = {"processor": processor(), "cores": CORES, "versions": versions()}
    if options.device == "gpu":
        machine["gpu"] = gpu()
    record = {
        "machine": machine,
        "options": {k: str(v) for k, v in vars(options).items()},
        "records": [],
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    print("; ".join(map(str, machine.values())), flush=True)

    def keep(found):
        record["records"].append(found)
        report.write_json(record, options.output)
        print(f"{time.time() - started:6.1f} s  {line_of(found)}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        oracle = Path(folder) / "oracle.npz"
        if "checks" in options.only:
            # Whatever framework runs Keras's loops without compiling them.
            environment = environment_of(there[0], "cpu") | {"JAX_ENABLE_X64": "1"}
            command = command_of(options, "--oracle", str(oracle))
            try:
                subprocess.run(command, env=environment, timeout=SILENCE, check=True)
            except subprocess.SubprocessError as error:
                about = {"backend": there[0], "kind": "error", "task": "oracle"}
                keep({**about, "text": in_a_line(error)})
        for index, backend in enumerate(backends):
            share = (end - time.time()) / (len(backends) - index)
            run_backend(backend, options, oracle, time.time() + share, keep)
    print("\n" + markdown(record["records"]))
    print(f"\n{time.time() - started:.0f} s. Every sample: {options.output}")


if __name__ == "__main__":
    main()
