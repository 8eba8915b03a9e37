"""The cells of LSTM and GRU: products, gates, sums, and the road of the state."""

import matplotlib.pyplot as plt
from matplotlib.patches import Circle

from workshop import drawings
from workshop.plots import BLUE, GREEN, GREY, ORANGE


class _Drawing:
    """A sheet to draw a cell on."""

    def __init__(self, title, size, before, step):
        self.figure, self.axes = plt.subplots(figsize=size)
        self.axes.set(aspect="equal", title=title)
        self.axes.axis("off")
        self.values = before | {f"{name}_t": v.item() for name, v in step.items()}
        self.wires = 0

    def wire(self, *points, road=False, arrow=True):
        """A line along points. Where it crosses an earlier one, that one has a gap."""
        colour, width = (GREEN, 5) if road else ("black", 1.8)
        xs, ys = zip(*points)
        self.wires += 1
        above = self.wires / 100
        self.axes.plot(xs, ys, color="white", lw=width + 8, zorder=above)
        self.axes.plot(xs, ys, color=colour, lw=width, zorder=above)
        if arrow:
            (x, y), (to_x, to_y) = points[-2:]
            long = abs(to_x - x) + abs(to_y - y)
            near = to_x - 0.05 * (to_x - x) / long, to_y - 0.05 * (to_y - y) / long
            head = 24 if road else 16
            drawings.arrow(
                self.axes, near, points[-1], colour, width=1, head=head, zorder=3
            )

    def dot(self, x, y, colour="black"):
        """Where a wire leaves another one."""
        self.axes.add_patch(Circle((x, y), 0.07, color=colour, zorder=4))

    def box(self, x, y, text, colour, wide=0.8, name=""):
        """A dense map with its activation, or an activation alone."""
        look = {"rounding": 0.1, "level": 5}
        drawings.box(self.axes, x, y, wide, 0.6, text, colour, **look)
        if name:
            look = {"color": colour, "va": "center", "fontsize": 12, "zorder": 6}
            self.axes.text(x + wide / 2 + 0.08, y, name, **look)

    def node(self, x, y, text):
        """A product or a sum, number by number."""
        look = {"size": 17, "width": 1.8, "level": 5}
        drawings.circle(self.axes, x, y, 0.27, text, "black", **look)

    def label(self, x, y, symbol, ha="left"):
        """The name of a wire, and its value where there is one."""
        text = f"${symbol}$"
        if symbol in self.values:
            text += f" = {self.values[symbol]:.3f}"
        self.axes.text(x, y, text, ha=ha, va="center", fontsize=14, zorder=6)


