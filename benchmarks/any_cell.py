"""What a cell of one's own costs, and what a cell without a loop gains.

    python benchmarks/any_cell.py            # some ten minutes on 2 cores
    python benchmarks/any_cell.py --quick    # tiny sizes: does it run at all?

Run it on a quiet machine. Two tables, in Markdown, and `lengths.png`:

- **steps**: a training step (see `peers.py`) of each cell at the shapes A to F, in three
  ways: with its backward step by hand; with `step` alone, so that the backward step is
  automatic; and the latter cell in `keras.layers.RNN`, whose loop calls it. The ratios are
  taken round by round, and of them the median.
- **lengths**: a training step of `MinGRUCell`, all of whose steps are computed at once, and
  of a GRU, by the number of time steps.

`any_cell.json` holds every sample.
"""

import argparse
import os
import statistics
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy  # noqa: E402
import report  # noqa: E402
from peers import SIX_SHAPES, Ours, Problem  # noqa: E402
from train_step import interleaved, machine  # noqa: E402

LENGTHS = [100, 300, 1000, 3000, 10_000]
SAMPLE = 0.02  # seconds, at least


def with_step_alone(cell):
    """The class of a cell whose `step` somebody has written anew, with the same equations."""
    import keras_rnn

    base = {
        "elman": keras_rnn.ElmanCell,
        "lstm": keras_rnn.LSTMCell,
        "gru": keras_rnn.GRUCell,
    }[cell]

    class Own(base):
        def step(self, projected, recurrent, states):
            return super().step(projected, recurrent, states)[0]

    return Own


class Automatic(Ours):
    """A cell with `step` alone, on the fast pass."""

    @staticmethod
    def layer(cell, *args, **kwargs):
        import keras_rnn

        return keras_rnn.RNN(with_step_alone(cell)(*args), **kwargs)


class Loop(Ours):
    """The same cell in Keras's loop."""

    def prepare(self, problem):
        import keras

        cell = with_step_alone(problem.cell)(problem.units)
        layer = keras.layers.RNN(cell, return_sequences=True)
        layer.build(problem.inputs.shape)
        layer.set_weights([*problem.weights.values(), *problem.states.values()])
        return layer, layer.trainable_variables


def check(peers):
    """Raises an `AssertionError` unless all ways have the same gradients."""
    found = [peer.gradients(peer.train()) for peer in peers.values()]
    for other in found[1:]:
        for name, gradient in found[0].items():
            size = numpy.abs(gradient).max()
            numpy.testing.assert_allclose(
                other[name] / size, gradient / size, atol=1e-3
            )


def measure_steps(cell, shape, rounds, sample):
    """The samples of the three ways, by name."""
    problem = Problem.random(cell, *shape)
    ways = {"by hand": Ours, "automatic": Automatic, "loop": Loop}
    peers = {name: way(problem) for name, way in ways.items()}
    check(peers)
    calls = {name: peer.train for name, peer in peers.items()}
    return interleaved(calls, rounds, sample)[1]


def measure_length(steps, rounds, sample, size):
    """The samples of a training step of both cells, by name."""
    import tensorflow as tf

    import keras_rnn

    x = numpy.random.default_rng(0).normal(size=(8, steps, size)).astype("float32")
    inputs = tf.constant(x)

    def step_of(cell):
        layer = keras_rnn.RNN(cell, return_sequences=True)
        layer.build(x.shape)

        @tf.function
        def train():
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(layer(inputs, training=True) ** 2)
            return tape.gradient(loss, layer.trainable_variables)

        return lambda: train()[0].numpy()

    cells = {
        "minGRU": keras_rnn.MinGRUCell(2 * size),
        "GRU": keras_rnn.GRUCell(2 * size),
    }
    calls = {name: step_of(cell) for name, cell in cells.items()}
    return interleaved(calls, rounds, sample)[1]


def ratio(samples, name, other):
    """The median of `name` / `other`, round by round."""
    return statistics.median(a / b for a, b in zip(samples[name], samples[other]))


def draw(lengths, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name, style in (("GRU", "o-"), ("minGRU", "s--")):
        seconds = [statistics.median(samples[name]) for samples in lengths.values()]
        axes.loglog([*lengths], seconds, style, label=name)
    axes.set(xlabel="time steps", ylabel="seconds of a training step")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("output/any_cell"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    shapes, lengths, size = SIX_SHAPES, LENGTHS, 64
    rounds, sample = options.rounds, SAMPLE
    if options.quick:
        shapes, lengths, size, rounds, sample = {"A": (4, 6, 3, 5)}, [10, 20], 4, 2, 0.0

    record = {
        "machine": machine(),
        "steps": {},
        "lengths": {},
    }

    def keep():
        report.write_json(record, options.output / "any_cell.json")

    rows = []
    for cell in ("elman", "lstm", "gru"):
        record["steps"][cell] = {}
        for name, shape in shapes.items():
            samples = measure_steps(cell, shape, rounds, sample)
            record["steps"][cell][name] = samples
            keep()
            print(
                f"{cell:6} {name}: loop / automatic {ratio(samples, 'loop', 'automatic'):.2f}"
                f", by hand / automatic {ratio(samples, 'by hand', 'automatic'):.2f}",
                flush=True,
            )
        found = record["steps"][cell].values()
        means = [
            statistics.geometric_mean(
                ratio(samples, other, "automatic") for samples in found
            )
            for other in ("loop", "by hand")
        ]
        rows.append(f"| {report.TITLES[cell]} | {means[0]:.2f} | {means[1]:.2f} |")
    for steps in lengths:
        samples = measure_length(steps, rounds, sample, size)
        record["lengths"][steps] = samples
        keep()
        print(
            f"{steps} steps: GRU / minGRU {ratio(samples, 'GRU', 'minGRU'):.2f}",
            flush=True,
        )
    draw(record["lengths"], options.output / "lengths.png")
    print("\nTimes as fast as Keras's loop over the same cell, and as by hand:\n")
    print("| cell with `step` alone | Keras's loop | by hand |\n|---|---|---|")
    print("\n".join(rows))
    print("\n| time steps | GRU, ms | minGRU, ms | ratio |\n|---|---|---|---|")
    for steps, samples in record["lengths"].items():
        gru, least = (1e3 * statistics.median(samples[n]) for n in ("GRU", "minGRU"))
        print(
            f"| {steps} | {gru:.3g} | {least:.3g} | {ratio(samples, 'GRU', 'minGRU'):.2f} |"
        )


if __name__ == "__main__":
    main()
