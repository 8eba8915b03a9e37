import sys

import keras
import numpy as np
import pytest

import keras_rnn
from keras_rnn import GRU, LSTM, RNN, ElmanCell, ElmanRNN, Generator, export_model
from keras_rnn.formats import FORMATS

SUFFIXES = {"saved_model": "", "onnx": ".onnx", "litert": ".tflite"}


# The runtimes, each as its own manual says, with none of the package's code.


def serve(path, format, inputs):
    """The outputs by name of what stands at `path`, on inputs by name."""
    if format == "saved_model":
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        outputs = loaded.signatures["serving_default"](**tensors)
        return {name: value.numpy() for name, value in outputs.items()}
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path))
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs)))
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path)).get_signature_runner()(**inputs)


def vectors(**options):
    return keras.Input((None, 3), name="x", **options)


def small():
    x = vectors()
    return keras.Model(x, {"y": ElmanRNN(4, return_sequences=True)(x)})


def masked():
    """Reads ids, in both directions, with a mask; its outputs are not its states."""
    ids = keras.Input((None,), dtype="int32", name="ids")
    both = keras.layers.Bidirectional(GRU(4, output_units=2, return_sequences=True))
    y = both(keras.layers.Embedding(9, 3, mask_zero=True)(ids))
    return keras.Model(ids, {"opinion": keras.layers.Dense(1)(y)})


def with_states():
    """Two inputs, a stack of cells, and the last states beside the last output."""
    x, h = vectors(), keras.Input((4,), name="h")
    below = ElmanRNN(4, return_sequences=True)(x, initial_state=[h])
    cells = [ElmanCell(5), ElmanCell(4, output_units=2)]
    return keras.Model([x, h], RNN(cells, return_state=True, name="top")(below))


