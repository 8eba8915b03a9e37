"""How a network reads a review: the picture of it, and what it thinks after each word."""

import matplotlib.pyplot as plt
import numpy as np

from workshop import drawings
from workshop.plots import BLUE, GREEN, GREY, ORANGE


def draw_many_to_one(words):
    """The network unfolded over some words, with one output at the end.

    Args:
        words: List of strings.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = plt.subplots(figsize=(13, 4.6))
    last = len(words)

    def node(x, y, text, colour, shape="round"):
        drawings.word(axes, x, y, text, colour, filled=True, size=17, shape=shape)

    def arrow(start, end, text=""):
        drawings.arrow(axes, start, end, width=1.8, apart=19)
        x, y = np.mean([start, end], axis=0)
        axes.text(x + 0.05, y + 0.08, text, fontsize=14, color=GREY)

    node(0, 1, "$h_0$", GREY, "circle")
    for t, word in enumerate(words, 1):
        arrow((t - 1, 1), (t, 1), "$W_{hh}$" if t < 3 else "")
        arrow((t, 0), (t, 1), "$W_{xh}$" if t < 3 else "")
        node(t, 0, f"$x_{t}$", BLUE, "circle")
        node(t, 1, f"$h_{t}$", ORANGE)
        axes.text(t, -0.55, word, ha="center", va="center", fontsize=17, style="italic")
    arrow((last, 1), (last, 2), "$w$")
    node(last, 2, "$p$", GREEN, "circle")
    axes.text(last + 0.3, 2, "P(positive)", va="center", fontsize=15, color=GREEN)
    axes.set(xlim=(-0.5, last + 1.2), ylim=(-0.8, 2.4))
    axes.set_title("Many to one: one word at each step, one probability at the end")
    axes.axis("off")
    return figure


def draw_gradient(norms, title, mark=None):
    """The norm of dL/dh_t at each step.

    Args:
        norms: Array of shape `(timesteps,)`.
        title: String.
        mark: The step at which to draw a dotted line, or `None`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = plt.subplots(figsize=(13, 4.6))
    axes.semilogy(np.arange(1, len(norms) + 1), norms)
    if mark is not None:
        axes.axvline(mark, color="black", linestyle=":", linewidth=1.5)
    axes.set(xlabel="time step $t$", ylabel="norm of $dL/dh_t$", title=title)
    return figure


def course(model, numbers):
    """P(positive) after each word of a text: of each beginning of it.

    Args:
        model: The network, from numbers of words to probabilities.
        numbers: Array of shape `(1, length)`: the words of the text, and then zeros.

    Returns:
        Array of shape `(words,)`.
    """
    beginnings = np.tril(np.tile(numbers, (np.count_nonzero(numbers), 1)))
    return model.predict(beginnings, 128, verbose=0)[:, 0]


def draw_opinions(models, numbers, to_numbers):
    """The probability of "positive" after each word of a text.

    Args:
        models: Dict from the names of networks to networks, as in `course`.
        numbers: Array of shape `(1, length)`, as in `course`.
        to_numbers: `keras.layers.TextVectorization` that numbered the words.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    vocabulary = to_numbers.get_vocabulary()
    words = [vocabulary[number] for number in numbers[0] if number]
    figure, axes = plt.subplots(figsize=(13, 5.2))
    for (name, model), marker in zip(models.items(), "os^"):
        axes.plot(course(model, numbers), marker=marker, markersize=6, label=name)
    axes.axhline(0.5, color=GREY, linewidth=1)
    axes.set_xticks(
        range(len(words)), words, rotation=55, ha="right", rotation_mode="anchor"
    )
    axes.set(ylim=(0, 1), ylabel="P(positive) after this word")
    figure.legend(loc="outside upper center", ncols=len(models))
    return figure
