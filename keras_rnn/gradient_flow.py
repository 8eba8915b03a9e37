"""Where the gradient vanishes or explodes: back-propagation through time, made visible.

The loss L sees the state h_t in two ways, through the output of step t and through all
that follows. The chain rule, from the last step to the first,

    dL/dh_t  =  (dL/dh_t through the output)  +  dL/dh_{t+1} @ dh_{t+1}/dh_t,

multiplies by one Jacobian for each step back. If these are small, nothing of the loss
reaches the first steps: the gradient *vanishes*. If they are large, it *explodes*.

`state_gradients` shows the left side for each layer and step, `jacobian_spectrum` what
the factors do, and `GradientFlow` watches both go by while a model trains.

How it is done stands in `keras_rnn.probe`.

Sources: Sepp Hochreiter, 1991, Untersuchungen zu dynamischen neuronalen Netzen; Yoshua
Bengio, Patrice Simard and Paolo Frasconi, 1994, Learning long-term dependencies with
gradient descent is difficult; Razvan Pascanu, Tomas Mikolov and Yoshua Bengio, 2013, On
the difficulty of training recurrent neural networks.
"""

import csv
import math
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rnn.arguments import as_path, as_tensor, is_number
from keras_rnn.backends import value_and_gradients
from keras_rnn.cells.cell import positive_integer
from keras_rnn.extras import check_installed
from keras_rnn.probe import Probe, norm_of, step_of, unnoticed, watched


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
    levels = Probe(model, x, y, sample_weight)().levels
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
    return {name: norm_of(norms, axis=0) for name, norms in found.items()}


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
        ValueError: `layer` is not a recurrent layer, `steps` is not a number from 1 to
            the number of time steps, or something in `x` or the weights is not finite.

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
    x = ops.convert_to_tensor(as_tensor("x", x, rank=3))
    timesteps = x.shape[1]
    if mask is not None:
        mask = ops.convert_to_tensor(as_tensor("mask", mask, rank=2))
        if mask.shape != x.shape[:2]:
            raise ValueError(
                "`mask` must have the shape (batch, timesteps) of `x`, "
                f"{tuple(x.shape[:2])}. Received: mask.shape={tuple(mask.shape)}"
            )
    if steps > timesteps:
        raise ValueError(
            f"`steps` must be at most {timesteps}, the number of time steps. "
            f"Received: steps={steps}"
        )
    if not layer.built:
        layer.build(tuple(x.shape))
    with unnoticed(), watched({layer.name: layer}) as calls:
        layer(x, mask=mask)
    (call,) = calls
    jacobians = np.stack([_jacobian(layer, call, t) for t in range(timesteps)], axis=1)
    if call.mask is not None:
        real = ops.convert_to_numpy(call.mask).T  # (batch, timesteps)
        identity = np.eye(jacobians.shape[-1])
        jacobians = np.where(real[..., None, None], jacobians, identity)
    if not np.isfinite(jacobians).all():
        raise ValueError(
            "`x` and the weights of `layer` must be finite, and such that the Jacobians "
            f"are: those of {np.isfinite(jacobians).all((0, 2, 3)).sum()} of "
            f"{timesteps} steps are. Received: x={x}"
        )
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
        _, after = step_of(layer, inputs, states)
        return ops.sum(ops.concatenate(after, axis=-1) * chosen), ()

    _, _, rows = value_and_gradients(loss, copies)
    rows = np.concatenate([ops.convert_to_numpy(row) for row in rows], axis=-1)
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
        for name, value in {"vanish": vanish, "explode": explode}.items():
            if not is_number(value) or not value >= 0:
                raise ValueError(
                    f"`{name}` must be a number, at least 0. Received: {name}={value!r}"
                )
        if x is None:
            raise ValueError("`x` must be the input of the model. Received: x=None")
        self.vanish, self.explode, self.verbose = vanish, explode, verbose
        self.records, self.messages = [], []
        self._batch = (x, y, sample_weight)
        self._probe = None
        self._path = None if csv is None else as_path("csv", csv)
        self._board = None if log_dir is None else _Board(as_path("log_dir", log_dir))
        self._file = None
        self._said = set()
        self._vanished = 0  # records in a row
        self._before = self._due = 0  # batches of the epochs before; of the next record

    def on_train_begin(self, logs=None):
        if self._probe is None or self._probe.model is not self.model:
            compiled = not self.model.run_eagerly
            self._probe = Probe(self.model, *self._batch, compiled=compiled)
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
            raise ValueError(
                f"`layer` must be one of {names}. Received: layer={layer!r}"
            )
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
        # TensorFlow writes the summaries, and needs TensorBoard for them.
        check_installed("`log_dir`", "plots", "tensorflow", "tensorboard")
        import tensorflow as tf

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
    check_installed("`plot`", "plots", "matplotlib")
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
