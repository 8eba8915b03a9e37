"""What the tutorials share: options, errors, safe files, resuming, the look of plots.

A tutorial is a script with a `main(argv=None)`, decorated with `tells_mistakes`, which
`start(main)` runs. What the user got wrong it reports with `raise Mistake("...")`: one
line on stderr, exit code 2.
"""

import argparse
import contextlib
import csv
import dataclasses
import datetime
import functools
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path


@contextlib.contextmanager
def _quiet():
    """Sends what native code writes to stderr to nowhere."""
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


# TensorFlow prints lines about its own start, some of which no setting turns off. Who
# sets the variable wants to see them.
if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
    import keras
else:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _quiet():
        import keras

        if keras.backend.backend() != "tensorflow":
            with contextlib.suppress(ImportError):
                import tensorflow  # noqa: F401

import matplotlib  # noqa: E402
import matplotlib.pyplot  # noqa: E402
import numpy as np  # noqa: E402

matplotlib.use("Agg")  # files, not windows


# ---------------------------------------------------------------- options and errors


class Mistake(Exception):
    """Something that the user has to put right, told in one line."""


class Options(argparse.ArgumentParser):
    """The command line of a tutorial: its own options come after the common ones.

    There is no `--resume` with `resumes=False`, where nothing is trained for long.
    """

    def __init__(self, description, output, resumes=True):
        super().__init__(
            description=description,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
            allow_abbrev=False,
        )
        self.add_argument(
            "--output", type=Path, default=output, metavar="DIR", help="where to write"
        )
        if resumes:
            self.add_argument(
                "--resume",
                action="store_true",
                help="go on with the run in DIR that was interrupted",
            )
        self.add_argument("--seed", type=natural, default=1, help="of all randomness")
        self.add_argument(
            "--quick",
            action="store_true",
            help="a small network and little data, to see that everything works",
        )

    def error(self, message):
        raise Mistake(message)

    def count(self, name, default, help):
        """Adds an option that is 1, 2, 3, ..."""
        self.add_argument(name, type=positive, default=default, help=help)

    def switch(self, name, default, help):
        """Adds an option that is turned on by `--NAME` and off by `--no-NAME`."""
        yes_or_no = argparse.BooleanOptionalAction
        self.add_argument(name, action=yes_or_no, default=default, help=help)

    def parse(self, argv, quick):
        """The options, where `--quick` puts the defaults `quick` in the usual's place."""
        options = self.parse_args(argv)
        if options.quick:
            self.set_defaults(**quick)
            options = self.parse_args(argv)
        return options


def _whole(text, least):
    with contextlib.suppress(ValueError):
        if int(text) >= least:
            return int(text)
    raise argparse.ArgumentTypeError(
        f"must be a whole number, {least} or more, not {text!r}"
    )


def natural(text):
    """The type of an option that is 0, 1, 2, ..."""
    return _whole(text, 0)


def positive(text):
    """The type of an option that is 1, 2, 3, ..."""
    return _whole(text, 1)


class Settings:
    """What decides the networks of a tutorial, which makes a dataclass of it.

    The fields are options of the command line, and others, which have defaults.
    """

    small = {}  # those of the others that are something else with `--quick`

    @classmethod
    def of(cls, options):
        """The settings that the options ask for."""
        names = {field.name for field in dataclasses.fields(cls)}
        chosen = {name: value for name, value in vars(options).items() if name in names}
        return cls(**chosen, **(cls.small if options.quick else {}))


def start(main):
    """Runs a tutorial: as a script with its command line, in a notebook without."""
    if "ipykernel" in sys.modules:
        main([])
    else:
        sys.exit(main())


def tells_mistakes(main):
    """A `main` that tells a `Mistake` in one line on stderr and returns 2."""

    @functools.wraps(main)
    def told(argv=None):
        try:
            return main(argv) or 0
        except Mistake as mistake:
            print("error:", " ".join(str(mistake).split()), file=sys.stderr)
            return 2

    return told


