"""Where the gradient vanishes or explodes: back-propagation through time, made visible.

The loss L sees the state h_t in two ways, through the output of step t and through all
that follows. The chain rule, from the last step to the first,

    dL/dh_t  =  (dL/dh_t through the output)  +  dL/dh_{t+1} @ dh_{t+1}/dh_t,

multiplies by one Jacobian for each step back. If these are small, nothing of the loss
reaches the first steps: the gradient *vanishes*. If they are large, it *explodes*.

`state_gradients` shows the left side for each layer and step, `jacobian_spectrum` what
the factors do, and `GradientFlow` watches both go by while a model trains.

How it is done: within a watched call, each recurrent layer goes along the sequence with
its own cell and adds a *nudge* to each new state, before anyone sees it. The nudges are
zeros, so that nothing changes. Their gradients are dL/dh_t.

Sources: Sepp Hochreiter, 1991, Untersuchungen zu dynamischen neuronalen Netzen; Yoshua
Bengio, Patrice Simard and Paolo Frasconi, 1994, Learning long-term dependencies with
gradient descent is difficult; Razvan Pascanu, Tomas Mikolov and Yoshua Bengio, 2013, On
the difficulty of training recurrent neural networks.
"""

import contextlib
import csv
import functools
import inspect
import math
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rnn.backends import (
    compiled_once,
    random_state_kept,
    value_and_gradients,
)
from keras_rnn.cells.cell import DERIVATIVES, positive_integer

# A unit is saturated where its activation has less than this part of its steepest slope.
FLAT = 0.05
# The slopes of the activations at their steepest, where that is not 1.
STEEPEST = {keras.activations.sigmoid: 0.25}


def state_gradients(model, x, y, sample_weight=None, per_example=False, state=0):
    """How much the loss depends on each state: the norm of dL/dh_t at each time step.

    It is the total derivative, through the output of step t and through all later
    steps. L is the loss that `fit` minimises, with its weights and regularizers, in
    inference mode (no dropout). The call changes nothing in the model.

    A step that is masked computes no state: there it is 0. Time runs as in the input,
    also for a layer that reads it backwards.

    Args:
        model: A compiled Sequential, functional or subclassed model with recurrent
            layers: those of this package, `keras.layers.SimpleRNN`, `LSTM`, `GRU`, or
            `RNN` over cells whose output is their first state; also in `Bidirectional`,
            in stacks, and within other models.
        x: Input of the model, with a known number of time steps.
        y: Targets of the loss.
        sample_weight: Weights of the examples, as in `fit`.
        per_example: Boolean, default `False`: a norm for each example instead of one
            for all of them together.
        state: Integer, which of the states of a cell: 0 (default) is h. 1 is the c of
            an LSTM, whose gradient is the one of the pair (h_t, c_t), that is, through
            c_{t+1} alone. Cells without such a state are left out.

    Returns:
        Dictionary with an array for each recurrent layer, of shape `(timesteps,)`, or
        `(batch, timesteps)` with `per_example`. The names are those of the layers,
        `outer/inner` where one is inside the other. A stack of cells has an entry for
        each, `layer/cell`, and a layer that is called again gets another, `layer (2)`.

    Raises:
        ValueError: the model is not compiled, has no recurrent layer with such a state,
            or has a cell of which the output is neither the state nor `cell.readout` of
            it.

    Example:
    >>> model = keras.Sequential([keras.layers.LSTM(8, name="lstm"), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> norms = state_gradients(model, numpy.ones((4, 20, 3)), numpy.ones((4, 1)))
    >>> [(name, norm.shape) for name, norm in norms.items()]
    [('lstm', (20,))]
    """
    if isinstance(state, bool) or not isinstance(state, (int, np.integer)) or state < 0:
        raise ValueError(
            f"`state` must be the number of a state, from 0. Received: state={state!r}"
        )
    levels = _Probe(model, x, y, sample_weight)().levels
    found = {
        level.name: level.norms[state] for level in levels if state < len(level.norms)
    }
    if not found:
        raise ValueError(
            f"No recurrent layer of the model has a state of number {state}. "
            f"Received: state={state}, model={model.name}"
        )
    if per_example:
        return found
    return {name: _norm(norms, axis=0) for name, norms in found.items()}


