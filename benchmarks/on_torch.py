"""How fast the layers are on PyTorch, beside `torch.nn` and Keras's layers there.

    python benchmarks/on_torch.py                  # all, half an hour on 2 cores
    python benchmarks/on_torch.py --shapes A F --cells lstm --rounds 5
    python benchmarks/on_torch.py --quick          # tiny sizes: does it run at all?

Training steps and inference as in `train_step.py`, at its shapes, with all steps real and
with right-padded rows of random lengths (from a tenth of the steps to all of them), which
`torch.nn` gets as packed sequences. A speed-up is peer / ours within a round; its median
is printed, and the geometric mean over the shapes. `--cpu` takes the seconds of the
processor instead of those of the clock: on a busy machine they tell more.
"""

import argparse
import math
import os
import statistics
import time

import numpy

os.environ["KERAS_BACKEND"] = "torch"

from peers import CORES, GATES, SIX_SHAPES, Problem, Torch  # noqa: E402


class TorchNN(Torch):
    """The layer of `torch.nn`, which packs what is padded."""

    def __init__(self, problem, mask):
        super().__init__(problem)
        self.lengths = None if mask is None else self.torch.tensor(mask.sum(axis=1))

    def _forward(self):
        if self.lengths is None:
            return super()._forward()
        rnn, batch = self.torch.nn.utils.rnn, len(self.lengths)
        states = tuple(state.expand(1, batch, -1).contiguous() for state in self.states)
        packed = rnn.pack_padded_sequence(
            self.inputs, self.lengths, batch_first=True, enforce_sorted=False
        )
        outputs, _ = self.layer(packed, states if len(states) > 1 else states[0])
        return rnn.pad_packed_sequence(
            outputs, batch_first=True, total_length=self.inputs.shape[1]
        )[0]


class Layer:
    """A layer of `keras_rnn`, or of Keras with a state (units,) tiled over the batch."""

    def __init__(self, problem, mask, module):
        import torch

        self.torch, self.problem = torch, problem
        self.mask = None if mask is None else torch.tensor(mask)
        name = {"elman": "ElmanRNN", "lstm": "LSTM", "gru": "GRU"}[problem.cell]
        if not hasattr(module, name):
            name = "SimpleRNN"
        self.layer = getattr(module, name)(problem.units, return_sequences=True)
        self.layer.build(problem.inputs.shape)
        self.states = []
        arrays = [*problem.weights.values(), *problem.states.values()]
        if len(self.layer.weights) < len(arrays):
            self.states = [
                torch.nn.Parameter(torch.tensor(each))
                for each in problem.states.values()
            ]
            arrays = arrays[: len(problem.weights)]
        self.layer.set_weights(arrays)
        self.inputs = torch.tensor(problem.inputs, requires_grad=True)
        self.upstream = torch.tensor(problem.upstream)

    def _forward(self, training):
        batch = len(self.inputs)
        states = [state.expand(batch, -1) for state in self.states] or None
        return self.layer(
            self.inputs, initial_state=states, mask=self.mask, training=training
        )

    def train(self):
        loss = (self._forward(True) * self.upstream).sum()
        weights = [each.value for each in self.layer.trainable_variables]
        wanted = [self.inputs, *weights, *self.states]
        return loss.detach(), self.torch.autograd.grad(loss, wanted)

    def infer(self):
        with self.torch.inference_mode():
            return self._forward(False)


def check_agreement(peers, mask):
    """Raises an `AssertionError` unless all peers put out the same at the real steps."""
    real = slice(None) if mask is None else mask
    wanted = peers["ours"].infer().numpy()[real]
    for name, peer in peers.items():
        numpy.testing.assert_allclose(
            peer.infer().numpy()[real], wanted, rtol=1e-3, atol=1e-3, err_msg=name
        )


def samples(calls, rounds, clock):
    """Seconds of functions that take turns: a list for each, after a call not counted."""
    found = {name: [] for name in calls}
    for turn in range(-1, rounds):
        for name, call in calls.items():
            start = clock()
            call()
            if turn >= 0:
                found[name].append(clock() - start)
    return found


def main(arguments=None):
    import keras

    import keras_rnn

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="+", choices=GATES, default=list(GATES))
    parser.add_argument(
        "--shapes", nargs="+", choices=SIX_SHAPES, default=list(SIX_SHAPES)
    )
    parser.add_argument("--kinds", nargs="+", default=["train", "infer"])
    parser.add_argument("--masks", nargs="+", default=["whole", "padded"])
    parser.add_argument("--peers", nargs="+", default=["torch.nn", "keras"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=CORES)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    clock = time.process_time if options.cpu else time.perf_counter

    import torch

    for kind in options.kinds:
        for masked in options.masks:
            for cell in options.cells:
                ratios = {name: [] for name in options.peers}
                for name in options.shapes:
                    shape = (4, 6, 4, 8) if options.quick else SIX_SHAPES[name]
                    problem, mask = Problem.random(cell, *shape), None
                    if masked == "padded":
                        batch, steps, *_ = shape
                        random = numpy.random.default_rng(0)
                        lengths = random.integers(max(1, steps // 10), steps + 1, batch)
                        mask = numpy.arange(steps) < lengths[:, None]
                    makers = {
                        "ours": lambda *args: Layer(*args, keras_rnn),
                        "torch.nn": TorchNN,
                        "keras": lambda *args: Layer(*args, keras.layers),
                    }
                    peers = {
                        each: makers[each](problem, mask)
                        for each in ("ours", *options.peers)
                    }
                    torch.set_num_threads(options.threads)
                    check_agreement(peers, mask)
                    calls = {each: getattr(peer, kind) for each, peer in peers.items()}
                    found = samples(calls, options.rounds, clock)
                    line = f"{kind} {cell} {masked} {name}:"
                    line += f" ours {1000 * statistics.median(found['ours']):.2f} ms;"
                    for each in options.peers:
                        pairs = zip(found[each], found["ours"])
                        ratios[each].append(statistics.median(a / b for a, b in pairs))
                        line += f" {each} {ratios[each][-1]:.2f}"
                    print(line, flush=True)
                means = {
                    each: math.exp(statistics.fmean(map(math.log, found)))
                    for each, found in ratios.items()
                }
                told = ", ".join(f"{each} {mean:.2f}" for each, mean in means.items())
                print(f"  {kind} {cell} {masked}, geometric mean: {told}", flush=True)


if __name__ == "__main__":
    main()
