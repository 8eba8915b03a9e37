"""Recurrent layers on top of each other, and layers that read from both ends."""

import matplotlib.pyplot as plt

from workshop import drawings
from workshop.drawings import PURPLE
from workshop.plots import BLUE, GREEN, GREY, ORANGE

STEPS, STEP, LEVEL = 4, 2.3, 1.55  # how many; from one to the next; from level to level
RADIUS, HALF = 0.36, 0.38  # of a circle, and of the side of a box


def draw_stack():
    """Two levels: the states of the first are the inputs of the second.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = _sheet("Deep: two levels", 3)
    for level, colour in ((1, ORANGE), (2, PURPLE)):
        y = level * LEVEL
        _circle(axes, 0, y, f"$h^{{({level})}}_0$", GREY)
        for t in range(1, STEPS + 1):
            x = t * STEP
            _arrow(axes, (x - STEP + (HALF if t > 1 else RADIUS), y), (x - HALF, y))
            _box(axes, x, y, f"$h^{{({level})}}_{t}$", colour)
            below = RADIUS if level == 1 else HALF
            _arrow(axes, (x, y - LEVEL + below), (x, y - HALF))
    for t in range(1, STEPS + 1):
        _circle(axes, t * STEP, 0, f"$x_{t}$", BLUE)
        _circle(axes, t * STEP, 3 * LEVEL, f"$y_{t}$", GREEN)
        _arrow(axes, (t * STEP, 2 * LEVEL + HALF), (t * STEP, 3 * LEVEL - RADIUS))
    return figure


def draw_both():
    """Two directions: two chains that never meet. Each output reads both.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = _sheet("Bidirectional: two chains that never meet", 3)
    aside = 0.52  # the two states of a step stand beside each other
    for ahead in (True, False):
        y, side, colour = (
            (LEVEL, -aside, ORANGE) if ahead else (2 * LEVEL, aside, PURPLE)
        )
        order = range(1, STEPS + 1) if ahead else range(STEPS, 0, -1)
        start = 0 if ahead else STEPS + 1
        symbol = r"\overrightarrow{h}" if ahead else r"\overleftarrow{h}"
        _circle(axes, start * STEP + side, y, f"${symbol}_{start}$", GREY)
        sign = 1 if ahead else -1
        for t in order:
            x = t * STEP + side
            came = HALF if t not in (1, STEPS) or (t == 1) != ahead else RADIUS
            _arrow(axes, (x - sign * (STEP - came), y), (x - sign * HALF, y))
            _box(axes, x, y, f"${symbol}_{t}$", colour)
            _arrow(axes, _rim(t * STEP, 0, x, y), (x, y - HALF))
            _arrow(axes, (x, y + HALF), _rim(t * STEP, 3 * LEVEL, x, y))
    for t in range(1, STEPS + 1):
        _circle(axes, t * STEP, 0, f"$x_{t}$", BLUE)
        _circle(axes, t * STEP, 3 * LEVEL, f"$y_{t}$", GREEN)
    return figure


def _sheet(title, levels):
    figure, axes = plt.subplots(figsize=(12, 5.4))
    axes.set(
        xlim=(-1.2, (STEPS + 1) * STEP + 1.2),
        ylim=(-0.5, levels * LEVEL + 0.5),
        aspect="equal",
        title=title,
    )
    axes.axis("off")
    return figure, axes


def _rim(x, y, to_x, to_y):
    """The point of the circle around (x, y) that is nearest to another point."""
    long = ((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5
    return x + RADIUS * (to_x - x) / long, y + RADIUS * (to_y - y) / long


def _circle(axes, x, y, text, colour):
    drawings.circle(axes, x, y, RADIUS, text, colour, size=15, level=2)


def _box(axes, x, y, text, colour):
    drawings.box(axes, x, y, 2 * HALF, 2 * HALF, text, colour, size=15, level=2)


def _arrow(axes, start, end):
    drawings.arrow(axes, start, end, width=1.7)