class JacobianSpectrum(NamedTuple):
    """What `jacobian_spectrum` finds.

    Attributes:
        singular_values: Array of shape `(batch, timesteps - steps + 1, size)`, the
            largest first: by how much a small change is stretched, along each of the
            directions that stay at right angles.
        spectral_radius: Array of shape `(batch, timesteps - steps + 1)`: the largest
            absolute eigenvalue.
    """

    singular_values: np.ndarray
    spectral_radius: np.ndarray


def jacobian_spectrum(layer, x, steps=1, mask=None):
    """What becomes of a small change of the state: the spectrum of dh_t/dh_{t-steps}.

    With `steps=1` that is the Jacobian of one step of the cell, at the states and inputs
    of a real sequence. With more it is the product of so many of them,

        dh_t/dh_{t-k}  =  dh_t/dh_{t-1} ... dh_{t-k+1}/dh_{t-k},

    and its largest singular value says how much of a change k steps ago survives, at
    most. A cell with several states has one Jacobian for all of them together: for an
    LSTM, h and c side by side.

    Args:
        layer: A recurrent layer, as in `state_gradients`. Of a `Bidirectional`, pass
            `forward_layer` or `backward_layer`.
        x: Array of shape `(batch, timesteps, features)`. It takes a pass over the cell
            for each step, with as many rows as the batch times the size of the state.
        steps: Positive integer, k.
        mask: Boolean array of shape `(batch, timesteps)`. A masked step keeps the state:
            its Jacobian is the identity.

    Returns:
        A `JacobianSpectrum`, of t = steps ... timesteps in the order in which the layer
        reads.

    Raises:
        ValueError: `layer` is not a recurrent layer, or `steps` is not a number from 1 to
            the number of time steps.

    Example:
    >>> layer = keras.layers.SimpleRNN(4, recurrent_initializer="orthogonal")
    >>> spectrum = jacobian_spectrum(layer, numpy.zeros((1, 10, 3)), steps=5)
    >>> spectrum.singular_values.shape, spectrum.spectral_radius.shape
    ((1, 6, 4), (1, 6))
    """
    if not isinstance(layer, keras.layers.RNN):
        raise ValueError(
            "`layer` must be a recurrent layer, a `keras.layers.RNN` (of a "
            f"`Bidirectional`, its `forward_layer`). Received: layer={layer}"
        )
    steps = positive_integer("steps", steps)
    if not layer.built:
        layer.build(np.shape(x))
    with _unnoticed(), _watched({layer.name: layer}) as calls:
        layer(ops.convert_to_tensor(x), mask=mask)
    (call,) = calls
    timesteps = len(call.inputs)
    if steps > timesteps:
        raise ValueError(
            f"`steps` must be at most {timesteps}, the number of time steps. "
            f"Received: steps={steps}"
        )
    jacobians = np.stack([_jacobian(layer, call, t) for t in range(timesteps)], axis=1)
    if call.mask is not None:
        real = _numpy(call.mask).T[:, :, None, None]  # (batch, timesteps, 1, 1)
        jacobians = np.where(real, jacobians, np.eye(jacobians.shape[-1]))
    count = timesteps - steps + 1
    product = jacobians[:, steps - 1 :]  # (batch, count, size, size)
    for back in range(1, steps):
        start = steps - 1 - back
        product = product @ jacobians[:, start : start + count]
    return JacobianSpectrum(
        np.linalg.svd(product, compute_uv=False),
        np.abs(np.linalg.eigvals(product)).max(-1),
    )


