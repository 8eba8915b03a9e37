"""Texts cut into windows, which are what a network that writes is trained on.

`windows` makes each of them an example of its own. `ConsecutiveWindows` keeps them in
order, for truncated back-propagation through time.
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_rnn.arguments import as_integers, positive_integer


def windows(tokens: ArrayLike, timesteps: int) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a text into windows, each of which is an example of its own.

    Args:
        tokens: Integers of shape `(n,)`, from `Generator.encode`.
        timesteps: Positive integer, the length of a window.

    Returns:
        `x` and `y`, arrays of shape `((n - 1) // timesteps, timesteps)`, of the dtype
        of `tokens`: `y` is one character further. What does not fill a window is left
        out.

    Raises:
        ValueError: `timesteps` is not a positive integer, `tokens` are no integers, or
            there is no whole window.

    Example:
    >>> x, y = windows(numpy.arange(8), timesteps=3)
    >>> x.tolist(), y.tolist()
    ([[0, 1, 2], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]])
    """
    timesteps = positive_integer("timesteps", timesteps)
    tokens = as_integers("tokens", tokens)
    count = (tokens.size - 1) // timesteps
    if count < 1:
        raise ValueError(
            f"`tokens` must be the numbers of more than timesteps={timesteps} "
            f"characters in a row. Received: tokens.shape={tokens.shape}"
        )
    cut = count * timesteps
    x, y = tokens[:cut], tokens[1 : cut + 1]
    return x.reshape(count, timesteps), y.reshape(count, timesteps)


# For each row of a batch the windows that it reads: (text, first step).
_Rows = list[list[tuple[int, int]]]


class ConsecutiveWindows(keras.utils.PyDataset):
    """Windows of texts, in order: a row goes on where it stopped in the batch before.

    It is what `Generator.fit` needs for truncated back-propagation through time. Batch
    b is `({"tokens": x, "fresh": fresh}, y)`, with x and y of shape `(batch,
    timesteps)`, int32, and `fresh`, `(batch,)`, true in the rows that start a text:
    they start from the learned initial state, the others from where batch b - 1 left
    them. With `conditions` the dictionary has them as well, `(batch,)`, int32.

    One long text is cut into `batch_size` pieces of equal length, one for each row. Of
    a list of texts, each row reads one after the other; where a text does not fill its
    last window y is -1, which the loss must leave out
    (`SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)`).

    Args:
        texts: Integers of shape `(n,)`, from `Generator.encode`, or a list of such.
        batch_size: Positive integer.
        timesteps: Positive integer, the length of a window.
        conditions: Integers, the class of each text of the list, or `None`.
        seed: Integer, at least 0: the texts of a list come in another order in each epoch. `None`
            (default): in the order given. One long text has but one order.

    Raises:
        ValueError: an argument is not what it must be; the message names it.

    Example:
    >>> batches = ConsecutiveWindows(numpy.arange(13), batch_size=2, timesteps=3)
    >>> for inputs, y in (batches[0], batches[1]):
    ...     print(inputs["tokens"].tolist(), inputs["fresh"].tolist(), y.tolist())
    [[0, 1, 2], [6, 7, 8]] [True, True] [[1, 2, 3], [7, 8, 9]]
    [[3, 4, 5], [9, 10, 11]] [False, False] [[4, 5, 6], [10, 11, 12]]
    """

    def __init__(
        self,
        texts: ArrayLike | Sequence[ArrayLike],
        batch_size: int,
        timesteps: int,
        conditions: ArrayLike | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.batch_size = batch_size = positive_integer("batch_size", batch_size)
        self.timesteps = timesteps = positive_integer("timesteps", timesteps)
        self.seed, self.epoch = _checked_seed(seed), 0
        listed = _listed(texts)
        if listed is None:
            text = as_integers("texts", texts)
            size = (text.size - 1) // timesteps // batch_size * timesteps
            if size < 1:
                raise ValueError(
                    f"`texts` must fill a window of {timesteps} for each of the "
                    f"{batch_size} rows. Received: a text of {text.size} characters"
                )
            listed = [text[i * size :][: size + 1] for i in range(batch_size)]
            self.seed = None
        if not listed or any(text.size < 2 for text in listed):
            raise ValueError(
                "`texts` must be the numbers of at least two characters each. Received: "
                f"shapes {sorted({text.shape for text in listed})}"
            )
        self.texts = listed
        self.conditions = None
        if conditions is not None:
            self.conditions = as_integers("conditions", conditions)
            if len(self.conditions) != len(self.texts):
                raise ValueError(
                    f"`conditions` must hold one number for each of {len(self.texts)} "
                    f"texts. Received: conditions.shape={self.conditions.shape}"
                )
        self._laid_out: tuple[int, _Rows] = -1, []  # an epoch, and its rows

    def _rows(self) -> _Rows:
        """The rows of this epoch."""
        epoch, rows = self._laid_out
        if epoch == self.epoch:
            return rows
        order = np.arange(len(self.texts))
        if self.seed is not None:
            np.random.default_rng((self.seed, self.epoch)).shuffle(order)
        rows = [[] for _ in range(self.batch_size)]
        for text in order.tolist():
            steps = range(0, len(self.texts[text]) - 1, self.timesteps)
            min(rows, key=len).extend((text, step) for step in steps)
        self._laid_out = self.epoch, rows
        return rows

    def __len__(self) -> int:
        return max(map(len, self._rows()))

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        index = range(len(self))[index]  # no batch beyond the last: an IndexError
        shape = (self.batch_size, self.timesteps)
        x, y = np.zeros(shape, "int32"), np.full(shape, -1, "int32")
        fresh = np.ones(self.batch_size, bool)
        conditions = np.zeros(self.batch_size, "int32")
        for i, row in enumerate(self._rows()):
            if index < len(row):
                text, step = row[index]
                piece = self.texts[text][step : step + self.timesteps + 1]
                x[i, : len(piece) - 1], y[i, : len(piece) - 1] = piece[:-1], piece[1:]
                fresh[i] = step == 0
                if self.conditions is not None:
                    conditions[i] = self.conditions[text]
        inputs = {"tokens": x, "fresh": fresh}
        if self.conditions is not None:
            inputs["conditions"] = conditions
        return inputs, y

    def on_epoch_end(self) -> None:
        """Keras calls it: the texts of a list come in another order from now on."""
        self.epoch += 1


def _listed(texts: Any) -> list[np.ndarray] | None:
    """The texts of a list, each as an array; `None` for one text, of integers."""
    if not isinstance(texts, (list, tuple)) or (
        texts and all(isinstance(each, numbers.Integral) for each in texts)
    ):
        return None
    return [as_integers("texts", text) for text in texts]


def _checked_seed(seed):
    try:
        number = 0 if seed is None else operator.index(seed)
    except TypeError:
        number = -1
    if number < 0 or isinstance(seed, bool):
        raise ValueError(
            f"`seed` must be an integer, at least 0, or None. Received: seed={seed!r}"
        )
    return seed
