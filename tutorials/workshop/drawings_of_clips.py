"""Clips, the network that watches them, and what it makes of them."""

import matplotlib.pyplot as plt
import numpy as np

from workshop import drawings
from workshop.plots import BLUE, GREEN, GREY, ORANGE


def draw_network(clip):
    """The network unfolded over the frames of a clip.

    Args:
        clip: Array of shape (frames, height, width, 1).

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = plt.subplots(figsize=(12.5, 7))
    frames = len(clip)

    def box(x, y, text, colour, filled=True):
        look = {"filled": filled, "rounding": 0.08, "size": 15, "width": 2}
        drawings.box(axes, x, y, 0.6, 0.5, text, colour, **look)

    def arrow(start, end):
        drawings.arrow(axes, start, end, width=1, head=15)

    box(0, 2.9, "$h_0$", GREY, filled=False)
    for t, frame in enumerate(clip, start=1):
        x = 1.35 * t
        extent = (x - 0.55, x + 0.55, -0.55, 0.55)
        axes.imshow(frame[..., 0], cmap="gray", extent=extent, vmin=0, vmax=1)
        axes.text(x, -0.8, f"$x_{t}$", ha="center", va="center")
        arrow((x, 0.58), (x, 1.18))
        box(x, 1.45, f"$v_{t}$", BLUE)
        arrow((x, 1.72), (x, 2.63))
        box(x, 2.9, f"$h_{t}$", ORANGE)
        arrow((x - 1.03, 2.9), (x - 0.32, 2.9))
    last = 1.35 * frames
    arrow((last, 3.17), (last, 3.98))
    box(last, 4.25, "$y$", GREEN)
    axes.text(last - 0.5, 4.25, "right, left, down or up?", ha="right", va="center")
    for y, text in ((0.9, "the same CNN\non each frame"), (2.3, "$W_{xh}$")):
        axes.text(1.25, y, text, ha="right", va="center", fontsize=13, color=BLUE)
    axes.text(0.68, 3.1, "$W_{hh}$", ha="center", fontsize=13, color=ORANGE)
    axes.text(last - 0.1, 3.6, "$W_{hy}$", ha="right", fontsize=13, color=GREEN)
    axes.set(xlim=(-0.5, last + 0.7), ylim=(-1, 4.6), aspect="equal")
    axes.axis("off")
    return figure


def draw_clips(clips, names):
    """The frames of some clips, a row for each.

    Args:
        clips: Array of shape (clips, frames, height, width, 1).
        names: List of strings, what stands before each row.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    count, frames = clips.shape[:2]
    figure, grid = plt.subplots(count, frames, figsize=(2 * frames, 2.1 * count))
    for (row, t), axes in np.ndenumerate(grid):
        axes.imshow(clips[row, t, ..., 0], cmap="gray", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        axes.spines[["top", "right"]].set_visible(True)
        if row == 0:
            axes.set_title(f"frame {t + 1}")
        if t == 0:
            axes.set_ylabel(names[row])
        if 2 * t + 1 == frames:
            axes.spines[:].set(color=ORANGE, linewidth=4)
    return figure


def draw_vectors(seen):
    """What CNNs see in the frames of a clip: a panel for each of them.

    Args:
        seen: Dict from the title of each panel to an array of shape (frames, numbers).

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, panels = plt.subplots(1, len(seen), figsize=(12, 5.5))
    for axes, (title, vectors) in zip(panels, seen.items()):
        frames, numbers = vectors.shape
        shown = axes.imshow(vectors.T, aspect="auto", cmap="viridis")
        axes.set(title=title, xlabel="frame", ylabel="number in $v_t$")
        axes.set_xticks(range(frames), range(1, frames + 1))
        axes.set_yticks(range(3, numbers, 4), range(4, numbers + 1, 4))
        figure.colorbar(shown, ax=axes)
    return figure


def draw_paths(states, directions, names):
    """The way of the state in each clip, in the plane in which the states differ most.

    Args:
        states: Array of shape (clips, 1 + frames, units): first the initial state.
        directions: Array of integers, (clips,).
        names: List of strings, the directions.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    flat = states.reshape(-1, states.shape[-1])
    middle = flat.mean(axis=0)
    _, _, axes_of_states = np.linalg.svd(flat - middle, full_matrices=False)
    paths = (states - middle) @ axes_of_states[:2].T
    figure, axes = plt.subplots(figsize=(11, 7.5))
    for direction, (name, colour) in enumerate(zip(names, (BLUE, ORANGE, GREEN, GREY))):
        chosen = paths[directions == direction]
        for path in chosen[:25]:
            axes.plot(*path.T, color=colour, alpha=0.2, lw=1)
        mean = chosen.mean(axis=0)
        axes.plot(*mean.T, "o-", color=colour, label=name)
        for t, (x, y) in enumerate(mean[1:], start=1):
            axes.annotate(str(t), (x, y), (5, 5), textcoords="offset points", size=12)
    axes.plot(*paths[0, 0], "s", color="black", ms=11, label="$h_0$")
    axes.set(xlabel="first principal component", ylabel="second principal component")
    axes.legend()
    return figure
