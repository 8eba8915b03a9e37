"""Models written for programs that have no Keras: SavedModel, ONNX and LiteRT.

`export_model` writes a model in one of these formats, runs what it wrote in the runtime
that is to serve it, and compares. What differs from the model is not left behind.
"""

from __future__ import annotations

import contextlib
import pathlib
import warnings
from collections.abc import Iterator

import keras
import numpy as np

from keras_rnn.arguments import as_path
from keras_rnn.extras import check_installed
from keras_rnn.files import replacing
from keras_rnn.formats import FORMATS, layers_of
from keras_rnn.hints import StrPath

# Batch and time steps that are tried. Neither is the same twice, so that a size that was
# taken for fixed shows; the steps are more than most convolutions need.
SIZES = ((3, 13), (2, 8))

# How far an exported model may be from the model, relative to its largest output (or to
# 1, if that is smaller). Two runtimes add up in another order, so that each of the sums
# of a step differs by some units in the last place, 1.2e-7 of a float32: some tens of
# these after as many steps. A graph that is wrong differs by hundredths at least.
TOLERANCE = {"float64": 1e-10, "float32": 1e-5, "float16": 1e-2, "bfloat16": 5e-2}


def export_model(
    model: keras.Model, path: StrPath, format: str = "saved_model"
) -> None:
    """Writes a model for a program that has no Keras, and checks what it wrote.

    The file is run on random inputs of several sizes, padded ones among them, by the
    runtime that is to serve it. It takes its place at `path` only if it gives the
    numbers of the model; otherwise nothing is left behind, and a file that was there
    stays as it was.

    | `format` | `path` | runs in | free sizes |
    |---|---|---|---|
    | `"saved_model"` | a folder | TensorFlow, TensorFlow Serving | batch, time |
    | `"onnx"` | `*.onnx` | onnxruntime, opset 18 | batch, time |
    | `"litert"` | `*.tflite` | ai-edge-litert, builtin operations only | time; batch is 1 |

    The number of time steps is free where the inputs of the model leave it open:
    `keras.Input((None, features))`. Inputs and outputs go by name. Those of the inputs
    are theirs, `keras.Input(..., name="tokens")`; those of the outputs are the keys of
    `keras.Model(inputs, {"opinion": y})`, or else the names of the layers they come from.

    What is written stands for inference: dropout is off. It may differ from the model by
    rounding only: by 1e-5 of the largest output in float32 (`TOLERANCE` has the others).

    Args:
        model: A `keras.Model` that knows its inputs: Sequential or functional, with any
            layers. One of your own class becomes one by
            `inputs = keras.Input(...); keras.Model(inputs, model(inputs))`.
        path: String or `pathlib.Path`. Of a link, what it points to is replaced.
        format: `"saved_model"` (default), `"onnx"` or `"litert"`.

    Raises:
        ValueError: `format` is not one of these; `path` has another ending, or is there
            and is something else; `model` does not know its inputs, is stateful, reads
            strings (ONNX, LiteRT), computes in bfloat16 (ONNX) or in anything but float32
            (LiteRT), or has an output named as an input (ONNX).
        ImportError: a package is missing: they are in the extra `[export]`.
        RuntimeError: Keras does not run on TensorFlow (or JAX, for a SavedModel); the
            model cannot be converted, or what was written gives other numbers.

    Example:
    >>> import pathlib, tempfile
    >>> import keras_rnn
    >>> x = keras.Input((None, 3), name="x")
    >>> model = keras.Model(x, {"y": keras_rnn.ElmanRNN(4)(x)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_model(model, pathlib.Path(folder, "model"))
    ...     sorted(each.name for each in pathlib.Path(folder, "model").iterdir())
    ['assets', 'fingerprint.pb', 'saved_model.pb', 'variables']
    """
    _check(model, format)
    kind = FORMATS[format]
    path = _checked_path(path, kind.suffix)
    dtypes = {layer.compute_dtype for layer in layers_of(model)}
    tolerance = max(TOLERANCE.get(dtype, 0.0) for dtype in dtypes)
    model = _with_names(model)
    shared = {each.name for each in model.inputs} & set(model.output)
    if format == "onnx" and shared:
        raise ValueError(
            "`model` must have different names for inputs and outputs in ONNX: make it "
            f"`keras.Model(inputs, {{'another name': y}})`. Received: {sorted(shared)}"
        )
    batches = [
        _random_inputs(model, kind.batch or batch, timesteps, padded)
        for batch, timesteps in SIZES
        for padded in (False, True)
    ]
    wanted = [_as_arrays(model(batch)) for batch in batches]
    with replacing(path) as new:
        try:
            kind.write(model, new)
            runs = [kind.load(new) for _ in range(kind.loads)]
            given = [[run(batch) for batch in batches] for run in runs]
        except Exception as error:
            raise RuntimeError(
                f"`model` cannot be written as {format}, or not run as such. "
                f"{type(error).__name__}: {error}"
            ) from error
        for outputs in given:
            for each in zip(batches, outputs, wanted):
                _compare(*each, tolerance)


def export(model: keras.Model, path: StrPath, format: str = "saved_model") -> None:
    """The name of `export_model` until version 0.2."""
    warnings.warn(
        "`keras_rnn.export.export` is now `keras_rnn.export_model`",
        DeprecationWarning,
        stacklevel=2,
    )
    export_model(model, path, format)


