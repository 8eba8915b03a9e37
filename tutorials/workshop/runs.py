"""Runs that can be interrupted and resumed, and what they record."""

import hashlib
import json
import shutil
import time

import keras
import numpy as np

from workshop.devices import Alone
from workshop.errors import UsageError
from workshop.files import make_writable, remove, replacing, write_json
from workshop.machine import versions


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
                raise UsageError(f"--resume: there is no unfinished run in {output}")
            before = json.loads(record.read_text("utf-8"))
            for name in sorted(before.keys() | options.keys()):
                if before.get(name) != options.get(name):
                    raise UsageError(
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
        remove(gone)
        self.folder.rename(gone)
        remove(gone)


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