def need_tensorflow(what, or_jax=False):
    """Raises a `Mistake` unless Keras runs on TensorFlow (or, with `or_jax`, on JAX)."""
    names = ["tensorflow", "jax"] if or_jax else ["tensorflow"]
    if keras.backend.backend() not in names:
        raise Mistake(
            f"{what} needs {' or '.join(names)}, but Keras runs on "
            f"{keras.backend.backend()}: set KERAS_BACKEND={' or '.join(names)}"
        )


def no_saved_model(folder):
    """Tells that there is none, where TensorFlow does not run; one before goes."""
    _remove(folder / "saved_model")
    print(
        "There is no saved_model: it is TensorFlow's alone, and Keras runs on "
        f"{keras.backend.backend()}. model.keras loads under KERAS_BACKEND=tensorflow, too."
    )


# ------------------------------------------------------------------- what is given


@contextlib.contextmanager
def reading(path, kind="text", **how):
    """The user's file, open to be read. Raises a `Mistake` if it cannot be read.

    Args:
        path: The file.
        kind: String, what it should be, in UTF-8.
        **how: More arguments of `open`.
    """
    try:
        with path.open(encoding="utf-8-sig", **how) as file:
            yield file
    except OSError as error:
        raise Mistake(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise Mistake(f"{path} is not a {kind} in UTF-8: {error}") from error


def prepare(builder, name, download):
    """Prepares a data set of TensorFlow Datasets, unless it is there already.

    Without `download` it has to be.
    """
    if builder.is_prepared():
        return
    if not download:
        raise Mistake(
            f"{name} is not in {builder.data_path.parent}: add --download to fetch it"
        )
    import tensorflow_datasets as tfds

    print(f"Preparing {name}, once.")
    tfds.disable_progress_bar()
    builder.download_and_prepare()


def trained(folder, option):
    """The network that a run wrote to the folder, for which the option asks."""
    path = folder / "model.keras"
    if not path.is_file():
        raise Mistake(f"{option}: there is no trained network in {folder}")
    try:
        return keras.saving.load_model(path)
    except (OSError, ValueError) as error:
        raise Mistake(f"{option}: {path} cannot be loaded: {error}") from error


# ------------------------------------------------------------------------ safe files


def make_writable(folder):
    """Makes the folder if need be. Raises a `Mistake` if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Mistake(f"cannot write to {folder}: {error.strerror}") from error


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path):
    """A path to write a file or a folder to, which then takes the place of `path`.

    Whenever the writer is killed, a reader finds the old one or the new one, each of
    them whole. (A folder is missing for the moment between two renamings: what was there
    is then in `.old-NAME`.)
    """
    path = Path(path)
    new = path.with_name(f".new-{path.name}")
    old = path.with_name(f".old-{path.name}")
    _remove(new)
    try:
        yield new
        if path.is_dir():
            _remove(old)
            path.rename(old)
        os.replace(new, path)
    finally:
        _remove(new)
    _remove(old)


def write_json(path, value):
    """Writes the value as a JSON file, whole or not at all."""
    with replacing(path) as new:
        new.write_text(json.dumps(value, indent=2) + "\n", "utf-8")


def write_csv(path, rows):
    """Writes a list of dicts, all with the same keys, as a CSV file."""
    with replacing(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)


def machine_and_date():
    """Where and when something was measured: "2 cores of a ..., 1 January 2026"."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    cores, day = os.cpu_count(), datetime.date.today()
    return (
        f"{cores} {'core' if cores == 1 else 'cores'} of an "
        f"{(names or ['unknown CPU'])[0]}, {day.day} {day:%B %Y}"
    )


def versions():
    """The versions of what a result depends on."""
    names = ["keras", "tensorflow", "jax", "numpy", "keras-rnn"]
    found = {"python": platform.python_version()}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


# -------------------------------------------------------------------------- resuming


class Alone:
    """The one process of a run that shares its work with no other.

    With `--distribute` one of the classes of `devices` stands in its place.
    """

    first = True  # of the processes: the one that writes and prints
    carries = True  # from batch to batch the state of each row

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def agree(self, options):
        """Raises a `Mistake` unless all processes run with the same options."""

    def share(self, heap):
        """The examples of a batch that this process reads, and a tuple of weights.

        Args:
            heap: Array of integers: which examples make the batch.
        """
        return heap, ()

    def scope(self):
        """The context in which networks are made and trained."""
        return contextlib.nullcontext()

    def apart(self):
        """The context in which what is made and done is this process's own."""
        return contextlib.nullcontext()

    def from_first(self, folder):
        """A context with a folder (or `None`) that the first process has."""
        return contextlib.nullcontext(folder)

    def local(self, network, copy=None):
        """The network for this process by itself; a copy made before is used again."""
        if keras.backend.backend() == "jax":
            network.jax_state_sync()  # `fit` has the weights, not the network
        return network


class Run:
    """One run of a tutorial: the unfinished state of it, in `DIR/unfinished`.

    The folder holds `run.json`, the options of the run, and for each network that is
    trained a folder with its last finished epoch. It is there from the start of the run
    to its end, so that a run that was killed can be told from one that was not.
    """

    def __init__(self, output, options, resume, devices=None):
        """Starts a run, or goes on with the one of the same options.

        Args:
            output: The folder of the results.
            options: Dict of all that decides the result, with JSON's types.
            resume: Boolean: whether there must be a run to go on with.
            devices: What shares the work. Only the first process has the folder.
        """
        self.options = options
        self.folder = output / "unfinished"
        self.devices = devices or Alone()
        self.devices.agree(options)
        if not self.devices.first:
            return
        record = self.folder / "run.json"
        if resume:
            if not record.exists():
                raise Mistake(f"--resume: there is no unfinished run in {output}")
            before = json.loads(record.read_text("utf-8"))
            for name in sorted(before.keys() | options.keys()):
                if before.get(name) != options.get(name):
                    raise Mistake(
                        f"--resume: the run in {output} was started with {name}="
                        f"{before.get(name)}, not {options.get(name)}"
                    )
        else:
            with replacing(self.folder) as new:
                new.mkdir()
                (new / "run.json").write_text(json.dumps(options), "utf-8")

    @classmethod
    def of(cls, options, devices=None, aside=(), **data):
        """Starts the run that the options ask for, or goes on with it.

        Args:
            options: Those of the command line. All of them decide the result, but for
                the usual ones that say where, how and what else.
            devices: What shares the work.
            aside: Names of more options that do not decide the result.
            **data: By its name, the bytes of what the networks learn from.
        """
        if devices is None or devices.first:
            make_writable(options.output)
        aside = {"output", "resume", "download", "predict", "distribute", *aside}
        chosen = {k: value for k, value in vars(options).items() if k not in aside}
        chosen = json.loads(json.dumps(chosen, default=str))  # paths become strings
        for name, content in data.items():
            chosen[name] = hashlib.sha256(content).hexdigest()[:16]
        return cls(options.output, chosen, options.resume, devices)

    def train(self, name, build, batches, validation, epochs, callbacks=()):
        """Trains a network, from the start or from its last finished epoch.

        Args:
            name: String, what the network is called in the folder.
            build: Function that returns the new network, compiled.
            batches: `keras.utils.PyDataset`, with an attribute `epoch` to count them.
            validation: The same, of the examples that choose the best epoch.
            epochs: Integer, how many in all.
            callbacks: More callbacks for `fit`.

        Returns:
            The network with the weights of the epoch of the least validation loss, and
            a list with a dict of figures for each epoch.
        """
        keeper = _Keeper(self.folder / name, self.devices)
        with self.devices.scope():
            with self.devices.from_first(keeper.newest()) as saved:
                model = build() if saved is None else keeper.load(saved)
            # Or the first step would make the optimizer's variables, and TensorFlow
            # would trace it twice (Keras 3.15).
            model.optimizer.build(model.trainable_variables)
            batches.epoch = len(keeper.history)
            if 0 < len(keeper.history) < epochs:
                print(f"Going on after epoch {len(keeper.history)} of {epochs}.")
            model.fit(
                batches,
                validation_data=validation,
                initial_epoch=len(keeper.history),
                epochs=epochs,
                shuffle=False,  # the batches are in their order already
                verbose="auto" if self.devices.first else 0,
                callbacks=[keeper, *callbacks],
            )
            with self.devices.from_first(keeper.newest()) as saved:
                model.load_weights(saved / "best.weights.h5")
        return self.devices.local(model), keeper.history

    def record(self, metrics):
        """Writes `metrics.json`: the figures, and all that they depend on."""
        told = {
            "seed": self.options["seed"],
            "options": self.options,
            "versions": versions(),
        }
        write_json(self.folder.with_name("metrics.json"), metrics | told)

    def finish(self):
        """Removes the state: the results are written."""
        gone = self.folder.with_name(".finished")
        _remove(gone)
        self.folder.rename(gone)
        _remove(gone)


class _Keeper(keras.callbacks.Callback):
    """Keeps the last finished epoch: the network, its optimizer, the best weights.

    Each epoch has a folder of its own, which gets its name when all is in it. The one
    before goes only then: there is a whole one whenever the process is killed.
    """

    def __init__(self, folder, devices):
        super().__init__()
        if devices.first:
            folder.mkdir(exist_ok=True)
        self.folder, self.devices = folder, devices
        self.history = []

    def newest(self):
        """The folder of the last finished epoch, or `None`."""
        return max(self.folder.glob("epoch-*"), default=None)

    def load(self, saved):
        """The network as it was after the last finished epoch, from its folder."""
        self.history = json.loads((saved / "history.json").read_text("utf-8"))
        model = keras.saving.load_model(saved / "network.keras")
        dice = json.loads((saved / "dice.json").read_text("utf-8"))
        for state, value in zip(self.dice(model), dice):
            state.assign(value)
        return model

    @staticmethod
    def dice(model):
        """The random states of a network (of its dropout): Keras does not save them."""
        return [v for v in model.variables if v.name == "seed_generator_state"]

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        figures = {name: float(value) for name, value in logs.items()}
        seconds = round(time.perf_counter() - self.began, 2)
        self.history.append({"epoch": epoch + 1, **figures, "seconds": seconds})
        if self.devices.first:
            with self.devices.apart():
                self.keep(epoch)

    def keep(self, epoch):
        """Writes all that is needed to go on after the epoch."""
        before = self.newest()
        best = min(self.history, key=lambda row: row["val_loss"])
        with replacing(self.folder / f"epoch-{epoch + 1:04}") as new:
            new.mkdir()
            self.model.save(new / "network.keras")
            if best is self.history[-1]:
                self.model.save_weights(new / "best.weights.h5")
            else:
                shutil.copy(before / "best.weights.h5", new)
            dice = [
                keras.ops.convert_to_numpy(v).tolist() for v in self.dice(self.model)
            ]
            (new / "dice.json").write_text(json.dumps(dice), "utf-8")
            (new / "history.json").write_text(json.dumps(self.history), "utf-8")
        if before is not None:
            shutil.rmtree(before)


def best_epoch(history):
    """The number of the epoch of the least validation loss."""
    return min(history, key=lambda row: row["val_loss"])["epoch"]


def seconds_per_epoch(history):
    """The mean of the seconds that an epoch took."""
    return float(np.mean([row["seconds"] for row in history]))


def rise_and_fall(rate, steps):
    """A learning rate that rises for a twentieth of the steps, then falls to 0.

    Args:
        rate: Number, the highest.
        steps: Integer, how many there are in all.
    """
    rising = max(1, steps // 20)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - rising), warmup_target=rate, warmup_steps=rising
    )


# --------------------------------------------------------------------------- batches


class ByLength(keras.utils.PyDataset):
    """Batches of sequences that are about equally long, so that there is little padding.

    A subclass makes the batch, in `take`.

    Keras looks at the first two batches to learn what shapes there will be, and takes for
    fixed what is the same in both (Keras 3.15). So these two differ in length if any do.
    """

    def __init__(self, lengths, batch_size, seed=None, blur=0.0):
        """With a `seed` other sequences meet, in another order, in each epoch.

        Args:
            lengths: Array of shape `(examples,)`.
            batch_size: Integer.
            seed: Integer, or `None` for the same batches in each epoch.
            blur: Number: how different the lengths in a batch may be, about, beyond what
                the batch size makes them.
        """
        super().__init__()
        self.lengths, self.batch_size = np.asarray(lengths), batch_size
        self.seed, self.blur = seed, blur
        self.epoch = 0

    def __len__(self):
        return -(-len(self.lengths) // self.batch_size)

    def __getitem__(self, index):
        if index == 0:
            self.heaps = self.draw()
        random = None
        if self.seed is not None:
            random = np.random.default_rng((self.seed, self.epoch, index))
        return self.take(self.heaps[index], random)

    def take(self, heap, random):
        """The batch of some examples.

        Args:
            heap: Array of integers: which examples.
            random: `numpy.random.Generator`, or `None` where nothing is to be random.
        """
        raise NotImplementedError

    def draw(self):
        """Which examples make each batch: a list of arrays of integers."""
        lengths, size = self.lengths, self.batch_size
        if self.seed is not None:
            random = np.random.default_rng((self.seed, self.epoch))
            lengths = lengths + random.uniform(0, self.blur, len(lengths))
        order = np.argsort(lengths, kind="stable")
        heaps = [order[i : i + size] for i in range(0, len(order), size)]
        if self.seed is not None:
            random.shuffle(heaps)
        longest = [self.lengths[heap].max() for heap in heaps]
        for i in range(1, len(heaps)):
            if longest[i] != longest[0]:
                heaps[1], heaps[i] = heaps[i], heaps[1]
                break
        return heaps

    def on_epoch_end(self):
        self.epoch += 1


# ---------------------------------------------------------------------------- layers


@keras.saving.register_keras_serializable("keras_rnn_tutorials")
class TimeDistributed(keras.layers.TimeDistributed):
    """Applies a layer to each step of a sequence by itself, with the same weights.

    All steps of a batch make one larger batch. Keras's own layer is for a known number
    of steps: where that differs from batch to batch it returns, in a graph, as many
    steps as there are examples (Keras 3.15).

    Args:
        layer: The layer, from `(batch, ...)` to `(batch, ...)`, without a mask.
    """

    def call(self, inputs, training=None, mask=None):
        batch, timesteps, *sizes = keras.ops.shape(inputs)
        steps = keras.ops.reshape(inputs, (-1, *sizes))
        outputs = self.layer(steps, training=training)
        return keras.ops.reshape(outputs, (batch, timesteps, *outputs.shape[1:]))


def tell_shapes(network, inputs, title="Shapes"):
    """Prints what comes out of each layer of a functional network."""
    steps = keras.Model(network.input, [layer.output for layer in network.layers])
    print(f"\n{title}")
    for layer, output in zip(network.layers, steps(inputs)):
        print(f"  {type(layer).__name__:24} {tuple(output.shape)}")


# ----------------------------------------------------------------------------- plots

# Told apart by all kinds of colour vision (Okabe and Ito's colours).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"

matplotlib.rcParams.update(
    {
        "figure.dpi": 120,
        "figure.constrained_layout.use": True,
        "font.size": 14,
        "axes.titlesize": 15,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": matplotlib.cycler(color=[BLUE, ORANGE, GREEN, GREY]),
        "lines.linewidth": 2.5,
        "legend.frameon": False,
    }
)


def draw_curves(histories, labels, training="training"):
    """A picture of how networks learn, epoch by epoch.

    Args:
        histories: Dict from the name of each network to its history. Two at most.
        labels: Dict from the name of each figure to the label of its axis.
        training: String, what the figures of the training are called.

    Returns:
        The picture, and the axes of each figure.
    """
    figure, both = matplotlib.pyplot.subplots(1, len(labels), figsize=(13, 5))
    kinds = (("val_", "o-", "validation"), ("", "o:", training))
    for axes, (name, label) in zip(both, labels.items()):
        for (network, rows), colour in zip(histories.items(), (BLUE, ORANGE)):
            epoch = [row["epoch"] for row in rows]
            for prefix, style, what in kinds:
                values = [row[prefix + name] for row in rows]
                axes.plot(
                    epoch, values, style, color=colour, label=f"{network}, {what}"
                )
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
    handles, names = both[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure, both


def save_figure(figure, path):
    """Writes a figure as a PNG file, whole or not at all."""
    with replacing(path) as new:
        figure.savefig(new)
    matplotlib.pyplot.close(figure)
