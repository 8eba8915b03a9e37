"""Cells whose step is written by hand in NumPy: compared with a layer's, and run over time.

A step is a function of an input `(batch, features)`, of the states `(batch, units)`, one
after the other, and of the weights of the cell. It returns a dict of all that it computes:
the new states under `"h"` and `"c"`, the gates under their own names.
"""

import numpy as np


def states_of(computed):
    """The new states among what a step has computed."""
    return [computed[name] for name in ("h", "c") if name in computed]


def apart(cell, step, random):
    """The largest difference between the states of a cell and of a step by hand.

    Args:
        cell: The cell, in float64. It gets random weights.
        step: The step.
        random: A NumPy generator.
    """
    cell.build((None, 2))
    weights = [random.normal(size=weight.shape) for weight in cell.weights]
    cell.set_weights(weights)
    sizes = (2, *np.atleast_1d(cell.state_size))
    x, *states = (random.normal(size=(5, size)) for size in sizes)
    _, theirs = cell(x, states)
    ours = states_of(step(x, *states, weights))
    return max(np.abs(a - np.array(b)).max() for a, b in zip(ours, theirs, strict=True))


def along(layer, step, x, **arguments):
    """All that a step computes, at each time step, with the weights of a layer.

    Args:
        layer: A layer with a learned initial state.
        step: The step.
        x: Array of shape `(batch, timesteps, features)`.
        **arguments: Further ones of the step.

    Returns:
        Dict of arrays of shape `(batch, timesteps, units)`.
    """
    kernel, recurrent_kernel, bias, *states = layer.get_weights()
    weights = kernel, recurrent_kernel, bias
    states = [np.tile(state, (len(x), 1)) for state in states]
    computed = []
    for x_t in np.moveaxis(x, 1, 0):
        computed.append(step(x_t, *states, weights, **arguments))
        states = states_of(computed[-1])
    return {name: np.stack([c[name] for c in computed], 1) for name in computed[0]}
