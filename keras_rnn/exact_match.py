"""The metric of a network that writes texts: the fraction that is right altogether."""

from __future__ import annotations

import keras
from keras import ops

from keras_rnn.hints import Config
from keras_rnn.vocabulary import PADDING


@keras.saving.register_keras_serializable("keras_rnn")
class ExactMatch(keras.metrics.MeanMetricWrapper):
    """The fraction of targets of which every character is the most probable one.

    Padding (0) counts for nothing. Although it is measured while the decoder reads the
    true characters, it is that of greedy translations as well (those that end before the
    length limit): if each character is the most probable after the true ones, the greedy
    text is the true text, and if one is not, they part there.

    Args:
        name: String.
        dtype: The dtype of the metric.

    Call arguments (`update_state`):
        y_true: Integer tensor of shape `(batch, length)`, the characters' numbers.
        y_pred: Tensor of shape `(batch, length, characters)`, logits or probabilities.
        sample_weight: Tensor of shape `(batch,)`, or `None`.

    Raises:
        ValueError: `y_pred` does not have the shape of `y_true` and one axis more.

    Example:
    >>> metric = ExactMatch()
    >>> logits = keras.ops.one_hot(numpy.array([[3, 1, 2], [3, 2, 2]]), 4)
    >>> metric.update_state(numpy.array([[3, 1, 0], [3, 1, 0]]), logits)
    >>> float(metric.result())
    0.5
    """

    def __init__(
        self, name: str = "exact_match", dtype: str | keras.DTypePolicy | None = None
    ) -> None:
        super().__init__(_exact, name=name, dtype=dtype)

    def get_config(self) -> Config:
        return {"name": self.name, "dtype": self.dtype}


def _exact(targets, logits):
    """1 for each row that is right wherever it is no padding, else 0: (batch,)."""
    if len(logits.shape) != len(targets.shape) + 1 or any(
        a != b and None not in (a, b) for a, b in zip(targets.shape, logits.shape)
    ):
        raise ValueError(
            "`y_pred` must have the shape of `y_true` and an axis of characters after "
            f"it. Received: y_true.shape={tuple(targets.shape)}, "
            f"y_pred.shape={tuple(logits.shape)}"
        )
    targets = ops.cast(targets, "int32")
    right = ops.equal(targets, ops.cast(ops.argmax(logits, axis=-1), "int32"))
    right = ops.logical_or(right, ops.equal(targets, PADDING))
    return ops.cast(ops.all(right, axis=-1), "float32")