def inputs_of(model, batch, timesteps):
    random = np.random.default_rng(0)
    inputs = {}
    for each in model.inputs:
        shape = (batch, *(timesteps if n is None else n for n in each.shape[1:]))
        if each.dtype == "int32":
            values = random.integers(1, 9, shape)
            values[-1, timesteps // 2 :] = 0
        else:
            values = random.normal(size=shape)
        inputs[each.name] = values.astype(each.dtype)
    return inputs


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("format", SUFFIXES)
@pytest.mark.parametrize("build", [masked, with_states])
def test_the_file_gives_the_numbers_of_the_model(tmp_path, build, format):
    model = build()
    path = tmp_path / f"model{SUFFIXES[format]}"
    export_model(model, path, format)
    for size in [(1, 1), (1, 31)] if format == "litert" else [(1, 1), (5, 31)]:
        inputs = inputs_of(model, *size)
        wanted = model(list(inputs.values()) if len(inputs) > 1 else inputs["ids"])
        given = serve(path, format, inputs)
        if build is masked:
            names = ["opinion"]
        else:
            names, wanted = ["top", "top_1", "top_2"], list(wanted)
            wanted = dict(zip(names, wanted))
        assert sorted(given) == names
        for name in names:
            np.testing.assert_allclose(given[name], wanted[name], rtol=0, atol=1e-5)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_onnx_has_the_names_of_the_model_free_sizes_and_the_opset(tmp_path):
    import onnx

    export_model(small(), tmp_path / "m.onnx", format="onnx")
    written = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(written)
    assert [i.name for i in written.graph.input] == ["x"]
    assert [o.name for o in written.graph.output] == ["y"]
    batch, time, features = written.graph.input[0].type.tensor_type.shape.dim
    assert batch.dim_param and time.dim_param and features.dim_value == 3
    assert {o.domain: o.version for o in written.opset_import}[""] == 18


@pytest.mark.slow
@pytest.mark.tensorflow
def test_litert_has_builtin_operations_only_and_gives_the_same_again(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    x = vectors()
    model = keras.Model(x, {str(i): LSTM(4)(x) for i in range(2)})
    export_model(model, tmp_path / "m.tflite", format="litert")
    assert b"Flex" not in (tmp_path / "m.tflite").read_bytes()
    inputs = inputs_of(model, 1, 13)
    wanted = model(inputs["x"])
    for _ in range(20):
        run = Interpreter(str(tmp_path / "m.tflite")).get_signature_runner()
        for _ in range(3):
            given = run(**inputs)
            for name in wanted:
                np.testing.assert_allclose(given[name], wanted[name], rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_layer_keeps_its_fast_pass(tmp_path):
    model = small()
    export_model(model, tmp_path / "m.onnx", format="onnx")
    assert "inner_loop" not in vars(model.layers[-1])
    assert model.layers[-1].uses_fast_pass


@pytest.mark.slow
@pytest.mark.tensorflow
def test_half_precision_goes_to_onnx(tmp_path):
    x = vectors()
    model = keras.Model(x, {"y": ElmanRNN(4, dtype="mixed_float16")(x)})
    export_model(model, tmp_path / "m.onnx", format="onnx")
    inputs = inputs_of(model, 2, 9)
    given = serve(tmp_path / "m.onnx", "onnx", inputs)["y"]
    assert given.dtype == "float16"
    np.testing.assert_allclose(given, model(inputs["x"])["y"], rtol=0, atol=1e-2)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_strings_go_into_a_saved_model_which_replaces_the_one_before(tmp_path):
    words = keras.layers.TextVectorization(vocabulary=["good", "bad"])
    text = keras.Input((), dtype="string", name="text")
    y = ElmanRNN(4)(keras.layers.Embedding(4, 3, mask_zero=True)(words(text)))
    model = keras.Model(text, {"y": y})
    path, disk = tmp_path / "served", tmp_path / "disk"
    path.symlink_to(disk)
    export_model(small(), path)
    export_model(model, path)
    texts = np.array(["good good bad", "odd", "bad"], dtype=object)
    given = serve(path, "saved_model", {"text": texts})["y"]
    wanted = model(keras.ops.convert_to_tensor(texts.tolist()))["y"]
    np.testing.assert_allclose(given, wanted, rtol=0, atol=1e-6)
    assert sorted(tmp_path.iterdir()) == [disk, path] and path.is_symlink()
    for format in ("onnx", "litert"):
        with pytest.raises(ValueError, match="text file beside it"):
            export_model(model, tmp_path / f"m{SUFFIXES[format]}", format)


@keras.saving.register_keras_serializable("test_export")
class HalvesWhatIsFree(keras.layers.Layer):
    """Gives other numbers where the number of time steps is not known when traced."""

    def call(self, inputs):
        return inputs if inputs.shape[1] else inputs / 2

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, inputs.dtype)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("format", SUFFIXES)
def test_what_differs_is_not_left_behind(tmp_path, format):
    x = vectors()
    model = keras.Model(x, {"y": HalvesWhatIsFree()(x)})
    path = tmp_path / f"m{SUFFIXES[format]}"
    with pytest.raises(
        RuntimeError, match="Output 'y' differs by .* rounding explains"
    ):
        export_model(model, path, format)
    assert list(tmp_path.iterdir()) == []
    old = path / "saved_model.pb" if format == "saved_model" else path
    old.parent.mkdir(exist_ok=True)
    old.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="Nothing was written"):
        export_model(model, path, format)
    assert list(tmp_path.iterdir()) == [path] and old.read_bytes() == b"old"


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_what_cannot_be_converted_leaves_nothing(tmp_path, format):
    x = vectors()
    model = keras.Model(x, {"y": keras.layers.Lambda(keras.ops.fft2)((x, x))[0]})
    with pytest.raises(RuntimeError, match=f"cannot be written as {format}"):
        export_model(model, tmp_path / f"m{SUFFIXES[format]}", format)
    assert list(tmp_path.iterdir()) == []


def stateful():
    x = keras.Input(batch_shape=(2, None, 3))
    return keras.Sequential([x, keras.layers.Bidirectional(LSTM(4, stateful=True))])


def one_name_twice():
    x = vectors()
    return keras.Model(x, {"x": ElmanRNN(4)(x)})


def of_dtype(dtype):
    return keras.Sequential([vectors(), ElmanRNN(4, dtype=dtype)])


REFUSED = {
    "`format` must be .* Received: format=None": (small, "m", None),
    "`format` must be .* Received: format=\\['onnx'": (small, "m", ["onnx"]),
    "`model` must be .* Received: model=None": (lambda: None, "m", "saved_model"),
    "`format` must be one of": (small, "m.h5", "h5"),
    "`path` must be a file that ends in .onnx": (small, "m.tflite", "onnx"),
    "`path` must be a file that ends in .tflite": (small, "folder.tflite", "litert"),
    "`path` must not exist yet, or be a SavedModel": (small, "file", "saved_model"),
    "`model` computes in bfloat16": (
        lambda: of_dtype("mixed_bfloat16"),
        "m.onnx",
        "onnx",
    ),
    "`model` computes in float16": (
        lambda: of_dtype("mixed_float16"),
        "m.tflite",
        "litert",
    ),
    "`model` must be a built": (
        lambda: keras.Sequential([LSTM(4)]),
        "m",
        "saved_model",
    ),
    "which knows its inputs": (lambda: Generator("ab", ElmanCell(2)), "m.onnx", "onnx"),
    "`model` must not be stateful": (stateful, "m", "saved_model"),
    "`model` must have different names": (one_name_twice, "m.onnx", "onnx"),
}


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("message", REFUSED)
def test_refusals_name_the_argument_before_any_work(tmp_path, message):
    build, name, format = REFUSED[message]
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.tflite").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=message):
        export_model(build(), tmp_path / name, format)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.tensorflow
@pytest.mark.parametrize("path", [None, 5, "", b"m", "m\0"])
def test_a_path_is_a_path(path):
    with pytest.raises(ValueError, match="`path` must be a path"):
        export_model(small(), path)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "package, format", [("onnxruntime", "onnx"), ("tf2onnx", "onnx")]
)
def test_a_missing_package_is_named_with_its_extra(
    tmp_path, monkeypatch, package, format
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package}: pip install .*\[export\]"):
        export_model(small(), tmp_path / f"m{SUFFIXES[format]}", format)


