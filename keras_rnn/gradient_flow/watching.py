"""Recurrent layers, watched.

Within `watched`, each recurrent layer goes along the sequence with its own cell, and
writes down what happens. What is added to its states (`nudges`) is added before anyone
sees them.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_rnn.backends import random_state_kept
from keras_rnn.cells.derivatives import DERIVATIVES
from keras_rnn.hints import Tensor
from keras_rnn.states import masked

# A unit is saturated where its activation has less than this part of its steepest slope.
FLAT = 0.05
# The slopes of the activations at their steepest, where that is not 1.
STEEPEST = {keras.activations.sigmoid: 0.25}


class Call(NamedTuple):
    """What happened in one call of a recurrent layer, in the order of its reading.

    Attributes:
        name: Of the layer.
        layer: The layer.
        inputs: Tensor of shape `(timesteps, batch, features)`.
        first: List of tensors of shape `(batch, units)`: the initial states.
        states: List of tensors of shape `(timesteps, batch, units)`: each later state.
        saturated: Tensor of shape `(timesteps, batch, cells, 2)`: the share of units and
            of gates that are saturated.
        mask: Tensor of shape `(timesteps, batch)`, or `None`.
    """

    name: str
    layer: keras.layers.RNN
    inputs: Tensor
    first: list[Tensor]
    states: list[Tensor]
    saturated: Tensor
    mask: Tensor | None

    def states_before(self, t: int) -> list[Tensor]:
        """The states that step t starts from: tensors of shape `(batch, units)`."""
        return self.first if t == 0 else [state[t - 1] for state in self.states]


@contextlib.contextmanager
def watched(
    layers: dict[str, keras.layers.RNN], nudges: list[list[Tensor]] | None = None
) -> Iterator[list[Call]]:
    """Within, the layers go step by step, and each of their calls is written down.

    Args:
        layers: Dictionary of recurrent layers by name.
        nudges: List with, for each call, a list of what is added to its states: tensors
            of shape `(timesteps, batch, units)`. `None`: nothing.

    Yields:
        The list that gets a `Call` for each call.
    """
    calls: list[Call] = []

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
def unnoticed(
    mapping: Sequence[tuple[keras.Variable, Tensor]] = (),
) -> Iterator[None]:
    """Within, nothing changes for good: no metric, no carried state, no random number."""
    with keras.StatelessScope(mapping, collect_losses=True), random_state_kept():
        yield


def _loop(name, layer, sequences, initial_state, mask, training, nudges):
    """A layer along its sequence: what `inner_loop` returns, and a `Call`."""
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
        slices["mask"] = mask

    def step(before, now):
        shares: list[Tensor] = []
        output, states = step_of(
            layer, now["inputs"], before["states"], now.get("nudges"), training, shares
        )
        if "mask" in now:  # a masked step keeps the state, and the output
            states = masked(now["mask"], states, before["states"])
            old = before["output"]
            kept = ops.zeros_like(old) if layer.zero_output_for_mask else old
            output = masked(now["mask"], output, kept)
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
    call = Call(name, layer, inputs, first, each["states"], each["saturated"], mask)
    return (last["output"], outputs, last_states), call


def step_of(
    layer: keras.layers.RNN,
    inputs: Tensor,
    states: Iterable[Tensor],
    nudges: Iterable[Tensor] | None = None,
    training: bool = False,
    shares: list[Tensor] | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """One step of all cells of a layer, each state with its nudge.

    Args:
        layer: A recurrent layer.
        inputs: Tensor of shape `(batch, features)`.
        states: The states of all cells before the step: tensors `(batch, units)`.
        nudges: What is added to each new state, or `None`: nothing.
        training: Whether dropout is at work.
        shares: List that gets, for each cell, the share of saturated units and gates:
            a tensor of shape `(batch, 2)`. `None`: they are not asked for.

    Returns:
        The output, and the list of the new states of all cells.

    Raises:
        ValueError: the output of a cell is neither its state nor `readout` of it.
    """
    output, after, states = inputs, [], list(states)
    nudges = list(nudges) if nudges is not None else [0.0] * len(states)
    for cell in cells_of(layer):
        count = len(keras.tree.flatten(cell.state_size))
        own, states = states[:count], states[count:]
        knows = "training" in inspect.signature(cell.call).parameters
        with _overheard(cell) as heard, _readouts(cell) as readouts:
            output, new = cell(output, own, **({"training": training} if knows else {}))
        new = keras.tree.flatten(new)
        nudged = [state + nudges.pop(0) for state in new]
        if output is new[0]:
            output = nudged[0]
        elif any(state is new[0] and output is y for state, y in readouts):
            output = cell.readout(nudged[0])
        else:
            raise ValueError(
                "The output of a cell must be the first of its states, or what its `call` gets "
                "from `self.readout` of it, for the gradient to be known. "
                f"Received: cell={cell}"
            )
        after += nudged
        if shares is not None:
            shares.append(_shares(heard, ops.shape(nudged[0])[0]))
    return output, after


def cells_of(layer: keras.layers.RNN) -> list[keras.Layer]:
    """The cells of a layer: those of its stack, or its one cell."""
    return getattr(layer.cell, "cells", [layer.cell])


@contextlib.contextmanager
def _overheard(cell):
    """Within, what the activations of a cell return is written down as well."""
    heard: dict[str, list[Tensor]] = {"activation": [], "recurrent_activation": []}
    own: dict[str, Any] = {name: getattr(cell, name, None) for name in heard}
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


@contextlib.contextmanager
def _readouts(cell):
    """Within, the states that `cell.readout` is called with, and what it returns."""
    pairs: list[tuple[Tensor, Tensor]] = []
    if not hasattr(cell, "readout"):
        yield pairs
        return
    readout, mine = cell.readout, vars(cell).get("readout")  # a layer, of some cells

    def listening(state):
        pairs.append((state, readout(state)))
        return pairs[-1][1]

    object.__setattr__(cell, "readout", listening)
    try:
        yield pairs
    finally:
        object.__delattr__(cell, "readout")
        if mine is not None:
            object.__setattr__(cell, "readout", mine)


def _shares(heard, batch):
    """The share of units and of gates that were heard to be saturated, (batch, 2)."""
    columns = []
    for values in heard.values():
        flat = [ops.mean(ops.cast(value, "float32"), axis=-1) for value in values]
        nothing = ops.full((batch,), float("nan"))
        columns.append(sum(flat) / len(flat) if flat else nothing)
    return ops.stack(columns, axis=-1)
