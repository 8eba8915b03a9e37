"""The formats of exported models: how each is written, and run."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import numpy as np

from keras_rnn.rnn import RNN

OPSET = 18  # of ONNX: the newest that tf2onnx writes

Arrays = dict[str, np.ndarray]  # inputs or outputs by name


def layers_of(
    layer: keras.Layer, known: set[int] | None = None
) -> Iterator[keras.Layer]:
    """A layer and all that are in it, however deep."""
    known = set() if known is None else known
    if id(layer) in known:
        return
    known.add(id(layer))
    yield layer
    inner = layer.layers if isinstance(layer, keras.Model) else vars(layer).values()
    inner = [v for v in inner if isinstance(v, (keras.Layer, list, tuple, dict))]
    for each in keras.tree.flatten(inner):
        if isinstance(each, keras.Layer):
            yield from layers_of(each, known)


def _write_saved_model(model, path):
    # What serves is not trained: JAX need not write gradients, which fails with masks.
    on_jax = keras.backend.backend() == "jax"
    options = {"jax2tf_kwargs": {"with_gradient": False}} if on_jax else {}
    # A kernel of cuDNN runs where it was exported, and nowhere else.
    with _replaced(model, "_native", lambda layer: lambda cell: "it is exported"):
        model.export(str(path), verbose=False, **options)


def _load_saved_model(path):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]

    def run(inputs, loaded=loaded):  # whose variables live as long as it does
        outputs = serve(**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return run


def _write_onnx(model, path):
    model.export(str(path), format="onnx", verbose=False, opset_version=OPSET)


def _load_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs)))


@contextlib.contextmanager
def _loops_of_keras(model):
    """Keras's loops instead of the fast pass, which converts to LiteRT, but wrongly.

    Loops side by side, of several steps in one iteration, gave wrong numbers from the second run
    on, in a third of the interpreters (ai-edge-litert 2.3.0; right without its XNNPACK).
    Of one step in each, Elman cells with an output still do. Over Keras's loops 39
    models were right in 100 interpreters each.
    """
    with _replaced(model, "inner_loop", lambda layer: super(RNN, layer).inner_loop):
        yield


@contextlib.contextmanager
def _replaced(model, name, make):
    """Within, each recurrent layer has another method, which `make` makes of the layer."""
    layers = [layer for layer in layers_of(model) if isinstance(layer, RNN)]
    for layer in layers:
        object.__setattr__(layer, name, make(layer))
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, name)


def _write_litert(model, path):
    import tensorflow as tf

    batch_of_one = {
        i.name: keras.InputSpec(shape=(1, *i.shape[1:]), dtype=i.dtype, name=i.name)
        for i in model.inputs
    }
    with _loops_of_keras(model):
        model.export(
            str(path),
            format="litert",
            verbose=False,
            input_signature=[batch_of_one],
            target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]},
        )


def _load_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(path)).get_signature_runner()
    return lambda inputs: run(**inputs)


class Format(NamedTuple):
    """How a format is written, and run.

    Attributes:
        write: Function of a model with names, and a path.
        load: Function of a path, which returns a function from inputs to outputs.
        suffix: Of the path; that of a folder is empty.
        packages: What it needs beside TensorFlow.
        backends: Those of Keras that can write it.
        no_dtypes: Those that it cannot compute in.
        batch: The batch size, if it is fixed.
        loads: How many times it is loaded to be tried.
    """

    write: Callable[[keras.Model, pathlib.Path], None]
    load: Callable[[pathlib.Path], Callable[[Arrays], Arrays]]
    suffix: str = ""
    packages: tuple[str, ...] = ()
    backends: tuple[str, ...] = ("tensorflow",)
    no_dtypes: tuple[str, ...] = ()
    batch: int | None = None
    loads: int = 1


FORMATS = {
    "saved_model": Format(
        _write_saved_model, _load_saved_model, backends=("tensorflow", "jax")
    ),
    "onnx": Format(
        _write_onnx,
        _load_onnx,
        suffix=".onnx",
        packages=("tf2onnx", "onnx", "onnxruntime"),
        no_dtypes=("bfloat16",),
    ),
    "litert": Format(
        _write_litert,
        _load_litert,
        suffix=".tflite",
        packages=("ai_edge_litert",),
        no_dtypes=("bfloat16", "float16", "float64"),
        batch=1,
        loads=10,  # what goes wrong there has done so in some interpreters only
    ),
}