def _jacobian(layer, call, t):
    """d(states after step t) / d(states before it), of shape (batch, size, size)."""
    before = call.states_before(t)  # a list of (batch, units)
    sizes = [state.shape[-1] for state in before]
    batch, size = before[0].shape[0], sum(sizes)
    # A copy of each example for each number of the state: the gradient of the i-th number
    # of the i-th copy is the i-th row.
    copies = [ops.repeat(state, size, axis=0) for state in before]
    inputs = ops.repeat(call.inputs[t], size, axis=0)
    chosen = ops.cast(ops.tile(ops.eye(size), (batch, 1)), before[0].dtype)

    def loss(states):
        _, after = _step(layer, inputs, states)
        return ops.sum(ops.concatenate(after, axis=-1) * chosen), ()

    _, _, rows = value_and_gradients(loss, copies)
    rows = np.concatenate([_numpy(row) for row in rows], axis=-1)
    return rows.reshape(batch, size, size).astype("float64")


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
    - that it **explodes**: on its way back to some step it grows by a factor of more
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
        ValueError: `every` is not a positive integer; from `fit`: see `state_gradients`.
        ImportError: `log_dir` is given and TensorBoard is not installed.

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
        x,
        y,
        sample_weight=None,
        every=50,
        csv=None,
        log_dir=None,
        vanish=1e-6,
        explode=1e4,
        verbose=True,
    ):
        super().__init__()
        self.every = positive_integer("every", every)
        self.vanish, self.explode, self.verbose = vanish, explode, verbose
        self.records, self.messages = [], []
        self._batch = (x, y, sample_weight)
        self._probe = None
        self._board = None if log_dir is None else _Board(log_dir)
        self._path = None if csv is None else Path(csv)
        self._file = None
        self._said = set()
        self._vanished = 0  # records in a row
        self._before = self._due = 0  # batches of the epochs before; of the next record

    def on_train_begin(self, logs=None):
        if self._probe is None or self._probe.model is not self.model:
            compiled = not self.model.run_eagerly
            self._probe = _Probe(self.model, *self._batch, compiled=compiled)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            mode = "a" if self.records else "w"
            self._file = self._path.open(mode, newline="", encoding="utf-8")
            if mode == "w":
                csv.writer(self._file).writerow(self.header)
                self._file.flush()

    def on_train_batch_begin(self, batch, logs=None):
        if self._before + batch >= self._due:
            self._record(self._before + batch)

    def on_train_batch_end(self, batch, logs=None):
        self._seen = batch + 1
        loss = (logs or {}).get("loss")
        if loss is not None and "nan" not in self._said and not math.isfinite(loss):
            self._record(self._before + self._seen)

    def on_epoch_end(self, epoch, logs=None):
        self._before += self._seen

    def on_train_end(self, logs=None):
        if self._file is not None:
            self._file.close()
            self._file = None

    def _record(self, batch):
        self._probe.model = self.model  # on JAX, to ask for it brings it up to date
        reading = self._probe()
        self._due = batch - batch % self.every + self.every
        levels = reading.levels
        norms = {path: _norm(g) for path, g in reading.gradients.items()}
        record = {
            "batch": batch,
            "loss": reading.loss,
            "global_norm": _norm(np.array(list(norms.values()))),
            "gradient_norms": norms,
            "state_gradient_norms": {level.name: level.profile() for level in levels},
            "saturated": {level.name: level.saturated(0) for level in levels},
            "saturated_gates": {level.name: level.saturated(1) for level in levels},
        }
        self.records.append(record)
        if self._file is not None:
            csv.writer(self._file).writerows(_rows(record))
            self._file.flush()
        if self._board is not None:
            self._board.write(record, reading.gradients)
        self._judge(batch, reading)

    def _judge(self, batch, reading):
        trouble = _not_finite(reading)
        if trouble:
            self._say("nan", batch, f"{trouble} {REMEDIES['nan']}")
            return
        for level in reading.levels:
            if trouble := _exploding(level, self.explode):
                self._say("explode", batch, f"{trouble} {REMEDIES['explode']}")
        vanishing = [_vanishing(level, self.vanish) for level in reading.levels]
        self._vanished = self._vanished + 1 if any(vanishing) else 0
        if self._vanished >= self.patience:
            trouble = next(filter(None, vanishing))
            self._say("vanish", batch, f"{trouble} {REMEDIES['vanish']}")

    def _say(self, kind, batch, words):
        if kind in self._said:
            return
        self._said.add(kind)
        self.messages.append(f"GradientFlow, before batch {batch + 1}: {words}")
        if self.verbose:
            print(f"\n{self.messages[-1]}")

    def plot(self, layer=None):
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
            raise ValueError(f"`layer` must be one of {names}. Received: {layer!r}")
        return _draw(self.records, names if layer is None else [layer])


