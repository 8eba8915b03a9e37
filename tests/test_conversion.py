"""Models with Keras's recurrent layers become models with ours, and back."""

import importlib.util

import keras
import numpy as np
import pytest
from keras import layers

import keras_rnn
from keras_rnn import convert, from_torch

KERAS = (
    layers.RNN,
    layers.SimpleRNN,
    layers.LSTM,
    layers.GRU,
    layers.SimpleRNNCell,
    layers.LSTMCell,
    layers.GRUCell,
)


def recurrent(config):
    """The recurrent layers and cells in the config of a model."""
    names = {kind.__name__ for kind in KERAS} | {"ElmanRNN", "ElmanCell"}
    if isinstance(config, dict):
        # Where it stands in its model names the inputs, which a clone calls otherwise.
        layer = {key: config[key] for key in config if key != "inbound_nodes"}
        own = [layer] if config.get("class_name") in names else []
        return own + [found for each in config.values() for found in recurrent(each)]
    if isinstance(config, (list, tuple)):
        return [found for each in config for found in recurrent(each)]
    return []


def randomized(model):
    """The model with biases, too, that are not zero."""
    model.set_weights(
        [np.random.normal(size=w.shape, scale=0.3) for w in model.weights]
    )
    return model


def data_for(model, batch=2, steps=4):
    """An input of small integers or of random numbers for each input of a model."""
    found = []
    for each in model.inputs:
        shape = [batch, *(size or steps for size in each.shape[1:])]
        integers = each.dtype.startswith("int") or len(shape) == 2
        array = np.random.randint(0, 9, shape) if integers else np.random.randn(*shape)
        found.append(array.astype(each.dtype))
    return found if len(found) > 1 else found[0]


def outputs(model, x):
    return keras.ops.convert_to_numpy(model(x))


