"""In the place of Keras's layers: what theirs have, ours have.

What there is to have is asked of Keras itself, so that what a later one adds is found.
"""

import inspect

import keras
import numpy as np
import pytest

import keras_rnn

LAYERS = {
    "SimpleRNN": (keras.layers.SimpleRNN, keras_rnn.ElmanRNN),
    "LSTM": (keras.layers.LSTM, keras_rnn.LSTM),
    "GRU": (keras.layers.GRU, keras_rnn.GRU),
}
CELLS = {
    "SimpleRNNCell": (keras.layers.SimpleRNNCell, keras_rnn.ElmanCell),
    "LSTMCell": (keras.layers.LSTMCell, keras_rnn.LSTMCell),
    "GRUCell": (keras.layers.GRUCell, keras_rnn.GRUCell),
}
WRAPPER = {"RNN": (keras.layers.RNN, keras_rnn.RNN)}
# A stack is Keras's own, around our cells.
STACK = {"StackedRNNCells": (keras.layers.StackedRNNCells,) * 2}
NAMES = [*LAYERS, *CELLS, *WRAPPER, *STACK]

# Another value than the default, for arguments whose default does not tell their kind.
VALUES = {"activation": "relu", "seed": 3, "name": "mine", "dtype": "mixed_float16"}
KINDS = {
    "initializer": lambda: keras.initializers.Constant(0.5),
    "regularizer": lambda: keras.regularizers.L2(0.1),
    "constraint": lambda: keras.constraints.MaxNorm(2.0),
    "activation": lambda: "relu",
}
# What Keras takes from `**kwargs`.
HIDDEN = {
    **dict.fromkeys(["LSTM", "GRU", "LSTMCell", "GRUCell"], {"implementation": 1}),
}


def classes(name):
    return {**LAYERS, **CELLS, **WRAPPER, **STACK}[name]


def pair(name, /, **options):
    """A layer of Keras's and ours of the same arguments, built."""
    theirs, ours = classes(name)
    zeros = {} if name in WRAPPER or name in STACK else {"learn_initial_state": False}
    if name in WRAPPER:
        firsts = (
            CELLS["LSTMCell"][0](3),
            CELLS["LSTMCell"][1](3, learn_initial_state=False),
        )
    elif name in STACK:
        firsts = [
            [cell(3, **more)]
            for cell, more in zip(
                CELLS["GRUCell"], ({}, {"learn_initial_state": False})
            )
        ]
    else:
        firsts = 3, 3
    made = theirs(firsts[0], **options), ours(firsts[1], **zeros, **options)
    for layer in made:
        layer.build((2, 2) if name in CELLS or name in STACK else (2, 4, 2))
    return made


def parameters(function):
    """Those that have names, with `**kwargs` left out."""
    found = inspect.signature(function).parameters.values()
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p for p in found if p.kind not in variadic]


def other_value(parameter):
    """A value that is not the default of an argument."""
    for ending, make in KINDS.items():
        if parameter.name.endswith(ending):
            return make()
    if isinstance(parameter.default, bool):
        return not parameter.default
    if isinstance(parameter.default, float):
        return 0.25
    return VALUES.get(parameter.name, False)


def told(name, config):
    """A config without what Keras does not keep."""
    # Its SimpleRNN forgets the regularizer. A name is made where none is given.
    lost = {"name"} | ({"activity_regularizer"} if name == "SimpleRNN" else set())
    return {key: value for key, value in config.items() if key not in lost}


def plain(value):
    """Whether values of this kind can be compared with ==."""
    return value is None or isinstance(value, (bool, int, float, str, list, tuple))


# ------------------------------------------------------------------------- constructors


