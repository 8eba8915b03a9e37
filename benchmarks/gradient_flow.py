"""What `GradientFlow` costs: the time of `fit` with and without it.

    python benchmarks/gradient_flow.py

For each cell a usual model, an embedding, one layer, a unit on the last output, trains on
batches of 64 sequences of 100 words, with a probe of 16. The time that the callback takes
is taken within `fit`, around its own call: `fit` waits for it. So the two times that are
compared come from the same seconds. Reported are medians over some rounds of n batches,
and what the first record takes, which traces the pass.
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


class Timed(GradientFlow):
    """Takes the time of each record."""

    seconds = ()

    def on_train_batch_begin(self, batch, logs=None):
        before, start = len(self.records), time.perf_counter()
        super().on_train_batch_begin(batch, logs)
        if len(self.records) > before:
            self.seconds = (*self.seconds, time.perf_counter() - start)


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
    flow = Timed(x[:PROBE], y[:PROBE], every=every, verbose=False)
    totals = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        model.fit(x, y, batch_size=BATCH, callbacks=[flow], verbose=0)
        totals.append(time.perf_counter() - start)
    first, *records = flow.seconds  # one for each fit
    rest = [total - record for total, record in zip(totals[1:], records)]
    cost = statistics.median(record / time for record, time in zip(records, rest))
    return (
        f"| {name} | {1e3 * statistics.median(rest) / every:.1f} ms | "
        f"{1e3 * statistics.median(records):.0f} ms | {first:.1f} s | {cost:.1%} |"
    )


if __name__ == "__main__":
    main()