def check_both_ways(model, stack_of_one=False):
    """Equal outputs with our layers, and the same layers when it is back.

    A stack of one cell comes back as that cell.
    """
    x = data_for(model)
    there = convert(randomized(model))
    back = convert(there, to="keras")
    np.testing.assert_allclose(outputs(there, x), outputs(model, x), atol=1e-5)
    before, ours, after = [
        recurrent(keras.saving.serialize_keras_object(each))
        for each in (model, there, back)
    ]
    if not stack_of_one:
        for found, wanted in zip(after, before, strict=True):
            assert found == wanted
    else:
        np.testing.assert_allclose(outputs(back, x), outputs(model, x), atol=1e-5)
    assert all(each["registered_name"].startswith("keras_rnn>") for each in ours)
    assert len(ours) == len(before) > 0
    for a, b in zip(model.get_weights(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    return there


# ------------------------------------------------------------------- the guide of Keras


def guide_of_rnns():
    """Working with RNNs: the three models of its first half, and the stacked cells."""
    return [
        keras.Sequential(
            [
                keras.Input((None,)),
                layers.Embedding(input_dim=10, output_dim=8),
                layers.LSTM(9),
                layers.Dense(4),
            ]
        ),
        keras.Sequential(
            [
                keras.Input((None,)),
                layers.Embedding(input_dim=10, output_dim=8),
                layers.GRU(12, return_sequences=True),
                layers.SimpleRNN(5),
                layers.Dense(4),
            ]
        ),
        guide_encoder_decoder(),
        keras.Sequential(
            [
                keras.Input((5, 4)),
                layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
                layers.Bidirectional(layers.LSTM(3)),
                layers.Dense(4),
            ]
        ),
        keras.Sequential(
            [
                keras.Input((None, 4)),
                layers.RNN(layers.LSTMCell(6)),
                layers.BatchNormalization(),
                layers.Dense(4),
            ]
        ),
    ]


def guide_encoder_decoder():
    encoder_input = layers.Input(shape=(None,))
    embedded = layers.Embedding(input_dim=10, output_dim=4)(encoder_input)
    _, *state = layers.LSTM(5, return_state=True, name="encoder")(embedded)
    decoder_input = layers.Input(shape=(None,))
    embedded = layers.Embedding(input_dim=20, output_dim=4)(decoder_input)
    output = layers.LSTM(5, name="decoder")(embedded, initial_state=state)
    return keras.Model([encoder_input, decoder_input], layers.Dense(4)(output))


@pytest.mark.slow
@pytest.mark.parametrize("index", range(5))
def test_the_guide(index):
    check_both_ways(guide_of_rnns()[index])


# -------------------------------------------------------------- the examples of keras.io


def bidirectional_lstm_on_imdb():
    inputs = keras.Input(shape=(None,), dtype="int32")
    x = layers.Embedding(10, 6)(inputs)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    x = layers.Bidirectional(layers.LSTM(4))(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


def addition():
    model = keras.Sequential()
    model.add(layers.Input((5, 7)))
    model.add(layers.LSTM(8))
    model.add(layers.RepeatVector(4))
    for _ in range(2):
        model.add(layers.LSTM(8, return_sequences=True))
    model.add(layers.Dense(7, activation="softmax"))
    return model


def weather():
    inputs = keras.layers.Input(shape=(6, 3))
    lstm_out = keras.layers.LSTM(5)(inputs)
    return keras.Model(inputs=inputs, outputs=keras.layers.Dense(1)(lstm_out))


@pytest.mark.parametrize("make", [bidirectional_lstm_on_imdb, addition, weather])
def test_examples(make):
    check_both_ways(make())


# --------------------------------------------------------------------- all that there is


def around(layer):
    return keras.Sequential([keras.Input((5, 3)), layer])


OPTIONS = {
    "simple": lambda: layers.SimpleRNN(4, activation="relu", return_sequences=True),
    "backwards": lambda: layers.LSTM(4, go_backwards=True, return_sequences=True),
    "original GRU": lambda: layers.GRU(4, reset_after=False, use_bias=False),
    "regularized": lambda: layers.GRU(
        4, kernel_regularizer="l2", recurrent_constraint="max_norm", dropout=0.2
    ),
    "unrolled": lambda: layers.LSTM(4, unroll=True, unit_forget_bias=False),
    "two ways": lambda: layers.Bidirectional(
        layers.GRU(4), backward_layer=layers.GRU(4, go_backwards=True), merge_mode="sum"
    ),
    "cells": lambda: layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)]),
    "one cell": lambda: layers.RNN([layers.SimpleRNNCell(4)], return_sequences=True),
    "stack": lambda: layers.RNN(
        layers.StackedRNNCells([layers.GRUCell(4), layers.LSTMCell(2)])
    ),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_options(kind):
    there = check_both_ways(around(OPTIONS[kind]()), kind.startswith("one"))
    assert not any("initial" in w.path.rsplit("/")[-1] for w in there.weights)


def test_masks():
    model = keras.Sequential(
        [
            keras.Input((None,)),
            layers.Embedding(9, 4, mask_zero=True),
            layers.LSTM(4, return_sequences=True),
            layers.Bidirectional(layers.GRU(3)),
        ]
    )
    check_both_ways(model)


@pytest.mark.slow
def test_models_within_models():
    inner = around(layers.GRU(3))
    outer_input = keras.Input((2, 5, 3))
    alone = around(layers.LSTM(3, return_sequences=True))
    each = layers.TimeDistributed(inner)(outer_input)
    summed = layers.TimeDistributed(layers.SimpleRNN(3))(outer_input)
    first = alone(outer_input[:, 0])
    again = alone(outer_input[:, 1])
    outputs = (
        layers.LSTM(2)(each + summed)
        + keras.ops.sum(first + again, axis=(1, 2))[:, None]
    )
    there = check_both_ways(keras.Model(outer_input, outputs))
    # What was shared is shared.
    assert len(there.weights) == 4 * 3


class Doubled(layers.LSTM):
    """Not Keras's own any more: what it does is not known."""

    def call(self, sequences, initial_state=None, mask=None, training=False):
        return 2 * super().call(sequences, initial_state, mask, training)


class Scaled(keras.Layer):
    def call(self, x):
        return 3 * x


def test_layers_of_ones_own_stay():
    model = randomized(
        keras.Sequential([keras.Input((4, 3)), Doubled(3, return_sequences=True)])
    )
    model.add(Scaled())
    model.add(layers.GRU(3))
    new, x = convert(model), data_for(model)
    assert isinstance(new.layers[0], Doubled) and isinstance(new.layers[1], Scaled)
    assert isinstance(new.layers[2], keras_rnn.GRU)
    np.testing.assert_allclose(outputs(new, x), outputs(model, x), atol=1e-5)


def test_the_model_is_left_as_it_is():
    model = around(layers.LSTM(3, use_cudnn=False, name="mine"))
    before = model.get_weights()
    new = convert(model)
    new.set_weights([0 * w for w in new.get_weights()])
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    (layer,) = new.layers
    assert layer.name == "mine" and layer.use_cudnn is False


def test_a_model_that_has_no_weights_yet():
    new = convert(keras.Sequential([layers.LSTM(3), layers.Dense(1)]))
    assert isinstance(new.layers[0], keras_rnn.LSTM)
    assert new(np.ones((2, 4, 3), "float32")).shape == (2, 1)


@pytest.mark.slow
def test_a_converted_model_trains_and_is_saved(tmp_path):
    model = around(layers.Bidirectional(layers.GRU(3)))
    model.compile("sgd", "mse")
    new, x = convert(model), data_for(model)
    new.fit(x, np.zeros((2, 6)), verbose=0)
    new.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(outputs(loaded, x), outputs(new, x), atol=1e-6)


# ----------------------------------------------------------------------------- refusals


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.rnn = layers.LSTM(3)

    def call(self, x):
        return self.rnn(x)


@pytest.mark.parametrize(
    "make",
    [
        Subclassed,
        lambda: keras.Sequential(
            [keras.Input((2, 5, 3)), layers.TimeDistributed(Subclassed())]
        ),
        lambda: keras.Sequential([Subclassed()]),
        lambda: layers.LSTM(3),
        lambda: "model.keras",
    ],
)
def test_what_is_written_in_code_cannot_be_converted(make):
    with pytest.raises(
        ValueError, match="`model` must be a keras.Sequential or a func"
    ):
        convert(make())


@pytest.mark.parametrize(
    "layer",
    [
        lambda: keras_rnn.LSTM(3, name="mine"),
        lambda: keras_rnn.ElmanRNN(3, output_units=2, learn_initial_state=False),
        lambda: layers.Bidirectional(keras_rnn.GRU(3)),
        lambda: keras_rnn.RNN([keras_rnn.LSTMCell(3), keras_rnn.GRUCell(3)]),
    ],
)
def test_what_keras_has_no_weights_for(layer):
    with pytest.raises(
        ValueError, match="neither a learned initial state nor `output_u"
    ):
        convert(around(layer()), to="keras")


@pytest.mark.parametrize("to", ["torch", None, True])
def test_a_bad_direction(to):
    with pytest.raises(ValueError, match='`to` must be "keras_rnn" or "keras"'):
        convert(around(layers.LSTM(3)), to=to)


# ------------------------------------------------------------------------------ PyTorch

needs_torch = pytest.mark.skipif(
    not importlib.util.find_spec("torch"), reason="torch is not installed"
)


@needs_torch
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.4},
        {"bias": False, "num_layers": 2},
    ],
    ids=str,
)
def test_modules_of_pytorch(kind, options):
    import torch

    module = getattr(torch.nn, kind)(3, 4, **options).cpu().eval()
    model = from_torch(module)
    x = np.random.randn(2, 5, 3).astype("float32")
    first = torch.tensor(x if module.batch_first else x.swapaxes(0, 1))
    with torch.no_grad():
        want = module(first)[0].numpy()
    want = want if module.batch_first else want.swapaxes(0, 1)
    np.testing.assert_allclose(outputs(model, x), want, atol=1e-5)
    dropped = [each for each in model.layers if isinstance(each, layers.Dropout)]
    assert len(dropped) == (1 if module.dropout else 0)


@needs_torch
@pytest.mark.parametrize(
    "dtype", [pytest.param("float64", marks=pytest.mark.float64), "float32", "bfloat16"]
)
def test_modules_of_other_dtypes(dtype):
    import torch

    module = torch.nn.RNN(3, 4, nonlinearity="relu").to(getattr(torch, dtype))
    model = from_torch(module)
    assert {str(w.dtype) for w in model.weights} == {dtype}
    want = module.weight_ih_l0.detach().cpu().float().numpy().T
    found = keras.ops.convert_to_numpy(keras.ops.cast(model.weights[0], "float32"))
    np.testing.assert_array_equal(found, want)
    assert model.layers[0].activation is keras.activations.relu


@needs_torch
def test_what_is_no_module_of_pytorch():
    import torch

    for other in (torch.nn.Linear(3, 4), torch.nn.LSTMCell(3, 4), None):
        with pytest.raises(ValueError, match="`module` must be a torch.nn.RNN"):
            from_torch(other)
    with pytest.raises(ValueError, match="`module` must have proj_size=0"):
        from_torch(torch.nn.LSTM(3, 4, proj_size=2))
