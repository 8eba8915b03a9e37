"""The look of the plots, and those that several lessons draw."""

import re

import matplotlib
import matplotlib.pyplot as plt

from workshop import languages
from workshop.files import replacing
from workshop.machine import in_notebook

if not in_notebook():
    matplotlib.use("Agg")  # files, not windows

# Told apart by all kinds of colour vision (Okabe and Ito's colours).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"

matplotlib.rcParams.update(
    {
        "figure.dpi": 120,
        "figure.constrained_layout.use": True,
        "font.size": 14,
        "axes.titlesize": 15,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": matplotlib.cycler(color=[BLUE, ORANGE, GREEN, GREY]),
        "lines.linewidth": 2.5,
        "legend.frameon": False,
    }
)


def draw_curves(histories, labels, training="training"):
    """A picture of how networks learn, epoch by epoch.

    Args:
        histories: Dict from the name of each network to its history. Two at most.
        labels: Dict from the name of each figure to the label of its axis.
        training: String, what the figures of the training are called.

    Returns:
        The picture, and the axes of each figure.
    """
    figure, both = plt.subplots(1, len(labels), figsize=(13, 5))
    kinds = (("val_", "o-", "validation"), ("", "o:", training))
    for axes, (name, label) in zip(both, labels.items()):
        for (network, rows), colour in zip(histories.items(), (BLUE, ORANGE)):
            epoch = [row["epoch"] for row in rows]
            for prefix, style, what in kinds:
                values = [row[prefix + name] for row in rows]
                axes.plot(
                    epoch, values, style, color=colour, label=f"{network}, {what}"
                )
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
    handles, names = both[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure, both


def description(figure):
    """What a figure shows, in words, for those who cannot see it: titles, axes, legends."""
    parts = [figure.get_suptitle()]
    for axes in figure.axes:
        x, y = axes.get_xlabel(), axes.get_ylabel()
        by = languages.said("by")
        parts += [axes.get_title(), f"{y} {by} {x}" if x and y else x or y]
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    shown = [t.get_text() for legend in legends if legend for t in legend.get_texts()]
    if not any(parts) and not shown:  # a drawing: what is written in it
        texts = [*figure.texts, *(t for axes in figure.axes for t in axes.texts)]
        shown = [text.get_text() for text in texts]
    text = ". ".join(dict.fromkeys(part for part in parts if part))
    listed = ", ".join(dict.fromkeys(name for name in shown if name))
    words = ": ".join(part for part in (text, listed) if part).split()
    return re.sub(r"[${}\\]", "", " ".join(words))


def save_figure(figure, path):
    """Writes a figure as a PNG file, whole or not at all."""
    with replacing(path) as new:
        figure.savefig(new)
    plt.close(figure)
