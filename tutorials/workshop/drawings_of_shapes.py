"""The five shapes of recurrent networks, unfolded, and the map of the course."""

import matplotlib.pyplot as plt

from workshop import drawings, languages
from workshop.drawings import PURPLE
from workshop.plots import BLUE, GREEN, GREY, ORANGE

STEP = 1.25  # from one time step to the next
INPUT, STATE, OUTPUT = 0, 1.25, 2.5  # the heights of x_t, h_t, y_t
RADIUS, HALF = 0.32, 0.34  # of a circle, and of the side of a box


def draw_shapes():
    """The network folded, and unfolded in its five shapes.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = plt.subplots(figsize=(13.5, 8.2))
    _folded(axes, 0.4, 4.6)
    _unfolded(axes, 3.4, 4.6, "one to one", inputs=[1], outputs=[1])
    _unfolded(axes, 6.2, 4.6, "one to many", [1], [1, 2, 3], fed_back=[2, 3])
    _unfolded(axes, 11.2, 4.6, "many to one", [1, 2, 3], [3])
    _unfolded(axes, 1.4, 0, "many to many, aligned", [1, 2, 3], [1, 2, 3])
    _encoder_decoder(axes, 6.2, 0)
    axes.set(xlim=(-0.6, 14.3), ylim=(-0.9, 8.0), aspect="equal")
    axes.axis("off")
    return figure


def _circle(axes, x, y, text, colour, dashed=False):
    style = "--" if dashed else "-"
    drawings.circle(axes, x, y, RADIUS, text, colour, linestyle=style)


def _box(axes, x, y, text, colour):
    drawings.box(axes, x, y, 2 * HALF, 2 * HALF, text, colour)


def _arrow(axes, start, end, **look):
    drawings.arrow(axes, start, end, head=13, **look)


def _step(axes, x, y, t, colour, came, reads=None, writes=None):
    """One time step: its box, and what enters and leaves it."""
    _box(
        axes,
        x,
        y + STATE,
        f"$h_{t}$" if colour == ORANGE else f"$h^{{\\prime}}_{t}$",
        colour,
    )
    _arrow(axes, (x - came, y + STATE), (x - HALF, y + STATE))
    if reads:
        text, dashed = reads
        tint = GREEN if dashed else BLUE
        _circle(axes, x, y + INPUT, text, tint, dashed)
        _arrow(axes, (x, y + INPUT + RADIUS), (x, y + STATE - HALF))
    if writes:
        _circle(axes, x, y + OUTPUT, writes, GREEN)
        _arrow(axes, (x, y + STATE + HALF), (x, y + OUTPUT - RADIUS))


def _feedback(axes, x, y):
    """From the output of the step at x to the input of the next one."""
    half = x + STEP / 2
    heights = y + OUTPUT, y + OUTPUT, y + INPUT, y + INPUT
    places = x + RADIUS, half, half, x + STEP - RADIUS - 0.1
    axes.plot(places, heights, "--", color=GREEN, lw=1.4, zorder=0)
    end = x + STEP - RADIUS, y + INPUT
    _arrow(axes, (end[0] - 0.12, end[1]), end, colour=GREEN, width=1.4)


def _title(axes, x, y, text):
    axes.text(x, y + OUTPUT + 0.62, text, fontsize=16, weight="bold", ha="left")


def _start(axes, x, y):
    _circle(axes, x - STEP, y + STATE, "$h_0$", GREY)


def _folded(axes, x, y):
    _title(axes, x - HALF, y, languages.said("folded"))
    _circle(axes, x, y + INPUT, "$x_t$", BLUE)
    _box(axes, x, y + STATE, "$h_t$", ORANGE)
    _circle(axes, x, y + OUTPUT, "$y_t$", GREEN)
    _arrow(axes, (x, y + INPUT + RADIUS), (x, y + STATE - HALF))
    _arrow(axes, (x, y + STATE + HALF), (x, y + OUTPUT - RADIUS))
    _arrow(
        axes,
        (x + HALF, y + STATE + 0.2),
        (x + HALF, y + STATE - 0.2),
        connectionstyle="arc3,rad=-3",
    )
    axes.text(x + 0.62, y + STATE + 0.5, "$h_{t-1}$", fontsize=13)


def _unfolded(axes, x, y, title, inputs, outputs, fed_back=()):
    _title(axes, x - STEP - RADIUS, y, title)
    _start(axes, x, y)
    for t in range(1, max(*inputs, *outputs) + 1):
        reads = (f"$x_{t}$", False) if t in inputs else None
        if t in fed_back:
            reads = f"$y_{t - 1}$", True
            _feedback(axes, x + (t - 2) * STEP, y)
        writes = f"$y_{t}$" if t in outputs else None
        came = STEP - (RADIUS if t == 1 else HALF)
        _step(axes, x + (t - 1) * STEP, y, t, ORANGE, came, reads, writes)


def _encoder_decoder(axes, x, y):
    _title(axes, x - STEP - RADIUS, y, "many to many: encoder and decoder")
    _start(axes, x, y)
    for t in (1, 2, 3):
        came = STEP - (RADIUS if t == 1 else HALF)
        reads = f"$x_{t}$", False
        _step(axes, x + (t - 1) * STEP, y, t, ORANGE, came, reads)
    for t in (1, 2, 3):
        place = x + (t + 2) * STEP
        reads = (f"$y_{t - 1}$", True) if t > 1 else ("start", True)
        _step(axes, place, y, t, PURPLE, STEP - HALF, reads, f"$y_{t}$")
        if t > 1:
            _feedback(axes, place - STEP, y)
    for place, name, colour in ((1, "encoder", ORANGE), (4, "decoder", PURPLE)):
        axes.text(x + place * STEP, y - 0.75, name, color=colour, ha="center")


# --------------------------------------------------------------------------- the map

# Where each lesson stands, and which lessons it builds on.
LESSONS = {
    "01\nfive shapes": (0, 2, []),
    "02\nequations": (1, 2, ["01"]),
    "03\nback-propa-\ngation in time": (2, 2, ["02"]),
    "04\nvanishing,\nexploding": (3, 2, ["03"]),
    "05\ngates:\nLSTM, GRU": (4, 2, ["04"]),
    "06\ndeep and bi-\ndirectional": (5, 2, ["05"]),
    "08\nvideo": (1, 1, ["05"]),
    "10\ncharacters": (2, 1, ["05"]),
    "11\ntranslation": (3, 1, ["10"]),
    "12\nforecasting": (4, 1, ["05"]),
    "07\nsentiment": (5, 1, ["06"]),
    "09\nnamed\nentities": (6, 1, ["06"]),
}
SHAPES = {
    "08": "many to one",
    "07": "many to one",
    "09": languages.said("aligned"),
    "10": "one to many",
    "11": languages.said("encoder-decoder"),
    "12": "many to one",
}


def draw_map():
    """Which lesson builds on which. Beside a real task stands its shape.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = plt.subplots(figsize=(13.5, 5))
    places = {name[:2]: (x, 1.7 * y) for name, (x, y, _) in LESSONS.items()}
    for name, (_, _, needs) in LESSONS.items():
        number = name[:2]
        x, y = places[number]
        colour = BLUE if number in SHAPES else ORANGE
        drawings.box(axes, x, y, 0.76, 0.64, name, colour, rounding=0.04, size=12.5)
        if number in SHAPES:
            axes.text(x, y - 0.52, SHAPES[number], ha="center", color=BLUE, fontsize=12)
        for need in needs:
            _between(axes, places[need], (x, y))
    axes.text(-0.4, 4.0, "What a recurrent network is, and how it learns", color=ORANGE)
    axes.text(-0.4, 1.6, "What it does\nwith real data", color=BLUE)
    axes.set(xlim=(-0.45, 6.45), ylim=(0.95, 4.2))
    axes.axis("off")
    return figure


def _between(axes, start, end):
    """An arrow from one box to another: to the right, or down by three straight lines."""
    (x, y), (to_x, to_y) = start, end
    if y == to_y:
        _arrow(axes, (x + 0.4, y), (to_x - 0.4, to_y))
        return
    middle = (y + to_y) / 2
    axes.plot([x, x, to_x], [y - 0.34, middle, middle], color="black", lw=1.6, zorder=0)
    _arrow(axes, (to_x, middle), (to_x, to_y + 0.34))
