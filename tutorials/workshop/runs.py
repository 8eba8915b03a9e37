"""Runs that can be interrupted and resumed, and what they record."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from workshop import errors
from workshop.devices import Alone
from workshop.errors import CannotWrite, UsageError
from workshop.files import make_writable, read_json, remove, replacing, write_json
from workshop.machine import versions

try:
    import fcntl
except ImportError:  # not there on Windows: runs are not kept apart
    fcntl = None


@contextlib.contextmanager
def telling_of_damage(folder=None):
    """Turns whatever damaged files of an unfinished run raise into a `UsageError`.

    Args:
        folder: Where they are, if the errors do not tell.
    """
    try:
        yield
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        where = f"{folder} is damaged: " if folder else ""
        raise UsageError(
            f"--resume: {where}{reason[0]} (--discard starts anew)"
        ) from error


class Run:
    """One run of a program: the unfinished state of it, in `DIR/unfinished`.

    The folder holds `run.json`, the options of the run, and for each network that is
    trained a folder with its last finished epoch. It is there from the start of the run
    to its end, so that a run that was killed can be told from one that was not. As long
    as the process lives, `lock` in it is locked: no other run takes the folder.
    """

    def __init__(
        self, output, options, resume=False, discard=False, devices=None, aside=()
    ):
        """Starts a run, or goes on with the one of the same options.

        Args:
            output: The folder of the results.
            options: Dict of all that decides the result, with JSON's types.
            resume: Boolean: whether there must be a run to go on with.
            discard: Boolean: whether an unfinished run is to be removed.
            devices: What shares the work. Only the first process has the folder.
            aside: Names of options that a run may be resumed with others of.
        """
        self.options = options
        self.folder = output / "unfinished"
        self.devices = devices or Alone()
        self.devices.agree(options)
        if not self.devices.first:
            return
        there = os.path.lexists(self.folder)
        if there:
            self._take()
        if resume:
            if not there:
                raise UsageError(f"--resume: there is no unfinished run in {output}")
            self._compare(aside)
        elif there and not discard and self._has_results():
            raise UsageError(
                f"there is an unfinished run in {output}: --resume goes on with it, "
                "--discard starts anew"
            )
        else:
            if there:
                self._remove()
            self._start()
        errors.advice = (
            f"the same command with --resume goes on from what is in {self.folder}"
        )

    def _take(self):
        """Locks the folder that is there, or raises a `UsageError`."""
        record, lock = self.folder / "run.json", self.folder / "lock"
        if not (record.is_file() and lock.is_file()):
            raise UsageError(
                f"{self.folder} is not of a run: move it away, or choose another --output"
            )
        try:
            self._lock(self.folder)
        except BlockingIOError as error:
            raise UsageError(
                f"a run is in progress in {self.folder.parent}: wait for its end, or "
                "choose another --output"
            ) from error
        except OSError as error:
            raise CannotWrite(f"cannot write {lock}: {error.strerror}") from error

    def _has_results(self):
        """Whether anything was saved: a run that ended before loses nothing."""
        mere = {"run.json", "lock"}
        found = (path for path in self.folder.rglob("*") if path.name not in mere)
        return any(path.is_file() for path in found)

    def _lock(self, folder):
        self.lock = (folder / "lock").open("a")
        if fcntl is not None:
            fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _start(self):
        """Makes the folder, locked and with the options in it, at one stroke."""
        output = self.folder.parent
        make_writable(output)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=output))
        try:
            (new / "run.json").write_text(json.dumps(self.options), "utf-8")
            self._lock(new)
            new.rename(self.folder)
        except OSError as error:
            remove(new)
            raise CannotWrite(
                f"cannot write {self.folder}: {error.strerror}"
            ) from error

    def _compare(self, aside):
        """Raises a `UsageError` unless the unfinished run has the same options."""
        with telling_of_damage():
            before = read_json(self.folder / "run.json")
        for name in sorted((before.keys() | self.options.keys()) - set(aside)):
            if before.get(name) != self.options.get(name):
                raise UsageError(
                    f"--resume: the run in {self.folder.parent} was started with {name}="
                    f"{before.get(name)}, not {self.options.get(name)}"
                )

    def _remove(self):
        """Removes the folder: it is not there any more, or whole."""
        gone = self.folder.with_name(".finished")
        remove(gone)
        self.folder.rename(gone)
        self.lock.close()
        remove(gone)

    @classmethod
    def of(cls, options, devices=None, aside=(), **data):
        """Starts the run that the options ask for, or goes on with it.

        Where a file lies decides nothing, but what is in it: paths may be others when a
        run is resumed.

        Args:
            options: Those of the command line. All of them decide the result, but for
                the usual ones that say where, how and what else.
            devices: What shares the work.
            aside: Names of more options that do not decide the result.
            **data: By its name, the bytes of what the networks learn from.
        """
        usual = {"output", "resume", "discard", "download", "predict", "distribute"}
        chosen = {k: v for k, v in vars(options).items() if k not in {*usual, *aside}}
        paths = {
            name
            for name, value in chosen.items()
            for each in (value if isinstance(value, list) else [value])
            if isinstance(each, Path)
        }
        chosen = json.loads(json.dumps(chosen, default=str))  # paths become strings
        for name, content in data.items():
            chosen[name] = hashlib.sha256(content).hexdigest()[:16]
        resume, discard = options.resume, options.discard
        return cls(
            options.output, chosen, resume, discard, devices, paths - data.keys()
        )

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
        self._remove()
        errors.advice = None


def epoch_name(epoch):
    """The name of the folder with the state after the epoch, from 1."""
    return f"epoch-{epoch:04}"


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
        with telling_of_damage(saved):
            history = read_json(saved / "history.json", list)
            if saved.name != epoch_name(len(history)):
                raise ValueError("history.json has other epochs")
            _ = [(row["epoch"], row["val_loss"], row["seconds"]) for row in history]
            # What is read at the end of the training must be whole now.
            best = keras.saving.load_model(saved / "network.keras")
            best.load_weights(saved / "best.weights.h5")
            model = keras.saving.load_model(saved / "network.keras")
            dice = read_json(saved / "dice.json", list)
            for state, value in zip(self.dice(model), dice, strict=True):
                state.assign(value)
        self.history = history
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
        with replacing(self.folder / epoch_name(epoch + 1)) as new:
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