@pytest.mark.parametrize("name", NAMES)
def test_arguments_in_the_same_order_with_the_same_defaults(name):
    theirs, ours = map(parameters, classes(name))
    for a, b in zip(theirs, ours[: len(theirs)], strict=True):
        assert (b.name, b.kind, b.default) == (a.name, a.kind, a.default)
    # Ours come after them, by name only.
    assert all(p.kind is p.KEYWORD_ONLY for p in ours[len(theirs) :])
    # None is hidden in `*args`: `help` and editors show each of them.
    every = inspect.signature(classes(name)[1]).parameters.values()
    assert not [p for p in every if p.kind is p.VAR_POSITIONAL]


@pytest.mark.parametrize("name", [*LAYERS, *CELLS])
def test_each_argument_is_written_out_and_told_of(name):
    _, ours = classes(name)
    by_name = {p.name for p in parameters(ours)}
    cell = ours if name in CELLS else ours.cell_class
    assert cell.argument_names() <= by_name
    missing = [each for each in by_name if each not in ours.__doc__]
    assert not missing, missing


@pytest.mark.parametrize("name", NAMES)
def test_each_argument_is_taken(name):
    theirs, ours = classes(name)
    general = parameters(keras.Layer.__init__)[1:]
    arguments = {p.name: other_value(p) for p in [*parameters(theirs)[1:], *general]}
    arguments |= HIDDEN.get(name, {})
    arguments |= {} if name in CELLS or name in STACK else {"return_sequences": True}
    layers = pair(name, **arguments)
    wanted, config = told(name, layers[0].get_config()), layers[1].get_config()
    for key, value in wanted.items():
        if key not in ("cell", "cells"):
            assert config[key] == value, key
    assert layers[1].name == "mine"
    for key in told(name, arguments):
        if plain(getattr(layers[0], key, ...)):
            assert getattr(layers[1], key) == getattr(layers[0], key), key


@pytest.mark.parametrize("name", [*LAYERS, *CELLS])
def test_arguments_by_position(name):
    theirs, ours = classes(name)
    values = [3, *(other_value(p) for p in parameters(theirs)[1:])]
    wanted = told(name, theirs(*values).get_config())
    config = ours(*values).get_config()
    assert {key: config[key] for key in wanted} == wanted


# --------------------------------------------------------- attributes, methods, configs


@pytest.mark.parametrize("name", NAMES)
def test_attributes(name):
    theirs, ours = pair(name)
    public = [each for each in dir(theirs) if not each.startswith("_")]
    public = [each for each in public if hasattr(theirs, each)]
    assert not [each for each in public if not hasattr(ours, each)]
    for each in public:
        value = getattr(theirs, each)
        if plain(value) and each not in ("name", "path", "cells", "input_spec"):
            if not isinstance(value, (list, tuple)):
                assert getattr(ours, each) == value, each
            else:
                assert len(getattr(ours, each)) == len(value), each
    specs = keras.tree.flatten(theirs.input_spec)
    assert [s.ndim for s in specs if s] == [
        s.ndim for s in keras.tree.flatten(ours.input_spec) if s
    ]


@pytest.mark.parametrize("name", NAMES)
def test_methods_and_their_arguments(name):
    theirs, ours = classes(name)
    for each, method in inspect.getmembers(theirs, callable):
        if each.startswith("_") or not hasattr(method, "__code__"):
            continue
        # The first one after `self` goes by position: Keras calls it `sequence` in one
        # cell and `inputs` in the others, and `_` in a method of its layer.
        wanted = [p for p in parameters(method)[2:] if p.kind is not p.POSITIONAL_ONLY]
        found = {p.name: p for p in parameters(getattr(ours, each))}
        for parameter in wanted:
            assert parameter.name in found, (each, parameter.name)
            assert found[parameter.name].default == parameter.default, each


@pytest.mark.parametrize("name", NAMES)
def test_configs(name):
    theirs, ours = pair(name)
    config = ours.get_config()
    for key, value in theirs.get_config().items():
        assert key in config, key
        if key not in ("name", "cell", "cells"):
            assert config[key] == value, key
    assert type(ours).from_config(ours.get_config()).get_config() == config


