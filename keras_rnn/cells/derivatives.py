"""The derivatives of the activations, by hand."""

from collections.abc import Callable

import keras
from keras import ops

from keras_rnn.hints import Tensor

# The derivative of an activation, in terms of its value: what `step_backward` needs. A
# cell with an activation that is not here does not take the fast pass.
DERIVATIVES: dict[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]] = {
    keras.activations.linear: lambda y: ops.ones_like(y),
    keras.activations.relu: lambda y: ops.cast(y > 0, y.dtype),
    keras.activations.sigmoid: lambda y: y * (1 - y),
    keras.activations.tanh: lambda y: 1 - y * y,
}
