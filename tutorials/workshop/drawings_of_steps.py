"""An Elman network with its numbers: the inside of one step, and the steps unfolded."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle

from workshop import drawings
from workshop.plots import BLUE, GREEN, GREY, ORANGE

RADIUS = 0.36
APART = 3.2  # from one step to the next, unfolded
COLOURS = {"x": BLUE, "h": ORANGE, "y": GREEN}
DASHED = (0, (2, 0.8))
# Where the units of one step stand. The units of h stand aslant, so that the arrows from
# step to step go past each other.
PLACES = {
    "x": [(-0.5, -2), (0.5, -2)],
    "h": [(-0.5, 0.4), (0.5, -0.4)],
    "y": [(0, 2)],
}


def draw_inside(x, h_before, weights):
    """One step of two inputs, two units and one output: each product and each sum.

    Args:
        x: The input, two numbers.
        h_before: The hidden state before the step, two numbers.
        weights: W_xh, W_hh, b_h, W_hy and b_y, of shapes (2, 2), (2, 2), (2,), (2, 1)
            and (1,).

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = plt.subplots(figsize=(14.5, 9.6))
    axes.set(aspect="equal", xlim=(-1.3, 13.9), ylim=(-1.0, 9.2))
    axes.axis("off")
    W_xh, W_hh, b_h, W_hy, b_y = weights
    a = x @ W_xh + h_before @ W_hh + b_h
    h = np.tanh(a)
    sources = [
        (f"h_{{t-1,{i + 1}}}", h_before[i], W_hh[i], ORANGE, 5.2 - 1.3 * i)
        for i in range(2)
    ]
    sources += [
        (f"x_{{t,{i + 1}}}", x[i], W_xh[i], BLUE, 2.2 - 1.3 * i) for i in range(2)
    ]
    middles = (4.9, 0.9)  # the heights of the two units
    for name, value, _, colour, height in sources:
        axes.text(-0.5, height, f"${name}$", ha="right", va="center", size=16)
        _disc(axes, 0, height, _plain(value), colour)
    for j, middle in enumerate(middles):
        for row, (_, value, factors, colour, height) in enumerate(sources):
            level = middle + 1.2 - 0.8 * row
            _wire(axes, (RADIUS, height), (2.6, level), colour)
            _box(
                axes,
                3.15,
                level,
                f"\N{MULTIPLICATION SIGN} {_number(factors[j])}",
                colour,
            )
            _wire(axes, (3.7, level), (5.45, middle), "black")
            beside = level + (0.17 if row < 2 else -0.19)  # of the wire
            axes.text(3.8, beside, _plain(value * factors[j]), size=12, va="center")
        _node(axes, 5.8, middle)
        _box(axes, 5.8, middle - 1.45, f"${b_h[j]:+g}$", GREY)
        axes.text(6.45, middle - 1.45, f"bias $b_{{h,{j + 1}}}$", va="center", size=13)
        _wire(axes, (5.8, middle - 1.17), (5.8, middle - 0.35), GREY)
        _wire(axes, (6.15, middle), (8.0, middle), "black")
        axes.text(
            7.0,
            middle + 0.22,
            f"$a_{{t,{j + 1}}}$ = {_plain(a[j])}",
            ha="center",
            size=13,
        )
        _box(axes, 8.45, middle, "tanh", "black", 0.45)
        _wire(axes, (8.92, middle), (9.6, middle), "black")
        _disc(axes, 10.0, middle, _plain(round(h[j], 2)), ORANGE)
        axes.text(10.0, middle - 0.65, f"$h_{{t,{j + 1}}}$", ha="center", size=16)
    # Each h_t goes two ways: to the right, to the next step, and up, to the output.
    for j, (middle, branch) in enumerate(zip(middles, (11.0, 12.5))):
        _wire(axes, (10.36, middle), (13.4, middle), ORANGE)
        axes.text(13.5, middle, "to step\nt + 1", va="center", size=13, color=ORANGE)
        axes.plot([branch] * 2, [middle, 6.05], color="white", lw=9, zorder=1)
        _wire(axes, (branch, middle), (branch, 6.05), GREEN)
        axes.add_patch(Circle((branch, middle), 0.09, color=ORANGE, zorder=4))
        _box(
            axes, branch, 6.35, f"\N{MULTIPLICATION SIGN} {_number(W_hy[j, 0])}", GREEN
        )
        _wire(axes, (branch, 6.65), (11.75 + 0.35 * (j - 0.5), 7.3), "black")
        axes.text(
            branch + (0.3 if j else -0.3),
            6.95,
            _plain(h[j] * W_hy[j, 0]),
            ha="left" if j else "right",
            va="center",
            size=12,
        )
    _node(axes, 11.75, 7.6)
    _box(axes, 9.6, 7.6, f"${b_y[0]:+g}$", GREY)
    axes.text(9.6, 8.05, "bias $b_y$", ha="center", size=13)
    _wire(axes, (10.15, 7.6), (11.4, 7.6), GREY)
    _wire(axes, (11.75, 7.95), (11.75, 8.3), "black")
    y = (h @ W_hy + b_y)[0]
    _disc(axes, 11.75, 8.66, _plain(round(y, 2)), GREEN)
    axes.text(12.25, 8.66, "$y_t$", va="center", size=16)
    for text, colour, level in (
        ("blue: the input, times $W_{xh}$", BLUE, 8.5),
        ("orange: the hidden state, times $W_{hh}$", ORANGE, 8.0),
        ("green: the way to the output, times $W_{hy}$", GREEN, 7.5),
    ):
        axes.text(-1.2, level, text, color=colour, size=15)
    for j, middle in enumerate(middles):
        axes.text(3.15, middle + 1.65, f"unit {j + 1}", ha="center", size=15)
    return figure