# ------------------------------------------------------------------ what is said in words

REMEDIES = {
    "nan": (
        "Lower the learning rate, clip the gradient (`global_clipnorm=1.0` of the "
        "optimizer), and look for NaN in the data and for a logarithm or a division by "
        "zero in the loss. `keras.callbacks.TerminateOnNaN` stops such a run."
    ),
    "explode": (
        "Clip it (`global_clipnorm=1.0` of the optimizer), start with a smaller "
        "recurrent matrix (`recurrent_initializer='orthogonal'`, or a lower gain), or "
        "lower the learning rate."
    ),
    "vanish": (
        "Take an LSTM or a GRU, or start with `recurrent_initializer='orthogonal'` (with "
        "`activation='relu'`: 'identity'); give the loss a shorter way to the early "
        "steps (all outputs pooled instead of the last one, `Bidirectional`); or cut the "
        "sequences."
    ),
}


def _not_finite(reading):
    """Where the first thing that is not finite stands, in words, or `None`."""
    for path, value in reading.variables.items():
        if not np.all(np.isfinite(value)):
            where = _first_state(reading)
            return f"the weight {path} is not finite any more{where}."
    if where := _first_state(reading):
        return f"the forward pass breaks down{where}."
    # The gradient comes from the end: the latest step is the one where it broke.
    for level in reversed(reading.levels):
        order = level.travelled()
        for t in order[::-1]:
            if not np.isfinite(level.profile()[t]):
                return (
                    f"the gradient of {level.name} is not finite at step {t + 1} of "
                    f"{len(level.profile())}."
                )
    for path, gradient in reading.gradients.items():
        if not np.all(np.isfinite(gradient)):
            return f"the gradient of {path} is not finite."
    if not math.isfinite(reading.loss):
        return f"the loss is {reading.loss}, though all states are finite."
    return None


def _first_state(reading):
    for level in reading.levels:
        for t in level.travelled():
            if not level.finite[t]:
                return (
                    f", and the state of {level.name} is not finite from step {t + 1} "
                    f"of {len(level.finite)} on"
                )
    return ""


def _exploding(level, limit):
    """That the gradient grows on its way back, in words, or `None`."""
    order, profile = level.travelled(), level.profile()
    reached = [t for t in order if profile[t] > 0]
    if not reached:
        return None
    start = reached[-1]
    most = max(reached, key=profile.__getitem__)
    growth = profile[most] / profile[start]
    if growth <= limit:
        return None
    return (
        f"the gradient explodes in {level.name}: on its way back from step {start + 1} "
        f"to step {most + 1} of {len(profile)} it grows by a factor of {growth:.1e}."
    )


def _vanishing(level, limit):
    """That the gradient does not reach the first steps, in words, or `None`."""
    order, profile = level.travelled(), level.profile()
    if not order or not np.any(profile):
        return f"no gradient at all reaches {level.name}."
    most = int(np.argmax(profile))
    lost = [t for t in order[: order.index(most)] if profile[t] < limit * profile[most]]
    if profile[order[0]] >= limit * profile[most]:
        return None
    words = (
        f"the gradient vanishes in {level.name}: at step {lost[-1] + 1} of {len(profile)} "
        f"it is {profile[lost[-1]] / profile[most]:.1e} of what it is at step {most + 1}, "
        "and the layer learns nothing from what came before."
    )
    if level.saturated(0) > 0.5:
        words += f" {level.saturated(0):.0%} of its units are saturated."
    return words


# ---------------------------------------------------------- files, TensorBoard, the plot


def _rows(record):
    """A record as rows of the CSV file."""
    batch = record["batch"]
    yield batch, "loss", "", "", record["loss"]
    yield batch, "global_norm", "", "", record["global_norm"]
    for path, norm in record["gradient_norms"].items():
        yield batch, "gradient_norm", path, "", norm
    for name, profile in record["state_gradient_norms"].items():
        for t, norm in enumerate(profile, start=1):
            yield batch, "state_gradient_norm", name, t, norm
    for quantity in ("saturated", "saturated_gates"):
        for name, share in record[quantity].items():
            if not math.isnan(share):
                yield batch, quantity, name, "", share


