"""How far data parallelism carries: measured here, and on paper to 256 hosts.

    KERAS_BACKEND=jax python benchmarks/scaling.py

measures on this machine how long a step takes at several batch sizes, how much that
varies, and how long two processes take to add up their gradients on loopback. From
that, and from assumed networks, it works out `scaling.md` and `scaling.png`.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / name) for name in ("tutorials", "examples")]

from workshop import devices, errors, files, machine, plots  # noqa: E402
from workshop.errors import UsageError  # noqa: E402

# isort: split
import keras  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import train_sentiment as sentiment  # noqa: E402

import keras_rnn  # noqa: E402

LOCAL = [1, 4, 16, 64]  # examples of one host
HOSTS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
TOTAL = 256  # examples of all hosts together, in strong scaling
SIZES = [2**k for k in range(12, 25, 2)]  # bytes to add up on loopback
NETWORKS = [(1, 50e-6), (10, 25e-6), (100, 5e-6)]  # Gbit/s, seconds: assumed
WORDS, WINDOW, CHARACTERS = 256, 100, 96  # of a review, of a window, all there are


# --------------------------------------------------------------------- the networks


def sentiment_network():
    """The network of train_sentiment.py at its defaults, and a batch for it."""
    settings = sentiment.Settings.of(sentiment.read_options([]))
    network = sentiment.build_network(settings, 1000)

    def batch(size, random):
        words = random.integers(1, settings.words, (size, WORDS))
        return words.astype("int32"), random.integers(0, 2, size).astype("float32")

    return network, batch


def character_network(cell):
    """The network of the character tutorial with 512 units, and a batch for it."""
    characters = "".join(map(chr, range(32, 32 + CHARACTERS)))
    network = keras_rnn.Generator(characters, cell(512))
    network.compile(
        keras.optimizers.Adam(1e-3, beta_2=0.99, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    def batch(size, random):
        drawn = random.integers(0, CHARACTERS, (size, WINDOW + 1)).astype("int32")
        return drawn[:, :-1], drawn[:, 1:]

    return network, batch


BUILD = {
    "sentiment, Elman 16": sentiment_network,
    "characters, Elman 512": lambda: character_network(keras_rnn.ElmanCell),
    "characters, GRU 512": lambda: character_network(keras_rnn.GRUCell),
}


# --------------------------------------------------------------------- measurements


def measure_steps(build, seconds):
    """The gradients' size in bytes, and for each local batch the times of steps."""
    network, batch = build()
    random, times = np.random.default_rng(0), {}
    for size in LOCAL:
        x, y = batch(size, random)
        for _ in range(2):  # the first compiles
            network.train_on_batch(x, y)
        times[size], end = [], time.perf_counter() + seconds
        while time.perf_counter() < end or len(times[size]) < 5:
            began = time.perf_counter()
            network.train_on_batch(x, y)
            times[size].append(time.perf_counter() - began)
    bytes_ = sum(4 * int(np.prod(w.shape)) for w in network.trainable_weights)
    return bytes_, times


