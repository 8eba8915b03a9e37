"""Exported models run as a deployment runs them: neither Keras nor keras_rnn is there.

    python benchmarks/deployed.py saved_model FOLDER

runs each model of one format in the folder on the inputs beside it, and prints how far
its outputs are from those wanted. `compatibility.py` writes the folder, and starts this.
"""

import json
import sys
from pathlib import Path

import numpy as np


def load_saved_model(path):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]

    def run(inputs, loaded=loaded):  # whose variables live as long as it does
        outputs = serve(**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return run


def load_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs)))


def load_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(path)).get_signature_runner()

    def one_by_one(inputs):
        """It takes one example at a time."""
        count = len(next(iter(inputs.values())))
        rows = [{k: v[i : i + 1] for k, v in inputs.items()} for i in range(count)]
        results = [run(**row) for row in rows]
        return {name: np.concatenate([r[name] for r in results]) for name in results[0]}

    return one_by_one


# How each format is loaded, and how its files end.
FORMATS = {
    "saved_model": (load_saved_model, ""),
    "onnx": (load_onnx, ".onnx"),
    "litert": (load_litert, ".tflite"),
}


def finding(measure):
    """What a measurement finds: a number, or in a line what went wrong."""
    try:
        return measure()
    except Exception as error:  # it goes into the table
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"


def largest_difference(run, path):
    """How far the outputs of a model are from those wanted, both in an `.npz` file.

    Args:
        run: Function from inputs to outputs, dictionaries of arrays by name.
        path: Of the file: the arrays `0/inputs/NAME`, `0/outputs/NAME`, `1/inputs/...`.
    """
    stored, cases = np.load(path), {}
    for key in stored:
        case, what, name = key.split("/")
        cases.setdefault(case, {}).setdefault(what, {})[name] = stored[key]
    largest = 0.0
    for case in cases.values():
        given = run(case["inputs"])
        for name, value in case["outputs"].items():
            if given[name].shape != value.shape:
                return f"{name} has the shape {given[name].shape}, not {value.shape}"
            distance = np.abs(given[name] - value).max()
            largest = np.maximum(largest, distance)  # NaN stays
    return float(largest)


def main(runtime, folder):
    names = "keras", "keras_rnn"
    sys.modules.update(dict.fromkeys(names))  # to import one of them is an error now
    load, suffix = FORMATS[runtime]
    found = {}
    for path in sorted(Path(folder).glob("*.npz")):
        model = path.with_suffix(suffix)
        if model.exists():
            found[path.stem] = finding(
                lambda model=model, path=path: largest_difference(load(model), path)
            )
            print(f"{runtime}: {path.stem}: {found[path.stem]}", file=sys.stderr)
    assert not any(sys.modules[name] for name in names)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
