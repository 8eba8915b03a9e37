"""Which model gives the same numbers where: every kind of model in every runtime.

    python benchmarks/compatibility.py

builds each kind of model under TensorFlow, and reckons what it must give in a NumPy loop
in float64, written from the equations. Then it runs the model there, under JAX and
PyTorch (in processes of their own, with the weights that TensorFlow saved), and as a
SavedModel, in ONNX and in LiteRT (in processes that have no Keras, `deployed.py`), and
writes the largest differences into `compatibility.md`. A runtime that is not installed is
named and left out.
"""

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tutorials")]

from workshop import errors, files, machine  # noqa: E402
from workshop.errors import UsageError  # noqa: E402

# isort: split
import deployed  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402

import keras_rnn  # noqa: E402
from keras_rnn import export_model  # noqa: E402
from tests import oracle  # noqa: E402

SIZES = [(3, 13), (2, 29)]  # (batch, timesteps)
FEATURES, UNITS, OUTPUTS, WORDS = 5, 8, 3, 20
IDS = 8  # those that every embedding here knows
CELLS = {
    "Elman": (keras_rnn.ElmanCell, keras_rnn.ElmanRNN),
    "LSTM": (keras_rnn.LSTMCell, keras_rnn.LSTM),
    "GRU": (keras_rnn.GRUCell, keras_rnn.GRU),
}
# What each runtime is, and the packages whose versions tell which.
RUNTIMES = {
    "TensorFlow": ("tensorflow", ["tensorflow"]),
    "JAX": ("jax", ["jax"]),
    "PyTorch": ("torch", ["torch"]),
    "SavedModel": ("saved_model", ["tensorflow"]),
    "ONNX": ("onnx", ["onnxruntime", "onnx", "tf2onnx"]),
    "LiteRT": ("litert", ["ai-edge-litert"]),
}
BACKENDS = ["tensorflow", "jax", "torch"]


# -------------------------------------------------------------- the numbers, in NumPy


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def arrays(layer):
    """The weights of a layer by name, in float64."""
    found = {}
    for weight in layer.weights:
        found[weight.name] = keras.ops.convert_to_numpy(weight).astype("float64")
    return found


