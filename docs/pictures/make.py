"""Makes the pictures of the README and of the first page of the site.

    python docs/pictures/make.py             # a small one of each lesson
    python docs/pictures/make.py --gradient  # and the gradient that learns to arrive

Those of the lessons are in their notebooks, `notebooks/en`. They are small files, and
opaque, so that they can be read in dark mode, too.
"""

import argparse
import base64
import io
import sys
from pathlib import Path

import nbformat
from PIL import Image

ROOT = Path(__file__).parents[2]
WIDTH = 480  # of a small picture, more than it has on a page: for fine screens
LESSONS = {
    "01_five_shapes": "five_shapes.png",
    "02_the_equations": "unfolded.png",
    "03_backpropagation_through_time": "passes.png",
    "04_vanishing_gradients": "chains.png",
    "05_gates": "lstm.png",
    "06_deep_and_bidirectional": "both.png",
    "07_sentiment_classification": "opinions.png",
    "08_video_classification": "clips.png",
    "09_named_entities": "both_ways.png",
    "10_character_generation": "temperature.png",
    "11_translation": "encoder_decoder.png",
    "12_forecasting": "series.png",
}


def draw_gradient(steps=50, units=64, batches=200):
    """The norm of dL/dh_t at each step, as a GRU learns: the one watched in lesson 04."""
    sys.path.append(str(ROOT / "tutorials"))
    # It sets the look of the plots.
    from workshop import memory_tasks, plots  # noqa: F401

    # isort: split
    import keras
    import matplotlib.pyplot as plt
    import numpy as np
    from keras import layers

    import keras_rnn

    plt.rcParams["font.size"] = 16
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


def picture_of(notebook, name):
    """The picture that a cell of an executed notebook saves by a name, in full size."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and f'"{name}"' in cell.source:
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    data = base64.b64decode(output.data["image/png"])
                    return Image.open(io.BytesIO(data)).convert("RGB")
    raise ValueError(f"No cell shows {name}.")


def write(picture, path):
    """Writes a picture with 256 colours at most."""
    picture = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def write_small(picture, path):
    picture.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
    write(picture, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gradient", action="store_true", help="train for it, too")
    folder, buffer = Path(__file__).parent, io.BytesIO()
    if parser.parse_args().gradient:
        draw_gradient().savefig(buffer)
        write(Image.open(buffer), folder / "gradient.png")
    for stem, name in LESSONS.items():
        path = ROOT / "notebooks" / "en" / f"{stem}.ipynb"
        if path.exists():
            picture = picture_of(nbformat.read(path, 4), name)
            write_small(picture, folder / f"{stem[:2]}.png")
        else:
            print(f"{path.relative_to(ROOT)} is missing")


if __name__ == "__main__":
    main()