class _Board:
    """Writes records for TensorBoard."""

    def __init__(self, log_dir):
        try:
            import tensorboard  # noqa: F401  TensorFlow's summaries need it
            import tensorflow as tf
        except ImportError as error:
            raise ImportError(
                "`log_dir` needs TensorBoard: pip install tensorboard"
            ) from error
        self._summary = tf.summary
        self._writer = tf.summary.create_file_writer(str(log_dir))

    def write(self, record, gradients):
        summary, step = self._summary, record["batch"]
        with self._writer.as_default(step=step):
            summary.scalar("gradient_flow/loss", record["loss"])
            summary.scalar("gradient_flow/global_norm", record["global_norm"])
            for path, norm in record["gradient_norms"].items():
                summary.scalar(f"gradient_norm/{path}", norm)
                finite = gradients[path][np.isfinite(gradients[path])]
                summary.histogram(f"gradient/{path}", finite)
            for name, profile in record["state_gradient_norms"].items():
                summary.scalar(f"state_gradient_norm/{name}/first_step", profile[0])
                summary.scalar(f"state_gradient_norm/{name}/last_step", profile[-1])
            for quantity in ("saturated", "saturated_gates"):
                for name, share in record[quantity].items():
                    if not math.isnan(share):
                        summary.scalar(f"{quantity}/{name}", share)
        self._writer.flush()


def _draw(records, names):
    """The figure of `GradientFlow.plot`."""
    from matplotlib import cm, colors
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2 * (len(names) + 1)), layout="constrained")
    *profiles, norms = figure.subplots(len(names) + 1, 1, squeeze=False)[:, 0]
    batches = [record["batch"] for record in records]
    scale = colors.Normalize(batches[0], max(batches[-1], batches[0] + 1))
    for axes, name in zip(profiles, names):
        for record in records:
            profile = record["state_gradient_norms"][name]
            seen = np.where(profile > 0, profile, np.nan)  # a logarithm has no 0
            colour = cm.viridis(scale(record["batch"]))
            axes.semilogy(np.arange(1, len(profile) + 1), seen, color=colour)
        axes.set_title(name)
        axes.set_xlabel("time step t")
        axes.set_ylabel("norm of dL/dh_t")
    figure.colorbar(
        cm.ScalarMappable(scale, cm.viridis), ax=profiles, label="batches trained"
    )
    norms.semilogy(
        batches, [record["global_norm"] for record in records], ".-", color="black"
    )
    norms.set_title("all variables")
    norms.set_xlabel("batches trained")
    norms.set_ylabel("norm of the gradient")
    return figure


# -------------------------------------------------------------------- the watched layers


class _Call(NamedTuple):
    """What happened in one call of a recurrent layer, in the order of its reading.

    Attributes:
        name: Of the layer.
        layer: The layer.
        inputs: Tensor of shape `(timesteps, batch, features)`.
        first: List of tensors of shape `(batch, units)`: the first states.
        states: List of tensors of shape `(timesteps, batch, units)`: each later state.
        saturated: Tensor of shape `(timesteps, batch, cells, 2)`: the share of units and
            of gates that are saturated.
        mask: Tensor of shape `(timesteps, batch)`, or `None`.
    """

    name: str
    layer: keras.layers.RNN
    inputs: object
    first: list
    states: list
    saturated: object
    mask: object

    def states_before(self, t):
        return self.first if t == 0 else [state[t - 1] for state in self.states]


