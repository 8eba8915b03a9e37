"""What becomes of the gradient on its way back through the steps."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch

from workshop import drawings
from workshop.plots import BLUE, ORANGE


def draw_chains(chains):
    """Unfolded networks, and under each state the norm of the loss's gradient there.

    Args:
        chains: Dict from the name of each network to the norms of dL/dh_1, dL/dh_2, ...,
            which are about 1 at the last step.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = plt.subplots(figsize=(13, 1.9 * len(chains)))
    for row, (name, norms) in enumerate(chains.items()):
        y, end = -1.75 * row, len(norms)
        axes.text(-0.4, y + 0.62, name, fontsize=15)
        for t, norm in enumerate(norms):
            # The further from 1, the deeper the colour: 1,000 times is as deep as it gets.
            depth = min(1, abs(np.log10(norm)) / 3)
            colour = (ORANGE if norm > 1 else BLUE) + f"{int(255 * depth):02x}"
            axes.add_patch(
                FancyBboxPatch(
                    (t - 0.24, y - 0.24), 0.48, 0.48, "round,pad=0.06", fc=colour
                )
            )
            ink = "white" if depth > 0.6 else "black"
            axes.text(t, y, f"$h_{{{t + 1}}}$", ha="center", va="center", color=ink)
            ahead, back = (t + 0.32, t + 0.68), (t + 0.68, t + 0.32)
            for (x, to_x), side, colour in (
                (ahead, 0.1, "black"),
                (back, -0.1, ORANGE),
            ):
                places = (x, y + side), (to_x, y + side)
                drawings.arrow(axes, *places, colour, width=1.8)
            axes.text(
                t,
                y - 0.55,
                f"{norm:.2g}" if norm < 10 else f"{norm:.0f}",
                ha="center",
                color=ORANGE,
            )
        axes.text(end - 0.2, y, "$L$", va="center", fontsize=17)
    axes.set(
        xlim=(-0.5, end + 0.1), ylim=(y - 0.7, 0.9), aspect="equal", adjustable="box"
    )
    axes.axis("off")
    return figure
