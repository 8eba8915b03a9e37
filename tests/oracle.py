"""What the tests hold the package against: NumPy loops in float64, no line shared."""

import keras
import numpy as np

# Float64 is exact to 1e-15 on TensorFlow. On PyTorch the cells of this package compute in
# it, but Keras's own layers round their products to float32 (`keras.ops.matmul`). JAX has
# none but by a switch, and under it Keras rounds nonetheless (`keras.ops.tanh`).
KERAS_IN_FLOAT64 = keras.backend.backend() == "tensorflow"
CELLS_IN_FLOAT64 = keras.backend.backend() in ("tensorflow", "torch")


def run(step, x, states, mask=None, go_backwards=False, zero_output=False):
    """Runs `step(x_t, states) -> (y_t, states)` along axis 1 of `x`, row by row.

    Each row of the batch is walked alone, and a masked step is not computed at all, so
    that nothing can leak between rows or out of the padding.

    Returns:
        The outputs, (batch, timesteps, output_units), and a list of the last states.
    """
    batch, timesteps, _ = x.shape
    if mask is None:
        mask = np.ones((batch, timesteps), bool)
    order = range(timesteps)[:: -1 if go_backwards else 1]
    outputs, last_states = [], []
    for row in range(batch):
        row_states = [s[row] for s in states]
        size = step(np.zeros(x.shape[2]), row_states)[0].shape
        y, row_outputs = np.zeros(size), []
        for t in order:
            if mask[row, t]:
                y, row_states = step(x[row, t].astype("float64"), row_states)
            row_outputs.append(y if mask[row, t] or not zero_output else 0 * y)
        outputs.append(row_outputs)
        last_states.append(row_states)
    return np.array(outputs), [np.array(s) for s in zip(*last_states)]


def elman_step(weights, activation=np.tanh, output_activation=lambda v: v):
    """The step of an Elman cell with `weights` by name, from the two equations."""
    w = {name: value.astype("float64") for name, value in weights.items()}

    def step(x, states):
        (h,) = states
        h = activation(x @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"])
        if "output_kernel" not in w:
            return h, [h]
        return output_activation(h @ w["output_kernel"] + w["output_bias"]), [h]

    return step


def weights_of(cell):
    """The weights of a cell by name, as arrays."""
    return {w.name: keras.ops.convert_to_numpy(w) for w in cell.weights}


def first_states(cell, batch):
    """The learned initial states of a cell, once for each row, or zeros."""
    return [
        np.tile(keras.ops.convert_to_numpy(getattr(cell, name)), (batch, 1))
        if cell.learn_initial_state
        else np.zeros((batch, cell.units))
        for name in cell.initial_state_names
    ]


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
