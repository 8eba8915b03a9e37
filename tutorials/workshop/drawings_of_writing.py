"""A network whose output comes back as its next input, and what temperature does to it."""

import matplotlib.pyplot as plt

from workshop.plots import BLUE, GREEN, GREY, ORANGE

INPUT, STATE, OUTPUT = 0, 1.4, 2.8  # the heights of x_t, h_t, y_t


def draw_writer(text, kind):
    """A network unfolded that writes a text of a kind, character by character.

    Args:
        text: String.
        kind: String, the one thing that goes in.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = plt.subplots(figsize=(12.5, 4.6))

    def node(x, y, text, colour, filled=False):
        look = {"facecolor": colour if filled else "white", "edgecolor": colour}
        box = {"boxstyle": "round,pad=0.35", **look}
        ink = "white" if filled else colour
        axes.text(x, y, text, ha="center", va="center", color=ink, bbox=box)

    def arrow(start, end, **look):
        look = {"color": "black", "lw": 1.6, "shrinkA": 16, "shrinkB": 16, **look}
        axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", **look})

    arrow((0, INPUT), (0, STATE))
    node(0, INPUT, kind, BLUE)
    node(0, STATE, "$h_0$", GREY)
    for t, character in enumerate(text, 1):
        arrow((t - 1, STATE), (t, STATE))
        arrow((t, INPUT), (t, STATE))
        arrow((t, STATE), (t, OUTPUT))
        node(t, INPUT, "start" if t == 1 else text[t - 2], GREEN)
        axes.text(t, INPUT - 0.6, f"$x_{t}$", ha="center", color=GREEN)
        node(t, STATE, f"$h_{t}$", ORANGE, filled=True)
        node(t, OUTPUT, character, GREEN)
        axes.text(t, OUTPUT + 0.45, f"sampled from $y_{t}$", ha="center", fontsize=12)
        if t < len(text):
            look = {"linestyle": "--", "color": GREEN, "lw": 1.2}
            arrow((t, OUTPUT), (t + 1, INPUT), **look)
    axes.set(xlim=(-0.6, len(text) + 0.6), ylim=(-0.9, 3.6))
    axes.axis("off")
    return figure


def draw_chances(chances, names, count=12):
    """How likely each character is next, at several temperatures.

    Args:
        chances: Dict from the temperature to an array `(characters,)`.
        names: The characters.
        count: Integer: how many of them to show, the likeliest at the first temperature.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    order = next(iter(chances.values())).argsort()[::-1][:count]
    shown = [{" ": "\u2423", "\n": "\u21b5"}.get(names[i], names[i]) for i in order]
    figure, row = plt.subplots(1, len(chances), figsize=(13, 3.8), sharey=True)
    for axes, (temperature, values) in zip(row, chances.items()):
        axes.bar(shown, values[order])
        axes.set_title(f"temperature {temperature}")
        axes.tick_params(axis="x", labelsize=11)
        axes.set_xlabel("next character (\u2423 a space)")
    row[0].set_ylabel("probability")
    return figure
