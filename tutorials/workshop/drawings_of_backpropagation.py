"""The unfolded network with the numbers of the forward and of the backward pass."""

import matplotlib.pyplot as plt
import numpy as np

from workshop import drawings
from workshop.plots import BLUE, GREY, ORANGE

APART = 5.3  # from one step to the next
INPUT, STATE, OUTPUT, LOSS = 0, 2.7, 5.6, 7.9  # the heights of x_t, h_t, y_t, L_t
WIDE, HIGH = 3.4, 2.5  # of the box of a state
MINUS = "\N{MINUS SIGN}"


def draw_passes(xs, hs, ys, targets, steps, first):
    """Every value from x_t to the loss, and each gradient on the way back to h_0.

    Args:
        xs: The inputs, (steps, 2).
        hs: The hidden states, the initial one first, (steps + 1, 2).
        ys: The outputs, (steps, 1).
        targets: What they should be, (steps, 1).
        steps: Dict from each step, from 1 on, to a dict: the gradients with respect to
            `"y"`, `"h"` and `"a"`, and the two parts of the one with respect to h,
            `"own"`, by the output of the step, and `"next"`, by the next step.
        first: The gradient with respect to h_0.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = plt.subplots(figsize=(16.5, 9.4))
    axes.axis("off")
    _state(axes, 0, [("h_0", hs[0], BLUE), ("dL/dh_0", first, ORANGE)])
    for t, (x, h, y, target) in enumerate(zip(xs, hs[1:], ys, targets), start=1):
        at, step = t * APART, steps[t]
        _box(axes, at, INPUT, 2.9, 0.8)
        _text(
            axes, at, INPUT, f"$x_{t}$ = ({x[0]:g}, {x[1]:g})".replace("-", MINUS), BLUE
        )
        lines = [
            (f"a_{t}", np.arctanh(h), BLUE),
            (f"h_{t}", h, BLUE),
            (f"dL/dh_{t}", step["h"], ORANGE),
            (f"dL/da_{t}", step["a"], ORANGE),
        ]
        _state(axes, at, lines)
        _box(axes, at, OUTPUT, 2.9, 1.3)
        _text(axes, at, OUTPUT + 0.3, f"$y_{t}$ = {_plain(y[0])}", BLUE)
        _text(axes, at, OUTPUT - 0.3, f"$dL/dy_{t}$ = {_plain(step['y'][0])}", ORANGE)
        loss = 0.5 * (y[0] - target[0]) ** 2
        _box(axes, at, LOSS, 2.9, 1.3)
        _text(axes, at, LOSS + 0.3, f"target {target[0]:g}", BLUE)
        _text(axes, at, LOSS - 0.3, f"$L_{t}$ = {_plain(loss)}", BLUE)
        _arrow(axes, (at - 0.25, INPUT + 0.4), (at - 0.25, STATE - HIGH / 2), BLUE)
        _arrow(axes, (at - 0.25, STATE + HIGH / 2), (at - 0.25, OUTPUT - 0.65), BLUE)
        _arrow(axes, (at - 0.25, OUTPUT + 0.65), (at - 0.25, LOSS - 0.65), BLUE)
        _arrow(axes, (at + 0.25, LOSS - 0.65), (at + 0.25, OUTPUT + 0.65), ORANGE)
        _arrow(axes, (at + 0.25, OUTPUT - 0.65), (at + 0.25, STATE + HIGH / 2), ORANGE)
        _text(axes, at + 0.4, 4.3, _row(step["own"]), ORANGE, ha="left", size=12)
        _text(axes, at - 0.4, 1.05, "$W_{xh}$", BLUE, ha="right")
        _text(axes, at - 0.4, 4.45, "$W_{hy}$", BLUE, ha="right")
        left, right = at - APART + WIDE / 2, at - WIDE / 2
        _arrow(axes, (left, STATE + 0.45), (right, STATE + 0.45), BLUE)
        _arrow(axes, (right, STATE - 0.45), (left, STATE - 0.45), ORANGE)
        _text(axes, (left + right) / 2, STATE + 0.8, "$W_{hh}$", BLUE)
        back = first if t == 1 else steps[t - 1]["next"]
        place = (left + right) / 2, STATE - 0.95
        _text(axes, *place, "\n".join(map(_plain, back)), ORANGE, size=12, va="top")
    _text(axes, -1.7, LOSS, "blue: values, forward", BLUE, ha="left", size=16)
    _text(axes, -1.7, LOSS - 0.7, "orange: gradients, backward", ORANGE, "left", 16)
    note = "Beside an orange arrow:\nwhat it brings to $dL/dh_t$.\nThe two are added."
    _text(axes, -1.7, LOSS - 1.2, note, ORANGE, ha="left", size=14, va="top")
    axes.set(xlim=(-1.8, len(xs) * APART + 2.6), ylim=(-0.5, LOSS + 0.8))
    return figure


def _state(axes, at, lines):
    """The box of a state: a line for each of its vectors."""
    _box(axes, at, STATE, WIDE, HIGH)
    for line, (name, values, colour) in enumerate(lines):
        level = STATE + 0.55 * ((len(lines) - 1) / 2 - line)
        _text(axes, at, level, f"${name}$ = {_row(values)}", colour, size=13)


def _box(axes, x, y, wide, high):
    corner = x - wide / 2, y - high / 2
    axes.add_patch(plt.Rectangle(corner, wide, high, fc="white", ec=GREY, lw=1.5))


def _arrow(axes, start, end, colour):
    drawings.arrow(axes, start, end, colour, width=2.2)


def _text(axes, x, y, text, colour, ha="center", size=14, va="center"):
    axes.text(x, y, text, color=colour, ha=ha, va=va, size=size, linespacing=1.4)


def _row(values):
    return f"({', '.join(map(_plain, values))})"


def _plain(value):
    """Four decimals, with a true minus."""
    return f"{value:.4f}".replace("-", MINUS)
