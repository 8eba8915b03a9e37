"""What `GradientFlow` costs: the time of `fit` with and without it.

    python benchmarks/gradient_flow.py

For each cell a usual model, an embedding, one layer, a unit on the last output, trains on
batches of 64 sequences of 100 words, with a probe of 16. In turn, for some rounds, it fits
a multiple of n batches without the callback and with it. Reported is the median of the
extra time over the time without, and what the first record takes, which traces the pass.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402

import keras_rnn  # noqa: E402
from keras_rnn.gradient_flow import GradientFlow  # noqa: E402

CELLS = {
    "ElmanRNN": keras_rnn.ElmanRNN,
    "LSTM": keras_rnn.LSTM,
    "GRU": keras_rnn.GRU,
    "keras SimpleRNN": keras.layers.SimpleRNN,
    "keras LSTM": keras.layers.LSTM,
    "keras GRU": keras.layers.GRU,
}
BATCH, TIMESTEPS, WORDS, UNITS, PROBE = 64, 100, 20_000, 128, 16


def main():
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=50, help="n")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    options = parser.parse_args()
    print(
        "| cell | a batch | a record | the first | cost at n = 1 in", options.every, "|"
    )
    print("|---|---:|---:|---:|---:|")
    for name in options.cells:
        print(measure(name, options.every, options.rounds), flush=True)


def measure(name, every, rounds):
    """A row of the table."""
    random = np.random.default_rng(0)
    x = random.integers(1, WORDS, (BATCH * every, TIMESTEPS))
    y = random.integers(0, 2, BATCH * every).astype("float32")
    model = keras.Sequential(
        [
            keras.layers.Embedding(WORDS, 64),
            CELLS[name](UNITS),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy")
    flow = GradientFlow(x[:PROBE], y[:PROBE], every=every, verbose=False)

    def fit(callbacks):
        start = time.perf_counter()
        model.fit(x, y, batch_size=BATCH, callbacks=callbacks, verbose=0)
        return time.perf_counter() - start

    fit([])
    first = fit([flow])
    without, watched = [], []
    for _ in range(rounds):
        without.append(fit([]))
        watched.append(fit([flow]))
    plain = statistics.median(without)
    extra = statistics.median(b - a for a, b in zip(without, watched))
    return (
        f"| {name} | {1e3 * plain / every:.1f} ms | {1e3 * extra:.0f} ms | "
        f"{first - plain:.1f} s | {extra / plain:.1%} |"
    )


if __name__ == "__main__":
    main()
