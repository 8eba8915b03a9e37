"""From Keras's recurrent layers to ours and back, and from PyTorch's: weights included."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_rnn.cells import ElmanCell, GRUCell, LSTMCell
from keras_rnn.layers import GRU, LSTM, ElmanRNN
from keras_rnn.rnn import RNN

if TYPE_CHECKING:
    import torch

PAIRS: dict[type[keras.Layer], type[keras.Layer]] = {
    keras.layers.RNN: RNN,
    keras.layers.SimpleRNN: ElmanRNN,
    keras.layers.LSTM: LSTM,
    keras.layers.GRU: GRU,
    keras.layers.SimpleRNNCell: ElmanCell,
    keras.layers.LSTMCell: LSTMCell,
    keras.layers.GRUCell: GRUCell,
}


def convert(model: keras.Model, to: str = "keras_rnn") -> keras.Model:
    """A model like another, with our recurrent layers in the place of Keras's, or back.

    Each `keras.layers.SimpleRNN`, `LSTM`, `GRU` and `RNN`, and each of their cells, alone
    or within a `Bidirectional`, a `TimeDistributed`, a stack or an inner model, becomes
    one of keras_rnn with the same weights, `learn_initial_state=False` and the same name.
    The outputs are the same, but for what Keras's layers get wrong: see `keras_rnn.RNN`.
    Layers of your own, those derived from Keras's among them, stay what they are.

    Args:
        model: A `keras.Sequential` or functional model of any depth.
        to: `"keras_rnn"` (default), or `"keras"`: from our layers back to Keras's.

    Returns:
        A new model with weights of its own: none is shared with `model`, which is left
        as it is. Compiled like `model`, with a new optimizer. A stateful layer starts
        afresh.

    Raises:
        ValueError: `model` is no such model, or holds one: what a subclassed model calls
            is in its code, where it must be replaced by hand. With `to="keras"`: a layer
            has a learned initial state or `output_units`, which Keras's layers have not.

    Example:
    >>> reader = keras.layers.LSTM(4, name="reader")
    >>> model = convert(keras.Sequential([keras.Input((None, 3)), reader]))
    >>> isinstance(model.get_layer("reader"), LSTM)
    True
    """
    if to not in ("keras_rnn", "keras"):
        raise ValueError(f'`to` must be "keras_rnn" or "keras". Received: to={to!r}')
    _check_model(model, model)
    chosen = PAIRS
    if to == "keras":
        chosen = {ours: theirs for theirs, ours in PAIRS.items()}
    pairs = {_place(source): (source, target) for source, target in chosen.items()}

    def like(layer):
        if not isinstance(layer, keras.Layer):  # an operation
            return type(layer).from_config(layer.get_config())
        inner = layer
        while isinstance(inner, keras.layers.Wrapper):
            inner = inner.layer
        if isinstance(inner, keras.Model):
            _check_model(inner, model)
        config = keras.saving.serialize_keras_object(layer)
        found = _replaced(config, pairs)
        if found == config:
            return type(layer).from_config(layer.get_config())
        made = keras.saving.deserialize_keras_object(found, safe_mode=False)
        if isinstance(made, RNN) and hasattr(layer, "use_cudnn"):
            made.use_cudnn = layer.use_cudnn  # no part of the config of Keras's
        return made

    new = keras.models.clone_model(model, clone_function=like, recursive=True)
    if model.built:
        new.set_weights(model.get_weights())
    return new


def _check_model(model, whole):
    """Raises a `ValueError` unless the layers of a model are known to Keras."""
    if isinstance(model, (keras.Sequential, keras.Function)):
        return
    held = "" if model is whole else f", which holds {model}"
    raise ValueError(
        "`model` must be a keras.Sequential or a functional model, and so must the "
        "models in it: what another one calls is written in its code, where nothing can "
        "be replaced from outside. Write keras_rnn.LSTM(..., learn_initial_state=False) "
        "for keras.layers.LSTM(...) there, and give the new model the weights of the old "
        f"one by `set_weights`. Received: model={whole}{held}"
    )


def _place(kind):
    """The module and the name by which Keras writes a class down."""
    theirs = getattr(keras.layers, kind.__name__, None) is kind
    return "keras.layers" if theirs else kind.__module__, kind.__name__


def _replaced(config, pairs):
    """The config of a layer with another class in the place of each that has a pair.

    Args:
        config: What `keras.saving.serialize_keras_object` gave, or a part of it.
        pairs: For the module and the name of a class: it, and what takes its place.
    """
    if isinstance(config, (list, tuple)):
        return type(config)(_replaced(each, pairs) for each in config)
    if not isinstance(config, dict):
        return config
    found = {key: _replaced(value, pairs) for key, value in config.items()}
    source, target = pairs.get(
        (found.get("module"), found.get("class_name")), [None] * 2
    )
    if source is None:
        return found
    inner = found["config"]
    if source in PAIRS:
        registered = keras.saving.get_registered_name(target)
        if "learn_initial_state" in _arguments(target):
            inner = {**inner, "learn_initial_state": False}
    else:
        registered = None
        if inner.get("learn_initial_state") or inner.get("output_units"):
            raise ValueError(
                "`model` must have neither a learned initial state nor `output_units` to "
                "become one of Keras's, whose layers have no weights for them. Received: "
                f"{inner['name']}, a {source.__name__} with "
                f"learn_initial_state={inner['learn_initial_state']}, "
                f"output_units={inner['output_units']}"
            )
        ours = _arguments(source) - _arguments(target) - {"zero_output_for_mask"}
        inner = {key: value for key, value in inner.items() if key not in ours}
    module, name = _place(target)
    return {
        **found,
        "module": module,
        "class_name": name,
        "registered_name": registered,
        "config": inner,
    }


def _arguments(kind):
    """The names of the arguments of a class."""
    return set(inspect.signature(kind).parameters)


def from_torch(module: torch.nn.RNNBase) -> keras.Sequential:
    """A model of our layers that computes what a `torch.nn.RNN`, `LSTM` or `GRU` does.

    It reads `(batch, timesteps, features)`, whatever the `batch_first` of the module,
    and returns the outputs of all steps of the last layer, both directions side by side.
    Each layer is one of ours with `return_sequences=True`,
    `learn_initial_state=False`, in a `keras.layers.Bidirectional` where the module is
    bidirectional; the dropout of the module, between layers, is a `keras.layers.Dropout`.
    PyTorch has two biases where Keras's SimpleRNN and LSTM have one: it is their sum.

    Args:
        module: A `torch.nn.RNN`, `LSTM` or `GRU`: any number of layers, one direction or
            two, with biases or without, of any dtype of floating-point numbers. Keras may
            run on any backend.

    Returns:
        A `keras.Sequential` with the weights of the module.

    Raises:
        ValueError: `module` is no such module, or has `proj_size`, which no layer here
            has.

    Example:
    >>> model = from_torch(torch.nn.GRU(3, 4, num_layers=2))  # doctest: +SKIP
    >>> model(x.swapaxes(0, 1))  # of (batch, timesteps, 3)     # doctest: +SKIP
    """
    kinds = {"RNN_TANH": ElmanRNN, "RNN_RELU": ElmanRNN, "LSTM": LSTM, "GRU": GRU}
    kind = kinds.get(getattr(module, "mode", ""))
    if kind is None:
        raise ValueError(
            "`module` must be a torch.nn.RNN, torch.nn.LSTM or torch.nn.GRU. "
            f"Received: module={module}"
        )
    if module.proj_size:
        raise ValueError(
            "`module` must have proj_size=0: no layer of keras_rnn projects its state. "
            f"Received: module={module}"
        )
    options = {
        "use_bias": module.bias,
        "return_sequences": True,
        "learn_initial_state": False,
        # The weights are set below; PyTorch orthogonalizes nothing in half precision.
        "recurrent_initializer": "zeros",
        "dtype": str(module.weight_hh_l0.dtype).removeprefix("torch."),
    }
    if kind is ElmanRNN:
        options["activation"] = module.mode.removeprefix("RNN_").lower()
    model = keras.Sequential([keras.Input((None, module.input_size))])
    for level in range(module.num_layers):
        if level and module.dropout:
            dtype = options["dtype"]
            model.add(keras.layers.Dropout(module.dropout, dtype=dtype))
        layer = kind(module.hidden_size, **options)
        if module.bidirectional:
            layer = keras.layers.Bidirectional(layer, dtype=options["dtype"])
        model.add(layer)
        suffixes = ["", "_reverse"][: 1 + module.bidirectional]
        weights = [_weights(module, f"_l{level}{suffix}") for suffix in suffixes]
        layer.set_weights([each for direction in weights for each in direction])
    return model


def _weights(module, suffix):
    """The weights of one layer and direction of a module of PyTorch, in Keras's layout."""

    def array(name):
        tensor = getattr(module, name + suffix).detach().cpu()
        # NumPy has no bfloat16; half precision fits into float32.
        return (tensor if tensor.element_size() > 4 else tensor.float()).numpy()

    def gates(array):
        """Keras's order of the gates in the last axis."""
        if module.mode != "GRU":  # i, f, g, o in both
            return array
        reset, update, candidate = np.split(array, 3, axis=-1)
        return np.concatenate([update, reset, candidate], axis=-1)

    weights = [gates(array("weight_ih").T), gates(array("weight_hh").T)]
    if module.bias:
        both = np.stack([gates(array("bias_ih")), gates(array("bias_hh"))])
        weights.append(both if module.mode == "GRU" else both.sum(axis=0))
    return weights
