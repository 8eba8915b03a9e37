"""What the benchmark writes: JSON, progress, Markdown tables and a plot."""

import json
import os
import statistics

import numpy

TITLES = {"elman": "Elman", "lstm": "LSTM", "gru": "GRU"}
KERAS_NAMES = {"elman": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
PEER_TITLES = {"keras": "Keras", "torch": "PyTorch", "jax": "JAX"}
FIT_TITLES = {
    "dataset": "fit, dataset of fixed shapes",
    "arrays": "fit, arrays",
    "predict": "predict, arrays",
}
# Okabe and Ito's colours, told apart with any colour vision; hatches, without colour.
STYLES = {
    "keras": ("#0072B2", ""),
    "torch": ("#E69F00", "///"),
    "jax": ("#009E73", ".."),
}


def write_json(record, path):
    """Writes the whole file or nothing."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(record, indent=1) + "\n")
    os.replace(partial, path)


def speed_up(samples, peer):
    """Median, 10th and 90th percentile of peer / ours, taken round by round."""
    ratios = [p / o for p, o in zip(samples[peer], samples["ours"])]
    low, middle, high = numpy.percentile(ratios, [10, 50, 90])
    return float(middle), float(low), float(high)


def milliseconds(samples):
    return f"{1e3 * statistics.median(samples):.3g} ms"


def spread(samples, peer):
    return "{:.2f} ({:.2f} to {:.2f})".format(*speed_up(samples, peer))


def others(samples):
    """The peers that were measured, ours left out."""
    return [name for name in samples if name != "ours"]


def progress(kind, entry):
    """A measurement in one line."""
    head = f"{kind:9} {entry['cell']:5} "
    if kind in ("train", "inference"):
        samples = entry["samples"]
        parts = [milliseconds(samples["ours"])]
        parts += [f"x {peer} {spread(samples, peer)}" for peer in others(samples)]
        parts += [f"limit {statistics.median(entry['fractions']):.2f}"]
        return head + f"{entry['shape']}: " + ", ".join(parts)
    if kind == "memory":
        values = [f"{name} {value:.0f} MiB" for name, value in entry["MiB"].items()]
        return head + f"{entry['shape']}: " + ", ".join(values)
    if kind == "fit":
        return head + ", ".join(
            f"{way}: {milliseconds(entry[way]['ours'])}, "
            f"x keras {spread(entry[way], 'keras')}"
            for way in FIT_TITLES
        )
    if kind == "sizes":
        return head + ", ".join(
            f"{name} {found['first']:.2f} s and {found['MiB']:.0f} MiB, "
            f"later {found['later']:.2f} s"
            for name, found in entry.items()
            if name != "cell"
        )
    return head + ", ".join(
        f"{way}, {name}: {statistics.median(found['first']):.2f} s, "
        f"later {statistics.median(found['later']):.2f} s"
        for way in ("one dataset", "ten fits")
        for name, found in entry[way].items()
    )


def table(head, rows):
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def shape_title(record, name):
    return f"{name} ({', '.join(map(str, record['shapes'][name]))})"


def speed_table(record, entries):
    """Speed at each shape, and the geometric mean over the shapes but G."""
    peers = others(entries[0]["samples"])
    rows, means = [], []
    for entry in entries:
        samples = entry["samples"]
        rows.append(
            [shape_title(record, entry["shape"]), milliseconds(samples["ours"])]
            + [spread(samples, peer) for peer in peers]
            + [f"{statistics.median(entry['fractions']):.2f}"]
        )
    batches = [entry["samples"] for entry in entries if entry["shape"] != "G"]
    if batches:
        for peer in peers:
            ratios = [speed_up(samples, peer)[0] for samples in batches]
            means.append(f"**{statistics.geometric_mean(ratios):.2f}**")
        names = [entry["shape"] for entry in entries if entry["shape"] != "G"]
        rows.append([f"geometric mean, {' '.join(names)}", "", *means, ""])
    head = ["(batch, steps, features, units)", "ours"]
    head += [f"x {PEER_TITLES[peer]}" for peer in peers] + ["of the limit"]
    return table(head, rows)


def compile_table(record, entries):
    """Seconds of compilation of the training step: the first call less a later one."""
    names = list(entries[0]["samples"])
    rows = []
    for entry in entries:
        first, later = entry["first_call"], entry["samples"]
        seconds = [max(0, first[n] - statistics.median(later[n])) for n in names]
        rows.append(
            [f"{TITLES[entry['cell']]} {entry['shape']}"]
            + [f"{each:.2f} s" for each in seconds]
        )
    return table(["", "ours", *[PEER_TITLES[name] for name in names[1:]]], rows)


def fit_table(entries):
    rows = [
        [
            TITLES[entry["cell"]],
            title,
            milliseconds(entry[way]["ours"]),
            spread(entry[way], "keras"),
        ]
        for entry in entries
        for way, title in FIT_TITLES.items()
    ]
    return table(["", "", "ours, a step", "x Keras"], rows)


def lengths_table(entry):
    rows = [
        [
            f"{way}, {epoch} epoch",
            *[
                f"{statistics.median(entry[way][n][epoch]):.2f} s"
                for n in ("ours", "graph", "keras")
            ],
        ]
        for way in ("one dataset", "ten fits")
        for epoch in ("first", "later")
    ]
    return table(["", "ours", "ours, graph", KERAS_NAMES[entry["cell"]]], rows)


def sizes_table(entries):
    rows = [
        [
            TITLES[entry["cell"]],
            *[
                f"{entry[name][what]:.{digits}f} {unit}"
                for what, digits, unit in (
                    ("first", 2, "s"),
                    ("MiB", 0, "MiB"),
                    ("later", 2, "s"),
                )
                for name in ("ours", "keras")
            ],
        ]
        for entry in entries
    ]
    head = ["", "ours, first epoch", "Keras", "ours keeps", "Keras"]
    return table([*head, "ours, later epoch", "Keras"], rows)


def memory_table(entries):
    """MiB of each peer, and ours as a fraction of Keras's."""
    names = list(entries[0]["MiB"])
    rows = [
        [f"({', '.join(map(str, entry['shape']))})"]
        + [f"{entry['MiB'][name]:.0f} MiB" for name in names]
        + [f"{entry['MiB']['ours'] / entry['MiB']['keras']:.2f}"]
        for entry in entries
    ]
    first = {
        name: statistics.median(entry["first_use_MiB"][name] for entry in entries)
        for name in names
    }
    rows.append(["first use", *[f"{value:.0f} MiB" for value in first.values()], ""])
    head = ["(batch, steps, features, units)", "ours"]
    head += [*[PEER_TITLES[name] for name in names[1:]], "ours / Keras"]
    return table(head, rows)


def markdown(record):
    """All tables, and a line about the machine."""
    parts = []
    for kind, title in (("train", "training step"), ("inference", "inference")):
        for cell, name in TITLES.items():
            entries = [e for e in record.get(kind, []) if e["cell"] == cell]
            if entries:
                parts += [f"### {name}, {title}", speed_table(record, entries)]
    if "train" in record:
        parts += ["### Compile time, training step"]
        parts += [compile_table(record, record["train"])]
    if "fit" in record:
        parts += [
            f"### model.fit and model.predict at {shape_title(record, 'B')}",
            fit_table(record["fit"]),
        ]
    for entry in record.get("lengths", []):
        parts += [f"### Ten lengths in fit, {TITLES[entry['cell']]}"]
        parts += [lengths_table(entry)]
    if "sizes" in record:
        parts += ["### Batches that each have their own size in fit"]
        parts += [sizes_table(record["sizes"])]
    if "memory" in record:
        cell = TITLES[record["memory"][0]["cell"]]
        parts += [f"### Peak memory of a training step, {cell}"]
        parts += [memory_table(record["memory"])]
    machine = record["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
    quick = (
        " Tiny sizes (--quick): the numbers mean nothing." if record["quick"] else ""
    )
    parts += [
        f"{machine['processor']}, {machine['cores']} cores, {machine['date']}; {versions}. "
        f"Medians of {record['rounds']} rounds; x: how many times as fast as the peer, "
        f"median (10th to 90th percentile).{quick}"
    ]
    return "\n\n".join(parts)


def plot(record, path):
    """Speed-ups as bars: a row for training, one for inference, a column for each cell."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    kinds = [kind for kind in ("train", "inference") if kind in record]
    measured = {entry["cell"] for kind in kinds for entry in record[kind]}
    cells = [cell for cell in TITLES if cell in measured]
    figure, axes = pyplot.subplots(
        len(kinds),
        len(cells),
        figsize=(1.5 + 5 * len(cells), 1 + 3.6 * len(kinds)),
        squeeze=False,
        layout="constrained",
    )
    for row, kind in zip(axes, kinds):
        for axis, cell in zip(row, cells):
            entries = [entry for entry in record[kind] if entry["cell"] == cell]
            _bars(axis, entries)
            title = {"train": "training step", "inference": "inference"}[kind]
            axis.set_title(f"{TITLES[cell]}, {title}")
        row[0].set_ylabel("times as fast as the peer")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    machine = record["machine"]
    figure.suptitle(
        f"keras_rnn beside its peers: {machine['processor']}, {machine['cores']} cores"
    )
    partial = path.with_name(path.name + ".partial")
    figure.savefig(partial, dpi=150, format="png")
    os.replace(partial, path)
    pyplot.close(figure)


def _bars(axis, entries):
    """A group of bars for each shape, a bar for each peer, with the spread."""
    peers = others(entries[0]["samples"])
    places = numpy.arange(len(entries))
    width = 0.8 / len(peers)
    for i, peer in enumerate(peers):
        found = numpy.array([speed_up(entry["samples"], peer) for entry in entries])
        middle, low, high = found.T
        colour, hatch = STYLES[peer]
        bars = axis.bar(
            places + (i - (len(peers) - 1) / 2) * width,
            middle,
            width,
            yerr=[middle - low, high - middle],
            error_kw={"elinewidth": 0.8},
            color=colour,
            hatch=hatch,
            edgecolor="white",
            label=f"against {PEER_TITLES[peer]}",
        )
        axis.bar_label(bars, fmt="%.1f", fontsize=7, padding=2)
    axis.axhline(1, color="black", linewidth=1, linestyle="--", label="as fast")
    axis.set_xticks(places, [entry["shape"] for entry in entries])
    axis.set_xlabel("shape")
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(y=0.12)
