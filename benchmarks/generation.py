"""How fast `keras_rnn.generation.Generator` writes, beside other ways to write.

    python benchmarks/generation.py            # some minutes on 2 cores
    python benchmarks/generation.py --quick    # tiny sizes: does it run at all?

Run it on a quiet machine. All write one text with one network of the same weights: an
embedding of 64 numbers for each of 96 characters, an Elman cell of 256 units, the logits
of the next character, and a draw at temperature 1. Before anything is timed, all of them
write the same greedy text, or it ends there.

- **ours**: `Generator.generate`: the state is handed on, and the loop runs in the graph.
- **naive**: the whole text so far is read again for each character, by the fast pass of
  our layer in a compiled function. What that costs grows with the square of the length:
  it is run at the lengths up to 1,000.
- **keras**: a model with `keras.layers.SimpleRNN(stateful=True)`, called once for each
  character; the call and the draw are one compiled function.
- **torch**: a loop in Python over `torch.nn.RNNCell`, without gradients.

A sample is a whole text. They are taken in turn, in each of some rounds, after a text
that is not counted. `generation.json` holds every sample; the table is Markdown.
"""

import argparse
import statistics
import string
import time
from pathlib import Path

import numpy
import report
from peers import installed
from train_step import interleaved, machine

import keras_rnn  # `train_step` has chosen the backend
from keras_rnn.generation import Generator

VOCABULARY = string.printable[:96]
PROMPT = "a"
LONGEST_NAIVE = 1000
TITLES = {
    "ours": "`Generator.generate`",
    "naive": "the whole prefix again",
    "keras": "Keras, stateful",
    "torch": "PyTorch, `RNNCell`",
}

FULL = {"lengths": [500, 1000, 5000], "embedding_units": 64, "units": 256, "rounds": 7}
QUICK = {"lengths": [10, 20], "embedding_units": 4, "units": 8, "rounds": 2}


def network(sizes):
    """A generator with large weights, but not so large that rounding errors grow."""
    generator = Generator(
        VOCABULARY, keras_rnn.ElmanCell(sizes["units"]), sizes["embedding_units"]
    )
    rng = numpy.random.default_rng(0)
    for weight in generator.weights:
        scale = 0.1 if len(weight.shape) == 1 else weight.shape[0] ** -0.5
        weight.assign(rng.normal(size=weight.shape, scale=scale))
    generator.embedding.embeddings.assign(
        rng.normal(size=generator.embedding.embeddings.shape)
    )
    return generator


class Ours:
    def __init__(self, generator):
        self.generator = generator

    def write(self, length, temperature=1.0):
        return self.generator.generate(PROMPT, length, temperature, seed=1)


class Naive:
    """Reads the whole text so far, for each character."""

    def __init__(self, generator):
        import tensorflow as tf

        self.generator = generator

        @tf.function(input_signature=[tf.TensorSpec((1, None), tf.int32)])
        def logits(tokens):
            return generator(tokens)[:, -1]

        self.logits, self.draw = logits, tf.function(_draw)

    def write(self, length, temperature=1.0):
        tokens = list(self.generator.encode(PROMPT))
        for _ in range(length):
            logits = self.logits(numpy.array([tokens], "int32"))
            tokens.append(int(self.draw(logits, temperature > 0)[0]))
        return self.generator.decode(tokens[-length:])


def _draw(logits, at_random):
    import tensorflow as tf

    if at_random:
        return tf.random.categorical(logits, 1, dtype=tf.int32)[:, 0]
    return tf.argmax(logits, axis=-1, output_type=tf.int32)


class Keras:
    """A model that keeps its state between calls."""

    def __init__(self, generator):
        import keras
        import tensorflow as tf

        self.generator = generator
        (level,) = generator.levels
        rnn = keras.layers.SimpleRNN(level.cell.units, stateful=True)
        model = keras.Sequential(
            [
                keras.Input((1,), batch_size=1),
                keras.layers.Embedding(len(VOCABULARY), generator.embedding_units),
                rnn,
                keras.layers.Dense(len(VOCABULARY)),
            ]
        )
        weights = {w.name: w for w in level.cell.weights}
        self.first = weights["initial_state"].numpy()[None]
        names = ("kernel", "recurrent_kernel", "bias")
        model.layers[0].set_weights(generator.embedding.get_weights())
        rnn.set_weights([weights[name].numpy() for name in names])
        model.layers[2].set_weights(generator.logits.get_weights())
        self.rnn = rnn

        @tf.function
        def step(token, at_random):
            return _draw(model(token[:, None]), at_random)

        self.step = step

    def write(self, length, temperature=1.0):
        self.rnn.states[0].assign(self.first)
        (token,) = self.generator.encode(PROMPT)
        token, tokens = numpy.array([token], "int32"), []
        for _ in range(length):
            token = self.step(token, temperature > 0)
            tokens.append(int(token[0]))
        return self.generator.decode(tokens)


