"""The encoder-decoder unfolded, and where attention looks."""

import matplotlib.pyplot as plt

from workshop import drawings
from workshop.drawings import PURPLE, word
from workshop.plots import BLUE, GREEN, GREY, ORANGE

INPUT, STATE, OUTPUT = 0, 1.3, 2.6  # the heights of what is read, of states, of outputs


def draw_encoder_decoder(source, target):
    """The encoder that reads the source, and the decoder that writes the target.

    Args:
        source: List of strings, what is read step by step.
        target: The same, of what is written.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    read, written = len(source), [*target, "stop"]
    figure, axes = plt.subplots(figsize=(14, 4.6))

    def arrow(start, end, **look):
        drawings.arrow(axes, start, end, apart=15, **look)

    word(axes, 0, STATE, "$h_0$", GREY)
    for s, text in enumerate(source, 1):
        arrow((s - 1, STATE), (s, STATE))
        arrow((s, INPUT), (s, STATE))
        word(axes, s, INPUT, _visible(text), BLUE)
        axes.text(s, INPUT - 0.6, f"$x_{s}$", ha="center", color=BLUE)
        word(axes, s, STATE, f"$h_{s}$", ORANGE, filled=True)
    for t, text in enumerate(written, 1):
        x = read + 0.4 + t
        arrow((x - 1 - (0.4 if t == 1 else 0), STATE), (x, STATE))
        arrow((x, INPUT), (x, STATE))
        arrow((x, STATE), (x, OUTPUT))
        word(axes, x, INPUT, "start" if t == 1 else written[t - 2], GREEN)
        if t > 1:
            axes.text(x, INPUT - 0.6, f"$y_{t - 1}$", ha="center", color=GREEN)
        word(axes, x, STATE, f"$d_{t}$", PURPLE, filled=True)
        word(axes, x, OUTPUT, text, GREEN)
        axes.text(x, OUTPUT + 0.45, f"$y_{t}$", ha="center", color=GREEN)
        if t < len(written):
            look = {"linestyle": "--", "colour": GREEN, "width": 1.2}
            arrow((x, OUTPUT), (x + 1, INPUT), **look)
    note = f"$d_0 = h_{read}$: all that the decoder\nknows of what was read"
    axes.text(read + 0.65, STATE + 0.5, note, ha="right", fontsize=12)
    axes.text((1 + read) / 2, -1.15, "encoder", ha="center", color=ORANGE)
    middle = read + 0.9 + len(written) / 2
    axes.text(middle, -1.15, "decoder", ha="center", color=PURPLE)
    axes.set(xlim=(-0.5, read + len(written) + 1), ylim=(-1.4, 3.4))
    axes.axis("off")
    return figure


def draw_alignments(examples):
    """The weights of attention: from where in the source each piece comes.

    Args:
        examples: List of what is read, what is written (lists of strings), and the
            weights, an array `(written + 1, read)`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, both = plt.subplots(1, len(examples), figsize=(13.5, 5.6), squeeze=False)
    for axes, (read, written, weights) in zip(both[0], examples):
        image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        shown = [[_visible(text) for text in row] for row in (read, written)]
        long = max(map(len, shown[0])) > 1
        axes.set_xticks(range(len(read)), shown[0], rotation=60 if long else 0)
        axes.set_yticks(range(len(written) + 1), [*shown[1], "stop"])
        axes.tick_params(labelsize=11)
        axes.set(xlabel="read", ylabel="written")
    figure.colorbar(image, ax=both[0], label=r"weight $\alpha_{ts}$", pad=0.01)
    return figure


def _visible(piece):
    return piece.replace(" ", "\u00b7")
