"""What each backend has of its own gives the same numbers.

JAX and PyTorch give what TensorFlow gives, from the files that it saved; and on
TensorFlow, what is compiled gives what a graph gives.
"""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_rnn import GRU, LSTM, ElmanRNN
from tests import other_backend as models
from tests.gradients import autodiff, squared_slope

pytestmark = pytest.mark.tensorflow

ROOT = pathlib.Path(__file__).parent.parent
OTHERS = ("jax", "torch")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder of models and of what they give, on all backends that are installed."""
    folder = tmp_path_factory.mktemp("models")
    every = models.layer_models() | models.other_models()
    every["stateful"] = models.stateful_model()
    for name, model in every.items():
        models.with_large_weights(model).save(folder / f"{name}.keras")
    programs = {
        backend: subprocess.Popen(
            [sys.executable, "-m", "tests.other_backend", folder],
            cwd=ROOT,
            # What is computed here takes less time than to make it fast.
            env={
                **os.environ,
                "KERAS_BACKEND": backend,
                "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for backend in OTHERS
    }
    for name, model in every.items():
        np.savez(folder / f"{name}.npz", **models.what_it_gives(name, model))
    errors = {name: program.communicate()[1] for name, program in programs.items()}
    return folder, errors


@pytest.mark.parametrize("backend", OTHERS)
def test_all_models_give_the_same_without_tensorflow(saved, backend):
    pytest.importorskip(backend)
    folder, errors = saved
    differences = {}
    for path in sorted(folder.glob("*.keras")):
        there = path.with_suffix(f".{backend}.npz")
        assert there.exists(), errors[backend][-4000:]
        ours, theirs = np.load(path.with_suffix(".npz")), np.load(there)
        assert set(ours) == set(theirs)
        for key in ours:
            assert ours[key].shape == theirs[key].shape, (path.stem, key)
            scale = max(1.0, np.abs(ours[key]).max(initial=0))
            difference = np.abs(ours[key] - theirs[key]).max(initial=0) / scale
            if not difference <= 1e-5:
                differences[path.stem, key] = difference
    assert not differences


def test_a_backend_without_gradients():
    script = "import keras_rnn"
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "numpy"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert result.returncode
    assert "tensorflow, jax, torch (it is numpy)" in result.stderr
    assert keras.backend.backend() == "tensorflow"


# --------------------------------------- TensorFlow: batches of sizes that are not known


def for_any_batch(function, *shape):
    """`function` as a graph for tensors `(batch, *shape)` of any batch size."""
    import tensorflow as tf

    return tf.function(function, input_signature=[tf.TensorSpec((None, *shape))])


def test_the_first_sizes_that_come_up_often_are_compiled(monkeypatch):
    import tensorflow as tf

    from keras_rnn.backends import tensorflow as backend

    monkeypatch.setattr(backend, "BATCHES_UNCOMPILED", 2)
    monkeypatch.setattr(backend, "SHAPES_COMPILED", 2)
    often = tf.function(
        lambda size: (backend._comes_up_often(size), backend._comes_up_often(size)),
        input_signature=[tf.TensorSpec((), tf.int32)],
    )
    seen = {0: [], 7: [], 9: [], 32: []}
    for size in (32, 32, 32, 7, 32, 9, 7, 0, 9, 7, 9, 0, 9, 0, 0, 32, 9):
        here, there = map(bool, often(size))
        assert here == there  # each of two places counts for itself
        seen[size].append(here)
    assert seen == {
        32: [False, False, True, True, True],
        7: [False, False, True],
        9: [False] * 5,  # often, but the third
        0: [False] * 4,
    }


@pytest.fixture
def even_sizes_compiled(monkeypatch):
    from keras_rnn.backends import tensorflow as backend

    monkeypatch.setattr(backend, "_comes_up_often", lambda size: size % 2 == 0)


@pytest.mark.parametrize("layer_class", [ElmanRNN, LSTM, GRU])
@pytest.mark.parametrize("masked", [False, True])
def test_compiled_or_not_the_numbers_are_the_same(
    layer_class, masked, even_sizes_compiled
):
    """Outputs and gradients, for batch sizes and lengths on either side."""
    layer = layer_class(3, return_sequences=True, return_state=True)
    layer.build((None, None, 2))
    variables = layer.trainable_variables

    def results(x):
        mask = x[..., 0] > -0.5 if masked else None

        def loss(x):
            outputs = layer(x, mask=mask, training=True)
            return sum(keras.ops.sum(keras.ops.sin(3 * each)) for each in outputs)

        return [layer(x, mask=mask, training=True), autodiff_in_graph(loss, x)]

    def autodiff_in_graph(loss, x):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        return tape.gradient(value, [x, *(each.value for each in variables)])

    for timesteps in (1, 7):
        in_graph = for_any_batch(results, timesteps, 2)
        for size in (1, 2, 3, 16, 17):
            x = np.random.randn(size, timesteps, 2).astype("float32")
            x = keras.ops.convert_to_tensor(x)
            both = keras.tree.flatten(in_graph(x)), keras.tree.flatten(results(x))
            for ours, wanted in zip(*both, strict=True):
                np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer_class", [ElmanRNN, LSTM, GRU])
def test_second_derivatives_for_any_batch_size(layer_class, even_sizes_compiled):
    layer = layer_class(3)
    layer.build((None, 4, 2))

    def penalty(x):
        return squared_slope(
            lambda x: keras.ops.sum(keras.ops.sin(layer(x, training=True))), x
        )

    in_graph = for_any_batch(penalty, 4, 2)
    for size in (3, 4):
        x = np.random.randn(size, 4, 2).astype("float32")
        both = (
            autodiff(f, layer.trainable_variables, [x]) for f in (in_graph, penalty)
        )
        for ours, wanted in zip(*both, strict=True):
            np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-5)


def test_a_model_that_is_compiled_as_a_whole():
    """Nothing is chosen within it: XLA knows no table of sizes."""
    model = keras.Sequential([keras.Input((4, 2)), ElmanRNN(3)])
    model.compile("sgd", "mse", jit_compile=True)
    x, y = np.ones((5, 4, 2), "float32"), np.ones((5, 3), "float32")
    history = model.fit(x, y, batch_size=3, epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]


def test_a_saved_graph_for_training_has_its_own_table(tmp_path):
    import tensorflow as tf

    layer = ElmanRNN(3)
    layer.build((None, 4, 2))
    module = tf.Module()
    module.layer = layer
    module.train = for_any_batch(lambda x: layer(x, training=True), 4, 2)
    tf.saved_model.save(module, tmp_path / "module")
    loaded = tf.saved_model.load(tmp_path / "module")
    x = np.random.randn(5, 4, 2).astype("float32")
    np.testing.assert_allclose(loaded.train(x), layer(x), atol=1e-6)