@contextlib.contextmanager
def _watched(layers, nudges=None):
    """Within, the layers go step by step, and each of their calls is written down.

    Args:
        layers: Dictionary of recurrent layers by name.
        nudges: List with, for each call, a list of what is added to its states: tensors
            of shape `(timesteps, batch, units)`. `None`: nothing.

    Yields:
        The list that gets a `_Call` for each call.
    """
    calls = []

    def inner_loop(name, layer, sequences, initial_state, mask, training=False):
        added = None if nudges is None else nudges[len(calls)]
        result, call = _loop(
            name, layer, sequences, initial_state, mask, training, added
        )
        calls.append(call)
        return result

    # `inner_loop` is the method that `keras.layers.RNN.call` leaves the sequence to.
    # Past Keras's own `__setattr__`, which would track what is set.
    for name, layer in layers.items():
        mine = functools.partial(inner_loop, name, layer)
        object.__setattr__(layer, "inner_loop", mine)
    try:
        yield calls
    finally:
        for layer in layers.values():
            object.__delattr__(layer, "inner_loop")


@contextlib.contextmanager
def _unnoticed(mapping=()):
    """Within, nothing changes for good: no metric, no carried state, no random number."""
    with keras.StatelessScope(mapping, collect_losses=True), random_state_kept():
        yield


def _loop(name, layer, sequences, initial_state, mask, training, nudges):
    """A layer along its sequence: what `inner_loop` returns, and a `_Call`."""
    first = keras.tree.flatten(initial_state)
    inputs = ops.transpose(sequences, (1, 0, 2))  # (timesteps, batch, features)
    if mask is not None:
        mask = ops.transpose(ops.cast(mask, "bool"))  # (timesteps, batch)
    if layer.go_backwards:
        inputs = ops.flip(inputs, axis=0)
        mask = None if mask is None else ops.flip(mask, axis=0)
    slices = {"inputs": inputs}
    if nudges is not None:
        slices["nudges"] = nudges
    if mask is not None:
        slices["mask"] = ops.expand_dims(mask, -1)

    def step(before, now):
        shares = []
        output, states = _step(
            layer, now["inputs"], before["states"], now.get("nudges"), training, shares
        )
        if "mask" in now:  # a masked step keeps the state, and the output
            states = [
                ops.where(now["mask"], new, old)
                for new, old in zip(states, before["states"])
            ]
            old = before["output"]
            kept = ops.zeros_like(old) if layer.zero_output_for_mask else old
            output = ops.where(now["mask"], output, kept)
        after = {
            "states": states,
            "output": output,
            "saturated": ops.stack(shares, axis=1),  # (batch, cells, 2)
        }
        return after, after

    # A first step, without its mask, tells the shapes. Nothing else of it is used.
    now = {
        name: keras.tree.map_structure(lambda each: each[0], each)
        for name, each in slices.items()
        if name != "mask"
    }
    shapes, _ = step({"states": first}, now)
    start = {
        "states": [ops.cast(s, z.dtype) for s, z in zip(first, shapes["states"])],
        "output": ops.zeros_like(shapes["output"]),
        "saturated": ops.zeros_like(shapes["saturated"]),
    }
    last, each = ops.scan(step, start, slices)
    outputs = ops.transpose(each["output"], (1, 0, 2))  # (batch, timesteps, size)
    last_states = keras.tree.pack_sequence_as(initial_state, last["states"])
    call = _Call(name, layer, inputs, first, each["states"], each["saturated"], mask)
    return (last["output"], outputs, last_states), call


def _step(layer, inputs, states, nudges=None, training=False, shares=None):
    """One step of all cells of a layer, each state with its nudge.

    Returns:
        The output, and the list of the new states of all cells.
    """
    output, after, states = inputs, [], list(states)
    nudges = list(nudges) if nudges is not None else [0.0] * len(states)
    for cell in _cells(layer):
        count = len(keras.tree.flatten(cell.state_size))
        own, states = states[:count], states[count:]
        knows = "training" in inspect.signature(cell.call).parameters
        with _overheard(cell) as heard:
            output, new = cell(output, own, **({"training": training} if knows else {}))
        new = keras.tree.flatten(new)
        nudged = [state + nudges.pop(0) for state in new]
        if hasattr(cell, "readout"):
            output = cell.readout(nudged[0])
        elif output is new[0]:
            output = nudged[0]
        else:
            raise ValueError(
                "The output of a cell must be its first state, or `cell.readout` of it, "
                "for its gradient to be known. "
                f"Received: cell={cell}"
            )
        after += nudged
        if shares is not None:
            shares.append(_shares(heard, ops.shape(nudged[0])[0]))
    return output, after


