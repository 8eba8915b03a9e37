"""A network whose output comes back as its next input, and what temperature does to it."""

import matplotlib.pyplot as plt

from workshop import drawings
from workshop.drawings import word
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

    def arrow(start, end, **look):
        drawings.arrow(axes, start, end, apart=16, **look)

    arrow((0, INPUT), (0, STATE))
    word(axes, 0, INPUT, kind, BLUE)
    word(axes, 0, STATE, "$h_0$", GREY)
    for t, character in enumerate(text, 1):
        arrow((t - 1, STATE), (t, STATE))
        arrow((t, INPUT), (t, STATE))
        arrow((t, STATE), (t, OUTPUT))
        word(axes, t, INPUT, "start" if t == 1 else text[t - 2], GREEN)
        axes.text(t, INPUT - 0.6, f"$x_{t}$", ha="center", color=GREEN)
        word(axes, t, STATE, f"$h_{t}$", ORANGE, filled=True)
        word(axes, t, OUTPUT, character, GREEN)
        axes.text(t, OUTPUT + 0.45, f"sampled from $y_{t}$", ha="center", fontsize=12)
        if t < len(text):
            look = {"linestyle": "--", "colour": GREEN, "width": 1.2}
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