def step(kind, w, x, states):
    """One step of a cell with the weights `w`, from its equations: the new states."""
    h = states[0]
    if kind == "Elman":
        return [np.tanh(x @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"])]
    if kind == "LSTM":
        z = x @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"]
        i, f, g, o = np.split(z, 4, axis=-1)
        c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]
    z_x, r_x, n_x = np.split(x @ w["kernel"] + w["bias"][0], 3, axis=-1)
    z_h, r_h, n_h = np.split(h @ w["recurrent_kernel"] + w["bias"][1], 3, axis=-1)
    z = sigmoid(z_x + z_h)
    return [z * h + (1 - z) * np.tanh(n_x + sigmoid(r_x + r_h) * n_h)]


def along(kind, cell, x, mask=None, backwards=False, states=None):
    """A cell along a sequence: every y_t, in the order of the input, and last states."""
    w = arrays(cell)

    def one_step(x, states):
        new = step(kind, w, x, states)
        if not cell.output_units:
            return new[0], new
        return new[0] @ w["output_kernel"] + w["output_bias"], new

    if states is None:
        states = oracle.first_states(cell, len(x))
    y, states = oracle.run(one_step, x, states, mask, backwards)
    return y[:, ::-1] if backwards else y, states


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# ------------------------------------------------------------------ the kinds of models
# Each function returns a model whose inputs and outputs have names, and the function
# that reckons the outputs in NumPy.


def vectors():
    return keras.Input((None, FEATURES), name="x")


def plain(kind):
    layer = CELLS[kind][1](UNITS, return_sequences=True)
    x = vectors()
    model = keras.Model(x, {"y": layer(x)})
    return model, lambda x: {"y": along(kind, layer.cell, x)[0]}


def last_output(kind):
    layer = CELLS[kind][1](UNITS, output_units=OUTPUTS)
    x = vectors()
    model = keras.Model(x, {"y": layer(x)})
    return model, lambda x: {"y": along(kind, layer.cell, x)[0][:, -1]}


def bidirectional(kind):
    layer = keras.layers.Bidirectional(CELLS[kind][1](UNITS, return_sequences=True))
    x = vectors()
    model = keras.Model(x, {"y": layer(x)})

    def reckon(x):
        there = along(kind, layer.forward_layer.cell, x)[0]
        back = along(kind, layer.backward_layer.cell, x, backwards=True)[0]
        return {"y": np.concatenate([there, back], axis=-1)}

    return model, reckon


def stacked_layers(kind):
    layers = [CELLS[kind][1](units, return_sequences=True) for units in (UNITS, 6)]
    x = vectors()
    model = keras.Model(x, {"y": layers[1](layers[0](x))})

    def reckon(x):
        below = along(kind, layers[0].cell, x)[0]
        return {"y": along(kind, layers[1].cell, below)[0]}

    return model, reckon


def stacked_cells(kind):
    make = CELLS[kind][0]
    cells = [make(UNITS), make(6, output_units=OUTPUTS)]
    x = vectors()
    layer = keras_rnn.RNN(cells, return_sequences=True)
    model = keras.Model(x, {"y": layer(x)})

    def reckon(x):
        below = along(kind, cells[0], x)[0]
        return {"y": along(kind, cells[1], below)[0]}

    return model, reckon


def return_state(kind):
    layer = CELLS[kind][1](
        UNITS, output_units=OUTPUTS, return_sequences=True, return_state=True
    )
    x = vectors()
    y, *states = layer(x)
    names = [f"state_{i}" for i in range(len(states))]
    model = keras.Model(x, {"y": y, **dict(zip(names, states))})

    def reckon(x):
        y, states = along(kind, layer.cell, x)
        return {"y": y, **dict(zip(names, states))}

    return model, reckon


def masked(kind):
    embedding = keras.layers.Embedding(WORDS, FEATURES, mask_zero=True)
    layer = CELLS[kind][1](UNITS, output_units=OUTPUTS, return_sequences=True)
    ids = keras.Input((None,), dtype="int32", name="ids")
    model = keras.Model(ids, {"y": layer(embedding(ids))})

    def reckon(ids):
        x = arrays(embedding)["embeddings"][ids]
        return {"y": along(kind, layer.cell, x, mask=ids != 0)[0]}

    return model, reckon


def generator_step(kind):
    make = CELLS[kind][0]
    writer = keras_rnn.Generator("abcdefgh", [make(UNITS), make(6)], embedding_units=4)
    cells = [level.cell for level in writer.levels]
    tokens = keras.Input((), dtype="int32", name="ids")
    states = [
        [keras.Input((c.units,), name=f"{n}_{i}") for n in c.initial_state_names]
        for i, c in enumerate(cells)
    ]
    logits, new = writer.step(tokens, states)
    flat = keras.tree.flatten(states)
    names = [f"new_{state.name}" for state in flat]
    inputs = {each.name: each for each in (tokens, *flat)}
    outputs = {"logits": logits, **dict(zip(names, keras.tree.flatten(new)))}
    model = keras.Model(inputs, outputs)

    def reckon(ids, **given):
        x, found = arrays(writer.embedding)["embeddings"][ids], []
        for cell, level in zip(cells, states):
            level = [given[state.name].astype("float64") for state in level]
            found.append(step(kind, arrays(cell), x, level))
            x = found[-1][0]
        w = arrays(writer.logits)
        logits = x @ w["kernel"] + w["bias"]
        return {"logits": logits, **dict(zip(names, sum(found, [])))}

    return model, reckon


def encoder_decoder(kind):
    make = CELLS[kind][0]
    network = keras_rnn.EncoderDecoder(
        "abcdefgh", "stuvwxyz", make(UNITS), embedding_units=4, attention="dot"
    )
    source = keras.Input((None,), dtype="int32", name="ids")
    previous = keras.Input((None,), dtype="int32", name="previous")
    model = keras.Model([source, previous], {"logits": network((source, previous))})

    def reckon(ids, previous):
        x = arrays(network.source_embedding)["embeddings"][ids]
        mask = ids != 0
        memory, states = along(kind, network.encoder[0].cell, x, mask=mask)
        x = arrays(network.target_embedding)["embeddings"][previous]
        d, _ = along(kind, network.decoder[0].cell, x, states=states)
        queries = d @ arrays(network.queries)["kernel"]
        keys = memory @ arrays(network.keys)["kernel"]
        scores = queries @ keys.swapaxes(1, 2)  # (batch, T, S)
        weights = softmax(np.where(mask[:, None], scores, -1e9))
        w = arrays(network.combine)
        both = np.concatenate([d, weights @ memory], axis=-1)
        d = np.tanh(both @ w["kernel"] + w["bias"])
        w = arrays(network.logits)
        return {"logits": d @ w["kernel"] + w["bias"]}

    return model, reckon


KINDS = {
    "each output": plain,
    "last output": last_output,
    "bidirectional": bidirectional,
    "stacked layers": stacked_layers,
    "stacked cells": stacked_cells,
    "return_state": return_state,
    "masked": masked,
    "generator, one step": generator_step,
    "encoder-decoder, attention": encoder_decoder,
}


def random_inputs(model, batch, timesteps, random):
    """Numbers for each input by name; ids have zeros, which are padding, at their end."""
    inputs = {}
    lengths = random.integers(1, timesteps + 1, batch)
    for each in model.inputs:
        shape = (batch, *(timesteps if n is None else n for n in each.shape[1:]))
        if each.dtype == "int32":
            values = random.integers(1, IDS, shape).astype("int32")
            if len(shape) == 2:
                values *= np.arange(timesteps) < lengths[:, None]
        else:
            values = random.standard_normal(shape).astype("float32")
        inputs[each.name] = values
    return inputs


# ------------------------------------------------------------------------ the runtimes


def rows(options):
    """The number, kind and cell of each row of the table."""
    pairs = [(k, c) for k in options.kinds for c in options.cells]
    return list(enumerate(pairs))


def prepare(options, folder):
    """Models, inputs and what they must give, for all runtimes, in a folder."""
    for number, (kind, cell) in rows(options):
        keras.utils.set_random_seed(number)
        model, reckon = KINDS[kind](cell)
        random = np.random.default_rng(number)
        for weight in model.weights:  # biases start as zeros, which would hide errors
            weight.assign(weight + 0.1 * random.standard_normal(weight.shape))
        model.save_weights(folder / f"{number}.weights.h5")
        stored = {}
        for i, size in enumerate(SIZES):
            inputs = random_inputs(model, *size, random)
            outputs = reckon(**inputs)
            stored.update({f"{i}/inputs/{k}": v for k, v in inputs.items()})
            stored.update({f"{i}/outputs/{k}": v for k, v in outputs.items()})
        np.savez(folder / f"{number}.npz", **stored)


def model_of(number, kind, cell, folder):
    """The model of a row, with the weights that were prepared."""
    model, _ = KINDS[kind](cell)
    model.load_weights(folder / f"{number}.weights.h5")
    return model


def measure(options, folder):
    """The largest difference of each row on this backend, or what went wrong."""

    def difference(number, kind, cell):
        model = model_of(number, kind, cell, folder)

        def run(inputs):
            outputs = model(inputs if len(inputs) > 1 else next(iter(inputs.values())))
            return {k: keras.ops.convert_to_numpy(v) for k, v in outputs.items()}

        return deployed.largest_difference(run, folder / f"{number}.npz")

    found = {}
    for number, row in rows(options):
        found[number] = deployed.finding(lambda n=number, r=row: difference(n, *r))
        print(f"{keras.backend.backend()}: {row}: {found[number]}", file=sys.stderr)
    return found


def export_all(options, runtime, folder):
    """Writes the models in one format: for each row that cannot be, what went wrong."""
    _, suffix = deployed.FORMATS[runtime]
    failed = {}
    for number, row in rows(options):
        path = folder / f"{number}{suffix}"
        error = deployed.finding(
            lambda n=number, r=row, to=path: export_model(
                model_of(n, *r, folder), to, runtime
            )
        )
        if error:
            failed[number] = error
    return failed


def in_process(script, *arguments, **environment):
    """The differences by row that another process prints."""
    done = subprocess.run(
        [sys.executable, script, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        check=True,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    return {int(number): value for number, value in answer.items()}


def missing(packages):
    """Those that are not installed."""
    found = []
    for package in packages:
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found.append(package)
    return found


def measure_all(options, folder):
    """The differences by runtime and row."""
    found = {}
    for name in options.runtimes:
        runtime, packages = RUNTIMES[name]
        if absent := missing(packages):
            found[name] = f"{', '.join(absent)}: not installed"
        elif runtime == keras.backend.backend():
            found[name] = measure(options, folder)
        elif runtime in BACKENDS:
            rows_of_table = ["--kinds", *options.kinds, "--cells", *options.cells]
            found[name] = in_process(
                __file__, "--measure", folder, *rows_of_table, KERAS_BACKEND=runtime
            )
        else:
            failed = export_all(options, runtime, folder)
            found[name] = in_process(deployed.__file__, runtime, folder) | failed
    return found


# ------------------------------------------------------------------------ the document


def document(options, found):
    notes = []

    def cell(name, number):
        value = found[name] if isinstance(found[name], str) else found[name][number]
        if isinstance(value, str):
            if value not in notes:
                notes.append(value)
            return f"no [{notes.index(value) + 1}]"
        return f"{value:.0e}".replace("e-0", "e-")

    header = ["model", "cell", *options.runtimes]
    lines = [header, ["---"] * len(header)]
    for number, (kind, kind_of_cell) in rows(options):
        values = [cell(name, number) for name in options.runtimes]
        lines.append([kind, kind_of_cell, *values])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    packages = [
        "keras",
        "numpy",
        *(p for n in options.runtimes for p in RUNTIMES[n][1]),
    ]
    versions = [
        f"{package} {importlib.metadata.version(package)}"
        for package in dict.fromkeys(packages)
        if not missing([package])
    ]
    sizes = " and ".join(
        f"{batch} sequences of {steps} steps" for batch, steps in SIZES
    )
    parts = [
        "# The same numbers everywhere",
        "Each number is the largest difference of any output from a loop in NumPy, in "
        "float64, written from the equations (`benchmarks/compatibility.py`). The models "
        "compute in float32, of which a unit in the last place is 1.2e-7 at 1: "
        "differences below about 1e-6 are rounding.",
        table,
        *(f"[{i}] {note}" for i, note in enumerate(notes, 1)),
        f"Random weights, the biases and the initial states among them; {sizes}; ids are "
        "padded with zeros to different lengths, and masked where the model masks. "
        "TensorFlow saved the weights; JAX and PyTorch loaded them, each in a process of "
        "its own. SavedModel, ONNX and LiteRT are what `keras_rnn.export_model` wrote "
        "under TensorFlow, with free batch and time (LiteRT: one sequence at a time, "
        "builtin operations only). TensorFlow, onnxruntime and ai-edge-litert ran it, each "
        "in a process of its own in which neither Keras nor keras_rnn can be imported "
        "(`benchmarks/deployed.py`).",
        f"{machine.machine_and_date()}; Python "
        f"{sys.version.split()[0]}, {', '.join(versions)}. Written by "
        "`python benchmarks/compatibility.py`.",
    ]
    return "\n\n".join(parts) + "\n"


def read_options(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--output", type=Path, default=HERE.parent / "docs" / "compatibility.md"
    )
    for name, known in (("kinds", KINDS), ("cells", CELLS), ("runtimes", RUNTIMES)):
        parser.add_argument(
            f"--{name}", nargs="+", choices=list(known), default=list(known)
        )
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


@errors.reported
def main(argv=None):
    options = read_options(argv)
    if options.measure:
        print(json.dumps(measure(options, options.measure)))
        return 0
    if keras.backend.backend() != "tensorflow":
        raise UsageError("it starts under TensorFlow: set KERAS_BACKEND=tensorflow")
    files.make_writable(options.output.parent)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        prepare(options, folder)
        text = document(options, measure_all(options, folder))
    with files.replacing(options.output) as new:
        new.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    errors.start(main)