@pytest.mark.slow
def test_each_backend_writes_what_it_can_and_says_the_way_for_the_rest(tmp_path):
    backend = keras.backend.backend()
    model = masked()
    for format, suffix in SUFFIXES.items():
        path = tmp_path / f"{format}{suffix}"
        if backend in FORMATS[format].backends:
            if format == "saved_model":  # the others are tried above
                export_model(model, path, format)
                inputs = inputs_of(model, 3, 11)
                given = serve(path, format, inputs)["opinion"]
                wanted = keras.ops.convert_to_numpy(model(inputs["ids"])["opinion"])
                np.testing.assert_allclose(given, wanted, rtol=0, atol=1e-5)
        else:
            with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
                export_model(model, path, format)


@pytest.mark.tensorflow
def test_on_pytorch_it_says_so(tmp_path, monkeypatch):
    model = small()
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(RuntimeError, match="runs on torch: save the model"):
        export_model(model, tmp_path / "m", "saved_model")


@pytest.mark.slow
@pytest.mark.tensorflow
def test_onnx_by_keras_itself(tmp_path):
    """`model.export` converts the fast pass as it stands, for those who know no other."""
    model, ids = masked(), np.array([[1, 2, 3, 0], [4, 0, 0, 0]], "int32")
    wanted = keras.ops.convert_to_numpy(model(ids)["opinion"])
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    (given,) = serve(tmp_path / "model.onnx", "onnx", {"ids": ids}).values()
    np.testing.assert_allclose(given, wanted, atol=1e-6)


@pytest.mark.tensorflow
def test_the_name_of_before_still_works(tmp_path):
    with pytest.warns(DeprecationWarning, match="keras_rnn.export_model"):
        keras_rnn.export.export(small(), tmp_path / "m")
    assert (tmp_path / "m" / "saved_model.pb").exists()
