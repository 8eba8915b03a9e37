"""The type hints that several modules share, one name for each kind of argument.

Keras, TensorFlow and JAX have no types that a checker could compare, and the tensors of
the three backends no class in common. So `Tensor` checks nothing: it tells the reader.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

# Of the backend (`tf.Tensor`, `jax.Array`, `torch.Tensor`), a `keras.KerasTensor` where
# a model is built of symbols, a `keras.Variable`, or an array of NumPy, which Keras
# converts.
Tensor = Any

# A tensor, or a list, tuple or dictionary of them, nested to any depth: `keras.tree`.
Nest = Any

# What the `step` of a cell returns: the new states, or these and what it saves.
StepResult = list[Tensor] | tuple[list[Tensor], list[Tensor]]

# What `keras.activations.get` and the like take: a name, a config, a function or an
# object that is called like one.
Activation = str | dict[str, Any] | Callable[[Tensor], Tensor] | None
Initializer = str | dict[str, Any] | Callable[..., Tensor] | Tensor | None
Regularizer = str | dict[str, Any] | Callable[[Tensor], Tensor] | None
Constraint = str | dict[str, Any] | Callable[[Tensor], Tensor] | None

# What `get_config` returns and `from_config` takes: plain Python, for JSON.
Config = dict[str, Any]

StrPath = str | os.PathLike[str]

# The base of what is mixed into a cell of Keras, and has all that the cell has.
if TYPE_CHECKING:
    MixedIntoCell = Any
else:
    MixedIntoCell = object
