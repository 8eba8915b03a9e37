"""What the drawings of networks are made of: circles, boxes, words and arrows."""

from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

PURPLE = "#7B3294"  # of what has weights of its own: a second network, level, direction


def circle(axes, x, y, radius, text, rim, ink=None, size=14, width=2, level=1, **style):
    """A white circle with a text in it.

    Args:
        axes: `matplotlib.axes.Axes`.
        x: Where its middle is.
        y: Where its middle is.
        radius: Its size, as the axes measure it.
        text: String.
        rim: Colour.
        ink: Colour of the text, or `None`: that of the rim.
        size: Of the letters, in points.
        width: Of the rim, in points.
        level: What has a higher one is drawn above it.
        **style: Further arguments of `matplotlib.patches.Circle`.
    """
    look = {"fc": "white", "ec": rim, "lw": width, "zorder": level, **style}
    axes.add_patch(Circle((x, y), radius, **look))
    _text(axes, x, y, text, ink or rim, size, level + 1)


def box(
    axes,
    x,
    y,
    wide,
    high,
    text,
    colour,
    filled=True,
    rounding=0,
    size=14,
    width=1,
    level=1,
):
    """A box with a text in it.

    Args:
        axes: `matplotlib.axes.Axes`.
        x: Where its middle is.
        y: Where its middle is.
        wide: Its size, as the axes measure it.
        high: Its size, as the axes measure it.
        text: String.
        colour: Of the box.
        filled: Boolean: whether the box has the colour, or its rim and the text.
        rounding: The radius of the corners. If it is not 0, the box is 0.02 larger.
        size: Of the letters, in points.
        width: Of the rim, in points.
        level: What has a higher one is drawn above it.
    """
    style = f"round,pad=0.02,rounding_size={rounding}" if rounding else "square,pad=0"
    look = {"fc": colour if filled else "white", "ec": colour, "lw": width}
    corner = x - wide / 2, y - high / 2
    axes.add_patch(FancyBboxPatch(corner, wide, high, style, zorder=level, **look))
    _text(axes, x, y, text, "white" if filled else colour, size, level + 1)


def word(axes, x, y, text, colour, filled=False, size=14, shape="round"):
    """A text with a frame around it, which is as large as the text needs."""
    face, ink = (colour, "white") if filled else ("white", colour)
    frame = {"boxstyle": f"{shape},pad=0.35", "fc": face, "ec": colour}
    _text(axes, x, y, text, ink, size, level=3, bbox=frame)


def arrow(axes, start, end, colour="black", width=1.6, head=14, apart=0, **style):
    """An arrow from one point to another.

    Args:
        axes: `matplotlib.axes.Axes`.
        start: Pair of numbers.
        end: Pair of numbers.
        colour: Of all of it.
        width: Of the line, in points.
        head: Of the head, in points.
        apart: How far it stays away from both points, in points.
        **style: Further arguments of `matplotlib.patches.FancyArrowPatch`.
    """
    look = {"arrowstyle": "-|>", "color": colour, "lw": width, "mutation_scale": head}
    look |= {"shrinkA": apart, "shrinkB": apart, **style}
    axes.add_patch(FancyArrowPatch(start, end, **look))


def _text(axes, x, y, text, colour, size, level, **look):
    look |= {"ha": "center", "va": "center", "fontsize": size, "zorder": level}
    axes.text(x, y, text, color=colour, **look)