def _check(model, format):
    """Refuses, before any work, what could only go wrong."""
    if not isinstance(format, str) or format not in FORMATS:
        raise ValueError(
            f"`format` must be one of {list(FORMATS)}. Received: format={format!r}"
        )
    kind = FORMATS[format]
    if keras.backend.backend() not in kind.backends:
        raise RuntimeError(
            f'`format="{format}"` needs Keras on {" or ".join(kind.backends)}, and it '
            f"runs on {keras.backend.backend()}: save the model "
            "(`model.save('model.keras')`), and load and export it in a process with "
            "KERAS_BACKEND=tensorflow."
        )
    check_installed(f'`format="{format}"`', "export", *kind.packages)
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(
            "`model` must be a built Sequential or functional model, which knows its "
            "inputs. Let a Sequential start with `keras.Input(...)`, and make one of your "
            "own class into `keras.Model(inputs, model(inputs))` with "
            f"`inputs = keras.Input(...)`. Received: model={model}"
        )
    if format != "saved_model" and any(i.dtype == "string" for i in model.inputs):
        raise ValueError(
            f'`model` reads strings, which `format="{format}"` cannot hold. Export the '
            "model behind its TextVectorization, which reads numbers of words, and write "
            "the words in a text file beside it (`get_vocabulary()`): the number of a "
            "word is that of its line, counted from 0."
        )
    for layer in layers_of(model):
        if getattr(layer, "stateful", False):
            raise ValueError(
                f"`model` must not be stateful, which {layer.name} is: the program that "
                "runs it could neither see nor reset the state. Make the state an input "
                "(`initial_state`) and an output (`return_state=True`) of the model."
            )
        if layer.compute_dtype in kind.no_dtypes:
            raise ValueError(
                f"`model` computes in {layer.compute_dtype} ({layer.name}), for which "
                f'`format="{format}"` lacks operations. Load its weights into the same '
                'model made under `keras.config.set_dtype_policy("float32")`.'
            )


def _checked_path(path, suffix):
    path = as_path("path", path)
    if suffix == "":
        if path.exists() and not (path / "saved_model.pb").exists():
            raise ValueError(
                "`path` must not exist yet, or be a SavedModel, which is replaced. "
                f"Received: path={path}"
            )
    elif path.suffix != suffix or (path.exists() and not path.is_file()):
        raise ValueError(
            f"`path` must be a file that ends in {suffix}. Received: path={path}"
        )
    return path


@contextlib.contextmanager
def new_saved_model(path: StrPath, what: str) -> Iterator[pathlib.Path]:
    """A folder to write a SavedModel to, which takes the place of `path` when it is whole.

    Args:
        path: Where the SavedModel is to be. One that is there is replaced.
        what: String, what is to write it, for the error.

    Yields:
        A path that does not exist yet, beside `path`.

    Raises:
        RuntimeError: Keras does not run on TensorFlow.
        ValueError: `path` is something else than a SavedModel.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"`{what}` writes a SavedModel, which needs TensorFlow: set "
            f"KERAS_BACKEND=tensorflow (it is {keras.backend.backend()})."
        )
    with replacing(_checked_path(path, "")) as new:
        yield new


# ---------------------------------------------------------------------------- the model


def _with_names(model):
    """The model on inputs by name, with outputs by name."""
    inputs = [
        keras.Input(batch_shape=(None, *i.shape[1:]), dtype=i.dtype, name=i.name)
        for i in model.inputs
    ]
    one = isinstance(model, keras.Sequential)
    structure = model.inputs[0] if one else model.input
    outputs = model(keras.tree.pack_sequence_as(structure, inputs))
    if not isinstance(outputs, dict):
        names = [model.layers[-1].name] if one else model.output_names
        names = [
            f"{name}_{names[:i].count(name)}" if name in names[:i] else name
            for i, name in enumerate(names)
        ]
        outputs = dict(zip(names, keras.tree.flatten(outputs)))
    return keras.Model({i.name: i for i in inputs}, outputs)


def _as_arrays(outputs):
    return {name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()}


def _random_inputs(model, batch, timesteps, padded):
    """Inputs by name: numbers, or ids that every `Embedding` of the model knows.

    With `padded` each row ends in zeros, which mean no word, and a masked step.
    """
    rng = np.random.default_rng(batch * timesteps + padded)
    sizes = [e.input_dim for e in layers_of(model) if hasattr(e, "input_dim")]
    ids = min(sizes, default=2)
    real = np.arange(timesteps) < rng.integers(0, timesteps + 1, (batch, 1))
    inputs = {}
    values: np.ndarray
    for tensor in model.inputs:
        shape = (batch, *(timesteps if n is None else n for n in tensor.shape[1:]))
        if "float" in tensor.dtype:
            values = rng.standard_normal(shape)
        elif tensor.dtype == "string":
            values = rng.choice(["a", "good", "bad film"], shape)
        else:
            values = rng.integers(0, 2 if tensor.dtype == "bool" else ids, shape)
        if padded and tensor.dtype != "string" and tensor.shape[1:2] == (None,):
            values = values * real.reshape(*real.shape, *[1] * (len(shape) - 2))
        inputs[tensor.name] = values.astype(tensor.dtype.replace("string", "str"))
    return inputs


def _compare(inputs, given, wanted, tolerance):
    """Raises an error unless two sets of outputs are the same but for rounding."""
    for name, value in wanted.items():
        value, other = value.astype("float64"), given[name].astype("float64")
        limit = tolerance * max(1.0, np.nanmax(np.abs(value), initial=0.0))
        if value.shape != other.shape:
            difference = f"has the shape {other.shape}, not {value.shape}"
        else:
            far = ~np.isclose(other, value, rtol=0, atol=limit, equal_nan=True)
            if not far.any():
                continue
            difference = f"differs by {np.abs(other - value)[far].max():.2g}"
        shapes = {name: array.shape for name, array in inputs.items()}
        raise RuntimeError(
            "Nothing was written to `path`: what `model` became gives other numbers than "
            f"the model. Output {name!r} {difference} on inputs of the shapes {shapes}; "
            f"rounding explains {limit:.2g}."
        )
