"""What the tutorials share: batches by length, steps of any number, resuming."""

import argparse
import dataclasses
import hashlib
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.tutorials.scripts import break_off_after_one_epoch

# isort: split
from workshop import command_line, models, runs
from workshop.batches import ByLength


class Numbers(ByLength):
    """Batches that are the examples' own numbers."""

    def take(self, heap, random):
        return heap, None if random is None else random.integers(1000)


def test_batches_by_length():
    lengths = np.random.default_rng(0).integers(1, 50, 103)
    batches = Numbers(lengths, 8, seed=4, blur=5.0)

    def epoch():
        return [batches[n] for n in range(len(batches))]

    first = epoch()
    assert sorted(np.concatenate([heap for heap, _ in first])) == list(range(103))
    assert all(np.ptp(lengths[heap]) <= 20 for heap, _ in first)
    batches.on_epoch_end()
    second = epoch()
    assert [random for _, random in first] != [random for _, random in second]
    assert any(set(a) != set(b) for (a, _), (b, _) in zip(first, second))
    again = Numbers(lengths, 8, seed=4, blur=5.0)
    again.epoch = 1
    for n, (heap, random) in enumerate(second):
        np.testing.assert_array_equal(heap, again[n][0])
        assert random == again[n][1]


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_first_two_batches_differ_in_length(seed):
    lengths = np.array([5] * 40 + [7] * 2)
    batches = Numbers(lengths, 2, seed=seed)
    (first, random), (second, _) = batches[0], batches[1]
    assert lengths[first].max() != lengths[second].max()
    assert (random is None) == (seed is None)
    batches = Numbers([3] * 10, 2, seed=seed)  # there is nothing to differ in
    assert len(batches) == 5 and len(batches[0][0]) == 2


@pytest.mark.parametrize("batch_first", [(2, 6), (6, 2)])
def test_steps_of_any_number(batch_first):
    """In a graph that knows neither the batch size nor the number of steps."""
    batch, timesteps = batch_first
    inner = keras.layers.Dense(3, activation="tanh")
    steps = keras.Input((None, 5))
    model = keras.Model(steps, models.TimeDistributed(inner)(steps))
    free = tf.TensorSpec((None, None, 5))
    graph = tf.function(lambda x: model(x), input_signature=[free])
    x = np.random.default_rng(0).random((batch, timesteps, 5)).astype("float32")
    expected = np.tanh(x @ inner.kernel.numpy() + inner.bias.numpy())
    np.testing.assert_allclose(graph(x), expected, atol=1e-6)


def test_a_training_goes_on_as_it_would_have(tmp_path, monkeypatch):
    """Weights, optimizer and dropout are those of a training that was not broken off."""

    class Same(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            random = np.random.default_rng(index)
            return random.random((8, 4)), random.random((8, 1))

    def build():
        keras.utils.set_random_seed(1)
        layers = [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        rate = models.rise_and_fall(1e-2, 3 * len(Same()))
        model.compile(keras.optimizers.Adam(rate), "mse")
        return model

    def train(folder, resume=False):
        folder.mkdir(exist_ok=True)
        run = runs.Run(folder, {"seed": 1}, resume)
        model, history = run.train("net", build, Same(), Same()[0], epochs=3)
        return model, [(row["loss"], row["val_loss"]) for row in history]

    whole, losses = train(tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        break_off_after_one_epoch(patch)
        train(tmp_path / "broken")
    resumed, again = train(tmp_path / "broken", resume=True)
    assert len(again) == 3
    np.testing.assert_allclose(again, losses, rtol=1e-6)
    finished, once_more = train(tmp_path / "broken", resume=True)  # nothing is left
    assert once_more == again
    for model in (resumed, finished):
        assert int(model.optimizer.iterations) == int(whole.optimizer.iterations) > 0
        for a, b in zip(whole.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
        pairs = zip(whole.optimizer.variables, model.optimizer.variables, strict=True)
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_the_optimizer_is_there_before_the_first_step(tmp_path):
    """So that TensorFlow traces the step once."""
    traced = []

    class Traced(keras.Sequential):
        def train_step(self, data):
            traced.append(data)
            return super().train_step(data)

    def build():
        model = Traced([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    class Zeros(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return np.zeros((8, 4)), np.zeros((8, 1))

    run = runs.Run(tmp_path, {"seed": 1}, resume=False)
    run.train("net", build, Zeros(), Zeros()[0], epochs=1)
    assert len(traced) == 1


def test_what_decides_a_run(tmp_path):
    """The options, paths as strings, and a digest of the data; not where and how."""
    parser = command_line.Options("", tmp_path)
    parser.add_argument("--files", type=Path, nargs=2)
    parser.add_argument("--predict")
    parser.add_argument("--write")
    parser.count("--units", 3, "")
    parser.switch("--carry", True, "")
    options = parser.parse(["--files", "a/b", "c", "--no-carry"], {})
    run = runs.Run.of(options, aside=("write",), texts=b"abc")
    assert run.options == {
        "files": ["a/b", "c"],
        "units": 3,
        "carry": False,
        "seed": 1,
        "quick": False,
        "texts": hashlib.sha256(b"abc").hexdigest()[:16],
    }
    run.record({"accuracy": 0.5})
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert metrics["accuracy"] == 0.5 and metrics["seed"] == 1
    assert metrics["options"] == run.options


def test_settings_of_options():
    @dataclasses.dataclass(kw_only=True)
    class Settings(command_line.Settings):
        units: int
        vector: int = 64

        small = {"vector": 8}

    given = {"units": 3, "output": "there"}
    for quick, vector in ((False, 64), (True, 8)):
        found = Settings.of(argparse.Namespace(quick=quick, **given))
        assert dataclasses.asdict(found) == {"units": 3, "vector": vector}