class Torch:
    """A loop over `torch.nn.RNNCell`."""

    def __init__(self, generator):
        import torch

        torch.set_num_threads(1)  # the products are too small to be shared
        self.torch, self.generator = torch, generator
        (level,) = generator.levels
        weights = {w.name: torch.tensor(w.numpy()) for w in level.cell.weights}
        units, features = level.cell.units, generator.embedding_units
        self.first = weights["initial_state"][None]
        self.embedding = torch.nn.Embedding(len(VOCABULARY), features)
        self.cell = torch.nn.RNNCell(features, units)
        self.logits = torch.nn.Linear(units, len(VOCABULARY))
        kernel, bias = map(torch.tensor, generator.logits.get_weights())
        with torch.no_grad():
            self.embedding.weight.copy_(
                torch.tensor(generator.embedding.get_weights()[0])
            )
            self.cell.weight_ih.copy_(weights["kernel"].T)
            self.cell.weight_hh.copy_(weights["recurrent_kernel"].T)
            self.cell.bias_ih.copy_(weights["bias"])
            self.cell.bias_hh.zero_()
            self.logits.weight.copy_(kernel.T)
            self.logits.bias.copy_(bias)

    def write(self, length, temperature=1.0):
        torch = self.torch
        with torch.inference_mode():
            state, tokens = self.first, []
            token = torch.tensor(self.generator.encode(PROMPT))
            for _ in range(length):
                state = self.cell(self.embedding(token), state)
                logits = self.logits(state)
                if temperature:
                    token = torch.multinomial(torch.softmax(logits, -1), 1)[:, 0]
                else:
                    token = logits.argmax(-1)
                tokens.append(int(token))
        return self.generator.decode(tokens)


WRITERS = {"ours": Ours, "naive": Naive, "keras": Keras, "torch": Torch}


def check_agreement(writers, length):
    """Ends the program unless all write the same greedy text."""
    texts = {name: writer.write(length, 0) for name, writer in writers.items()}
    if len(set(texts.values())) > 1:
        raise SystemExit(f"The ways to write do not agree: {texts}")


def markdown(record):
    """Characters per second, medians, and how many times the naive way that is."""
    lengths, samples = record["lengths"], record["samples"]

    def speed(name, length):
        found = samples[str(length)].get(name)
        return length / statistics.median(found) if found else None

    rows = []
    for name in samples[str(lengths[0])]:
        speeds = [speed(name, length) for length in lengths]
        rows.append([TITLES[name]] + [f"{s:,.0f}" if s else "" for s in speeds])
    head = ["characters per second, texts of", *(f"{n:,}" for n in lengths)]
    at = max(n for n in lengths if n <= LONGEST_NAIVE)
    times = speed("ours", at) / speed("naive", at)
    slower = speed("ours", lengths[0]) / speed("ours", lengths[-1])
    about, quick = record["machine"], record["quick"]
    versions = ", ".join(f"{k} {v}" for k, v in about["versions"].items())
    notes = [
        f"At {at:,} characters ours is {times:.1f} times as fast as the naive way. A "
        f"character of a text of {lengths[-1]:,} takes {slower:.2f} times the time of "
        f"one of a text of {lengths[0]:,}.",
        f"{about['processor']}, {about['cores']} cores, {about['date']}; {versions}. "
        f"Medians of {record['rounds']} rounds."
        + (" Tiny sizes (--quick): the numbers mean nothing." if quick else ""),
    ]
    return "\n\n".join([report.table(head, rows), *notes])


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help="default 7, with --quick 2")
    parser.add_argument("--output", type=Path, default=Path("output/benchmarks"))
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    sizes = QUICK if options.quick else FULL
    rounds = options.rounds or sizes["rounds"]
    names = [name for name in WRITERS if name != "torch" or "torch" in installed()]
    if "torch" not in names:
        print("torch is not installed: skipped", flush=True)
    started = time.perf_counter()
    generator = network(sizes)
    writers = {name: WRITERS[name](generator) for name in names}
    check_agreement(writers, min(sizes["lengths"]) // 5)
    print(f"{time.perf_counter() - started:6.0f} s  all agree", flush=True)

    options.output.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine(), "quick": options.quick, "rounds": rounds}
    record |= {**sizes, "rounds": rounds, "first": {}, "samples": {}}
    # All lengths in turn, too: a machine that grows slow is not slow for the long texts.
    calls = {
        (length, name): lambda writer=writer, length=length: writer.write(length)
        for length in sizes["lengths"]
        for name, writer in writers.items()
        if name != "naive" or length <= LONGEST_NAIVE
    }
    for key, found in zip(("first", "samples"), interleaved(calls, rounds)):
        for (length, name), seconds in found.items():
            record[key].setdefault(str(length), {})[name] = seconds
    report.write_json(record, options.output / "generation.json")
    print(f"{time.perf_counter() - started:6.0f} s  measured", flush=True)
    print("\n" + markdown(record))


if __name__ == "__main__":
    main()