def draw_lstm(before, step):
    """The LSTM cell.

    Args:
        before: Dict from the symbol of what comes in, as `"h_{t-1}"`, to its number.
        step: Dict of arrays with one number, from `"h"`, `"c"` and the names of gates.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    d = _Drawing("LSTM: one step", (12, 7.2), before, step)
    d.wire((-0.6, 5), (11.2, 5), road=True)
    for x, symbol, text, tint, name in (
        (1.6, "f_t", r"$\sigma$", ORANGE, "forget\ngate"),
        (3.6, "i_t", r"$\sigma$", ORANGE, "input\ngate"),
        (5.6, "g_t", "tanh", BLUE, "new\ncontent"),
        (7.6, "o_t", r"$\sigma$", ORANGE, "output\ngate"),
    ):
        d.wire((x, 0.6), (x, 1.2))
        d.box(x, 1.5, text, tint, name=name)
        d.label(x + 0.15, 2.35, symbol)
        if x < 7:
            d.dot(x, 0.6)
    d.wire((-0.6, 0.6), (7.6, 0.6), (7.6, 1.2))
    d.wire((0.4, -0.5), (0.4, 0.6), arrow=False)
    d.dot(0.4, 0.6)
    d.wire((1.6, 1.8), (1.6, 4.73))
    d.wire((3.6, 1.8), (3.6, 3.3), (5.33, 3.3))
    d.wire((5.6, 1.8), (5.6, 3.03))
    d.wire((5.6, 3.57), (5.6, 4.73))
    d.wire((7.6, 1.8), (7.6, 3.1), (9.13, 3.1))
    d.wire((9.4, 5), (9.4, 4.4))
    d.wire((9.4, 3.8), (9.4, 3.37))
    d.wire((9.4, 2.83), (9.4, 0.6), (11.2, 0.6))
    d.dot(9.4, 5, GREEN)
    d.box(9.4, 4.1, "tanh", BLUE)
    for x, y, text in (
        (1.6, 5, r"$\times$"),
        (5.6, 3.3, r"$\times$"),
        (5.6, 5, "$+$"),
        (9.4, 3.1, r"$\times$"),
    ):
        d.node(x, y, text)
    d.label(-0.6, 5.4, "c_{t-1}")
    d.label(-0.6, 1.0, "h_{t-1}")
    d.label(0.55, -0.4, "x_t")
    d.label(11.2, 5.4, "c_t", "right")
    d.label(11.2, 1.0, "h_t", "right")
    d.axes.set(xlim=(-0.8, 11.4), ylim=(-0.7, 5.8))
    return d.figure


def draw_gru(before, step):
    """The GRU cell, with the reset gate after the product, as Keras has it.

    Args:
        before: Dict, as for `draw_lstm`.
        step: Dict, as for `draw_lstm`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    d = _Drawing("GRU: one step", (12, 7.2), before, step)
    d.wire((-0.6, 5), (11.2, 5), road=True)
    d.wire((0.2, 5), (0.2, 0.6), (7.6, 0.6), (7.6, 1.2))
    d.dot(0.2, 5, GREEN)
    d.wire((1.2, -0.5), (1.2, 0.6), arrow=False)
    d.dot(1.2, 0.6)
    d.wire((0.2, 3.3), (0.75, 3.3))
    d.dot(0.2, 3.3)
    d.wire((1.95, 3.3), (2.93, 3.3))
    d.wire((3.2, 0.6), (3.2, 1.2))
    d.dot(3.2, 0.6)
    d.wire((3.2, 1.8), (3.2, 3.03))
    d.wire((3.47, 3.3), (4.9, 3.3))
    d.wire((5.3, -0.5), (5.3, 3.0))
    d.wire((5.7, 3.3), (9.33, 3.3))
    d.wire((7.6, 1.8), (7.6, 4.73))
    d.wire((7.6, 2.45), (8.1, 2.45))
    d.dot(7.6, 2.45)
    d.wire((9.1, 2.45), (9.6, 2.45), (9.6, 3.03))
    d.wire((9.6, 3.57), (9.6, 4.73))
    d.box(1.35, 3.3, "$R_n, b'_n$", BLUE, wide=1.2)
    d.box(3.2, 1.5, r"$\sigma$", ORANGE, name="reset\ngate")
    d.box(5.3, 3.3, "tanh", BLUE)
    d.box(7.6, 1.5, r"$\sigma$", ORANGE, name="update\ngate")
    d.box(8.6, 2.45, "$1 - z$", GREY, wide=1.0)
    for x, y, text in (
        (3.2, 3.3, r"$\times$"),
        (7.6, 5, r"$\times$"),
        (9.6, 3.3, r"$\times$"),
        (9.6, 5, "$+$"),
    ):
        d.node(x, y, text)
    d.label(-0.6, 5.4, "h_{t-1}")
    d.label(1.35, -0.4, "x_t")
    d.label(5.45, -0.4, "x_t")
    d.label(3.35, 2.3, "r_t")
    d.label(7.45, 4.2, "z_t", "right")
    d.label(5.85, 3.65, "n_t")
    d.label(11.2, 5.4, "h_t", "right")
    d.axes.set(xlim=(-0.8, 11.4), ylim=(-0.7, 5.8))
    return d.figure


def draw_lines(panels, xlabel, ylabel, log=True, mark=None):
    """Lines over the time steps, or over what else counts from 1.

    Args:
        panels: Dict from the title of each panel to its lines: a dict from labels to
            values, or to pairs of places and values.
        xlabel: String, of the horizontal axis.
        ylabel: String, of the vertical axis.
        log: Boolean: whether the vertical axis is logarithmic.
        mark: Where to draw a dotted vertical line, or `None`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    count = len(panels)
    figure, all_axes = plt.subplots(
        1, count, figsize=(13, 5.2), sharey=True, squeeze=False
    )
    styles = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
    colours = (BLUE, ORANGE, GREEN, GREY, "black")
    for axes, (title, lines) in zip(all_axes[0], panels.items()):
        for (label, values), style, colour in zip(lines.items(), styles, colours):
            places = range(1, len(values) + 1)
            if isinstance(values, tuple):
                places, values = values
            values = [value if value > 1e-30 or not log else None for value in values]
            axes.plot(places, values, color=colour, linestyle=style, label=label)
        if log:
            axes.set_yscale("log")
        if mark is not None:
            axes.axvline(mark, color="black", linestyle=":", linewidth=1.5)
        axes.set(xlabel=xlabel, title=title)
        axes.legend()
    all_axes[0][0].set_ylabel(ylabel)
    return figure
