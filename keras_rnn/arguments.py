"""The checks of arguments that several modules share.

Each returns the argument as the caller needs it, or raises a `ValueError` that names it.
"""

import numbers
import operator
import os
import pathlib
from typing import Any

import numpy as np
from keras import ops

from keras_rnn.hints import Tensor


def is_number(value: object) -> bool:
    """Whether a value is a real number, NaN and infinity among them, and no boolean."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def as_string(name: str, value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        raise ValueError(f"`{name}` must be a string. Received: {name}={value!r}")
    return value


def as_strings(name: str, values: Any, alone: bool = False) -> list[str]:
    """A list, an array or the like, of strings: as a list. With `alone`, or one string."""
    if alone and isinstance(values, str):
        return [values]
    listed: list[Any]
    try:
        listed = [None] if isinstance(values, (str, bytes)) else list(values)
    except TypeError:  # None, a number
        listed = [None]
    if not all(isinstance(each, str) for each in listed):
        wanted = "a string, or a list of strings" if alone else "a list of strings"
        raise ValueError(f"`{name}` must be {wanted}. Received: {name}={values!r}")
    return listed


def as_integers(name: str, values: Any, most: int | None = None) -> np.ndarray:
    """A sequence of integers, not negative and at most `most`: an array `(length,)`."""
    try:
        array = ops.convert_to_numpy(values) if ops.is_tensor(values) else values
        array = np.asarray(array)
    except (TypeError, ValueError):  # lists of different lengths
        array = np.asarray(None)
    if array.size == 0 and array.ndim == 1:
        array = array.astype("int32")  # an empty list is one of float64
    if array.ndim != 1 or array.dtype.kind not in "iu" or _outside(array, most):
        limit = "from 0" if most is None else f"from 0 to {most}"
        raise ValueError(
            f"`{name}` must be a sequence of integers {limit}. "
            f"Received: {name}={values!r}"
        )
    return array


def _outside(array, most):
    return (array < 0).any() or (most is not None and (array > most).any())


def as_tensor(name: str, value: Any, rank: int) -> Tensor:
    """A tensor of a known rank."""
    if not hasattr(value, "shape"):
        try:
            value = ops.convert_to_tensor(np.asarray(value))
        except (TypeError, ValueError):  # None, strings, lists of different lengths
            value = np.asarray(None)
    if len(value.shape) != rank or value.dtype == object:
        raise ValueError(
            f"`{name}` must be a tensor of rank {rank}. Received: {name}={value}"
        )
    return value


def as_path(name: str, value: Any) -> pathlib.Path:
    """A string or a `pathlib.Path`, as a path."""
    try:
        text = os.fspath(value)
    except TypeError:
        text = None
    if not isinstance(text, str) or not text or "\0" in text:
        raise ValueError(
            f"`{name}` must be a path, a string or a pathlib.Path. "
            f"Received: {name}={value!r}"
        )
    return pathlib.Path(text)


def positive_integer(name: str, value: Any) -> int:
    """Returns `value` as an `int`, or raises a `ValueError` that names the argument."""
    try:
        integer = operator.index(value)  # takes NumPy's integers, refuses 3.0
    except TypeError:
        integer = 0
    if integer < 1 or isinstance(value, bool):
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={value!r}"
        )
    return integer


def fraction(name: str, value: Any) -> float:
    """Returns `value` if it is in [0, 1], or raises a `ValueError` that names it."""
    real = isinstance(value, numbers.Real)
    if not (real and 0.0 <= value <= 1.0):
        raise ValueError(
            f"`{name}` must be a number from 0 to 1. Received: {name}={value!r}"
        )
    return value


def given(scope: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call of `__init__` by name, from its `locals()`."""
    arguments = {k: v for k, v in scope.items() if k not in ("self", "__class__")}
    others = arguments.pop("kwargs")
    return {**arguments, **others}