def _cells(layer):
    return getattr(layer.cell, "cells", [layer.cell])


@contextlib.contextmanager
def _overheard(cell):
    """Within, what the activations of a cell return is written down as well."""
    heard = {"activation": [], "recurrent_activation": []}
    own = {name: getattr(cell, name, None) for name in heard}
    own = {name: each for name, each in own.items() if each in DERIVATIVES}

    def listening(name, z):
        value = own[name](z)
        slope = DERIVATIVES[own[name]](value)
        heard[name].append(slope < FLAT * STEEPEST.get(own[name], 1.0))
        return value

    for name in own:
        object.__setattr__(cell, name, functools.partial(listening, name))
    try:
        yield heard
    finally:
        for name, activation in own.items():
            object.__setattr__(cell, name, activation)


def _shares(heard, batch):
    """The share of units and of gates that were heard to be saturated, (batch, 2)."""
    columns = []
    for values in heard.values():
        flat = [ops.mean(ops.cast(value, "float32"), axis=-1) for value in values]
        nothing = ops.full((batch,), float("nan"))
        columns.append(sum(flat) / len(flat) if flat else nothing)
    return ops.stack(columns, axis=-1)


def _recurrent_layers(model):
    """All recurrent layers of a model by name, however deep inside."""
    found, known = {}, set()

    def search(layer, path):
        if id(layer) in known:
            return
        known.add(id(layer))
        if isinstance(layer, keras.layers.RNN):
            name = "/".join(path) or layer.name
            while name in found:  # two layers may have one name
                name += "'"
            found[name] = layer
            return
        inner = layer.layers if isinstance(layer, keras.Model) else vars(layer).values()
        for each in keras.tree.flatten([v for v in inner if _holds_layers(v)]):
            if isinstance(each, keras.Layer):
                search(each, [*path, each.name])

    search(model, [])
    return found


def _holds_layers(value):
    return isinstance(value, (keras.Layer, list, tuple, dict))


# -------------------------------------------------------------------------- the gradient


class _Level(NamedTuple):
    """One cell in one call of a layer. Time runs as in the input.

    Attributes:
        name: Of the layer, and of the cell in a stack.
        norms: List with, for each state, the norms of its gradient, of shape `(batch,
            timesteps)`.
        finite: Boolean array of shape `(timesteps,)`: whether h_t is, for all examples.
        real: Boolean array of shape `(batch, timesteps)`: the steps that are not masked.
        backwards: Whether the layer reads from the end.
        shares: Array of shape `(batch, timesteps, 2)`, see `_Call.saturated`.
    """

    name: str
    norms: list
    finite: np.ndarray
    real: np.ndarray
    backwards: bool
    shares: np.ndarray

    def profile(self):
        """The norm of dL/dh_t at each step, all examples together."""
        return _norm(self.norms[0], axis=0)

    def travelled(self):
        """The numbers of the steps in the order of reading, but for those all masked."""
        steps = [int(t) for t in np.flatnonzero(self.real.any(axis=0))]
        return steps[::-1] if self.backwards else steps

    def saturated(self, kind):
        """The share of saturated units (0) or gates (1) in all real steps."""
        return float(self.shares[self.real, kind].mean()) if self.real.any() else 0.0


class _Reading(NamedTuple):
    """What one pass over the probe found: all in NumPy."""

    loss: float
    variables: dict
    gradients: dict
    levels: list


