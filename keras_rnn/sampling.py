"""The name of `keras_rnn.generation.sampling` until version 0.2."""

import warnings

from keras_rnn.generation.sampling import draw, prepare, sample, uniform

__all__ = ["draw", "prepare", "sample", "uniform"]

warnings.warn(
    "`keras_rnn.sampling` is now `keras_rnn.generation.sampling`",
    DeprecationWarning,
    stacklevel=2,
)