@pytest.mark.parametrize("name", LAYERS)
def test_a_config_of_keras_makes_our_layer(name):
    theirs, ours = classes(name)
    config = theirs(3, dropout=0.2, return_sequences=True, name="mine").get_config()
    layer = ours.from_config({**config, "learn_initial_state": False})
    assert layer.dropout == 0.2 and layer.return_sequences and layer.name == "mine"


@pytest.mark.parametrize("name", [*LAYERS, *WRAPPER])
def test_from_config_takes_custom_objects(name):
    class Half(keras.initializers.Constant):
        def __init__(self, value=0.5):
            super().__init__(value)

    cell = CELLS["LSTMCell"][1](3, bias_initializer=Half())
    ours = classes(name)[1]
    layer = ours(cell) if name in WRAPPER else ours(3, bias_initializer=Half())
    made = ours.from_config(layer.get_config(), custom_objects={"Half": Half})
    assert type(made.cell.bias_initializer) is Half


@pytest.mark.parametrize("name", LAYERS)
def test_the_call_takes_what_keras_takes(name):
    theirs, ours = pair(name, return_state=True)
    ours.set_weights(theirs.get_weights())
    x = np.random.randn(2, 4, 2).astype("float32")
    states = [np.random.randn(2, 3).astype("float32") for _ in theirs.state_size]
    arguments = {"mask": np.array([[1, 1, 0, 0], [1] * 4], bool), "training": False}
    for layer_arguments in ((x, states), (x,)):
        for a, b in zip(
            theirs(*layer_arguments, **arguments), ours(*layer_arguments, **arguments)
        ):
            np.testing.assert_allclose(b, a, atol=1e-6)


# ---------------------------------------------------------------------------- use_cudnn


@pytest.mark.parametrize("make", [c for _, c in LAYERS.values()], ids=LAYERS)
@pytest.mark.parametrize("value", ["auto", True, False])
def test_use_cudnn_is_kept(make, value):
    layer = make(3, use_cudnn=value)
    assert layer.use_cudnn == layer.get_config()["use_cudnn"] == value
    assert make.from_config(layer.get_config()).use_cudnn == value
    assert keras.layers.Bidirectional(layer).backward_layer.use_cudnn == value
    stack = keras_rnn.RNN([keras_rnn.LSTMCell(3)], use_cudnn=value)
    assert keras_rnn.RNN.from_config(stack.get_config()).use_cudnn == value


def test_a_config_from_before_use_cudnn():
    for layer in (keras_rnn.GRU(3), keras_rnn.RNN(keras_rnn.GRUCell(3))):
        config = layer.get_config()
        del config["use_cudnn"]
        assert type(layer).from_config(config).use_cudnn == "auto"


@pytest.mark.parametrize("value", [None, "yes", 1, 2, []])
def test_a_bad_use_cudnn(value):
    with pytest.raises(ValueError, match='`use_cudnn` must be "auto", True or False'):
        keras_rnn.LSTM(3, use_cudnn=value)
    with pytest.raises(ValueError, match='`use_cudnn` must be "auto", True or False'):
        keras_rnn.RNN(keras_rnn.LSTMCell(3), use_cudnn=value)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("argument", ["dropout", "recurrent_dropout"])
def test_a_bad_rate_by_position(name, argument):
    theirs, ours = classes(name)
    order = [p.name for p in parameters(theirs)]
    values = [p.default for p in parameters(theirs)][: order.index(argument)]
    with pytest.raises(ValueError, match=f"`{argument}` must be a number from 0 to 1"):
        ours(3, *values[1:], 1.5)


@pytest.mark.parametrize("make", [c for _, c in LAYERS.values()], ids=LAYERS)
def test_another_rank_is_told_in_our_words(make):
    with pytest.raises(ValueError, match="`sequences` must have the shape"):
        make(3)(np.ones((2, 4), "float32"))
