"""Files of weights that go from Keras's layers to ours, and back.

The oracle is Keras: a file gives our model the weights and the outputs of Keras's model
that wrote it, and the other way round.
"""

import keras
import numpy as np
import pytest

import keras_rnn

KERAS = {
    "elman": (keras.layers.SimpleRNN, keras.layers.SimpleRNNCell),
    "lstm": (keras.layers.LSTM, keras.layers.LSTMCell),
    "gru": (keras.layers.GRU, keras.layers.GRUCell),
}
OURS = {
    "elman": (keras_rnn.ElmanRNN, keras_rnn.ElmanCell),
    "lstm": (keras_rnn.LSTM, keras_rnn.LSTMCell),
    "gru": (keras_rnn.GRU, keras_rnn.GRUCell),
}
X = np.random.default_rng(0).normal(size=(2, 3, 2)).astype("float32")
STATES = ("initial_state", "initial_carry")


def words(rnn, word, cell, **options):
    layers = [word(3, return_sequences=True, **options), word(4, **options)]
    return keras.Sequential([keras.Input((3, 2)), *layers, keras.layers.Dense(2)])


def cells(rnn, word, cell, **options):
    return keras.Sequential([keras.Input((3, 2)), rnn(cell(4, **options))])


def stack(rnn, word, cell, **options):
    both = [cell(3, **options), cell(4, **options)]
    return keras.Sequential([keras.Input((3, 2)), rnn(both)])


def bidirectional(rnn, word, cell, **options):
    both = [cell(3, **options), cell(4, **options)]
    layers = [word(3, return_sequences=True, **options), rnn(both)]
    layers = [keras.layers.Bidirectional(layer) for layer in layers]
    return keras.Sequential([keras.Input((3, 2)), *layers])


def nested(rnn, word, cell, **options):
    inputs = keras.Input((3, 2))
    inner = [keras.Input((3, 2)), word(3, return_sequences=True, **options)]
    sequence = keras.Sequential(inner)(inputs)
    sequence = word(4, return_sequences=True, **options)(sequence)
    return keras.Model(inputs, [word(2, **options)(sequence), sequence])


class Subclass(keras.Model):
    def __init__(self, word, **options):
        super().__init__()
        self.reader = word(3, return_sequences=True, **options)
        self.levels = [word(3, return_sequences=True, **options), word(4, **options)]

    def call(self, x):
        for layer in (self.reader, *self.levels):
            x = layer(x)
        return x


def subclass(rnn, word, cell, **options):
    model = Subclass(word, **options)
    model(keras.Input((3, 2)))
    return model


BUILDS = [words, cells, stack, bidirectional, nested, subclass]
every_kind = pytest.mark.parametrize("kind", KERAS)
every_build = pytest.mark.parametrize("build", BUILDS)


def theirs(build, kind):
    return with_random_weights(build(keras.layers.RNN, *KERAS[kind]))


def ours(build, kind, **options):
    return build(keras_rnn.RNN, *OURS[kind], **options)


def with_random_weights(model):
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
    return model


def assert_same(model, reference):
    """The weights of `reference` in `model`, zeros for the initial states beside them."""
    own = [keras.ops.convert_to_numpy(w) for w in model.weights if w.name not in STATES]
    for w, wanted in zip(own, reference.get_weights(), strict=True):
        np.testing.assert_array_equal(w, wanted)
    for w in model.weights:
        if w.name in STATES:
            assert not np.any(keras.ops.convert_to_numpy(w))


@pytest.mark.slow
@every_build
@every_kind
def test_files_of_kerass_layers_load_into_ours(kind, build, tmp_path):
    reference = theirs(build, kind)
    reference.save_weights(tmp_path / "model.weights.h5")
    for learned in (False, True):
        model = ours(build, kind, learn_initial_state=learned)
        model.load_weights(tmp_path / "model.weights.h5")
        assert_same(model, reference)


@pytest.mark.slow
@every_kind
def test_whole_models_of_kerass_layers_load_into_ours(kind, tmp_path):
    reference = theirs(words, kind)
    reference.compile("adam", "mse")
    reference.optimizer.build(reference.trainable_variables)
    reference.save(tmp_path / "model.keras")
    for learned in (False, True):
        model = ours(words, kind, learn_initial_state=learned)
        model.load_weights(tmp_path / "model.keras")
        assert_same(model, reference)
    y, wanted = (keras.ops.convert_to_numpy(m(X)) for m in (model, reference))
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is KERAS[kind][0]  # a file says whose layers it is


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_the_state_of_an_optimizer_does_not_hinder_the_weights(tmp_path):
    reference, model = theirs(words, "lstm"), ours(words, "lstm")
    for each in (reference, model):
        each.compile("adam", "mse")
        each.optimizer.build(each.trainable_variables)
    reference.save(tmp_path / "model.keras")
    model.load_weights(tmp_path / "model.keras")
    assert_same(model, reference)


