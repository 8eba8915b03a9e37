"""What models give on the backend that Keras runs on, for tests/test_backends.py.

    python -m tests.other_backend FOLDER

loads every model that is saved in the folder, and writes what it gives to an .npz file
beside it, named after the backend. The package is not to import TensorFlow for that.
"""

import pathlib
import sys

import keras
import numpy as np
from keras import layers, ops

import keras_rnn
from keras_rnn import RNN, ElmanCell, ElmanRNN, GRUCell, LSTMCell
from tests.gradients import autodiff

BATCH, TIMESTEPS, FEATURES = 3, 7, 2
TEXT = "the cat sat on the mat. the dog sat, too. "
CELLS = {"elman": ElmanCell, "lstm": LSTMCell, "gru": GRUCell}


def _kinds(make):
    """Layers over sequences by name, for one kind of cell."""
    both = layers.Bidirectional
    return {
        "sequences": lambda: RNN(make(4), return_sequences=True),
        "last": lambda: RNN(make(4, output_units=3)),
        "backwards": lambda: RNN(make(4), go_backwards=True, return_sequences=True),
        "bidirectional": lambda: both(RNN(make(4), return_sequences=True)),
        "a stack": lambda: RNN([make(4, output_units=3), make(5)]),
        "a stack of one": lambda: RNN([make(4, output_units=3)]),
        "states": lambda: RNN(make(4), return_state=True),
        "zeros": lambda: RNN(make(4), return_sequences=True, zero_output_for_mask=True),
        # Softsign has no derivative by hand: Keras's loop, or what stands in for it.
        "loop": lambda: RNN(
            make(4, output_units=3, activation="softsign"), return_sequences=True
        ),
        "loop over a stack": lambda: RNN(
            [make(4, activation="softsign", output_units=3), make(5)],
            go_backwards=True,
        ),
    }


def layer_models():
    """Models of one recurrent layer each, by name; `masked` ones skip the zeros."""
    models = {}
    for cell, make in CELLS.items():
        for kind, layer in _kinds(make).items():
            if cell != "elman" and kind not in ("sequences", "last", "states"):
                continue
            for masked in (False, True) if kind == "sequences" else (True,):
                inputs = keras.Input((None, FEATURES))
                x = layers.Masking()(inputs) if masked else inputs
                name = f"{cell}, {kind}, {'masked' if masked else 'whole'}"
                models[name] = keras.Model(inputs, layer()(x))
    return models


def with_large_weights(model):
    """The model, with weights so large that all of it matters."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(rng.normal(size=weight.shape, scale=0.6))
    return model


def stateful_model():
    inputs = keras.Input((TIMESTEPS, FEATURES), batch_size=BATCH)
    x = RNN([ElmanCell(4)], stateful=True, return_sequences=True)(inputs)
    model = keras.Model(inputs, ElmanRNN(3, stateful=True)(x))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def other_models():
    """A model that writes, and one that translates."""
    return {
        "writer": keras_rnn.Generator(
            TEXT, [LSTMCell(5), ElmanCell(6)], embedding_units=4
        ),
        "translator": keras_rnn.EncoderDecoder(
            "abc", "xyz", GRUCell(6), attention="dot"
        ),
    }


def inputs(batches=1):
    """Sequences in which a step here and there is zeros, and the end of one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * batches, TIMESTEPS, FEATURES)).astype("float32")
    x[rng.random(x.shape[:2]) < 0.3] = 0
    x[0, 4:] = 0
    return x


def what_a_layer_gives(model):
    x = inputs()
    outputs = keras.tree.flatten(model(x))

    def loss(x):
        return sum(ops.sum(ops.sin(3 * y)) for y in keras.tree.flatten(model(x)))

    found = [*outputs, *autodiff(loss, model.trainable_variables, [x])]
    return dict(enumerate(map(ops.convert_to_numpy, found)))


def what_a_stateful_model_gives(model):
    """Carried from batch to batch in `predict`; trained in `fit`; started again."""
    x = inputs(batches=3)
    found = {"predicted": model.predict(x, batch_size=BATCH, verbose=0)}
    for layer in model.layers[1:]:
        layer.reset_state()
    targets = np.ones((len(x), 3), "float32")
    history = model.fit(x, targets, BATCH, epochs=2, shuffle=False, verbose=0)
    found["loss"] = np.array(history.history["loss"])
    found |= {f"weight {i}": w for i, w in enumerate(model.get_weights())}
    found["carried on"] = model.predict(x, batch_size=BATCH, verbose=0)
    return found


def what_a_writer_gives(model):
    ids = np.stack([model.encode(TEXT[:9]), model.encode(TEXT[9:18])])
    text = model.generate("the", 30, temperature=0)
    return {
        "logits": ops.convert_to_numpy(model(ids)),
        "text": model.encode(text),
    }


def what_a_translator_gives(model):
    (source, previous), _ = model.encode(["abc", "b"], ["xy", "zzy"])
    texts = [*model.translate(["abc", "ca"]), *model.translate(["abc"], beam_width=3)]
    return {
        "logits": ops.convert_to_numpy(model([source, previous])),
        "texts": np.array([ord(c) for c in "|".join(texts)]),
    }


def what_the_gradient_flow_gives(model):
    model.compile("sgd", "mse")
    x = inputs()
    y = ops.convert_to_numpy(ops.zeros_like(model(x)))
    (layer,) = (each for each in model.layers if isinstance(each, RNN))
    norms = keras_rnn.state_gradients(model, x, y)
    spectrum = keras_rnn.jacobian_spectrum(layer, x)
    flat = keras.tree.flatten([norms, spectrum])
    return {f"flow {i}": ops.convert_to_numpy(each) for i, each in enumerate(flat)}


def what_it_gives(name, model):
    if name == "writer":
        return what_a_writer_gives(model)
    if name == "translator":
        return what_a_translator_gives(model)
    if name == "stateful":
        return what_a_stateful_model_gives(model)
    found = {str(key): value for key, value in what_a_layer_gives(model).items()}
    if name.endswith("sequences, whole"):
        found |= what_the_gradient_flow_gives(model)
    return found


def main(folder):
    assert "tensorflow" not in sys.modules
    for path in sorted(pathlib.Path(folder).glob("*.keras")):
        found = what_it_gives(path.stem, keras.models.load_model(path))
        np.savez(path.with_suffix(f".{keras.backend.backend()}.npz"), **found)


if __name__ == "__main__":
    main(sys.argv[1])