def draw_unfolded(xs, hs, ys, kernels):
    """The steps side by side, with the number in each unit.

    Args:
        xs: The inputs, (steps, 2).
        hs: The hidden states, the initial one first, (steps + 1, 2).
        ys: The outputs, (steps, 1).
        kernels: W_xh, W_hh and W_hy.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = plt.subplots(figsize=(14.5, 6.6))
    W_xh, W_hh, W_hy = kernels
    for t, h in enumerate(hs):
        rows = {"h": h}
        if t > 0:
            _layer(axes, W_xh, "x", "h", t, t)
            _layer(axes, W_hh, "h", "h", t - 1, t)
            _layer(axes, W_hy, "h", "y", t, t)
            rows |= {"x": xs[t - 1], "y": ys[t - 1]}
        for layer, values in rows.items():
            for value, (x, y) in zip(values, PLACES[layer]):
                _disc(axes, t * APART + x, y, _plain(round(value, 2)), COLOURS[layer])
            x, y = PLACES[layer][0]
            name = f"${layer}_{t}$"
            axes.text(t * APART + x - 0.42, y + 0.3, name, ha="right", size=17)
        where = f"step {t}" if t else "before the\nfirst step"
        axes.text(t * APART, -2.55, where, ha="center", va="top")
    axes.set(aspect="equal", xlim=(-1.4, t * APART + 1.1), ylim=(-3.2, 2.5))
    axes.axis("off")
    signs = {"positive weight": "-", "negative weight": DASHED}
    figure.legend(
        [plt.Line2D([], [], color="black", lw=3, ls=style) for style in signs.values()],
        signs,
        title="The wider an arrow, the larger its weight, sign apart.",
        loc="outside lower center",
        ncols=2,
    )
    return figure


def _layer(axes, kernel, source, target, start, end):
    """An arrow for each weight of a kernel, from its input to its unit.

    A weight of 0 has none.
    """
    for i, (x, y) in enumerate(PLACES[source]):
        for j, (to_x, to_y) in enumerate(PLACES[target]):
            if kernel[i, j]:
                a = np.array([start * APART + x, y])
                b = np.array([end * APART + to_x, to_y])
                rim = RADIUS * (b - a) / np.linalg.norm(b - a)
                colour = COLOURS["x" if source == "x" else target]
                _wire(axes, a + rim, b - rim, colour, kernel[i, j])


def _plain(value):
    """A number of at most four digits, with a true minus."""
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def _number(value):
    """A weight as a factor: a negative one in brackets."""
    return f"({_plain(value)})" if value < 0 else _plain(value)


def _wire(axes, start, end, colour, weight=None):
    """An arrow: as wide as a weight is large and dashed if it is negative, or thin."""
    head = "9,head_width=5" if weight else "6,head_width=3.5"
    if weight and weight < 0:  # the head by itself, or it would be dashed, too
        line = zip(start, np.subtract(end, 0.15 * np.subtract(end, start)))
        axes.plot(*line, color=colour, lw=1 + 4 * abs(weight), ls=DASHED, zorder=2)
        start = np.subtract(end, 0.15 * np.subtract(end, start))
    wide = 1 + 4 * abs(weight) if weight else 1.6
    look = {"arrowstyle": f"-|>,head_length={head}", "zorder": 2}
    drawings.arrow(axes, start, end, colour, wide, head=1, **look)


def _disc(axes, x, y, text, colour):
    """A number of a vector."""
    look = {"ink": "black", "size": 13, "width": 2.5, "level": 3}
    drawings.circle(axes, x, y, RADIUS, text, colour, **look)


def _box(axes, x, y, text, colour, half=0.53):
    """A weight, or an activation."""
    look = {"rounding": 0.1, "size": 13, "level": 3}
    drawings.box(axes, x, y, 2 * half, 0.54, text, colour, **look)


def _node(axes, x, y):
    """A sum."""
    look = {"size": 18, "width": 1.8, "level": 3}
    drawings.circle(axes, x, y, 0.33, "$+$", "black", **look)
