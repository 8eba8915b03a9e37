"""Makes the pictures of the README and of the first page of the site.

    python docs/pictures/make.py                # the gradient that learns to arrive
    python docs/pictures/make.py output/*/*.png # and small ones of lessons that have run

They are small files, and opaque, so that they can be read in dark mode, too.
"""

import io
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tutorials"))

from workshop import memory_tasks, plots

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from PIL import Image

import keras_rnn

WIDTH = 480  # of a small picture, twice what it is on a page: for fine screens


def draw_gradient(steps=50, units=64, batches=200):
    """The norm of dL/dh_t at each step, as a GRU learns: the one watched in lesson 04."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras_rnn.GRU(units, name="gru"), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(1e-2, global_clipnorm=1.0), "mse")
    x, y = memory_tasks.adding(16, steps, np.random.default_rng(1))
    flow = keras_rnn.GradientFlow(x, y, every=batches // 10, verbose=False)
    fresh = memory_tasks.Fresh(memory_tasks.adding, steps, batches, 32, 1)
    model.fit(fresh, callbacks=[flow], verbose=0)
    figure, axes = plt.subplots(figsize=(6.4, 4.2), dpi=125)
    seen = [record["batch"] for record in flow.records]
    for record, batch in zip(flow.records, seen):
        profile = record["state_gradient_norms"]["gru"]
        colour = plt.cm.viridis(batch / seen[-1])
        axes.semilogy(np.arange(1, steps + 1), profile, color=colour)
    scale = plt.cm.ScalarMappable(plt.Normalize(0, seen[-1]), "viridis")
    figure.colorbar(scale, ax=axes, label="batches trained")
    axes.set(xlabel="time step $t$", ylabel=r"norm of $dL/dh_t$")
    axes.set_title("The gradient learns to travel 50 steps back")
    return figure


def write(picture, path):
    """Writes a picture with 256 colours at most."""
    picture = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def main():
    folder, buffer = Path(__file__).parent, io.BytesIO()
    plots.plt.rcParams["font.size"] = 16
    draw_gradient().savefig(buffer)
    write(Image.open(buffer), folder / "gradient.png")
    for name in sys.argv[1:]:
        picture = Image.open(name).convert("RGB")
        picture.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
        write(picture, folder / f"{Path(name).parent.name}_{Path(name).name}")


if __name__ == "__main__":
    main()