class _Probe:
    """The gradient of a model's loss on one batch: by its variables, and by its states.

    Args:
        model: The model.
        x: Its input.
        y: Its targets.
        sample_weight: Weights of the examples, or `None`.
        compiled: Whether to compile the pass, since it is to run many times.
    """

    def __init__(self, model, x, y, sample_weight=None, compiled=False):
        if not getattr(model, "compiled", False):
            raise ValueError(
                "`model` must be compiled: its loss is what the gradient is taken of. "
                f"Received: model={model}"
            )
        self.model = model
        self.batch = [
            None if each is None else _tensors(each) for each in (x, y, sample_weight)
        ]
        if not model.built:
            # A call on what has a shape and no values draws no random number either.
            model(keras.tree.map_structure(_symbol, self.batch[0]), training=False)
        self.layers = _recurrent_layers(model)
        # A pass without nudges tells what shape they have.
        with _unnoticed(), _watched(self.layers) as calls:
            model(self.batch[0], training=False)
        if not calls:
            raise ValueError(
                "`model` must have a recurrent layer, a `keras.layers.RNN`. "
                f"Received: model={model.name}"
            )
        self.nudges = [
            [ops.zeros(state.shape, state.dtype) for state in call.states]
            for call in calls
        ]
        self._pass = compiled_once(self._backward) if compiled else self._backward

    def __call__(self):
        model = self.model
        trainable = [ops.copy(v) for v in model.trainable_variables]
        others = [ops.copy(v) for v in model.non_trainable_variables]
        loss, calls, gradients, nudges = self._pass(trainable, others)
        paths = [variable.path for variable in model.trainable_variables]
        return _Reading(
            float(_numpy(loss)),
            dict(zip(paths, map(_numpy, trainable))),
            dict(zip(paths, map(_numpy, gradients))),
            self._levels(calls, nudges),
        )

    def _backward(self, trainable, others):
        """The loss and what was watched, and the gradients by variables and by nudges."""

        def loss(values):
            variables, nudges = values
            return self._loss(variables, others, nudges)

        loss, calls, (by_variables, by_nudges) = value_and_gradients(
            loss, (trainable, self.nudges)
        )
        return loss, calls, by_variables, by_nudges

    def _loss(self, trainable, others, nudges):
        model, (x, y, sample_weight) = self.model, self.batch
        mapping = [
            *zip(model.trainable_variables, trainable),
            *zip(model.non_trainable_variables, others),
        ]
        with _unnoticed(mapping), _watched(self.layers, nudges) as calls:
            y_pred = model(x, training=False)
            loss = model.compute_loss(
                x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False
            )
        # What is the same in each pass stays here; tensors go out.
        self._fixed = [(call.name, call.layer) for call in calls]
        masks = [[] if call.mask is None else [call.mask] for call in calls]
        return loss, [
            (call.states, call.saturated, mask) for call, mask in zip(calls, masks)
        ]

    def _levels(self, calls, nudges):
        """The levels of all calls, in the order of the calls."""
        levels, times = [], {}
        for (name, layer), call, gradients in zip(self._fixed, calls, nudges):
            states, saturated, mask = keras.tree.map_structure(_numpy, call)
            times[name] = times.get(name, 0) + 1
            if times[name] > 1:
                name = f"{name} ({times[name]})"
            turn = -1 if layer.go_backwards else 1
            real = mask[0].T if mask else np.ones(saturated.shape[1::-1], bool)
            norms = [_norm(_numpy(g), axis=-1).T[:, ::turn] for g in gradients]
            finite = [
                np.isfinite(s).all(axis=-1).T[:, ::turn] for s in states
            ]  # (batch, timesteps) each
            real = real[:, ::turn]
            cells = _cells(layer)
            for level, cell in enumerate(cells):
                count = len(keras.tree.flatten(cell.state_size))
                levels.append(
                    _Level(
                        name if len(cells) == 1 else f"{name}/{cell.name}",
                        norms[:count],
                        (finite[0] | ~real).all(axis=0),
                        real,
                        layer.go_backwards,
                        saturated.transpose(1, 0, 2, 3)[:, ::turn, level],
                    )
                )
                norms, finite = norms[count:], finite[count:]
        return levels


def _tensors(values):
    return keras.tree.map_structure(ops.convert_to_tensor, values)


def _symbol(tensor):
    return keras.KerasTensor(
        tensor.shape, keras.backend.standardize_dtype(tensor.dtype)
    )


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


def _norm(values, axis=None):
    """The Euclidean norm, in float64: the square of a vanishing float32 would be 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.sqrt(np.sum(np.square(values.astype("float64")), axis=axis))