def test_weights_in_several_files(tmp_path):
    reference = theirs(stack, "elman")
    path = tmp_path / "model.weights.json"
    reference.save_weights(path, max_shard_size=100 / 2**30)  # 100 bytes
    assert len(list(tmp_path.glob("*.weights.h5"))) > 2
    model = ours(stack, "elman")
    model.load_weights(path)
    assert_same(model, reference)


@pytest.mark.slow
@pytest.mark.parametrize("build", [stack, bidirectional, nested])
@every_kind
def test_h5_files_go_both_ways_without_a_learned_state(kind, build, tmp_path):
    reference, model = theirs(build, kind), ours(build, kind, learn_initial_state=False)
    reference.save(tmp_path / "theirs.h5")
    model.load_weights(tmp_path / "theirs.h5")
    assert_same(model, reference)

    with_random_weights(model).save(tmp_path / "ours.h5")
    reference.load_weights(tmp_path / "ours.h5")
    assert_same(model, reference)


def test_an_h5_file_reaches_a_learned_state_by_way_of_a_weights_file(tmp_path):
    reference = theirs(bidirectional, "gru")
    reference.save(tmp_path / "theirs.h5")
    model = ours(bidirectional, "gru")
    with pytest.raises(ValueError, match="expects 8 weight.*Received 6 saved"):
        model.load_weights(tmp_path / "theirs.h5")

    between = ours(bidirectional, "gru", learn_initial_state=False)
    between.load_weights(tmp_path / "theirs.h5")
    between.save_weights(tmp_path / "between.weights.h5")
    model.load_weights(tmp_path / "between.weights.h5")
    assert_same(model, reference)


@pytest.mark.slow
# Keras looks for its own SimpleRNN under the name of the class, which is not that of ours.
@pytest.mark.parametrize(
    "kind, build",
    [(kind, build) for kind in ("lstm", "gru") for build in BUILDS]
    + [("elman", cells)],
)
def test_files_of_our_layers_load_into_kerass(kind, build, tmp_path):
    model = with_random_weights(ours(build, kind, learn_initial_state=False))
    model.save_weights(tmp_path / "model.weights.h5")
    reference = build(keras.layers.RNN, *KERAS[kind])
    reference.load_weights(tmp_path / "model.weights.h5")
    assert_same(model, reference)


@pytest.mark.slow
@pytest.mark.parametrize("build", [words, stack])
@every_kind
def test_files_of_ours_keep_the_learned_state_and_the_output(kind, build, tmp_path):
    model = with_random_weights(ours(build, kind, output_units=2))
    model.save_weights(tmp_path / "model.weights.h5")
    again = ours(build, kind, output_units=2)
    again.load_weights(tmp_path / "model.weights.h5")
    for w, wanted in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(w, wanted)


def test_a_model_with_layers_of_both_keeps_them_apart(tmp_path):
    def build():
        layers = [
            keras_rnn.ElmanRNN(3, return_sequences=True),
            keras.layers.SimpleRNN(3, return_sequences=True),
            keras_rnn.ElmanRNN(3, return_sequences=True, learn_initial_state=False),
            keras.layers.SimpleRNN(3),
        ]
        return keras.Sequential([keras.Input((3, 3)), *layers])

    model = with_random_weights(build())
    model.save_weights(tmp_path / "model.weights.h5")
    again = build()
    again.load_weights(tmp_path / "model.weights.h5")
    for w, wanted in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(w, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("learned", [False, True])
@every_kind
def test_nothing_but_the_initial_state_may_be_missing(kind, learned, tmp_path):
    path = tmp_path / "model.weights.h5"
    theirs(cells, kind).save_weights(path)
    model = ours(cells, kind, learn_initial_state=learned, output_units=2)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"must hold the weights of .*'output_kernel'"):
        model.load_weights(path)
    for w, wanted in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(w, wanted)

    # As many weights as those but for the initial state, and not these.
    model = ours(
        cells, kind, learn_initial_state=learned, output_units=2, use_bias=False
    )
    with pytest.raises(ValueError, match="shape"):
        model.load_weights(path)


def test_a_file_of_another_architecture_is_refused(tmp_path):
    theirs(words, "elman").save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ValueError, match="Received: none"):
        ours(words, "lstm").load_weights(tmp_path / "model.weights.h5")


@every_kind
def test_a_learned_state_is_not_dropped_in_silence(kind, tmp_path):
    path = tmp_path / "model.weights.h5"
    model = with_random_weights(ours(cells, kind))
    model.save_weights(path)
    fixed = ours(cells, kind, learn_initial_state=False)
    with pytest.raises(ValueError, match="`learn_initial_state=True`"):
        fixed.load_weights(path)
    with pytest.raises(ValueError, match="expected 3 variables, but received [45]"):
        theirs(cells, kind).load_weights(path)

    # What the message says.
    rest = [w for w in model.weights if w.name not in STATES]
    fixed.set_weights([keras.ops.convert_to_numpy(w) for w in rest])
