"""Layers that first learn to say the next word: nobody has to label anything for that.

Andrew Dai and Quoc Le, 2015, Semi-supervised sequence learning.
"""

import math

import keras
import numpy as np
from keras import ops

import keras_rnn

HELD_OUT = 20  # of the texts, to estimate the perplexity


class SampledSoftmax(keras.layers.Layer):
    """The surprise at the next words, each told from some words that are sampled.

    A softmax needs the sum of exp(logit) over all words, which would be most of the work.
    Here it is estimated from `samples` words, the same for the whole batch. Word number k
    of the list, which is sorted by frequency, is sampled with the probability
    q_k = ln((k + 1) / k) / ln(words), and counts 1 / (samples q_k) times.

    Args:
        words: Integer, how many words there are. Number 0 stands for none.
        samples: Integer.
        seed: Integer.
    """

    def __init__(self, words, samples, seed, **kwargs):
        super().__init__(**kwargs)
        self.words, self.samples = words, samples
        self.supports_masking = True  # the windows are full
        self.seeds = keras.random.SeedGenerator(seed)

    def build(self, states_shape, targets_shape):
        self.kernel = self.add_weight(
            shape=(self.words, states_shape[-1]), initializer="glorot_uniform"
        )
        self.bias = self.add_weight(shape=(self.words,), initializer="zeros")

    def call(self, states, targets):
        """The surprise in nats: states (batch, T, units), targets (batch, T)."""
        uniform = keras.random.uniform((self.samples,), seed=self.seeds)
        sampled = ops.cast(ops.exp(uniform * math.log(self.words)), "int32")
        sampled = ops.minimum(sampled, self.words - 1)  # where it was rounded up
        right = ops.sum(states * ops.take(self.kernel, targets, axis=0), axis=-1)
        right += ops.take(self.bias, targets)
        wrong = ops.matmul(
            states, ops.transpose(ops.take(self.kernel, sampled, axis=0))
        )
        wrong += ops.take(self.bias, sampled) - self._log_expected(sampled)
        same = ops.equal(targets[..., None], sampled)
        wrong = ops.where(same, -1e9, wrong)
        logits = ops.concatenate([right[..., None], wrong], axis=-1)
        return ops.logsumexp(logits, axis=-1) - right

    def _log_expected(self, numbers):
        """How often a word is expected among the samples, its logarithm."""
        k = ops.cast(ops.maximum(numbers, 1), "float32")
        return ops.log(self.samples * ops.log(1 + 1 / k) / math.log(self.words))


def pretrain(embedding, layer, texts, epochs, seed, timesteps=64, samples=512):
    """Trains an embedding and a recurrent layer to say the next word of texts.

    Args:
        embedding: `keras.layers.Embedding`.
        layer: Recurrent layer that returns sequences and reads forwards.
        texts: List of arrays of integers: the words of each text.
        epochs: Integer.
        seed: Integer.
        timesteps: Integer, the length of a window.
        samples: Integer, how many words each right one is told from.

    Returns:
        The perplexity in texts of which nothing was learned, estimated from all words.
    """
    x, y = keras_rnn.windows(np.concatenate(texts[HELD_OUT:]), timesteps)
    words = embedding.input_dim
    numbers, nexts = (keras.Input((timesteps,), dtype="int32") for _ in range(2))
    states = layer(embedding(numbers))
    softmax = SampledSoftmax(words, samples, seed)
    model = keras.Model([numbers, nexts], softmax(states, nexts))
    steps = epochs * -(-len(x) // 64)
    model.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(3e-3, steps), global_clipnorm=1.0
        ),
        loss=lambda _, surprise: surprise,
    )
    nothing = np.zeros(len(x))
    model.fit([x, y], nothing, batch_size=64, epochs=epochs, verbose=2)
    x, y = keras_rnn.windows(np.concatenate(texts[:HELD_OUT]), timesteps)
    reader = keras.Model(numbers, states)
    logits = reader.predict(x, verbose=0) @ np.transpose(softmax.kernel) + softmax.bias
    logits = np.asarray(logits)[..., 1:]  # there is no word of number 0
    right = np.take_along_axis(logits, y[..., None] - 1, axis=-1)[..., 0]
    return float(np.exp(np.mean(np.logaddexp.reduce(logits, axis=-1) - right)))