def add_up(repeats=30):
    """What one of two processes does: adds up arrays of each size with the other."""
    import jax

    job = devices._job(os.environ)
    with devices.Processes(*job, batch_size=2) as shared:
        mesh = jax.sharding.Mesh(np.array(jax.devices()), ("hosts",))
        spec = jax.sharding.PartitionSpec
        rows = jax.sharding.NamedSharding(mesh, spec("hosts"))
        everywhere = jax.sharding.NamedSharding(mesh, spec())
        total = jax.jit(lambda x: x.sum(axis=0), out_shardings=everywhere)
        found = {}
        for size in SIZES:
            own = np.ones((1, size // 4), "float32")
            array = jax.make_array_from_process_local_data(rows, own)
            times = []
            for _ in range(repeats):
                began = time.perf_counter()
                total(array).block_until_ready()
                times.append(time.perf_counter() - began)
            found[size] = statistics.median(times[2:])
    if shared.first:
        print(json.dumps(found))


def measure_loopback():
    """The median time in which two processes add up arrays, for each size in bytes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    running = []
    for i in range(2):
        values = (address, "2", str(i))
        running.append(
            subprocess.Popen(
                [sys.executable, __file__, "--add-up"],
                env={**os.environ, **dict(zip(devices.VARIABLES, values))},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    printed = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError("the two processes did not come to an end")
    found = json.loads(printed[0].splitlines()[-1])
    return {int(size): seconds for size, seconds in found.items()}


# ---------------------------------------------------------------------- the reckoning


def all_reduce(size, hosts, gigabits, latency):
    """The seconds in which a ring of hosts adds up `size` bytes.

    Each host sends 2 (n - 1) messages of size / n bytes to the next one (Pitch Patarasuk,
    Xin Yuan, 2009, Bandwidth optimal all-reduce algorithms for clusters of workstations).
    """
    messages = 2 * (hosts - 1)
    return messages * (latency + size / hosts / (gigabits * 1e9 / 8))


def compute(medians, batch):
    """The seconds of a step at any local batch: between the measured, and beyond."""
    sizes = sorted(medians)
    if batch >= sizes[-1]:
        (a, b) = sizes[-2:]
        slope = (medians[b] - medians[a]) / (b - a)
        return medians[b] + slope * (batch - b)
    return float(np.interp(batch, sizes, [medians[size] for size in sizes]))


def step(seconds, reduce, overlap):
    """The seconds of a step with the communication in it.

    With overlap, gradients travel while the backward pass, two thirds of the step, goes
    on. That is the best that can be: the gradient of a recurrent kernel is a sum over all
    time steps, and whole only when the backward pass is over.
    """
    if overlap:
        return seconds / 3 + max(2 / 3 * seconds, reduce)
    return seconds + reduce


def simulate(seconds, ratios, reduce, hosts, steps=2000):
    """The mean seconds of a step in which each host has its own delay, and all wait.

    The delays are drawn from the measured ones, `ratios` of step to median step.
    """
    random = np.random.default_rng(0)
    slowest = random.choice(ratios, (steps, hosts)).max(axis=1)
    return float(np.mean(slowest) * seconds + reduce)


def enough(medians, reduce, share=0.1):
    """The least local batch with which communication is at most a share of a step."""
    for batch in range(1, 100_001):
        if reduce <= share * (compute(medians, batch) + reduce):
            return batch
    return None


# ------------------------------------------------------------------------ the document


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def percent(share):
    return f"{100 * share:.0f} %"


def milliseconds(seconds):
    return f"{1e3 * seconds:.3g}"


def reckon(measured):
    """For each network of weights: what the document says of it."""
    found = {}
    for name, (size, times) in measured.items():
        medians = {batch: statistics.median(t) for batch, t in times.items()}
        batch = 64 if "sentiment" in name else 16
        ratios = np.array(times[batch]) / medians[batch]
        one = {"size": size, "medians": medians, "batch": batch, "ratios": ratios}
        seconds = medians[batch]
        for gigabits, latency in NETWORKS:
            weak, overlapped, strong, straggling = [], [], [], []
            for hosts in HOSTS:
                reduce = all_reduce(size, hosts, gigabits, latency)
                weak.append(seconds / step(seconds, reduce, False))
                overlapped.append(seconds / step(seconds, reduce, True))
                part = compute(medians, TOTAL / hosts)
                whole = compute(medians, TOTAL)
                strong.append(whole / hosts / step(part, reduce, False))
                mean = seconds * float(np.mean(ratios))
                straggling.append(mean / simulate(seconds, ratios, reduce, hosts))
            last = all_reduce(size, HOSTS[-1], gigabits, latency)
            one[gigabits] = {
                "weak": weak,
                "overlapped": overlapped,
                "strong": strong,
                "straggling": straggling,
                "reduce": last,
                "enough": enough(medians, last),
            }
        found[name] = one
    return found


def draw(found, path):
    """A picture of the efficiencies, by the number of hosts."""
    size = (16, 4.3 * len(found))
    figure, rows = plt.subplots(
        len(found), 3, figsize=size, sharex=True, sharey=True, squeeze=False
    )
    colours = dict(zip([g for g, _ in NETWORKS], ["#D55E00", "#0072B2", "#009E73"]))
    marks = dict(zip([g for g, _ in NETWORKS], "os^"))
    kinds = [
        ("weak", "the batch grows with the hosts"),
        ("straggling", "the same, and all wait for the slowest"),
        ("strong", f"{TOTAL} examples, however many hosts"),
    ]
    for row, (name, one) in zip(rows, found.items()):
        for axes, (kind, title) in zip(row, kinds):
            for gigabits, _ in NETWORKS:
                axes.semilogx(
                    HOSTS,
                    one[gigabits][kind],
                    color=colours[gigabits],
                    marker=marks[gigabits],
                    base=2,
                    label=f"{gigabits} Gbit/s",
                )
                if kind == "weak":
                    axes.semilogx(
                        HOSTS, one[gigabits]["overlapped"], "--", base=2, linewidth=1.5,
                        color=colours[gigabits],
                        label=f"{gigabits} Gbit/s, overlapped",
                    )  # fmt: skip
            axes.set_ylim(0, 1.3)
            axes.set_xticks(HOSTS, HOSTS)
            axes.minorticks_off()
            axes.set_title(f"{name}:\n{title}", fontsize=13)
        row[0].set_ylabel("efficiency")
    for axes in rows[-1]:
        axes.set_xlabel("hosts")
    handles, labels = rows[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    plots.save_figure(figure, path)


def document(found, loopback, machine):
    """The text of `scaling.md`."""
    last = HOSTS[-1]
    sizes = [
        [
            name,
            f"{one['size'] // 4:,}",
            f"{one['size'] / 1e6:.2f} MB",
            *(milliseconds(one["medians"][batch]) for batch in LOCAL),
            one["batch"],
            f"{np.percentile(one['ratios'], 95):.2f}, {one['ratios'].max():.2f}",
        ]
        for name, one in found.items()
    ]
    scaling = []
    for name, one in found.items():
        for gigabits, _ in NETWORKS:
            each = one[gigabits]
            at = [HOSTS.index(n) for n in (8, 64, last)]
            scaling.append(
                [
                    name,
                    gigabits,
                    milliseconds(each["reduce"]),
                    *(
                        " / ".join(percent(each[kind][i]) for i in at)
                        for kind in ("weak", "overlapped", "straggling", "strong")
                    ),
                    each["enough"] or "more than 100,000",
                ]
            )
    largest = max(loopback)
    rate = largest * 8 / loopback[largest] / 1e9
    links = "; ".join(f"{g} Gbit/s with {1e6 * s:.0f} µs" for g, s in NETWORKS)
    return f"""# How far data parallelism carries

Written by `KERAS_BACKEND=jax python benchmarks/scaling.py`. {machine}

Each host reads its part of a batch and computes a gradient; the hosts add the gradients
up; all take the same step. So in each step each host computes, and sends and receives
2 (n - 1) / n times the bytes of the weights, whatever the batch (ring all-reduce, n
hosts). An embedding counts in full: its gradient is dense in Keras.

## Measured

A step of one host (`train_on_batch`, medians, in ms) at a local batch of {LOCAL[0]} to
{LOCAL[-1]} examples. Reviews of {WORDS} words, windows of {
        WINDOW
    } characters. The jitter
is how many times the median the slowest 5 % of the steps take, at least, and the slowest
one of all, at the local batch of the column before it.

{
        table(
            ["network", "weights", "gradient"]
            + [f"batch {b}" for b in LOCAL]
            + ["local batch below", "jitter: 95 %, worst"],
            sizes,
        )
    }

Two processes on loopback add up arrays (medians of 28):

{
        table(
            ["bytes", "ms"],
            [[f"{size:,}", milliseconds(s)] for size, s in loopback.items()],
        )
    }

That is {milliseconds(min(loopback.values()))} ms for the least, which is latency, and
{rate:.1f} Gbit/s for the largest. (Sum and two cores included: no network is in it.)

## On paper

Assumed networks: {links} for each message. Efficiency is the useful work in the time
that {last} or fewer hosts take, 100 % where communication and waiting cost nothing; at
8 / 64 / {
        last
    } hosts. *Weak*: each host keeps its local batch. *Overlapped*: the same, if
gradients could travel during all of the backward pass, which is a bound: the gradient of
a recurrent kernel is whole only at its end. *Stragglers*: a simulation of 2,000 steps;
each host's delay is drawn from the measured ones, and all wait for the slowest. *Strong*:
{TOTAL} examples in all (above a local batch of {LOCAL[-1]}, step times are extrapolated
linearly; more than 100 % is where an example costs more in a large batch than in a small
one). The last column is the local batch with which communication is a tenth of a
step of {last} hosts.

{
        table(
            [
                "network",
                "Gbit/s",
                f"all-reduce of {last}, ms",
                "weak",
                "overlapped",
                "stragglers",
                "strong",
                "local batch for a tenth",
            ],
            scaling,
        )
    }

![Efficiency by the number of hosts](scaling.png)

{conclusions(found)}
What this leaves out: a network that several jobs share, hosts that differ, reading from
disk, and what a larger batch does to learning. Nothing beyond two processes was run.
"""


def conclusions(found):
    """What follows from the figures, in words."""
    lines, last = ["## What follows", ""], HOSTS[-1]
    for name, one in found.items():
        parts = [
            f"{percent(one[g]['weak'][-1])} at {g} Gbit/s without stragglers and "
            f"{percent(one[g]['straggling'][-1])} with them"
            for g, _ in NETWORKS
        ]
        best = max(
            (
                HOSTS[i]
                for g, _ in NETWORKS[1:2]
                for i in range(len(HOSTS))
                if one[g]["strong"][i] >= 0.5
            ),
            default=1,
        )
        lines += [
            f"- **{name}**, {one['batch']} examples a host, {last} hosts: "
            f"{'; '.join(parts)}. With {TOTAL} examples in all, up to "
            f"{best} hosts at 10 Gbit/s lose less than half of their time.",
        ]
    return "\n".join(lines) + "\n"


def measured_where():
    """One sentence: where and when."""
    versions = machine.versions()
    return (
        f"{machine.machine_and_date()}; Python "
        f"{versions['python']}, Keras {versions['keras']}, JAX {versions['jax']}."
    )


@errors.reported
def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--output", type=Path, default=HERE.parent / "docs", metavar="DIR"
    )
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="to measure each batch size"
    )
    parser.add_argument("--add-up", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if keras.backend.backend() != "jax":
        raise UsageError("several hosts are JAX's: set KERAS_BACKEND=jax")
    if options.add_up:
        return add_up()
    files.make_writable(options.output)
    loopback = measure_loopback()
    measured = {}
    for name, build in BUILD.items():
        measured[name] = measure_steps(build, options.seconds)
        print(
            name, {b: milliseconds(np.median(t)) for b, t in measured[name][1].items()}
        )
    found = reckon(measured)
    draw(found, options.output / "scaling.png")
    with files.replacing(options.output / "scaling.md") as new:
        new.write_text(document(found, loopback, measured_where()), "utf-8")
    return 0


if __name__ == "__main__":
    errors.start(main)
