"""The gradient, recorded while a model trains."""

from __future__ import annotations

import csv
import math
from typing import IO, TYPE_CHECKING, Any

import keras
import numpy as np

from keras_rnn.arguments import as_path, is_number, positive_integer
from keras_rnn.gradient_flow.diagnosis import REMEDIES, exploding, not_finite, vanishing
from keras_rnn.gradient_flow.probe import Probe, norm_of
from keras_rnn.gradient_flow.records import Board, Record, draw, rows
from keras_rnn.hints import Nest, StrPath, Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class GradientFlow(keras.callbacks.Callback):
    """Watches the gradient while a model trains, and says when it vanishes or explodes.

    Before every n-th batch it takes the gradient of the loss on one and the same batch,
    the *probe* (Keras shows callbacks no batches), and records

    - the norm of the gradient of each variable, and of all of them together;
    - the norm of dL/dh_t of each recurrent layer at each time step;
    - the share of *saturated* units of each of them: those whose activation has less
      than a twentieth of its steepest slope (for `relu`: those that are 0). Those of the gates
      (`recurrent_activation`) are counted by themselves: a gate that stands wide open is
      no fault.

    It says in words, and once of each kind,

    - that the gradient is **not a number**, as soon as the loss or a gradient is;
    - that it **explodes**: in the backward pass it grows, up to some step, by a factor of more
      than `explode`;
    - that it **vanishes**: before some step it is less than `vanish` of what it is
      later, in three records in a row. (A GRU or an LSTM often starts so, and learns.)

    with the layer, the time step and the remedy. Training itself is not changed.

    The cost is one forward and backward pass over the probe by Keras's loop, every n
    batches, and the tracing of it once. With a probe of 16 examples and `every=50` that
    was 2 to 3 % of the training time of an LSTM or a GRU and 4 % of that of an Elman
    network, on two cores; `benchmarks/gradient_flow.py` measures it.

    Args:
        x: Input of the probe: some 16 examples, of the lengths that occur.
        y: Targets of the probe.
        sample_weight: Weights of its examples.
        every: Positive integer, default 50: n. With 1, before every batch.
        csv: Path of a CSV file to write to as training goes on, or `None`. A row is one
            number: `batch, quantity, name, step, value`, where the quantity is `loss`,
            `global_norm`, `gradient_norm` (of a variable), `state_gradient_norm` (of a
            layer at a step), `saturated` or `saturated_gates` (of a layer).
        log_dir: Folder for TensorBoard, with scalars of all that, but the oldest and the
            latest step alone of each layer, and histograms of the gradients; or `None`.
            It needs the package `tensorboard`.
        vanish: The part of the gradient that is as good as nothing.
        explode: The factor that is too much.
        verbose: Whether to print the messages. They are in `messages` either way.

    Attributes:
        records: List with a dictionary for each record: `batch`, `loss`, `global_norm`,
            `gradient_norms`, `state_gradient_norms`, `saturated`, `saturated_gates`, the
            last four by name.
        messages: List of what was said.

    Raises:
        ValueError: an argument is not what it must be; from `fit`: see `state_gradients`.
        ImportError: `log_dir` is given and TensorBoard is not installed: it is in the extra
            `[plots]`.

    Example:
    >>> x, y = numpy.ones((64, 10, 3)), numpy.ones((64, 1))
    >>> model = keras.Sequential([keras.layers.LSTM(8), keras.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> flow = GradientFlow(x[:16], y[:16], every=2)
    >>> history = model.fit(x, y, batch_size=16, callbacks=[flow], verbose=0)
    >>> [record["batch"] for record in flow.records]
    [0, 2]
    """

    header = ("batch", "quantity", "name", "step", "value")
    patience = 3  # records in a row in which a gradient vanishes before it is said

    def __init__(
        self,
        x: Nest,
        y: Nest,
        sample_weight: Tensor | None = None,
        every: int = 50,
        csv: StrPath | None = None,
        log_dir: StrPath | None = None,
        vanish: float = 1e-6,
        explode: float = 1e4,
        verbose: bool = True,
    ) -> None:
        super().__init__()
        self.every = positive_integer("every", every)
        for name, value in {"vanish": vanish, "explode": explode}.items():
            if not is_number(value) or not value >= 0:
                raise ValueError(
                    f"`{name}` must be a number, at least 0. Received: {name}={value!r}"
                )
        if x is None:
            raise ValueError("`x` must be the input of the model. Received: x=None")
        self.vanish, self.explode, self.verbose = vanish, explode, verbose
        self.records: list[Record] = []
        self.messages: list[str] = []
        self._batch = (x, y, sample_weight)
        self._probe: Any = None  # a `Probe`, once training has begun
        self._path = None if csv is None else as_path("csv", csv)
        self._board = None if log_dir is None else Board(as_path("log_dir", log_dir))
        self._file: IO[str] | None = None
        self._said: set[str] = set()
        self._vanished = 0  # records in a row
        self._before = self._due = 0  # batches of the epochs before; of the next record

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._probe is None or self._probe.model is not self.model:
            compiled = not self.model.run_eagerly
            self._probe = Probe(self.model, *self._batch, compiled=compiled)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            mode = "a" if self.records else "w"
            self._file = file = self._path.open(mode, newline="", encoding="utf-8")
            if mode == "w":
                csv.writer(file).writerow(self.header)
                file.flush()

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self._before + batch >= self._due:
            self._record(self._before + batch)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._seen = batch + 1
        loss = (logs or {}).get("loss")
        if loss is not None and "nan" not in self._said and not math.isfinite(loss):
            self._record(self._before + self._seen)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._before += self._seen

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _record(self, batch):
        self._probe.model = self.model  # on JAX, to ask for it brings it up to date
        reading = self._probe()
        self._due = batch - batch % self.every + self.every
        levels = reading.levels
        norms = {path: norm_of(g) for path, g in reading.gradients.items()}
        record = {
            "batch": batch,
            "loss": reading.loss,
            "global_norm": norm_of(np.array(list(norms.values()))),
            "gradient_norms": norms,
            "state_gradient_norms": {level.name: level.profile() for level in levels},
            "saturated": {level.name: level.saturated(0) for level in levels},
            "saturated_gates": {level.name: level.saturated(1) for level in levels},
        }
        self.records.append(record)
        if self._file is not None:
            csv.writer(self._file).writerows(rows(record))
            self._file.flush()
        if self._board is not None:
            self._board.write(record, reading.gradients)
        self._judge(batch, reading)

    def _judge(self, batch, reading):
        trouble = not_finite(reading)
        if trouble:
            self._say("nan", batch, f"{trouble} {REMEDIES['nan']}")
            return
        for level in reading.levels:
            if trouble := exploding(level, self.explode):
                self._say("explode", batch, f"{trouble} {REMEDIES['explode']}")
        troubles = [vanishing(level, self.vanish) for level in reading.levels]
        self._vanished = self._vanished + 1 if any(troubles) else 0
        if self._vanished >= self.patience:
            trouble = next(filter(None, troubles))
            self._say("vanish", batch, f"{trouble} {REMEDIES['vanish']}")

    def _say(self, kind, batch, words):
        if kind in self._said:
            return
        self._said.add(kind)
        self.messages.append(f"GradientFlow, before batch {batch + 1}: {words}")
        if self.verbose:
            print(f"\n{self.messages[-1]}")

    def plot(self, layer: str | None = None) -> Figure:
        """Draws the profile of dL/dh_t over time, and the norm of the whole gradient.

        Args:
            layer: Name of a recurrent layer, or `None` for all of them.

        Returns:
            A `matplotlib.figure.Figure`, with a picture for each layer and one of the
            norm. Nothing is shown or saved: `figure.savefig("flow.png")`.

        Raises:
            ValueError: nothing was recorded yet, or there is no such layer.
        """
        if not self.records:
            raise ValueError("There is nothing to plot yet: train with this callback.")
        names = list(self.records[0]["state_gradient_norms"])
        if layer is not None and layer not in names:
            raise ValueError(
                f"`layer` must be one of {names}. Received: layer={layer!r}"
            )
        return draw(self.records, names if layer is None else [layer])
