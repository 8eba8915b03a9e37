"""The aligned network that reads both ways, and what goes wrong with its tags."""

import matplotlib.pyplot as plt
import numpy as np

from workshop import drawings
from workshop.drawings import PURPLE
from workshop.plots import BLUE, GREEN, GREY, ORANGE

WIDE = 2.0  # from one word to the next
READ, FORWARD, BACKWARD, SAID = 0, 1.5, 2.8, 4.3  # the heights
ASIDE, HALF = 0.42, 0.3  # where a state stands beside its word; of its box


def draw_both_ways(words, tags):
    """A sentence, the two chains that read it, and a tag for each word.

    The chains do not meet: each state hears of the words on one side alone, and both
    states of a word go into its output.

    Args:
        words: List of strings.
        tags: List of strings.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    count = len(words)
    figure, axes = plt.subplots(figsize=(13.5, 5.6))

    def put(x, y, text, colour, filled=True):
        if filled:
            drawings.box(axes, x, y, 2 * HALF, 2 * HALF, text, colour, width=2)
        else:
            drawings.circle(axes, x, y, HALF, text, colour)

    def arrow(start, end, colour="black"):
        drawings.arrow(axes, start, end, colour)

    for t, (word, tag) in enumerate(zip(words, tags), start=1):
        x = WIDE * t
        left, right = x - ASIDE, x + ASIDE
        put(x, READ, f"$x_{t}$", BLUE, filled=False)
        put(left, FORWARD, rf"$\overrightarrow{{h}}_{t}$", ORANGE)
        put(right, BACKWARD, rf"$\overleftarrow{{h}}_{t}$", PURPLE)
        put(x, SAID, f"$y_{t}$", GREEN, filled=False)
        arrow((x - 0.12, READ + 0.28), (left + 0.1, FORWARD - HALF))
        arrow((x + 0.12, READ + 0.28), (right, BACKWARD - HALF))
        arrow((left, FORWARD + HALF), (x - 0.12, SAID - 0.28))
        arrow((right - 0.1, BACKWARD + HALF), (x + 0.12, SAID - 0.28))
        axes.text(x, READ - 0.62, word, ha="center", fontsize=15)
        axes.text(x, SAID + 0.5, tag, ha="center", fontsize=15, color=GREEN)
        arrow((left - WIDE + HALF, FORWARD), (left - HALF, FORWARD), ORANGE)
        arrow((right + WIDE - HALF, BACKWARD), (right + HALF, BACKWARD), PURPLE)
    put(WIDE - ASIDE - WIDE, FORWARD, r"$\overrightarrow{h}_0$", GREY, filled=False)
    last = WIDE * (count + 1) + ASIDE
    put(last, BACKWARD, rf"$\overleftarrow{{h}}_{count + 1}$", GREY, filled=False)
    axes.set(xlim=(-1.0, last + 0.6), ylim=(-0.8, 5.2), aspect="equal")
    axes.axis("off")
    return figure


def draw_confusions(counts, classes):
    """What became of the names: a panel for each network.

    Args:
        counts: Dict from the title of each panel to an array with a row for each class,
            and with columns as many, and two more: other borders, not found.
        classes: List of strings.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    columns = [*classes, "other\nborders", "not\nfound"]
    width = 1 + 6.25 * len(counts)
    figure, grid = plt.subplots(
        1, len(counts), figsize=(width, 5.2), sharey=True, squeeze=False
    )
    for axes, (title, table) in zip(grid[0], counts.items()):
        share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1.2, aspect="auto")
        for (row, column), number in np.ndenumerate(table):
            ink = "white" if share[row, column] > 0.6 else "black"
            axes.text(column, row, number, ha="center", va="center", color=ink)
        axes.set(title=title, xlabel="what the network says")
        axes.set_xticks(range(len(columns)), columns, fontsize=12)
        axes.set_yticks(range(len(classes)), classes)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    grid[0, 0].set_ylabel("what the name is")
    return figure
