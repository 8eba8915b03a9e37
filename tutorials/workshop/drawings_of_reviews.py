"""How a network reads a review: the picture of it, and what it thinks after each word."""

import matplotlib.pyplot as plt
import numpy as np

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
        style = f"{shape},pad=0.35"
        axes.text(
            x,
            y,
            text,
            color="white",
            ha="center",
            va="center",
            fontsize=17,
            bbox={"boxstyle": style, "fc": colour, "ec": colour},
        )

    def arrow(start, end, text=""):
        look = {"arrowstyle": "-|>", "lw": 1.8, "shrinkA": 19, "shrinkB": 19}
        axes.annotate("", end, start, arrowprops=look)
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


def courses(model, texts):
    """P(positive) after each word of some texts: of each beginning of them.

    Args:
        model: The network, from numbers of words to probabilities.
        texts: Array of shape `(texts, length)`: the words of each text, and then zeros.

    Returns:
        List of an array for each text.
    """
    sizes = np.count_nonzero(texts, axis=1)
    beginnings = [np.tril(np.tile(text, (n, 1))) for text, n in zip(texts, sizes)]
    told = model.predict(np.concatenate(beginnings), 128, verbose=0)[:, 0]
    return np.split(told, np.cumsum(sizes)[:-1])


def draw_opinions(models, texts, to_numbers):
    """The probability of "positive" after each word of one of some texts.

    It is the text on which the first network changes its mind the most (the first three
    words, when little is known, do not count).

    Args:
        models: Dict from the names of networks to networks, as in `courses`.
        texts: Array of shape `(texts, length)`, as in `courses`.
        to_numbers: `keras.layers.TextVectorization` that numbered the words.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    told = courses(next(iter(models.values())), texts)
    chosen = texts[[np.argmax([np.ptp(course[3:]) for course in told])]]
    vocabulary = to_numbers.get_vocabulary()
    words = [vocabulary[number] for number in chosen[0] if number]
    figure, axes = plt.subplots(figsize=(13, 5.2))
    for (name, model), marker in zip(models.items(), "os^"):
        axes.plot(courses(model, chosen)[0], marker=marker, markersize=6, label=name)
    axes.axhline(0.5, color=GREY, linewidth=1)
    axes.set_xticks(
        range(len(words)), words, rotation=55, ha="right", rotation_mode="anchor"
    )
    axes.set(ylim=(0, 1), ylabel="P(positive) after this word")
    figure.legend(loc="outside upper center", ncols=len(models))
    return figure
