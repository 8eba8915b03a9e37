"""Layers that learn to say the next word: the loss, and that it reaches the layers."""

import keras
import numpy as np
import pytest
from keras import layers
from workshop import next_word

import keras_rnn

pytestmark = pytest.mark.tensorflow


def test_many_samples_give_the_softmax_over_all_words():
    random = np.random.default_rng(1)
    softmax = next_word.SampledSoftmax(words=20, samples=200_000, seed=1)
    softmax.build((2, 5, 3), (2, 5))
    kernel, bias = random.normal(size=(20, 3)), random.normal(size=20)
    softmax.set_weights([kernel, bias])
    states, targets = random.normal(size=(2, 5, 3)), random.integers(1, 20, (2, 5))
    logits = (states @ kernel.T + bias)[..., 1:]  # there is no word of number 0
    right = np.take_along_axis(logits, targets[..., None] - 1, axis=-1)[..., 0]
    expected = np.logaddexp.reduce(logits, axis=-1) - right
    found = softmax(states.astype("float32"), targets.astype("int32"))
    np.testing.assert_allclose(found, expected, rtol=0.03)


def test_a_text_that_repeats_itself_is_learned():
    keras.utils.set_random_seed(1)
    embedding = layers.Embedding(12, 8)
    layer = keras_rnn.GRU(16, return_sequences=True)
    texts = [np.arange(1, 11)] * 500
    found = next_word.pretrain(
        embedding, layer, texts, epochs=30, seed=1, timesteps=10, samples=20
    )
    assert 1 <= found < 2  # of ten words that are equally frequent
    assert embedding.built and layer.built
