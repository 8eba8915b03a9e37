"""What a reading of the probe says of the gradient, in words."""

from __future__ import annotations

import math

import numpy as np

from keras_rnn.gradient_flow.probe import Level, Reading

REMEDIES = {
    "nan": (
        "Lower the learning rate, clip the gradient (`global_clipnorm=1.0` of the "
        "optimizer), and look for NaN in the data and for a logarithm or a division by "
        "zero in the loss. `keras.callbacks.TerminateOnNaN` stops such a run."
    ),
    "explode": (
        "Clip it (`global_clipnorm=1.0` of the optimizer), start with a smaller "
        "recurrent matrix (`recurrent_initializer='orthogonal'`, or a lower gain), or "
        "lower the learning rate."
    ),
    "vanish": (
        "Take an LSTM or a GRU, or start with `recurrent_initializer='orthogonal'` (with "
        "`activation='relu'`: 'identity'); give the loss a shorter way to the early "
        "steps (all outputs pooled instead of the last one, `Bidirectional`); or cut the "
        "sequences."
    ),
}


def not_finite(reading: Reading) -> str | None:
    """Where the first thing that is not finite stands, in words, or `None`."""
    for path, value in reading.variables.items():
        if not np.all(np.isfinite(value)):
            where = _first_state(reading)
            return f"the weight {path} is not finite any more{where}."
    if where := _first_state(reading):
        return f"the forward pass breaks down{where}."
    # The gradient comes from the end: the latest step is the one where it broke.
    for level in reversed(reading.levels):
        order = level.travelled()
        for t in order[::-1]:
            if not np.isfinite(level.profile()[t]):
                return (
                    f"the gradient of {level.name} is not finite at step {t + 1} of "
                    f"{len(level.profile())}."
                )
    for path, gradient in reading.gradients.items():
        if not np.all(np.isfinite(gradient)):
            return f"the gradient of {path} is not finite."
    if not math.isfinite(reading.loss):
        return f"the loss is {reading.loss}, though all states are finite."
    return None


def _first_state(reading):
    for level in reading.levels:
        for t in level.travelled():
            if not level.finite[t]:
                return (
                    f", and the state of {level.name} is not finite from step {t + 1} "
                    f"of {len(level.finite)} on"
                )
    return ""


def exploding(level: Level, limit: float) -> str | None:
    """That the gradient grows in the backward pass, in words, or `None`."""
    order, profile = level.travelled(), level.profile()
    reached = [t for t in order if profile[t] > 0]
    if not reached:
        return None
    start = reached[-1]
    most = max(reached, key=profile.__getitem__)
    growth = profile[most] / profile[start]
    if growth <= limit:
        return None
    return (
        f"the gradient explodes in {level.name}: in the backward pass from step {start + 1} "
        f"to step {most + 1} of {len(profile)} it grows by a factor of {growth:.1e}."
    )


def vanishing(level: Level, limit: float) -> str | None:
    """That the gradient does not reach the first steps, in words, or `None`."""
    order, profile = level.travelled(), level.profile()
    if not order or not np.any(profile):
        return f"no gradient at all reaches {level.name}."
    most = int(np.argmax(profile))
    lost = [t for t in order[: order.index(most)] if profile[t] < limit * profile[most]]
    if profile[order[0]] >= limit * profile[most]:
        return None
    words = (
        f"the gradient vanishes in {level.name}: at step {lost[-1] + 1} of {len(profile)} "
        f"it is {profile[lost[-1]] / profile[most]:.1e} of what it is at step {most + 1}, "
        "and the layer learns nothing from what came before."
    )
    if level.saturated(0) > 0.5:
        words += f" {level.saturated(0):.0%} of its units are saturated."
    return words
