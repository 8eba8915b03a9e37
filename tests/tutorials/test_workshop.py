"""What the tutorials share: batches by length, steps of any number, resuming."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.tutorials.scripts import break_off_after_one_epoch

# isort: split
import workshop


class Numbers(workshop.ByLength):
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
    model = keras.Model(steps, workshop.TimeDistributed(inner)(steps))
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
        model.compile("adam", "mse")
        return model

    def train(folder, resume=False):
        folder.mkdir(exist_ok=True)
        run = workshop.Run(folder, {"seed": 1}, resume)
        model, history = run.train("net", build, Same(), Same()[0], epochs=3)
        return model.get_weights(), [(row["loss"], row["val_loss"]) for row in history]

    weights, losses = train(tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        break_off_after_one_epoch(patch)
        train(tmp_path / "broken")
    others, again = train(tmp_path / "broken", resume=True)
    assert len(again) == 3
    np.testing.assert_allclose(again, losses, rtol=1e-6)
    for a, b in zip(weights, others):
        np.testing.assert_allclose(a, b, rtol=1e-6)
