"""Generator: reading, writing, conditions, carried states, export."""

import functools
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_rnn import (
    ConsecutiveWindows,
    ElmanCell,
    Generator,
    GRUCell,
    LSTMCell,
    ProjectedLSTMCell,
    windows,
)
from tests import oracle
from tests.own_call import OwnCall

TEXT = "the cat sat on the mät. the dog sat, too. "
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)


def generator(*cells, seed=1, vocabulary=TEXT, **options):
    """A generator of TEXT's characters, with weights so large that it is no bore."""
    cells = list(cells) or [ElmanCell(6)]
    model = Generator(vocabulary, cells, embedding_units=5, **options)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape, scale=0.8))
    return model


@functools.cache
def elman():
    """Two levels of Elman cells, for the tests that change nothing."""
    return generator(ElmanCell(7, output_units=4), ElmanCell(6), start=" ")


@functools.cache
def lstm():
    """With an LSTM and conditions, likewise."""
    return generator(LSTMCell(5), GRUCell(4), conditions=["low", "high"], start=" ")


@functools.cache
def own_call():
    """With cells whose `call` somebody has overridden."""
    return generator(OwnCall(5), OwnCall(4), start=" ")


def learned_states(model, condition=None):
    """The initial state of each level of Elman cells, as arrays (units,)."""
    if condition is None:
        return [oracle.weights_of(r.cell)["initial_state"] for r in model.levels]
    by_name = {w.name: keras.ops.convert_to_numpy(w) for w in model.weights}
    row = model.conditions.index(condition)
    count = len(model.levels)
    return [by_name[f"level_{i}_initial_state"][row] for i in range(count)]


def by_hand(model, ids, states):
    """The logits along `ids` in float64, for levels of Elman cells, and the states."""
    states = [state.astype("float64") for state in states]
    embedding, *_, kernel, bias = model_arrays(model)
    steps = [oracle.elman_step(oracle.weights_of(r.cell)) for r in model.levels]
    logits = []
    for i in ids:
        value = embedding[i]
        for level, step in enumerate(steps):
            value, (states[level],) = step(value, [states[level]])
        logits.append(value @ kernel + bias)
    return np.array(logits), states


def model_arrays(model):
    layers = (model.embedding, model.logits)
    return [
        keras.ops.convert_to_numpy(w).astype("float64")
        for layer in layers
        for w in layer.weights
    ]


# Reading


@pytest.mark.parametrize(
    "dtype, close",
    [("float32", 1e-5)] + [("float64", 1e-12)] * oracle.KERAS_IN_FLOAT64,
)
def test_logits_are_those_of_the_equations(dtype, close):
    model = generator(ElmanCell(7, output_units=4), ElmanCell(6), dtype=dtype)
    ids = model.encode(TEXT)
    expected, _ = by_hand(model, ids, learned_states(model))
    logits = keras.ops.convert_to_numpy(model(ids[None]))
    assert logits.dtype == dtype
    np.testing.assert_allclose(logits[0], expected, rtol=close, atol=close)


@pytest.mark.parametrize("model", [elman, lstm, own_call])
def test_a_step_is_a_step_of_the_trained_pass(model):
    model = model()
    ids = np.stack([model.encode(TEXT[:9]), model.encode(TEXT[9:18])])
    classes = np.array([1, 0]) if model.conditions else None
    states = model.get_initial_state(2, classes)
    whole, last = model((ids, classes) if model.conditions else ids, return_state=True)
    for t in range(9):
        logits, states = model.step(ids[:, t], states)
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(logits),
            keras.ops.convert_to_numpy(whole)[:, t],
            atol=1e-5,
        )
    for a, b in zip(keras.tree.flatten(states), keras.tree.flatten(last)):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b), atol=1e-5
        )


@pytest.mark.parametrize("conditions", [None, ["a", "b"]])
def test_states_of_different_sizes(conditions):
    """Of the LSTM with a projection h_t is narrower than c_t."""
    model = generator(ProjectedLSTMCell(6, 3), ElmanCell(4), conditions=conditions)
    condition = conditions and conditions[0]
    assert len(model.generate("the c", length=5, condition=condition, seed=1)) >= 5
    states = model.get_initial_state(2, conditions and [0, 1])
    assert [[s.shape[1] for s in level] for level in states] == [[3, 6], [4]]


def test_reading_on_from_a_state_is_reading_the_whole():
    ids = elman().encode(TEXT)[None]
    whole = elman()(ids)
    first, states = elman()(ids[:, :10], return_state=True)
    second = elman()(ids[:, 10:], initial_state=states)
    np.testing.assert_allclose(
        np.concatenate([keras.ops.convert_to_numpy(p) for p in (first, second)], 1),
        keras.ops.convert_to_numpy(whole),
        atol=1e-5,
    )


def test_read_gives_the_chances_and_what_each_level_remembers():
    model = generator(ElmanCell(7), ElmanCell(6), start=".")
    chances, levels = model.read("at")
    logits, states = by_hand(model, model.encode(".at"), learned_states(model))
    np.testing.assert_allclose(chances, oracle.softmax(logits), atol=1e-5)
    assert [level.shape for level in levels] == [(3, 7), (3, 6)]
    for level, state in zip(levels, states):
        np.testing.assert_allclose(level[-1], state, atol=1e-5)


def test_characters_and_numbers():
    model = elman()
    assert model.vocabulary == "".join(sorted(set(TEXT)))
    assert Generator(sorted(set(TEXT))[::-1] * 2, ElmanCell(2)).vocabulary == (
        model.vocabulary
    )
    assert model.decode(model.encode(TEXT)) == TEXT
    assert model.encode(TEXT).tolist() == [model.vocabulary.index(c) for c in TEXT]
    assert model.encode("").shape == (0,)
    with pytest.raises(ValueError, match="not in the vocabulary: 'A', '😀'"):
        model.encode("the 😀 A")
    forgiving = Generator("ab?", ElmanCell(2), unknown="?")
    assert forgiving.decode(forgiving.encode("a😀zb\ud800")) == "a??b?"
    with pytest.raises(ValueError, match="`ids`"):
        model.decode([0, 99])


# Writing


def test_greedy_text_is_that_of_the_equations():
    model, prompt = elman(), "the d"
    ids = model.encode(" " + prompt)  # it starts with a space
    logits, states = by_hand(model, ids, learned_states(model))
    expected = []
    for _ in range(300):
        expected.append(logits[-1].argmax())
        logits, states = by_hand(model, expected[-1:], states)
    text = model.generate(prompt, length=300, temperature=0)
    assert text == model.decode(expected)
    assert len(set(text)) > 3  # else it would show little


def test_what_is_written_by_cells_with_a_call_of_their_own_is_what_they_are_trained_on():
    model, text = own_call(), "the"
    text += model.generate(text, 9, temperature=0)
    logits = keras.ops.convert_to_numpy(model(model.encode(" " + text)[None]))[0]
    following = logits[3:-1].argmax(-1)  # of the last character of the prompt, and on
    assert model.decode(following) == text[3:]
    cell, state = model.levels[0].cell, np.full((1, 5), 0.3, "float32")
    x = np.ones((1, 5), "float32")
    output, after = cell(x, [state])
    h = np.tanh(
        x @ keras.ops.convert_to_numpy(cell.kernel)
        + state @ keras.ops.convert_to_numpy(cell.recurrent_kernel)
        + keras.ops.convert_to_numpy(cell.bias)
    )
    np.testing.assert_allclose(after[0], h, atol=1e-6)
    np.testing.assert_allclose(output, np.append(2 * h, [[1]], -1), atol=1e-6)


@pytest.mark.slow
def test_what_is_drawn_has_the_chances_of_the_equations():
    model, count = elman(), 4000
    logits, states = by_hand(model, model.encode(" t"), learned_states(model))
    p = oracle.softmax(logits[-1])
    texts = model.generate(["t"] * count, length=2, seed=5)
    first = np.bincount([model.encode(t)[0] for t in texts], minlength=len(p))
    deviation = (count * p * (1 - p)) ** 0.5
    assert (abs(first - count * p) <= 4.5 * deviation + 1e-9).all()
    # and of the second character, after the commonest first
    likeliest = int(p.argmax())
    p = oracle.softmax(by_hand(model, [likeliest], states)[0][-1])
    texts = [t for t in texts if model.encode(t)[0] == likeliest]
    second = np.bincount([model.encode(t)[1] for t in texts], minlength=len(p))
    deviation = (len(texts) * p * (1 - p)) ** 0.5
    assert (abs(second - len(texts) * p) <= 4.5 * deviation + 1e-9).all()


@pytest.mark.parametrize("options", [{"top_k": 2}, {"top_p": 0.5}])
def test_only_the_likeliest_are_written(options):
    model = elman()
    text = model.generate("the", length=100, temperature=1.5, seed=3, **options)
    logits, _ = by_hand(model, model.encode(" the" + text), learned_states(model))
    for character, row in zip(text, logits[3:]):
        p = np.sort(oracle.softmax(row / 1.5))[::-1]
        rank = (
            oracle.softmax(row / 1.5)
            > oracle.softmax(row / 1.5)[model.encode(character)]
        ).sum()
        assert rank < options.get("top_k", 99)
        assert p[:rank].sum() < options.get("top_p", 1.0) + 1e-5


@pytest.mark.parametrize("model", [elman, lstm])
def test_prompts_in_a_batch_are_each_as_if_alone(model):
    model = model()
    prompts = ["the cat sat on the m", "", "d", "the", ""]
    condition = "high" if model.conditions else None
    greedy = model.generate(prompts, 20, temperature=0, condition=condition)
    for prompt, text in zip(prompts, greedy):
        assert model.generate(prompt, 20, temperature=0, condition=condition) == text
    texts = model.generate(prompts, 20, seed=4, condition=condition)
    assert texts[0] == model.generate(prompts[0], 20, seed=4, condition=condition)
    assert texts[1] != texts[4]  # the same prompt in another place
    others = ["o", "", "sat, too. the", "the", "mät"]
    again = model.generate(others, 20, seed=4, condition=condition)
    assert [again[1], again[3]] == [texts[1], texts[3]]


def test_same_seed_same_text():
    model = elman()
    text = model.generate("the", 600, seed=7)
    assert text == model.generate("the", 600, seed=7)
    assert text[:50] == model.generate("the", 50, seed=7)
    assert text != model.generate("the", 600, seed=8)
    keras.utils.set_random_seed(2)
    drawn = [model.generate("the", 50) for _ in range(2)]
    assert drawn[0] != drawn[1]
    keras.utils.set_random_seed(2)
    assert drawn == [model.generate("the", 50) for _ in range(2)]
    assert len(text) == 600 and isinstance(text, str)


def test_stream_writes_what_generate_writes():
    model = elman()
    for options in ({}, {"stop": "t"}, {"stop": ["äo", "tt", "e"]}, {"top_k": 3}):
        options = {"prompt": "the", "length": 70, "seed": 11, **options}
        characters = list(model.stream(**options))
        assert all(len(character) == 1 for character in characters)
        assert "".join(characters) == model.generate(**options)
    with pytest.raises(ValueError, match="`temperature`"):
        model.stream("the", temperature=-1)  # at once, not when it is read


def test_a_text_ends_before_the_first_stop():
    model = elman()
    prompts = ["the", "d", "o"]
    whole = model.generate(prompts, 600, seed=1)
    stops = [whole[0][300:302], "ät"]  # beyond the first piece that is written
    ended = model.generate(prompts, 600, seed=1, stop=stops)
    for text, full in zip(ended, whole):
        ends = [full.find(stop) for stop in stops if stop in full]
        assert text == full[: min(ends, default=None)]
    assert len(ended[0]) < 600


# Training


@pytest.mark.slow
def test_fit_learns_the_text_and_conditions():
    model = Generator(
        "\n?" + TEXT, ElmanCell(32), conditions=["cat", "dog"], start="\n", unknown="?"
    )
    model.compile(keras.optimizers.Adam(0.02), LOSS)
    texts = ["\nthe cat sat.", "\nthe dog, too."]
    x = np.zeros((2, 14), "int32")
    y = np.full((2, 14), -1)
    for i, text in enumerate(texts):
        ids = model.encode(text + "\n")
        x[i, : len(ids) - 1], y[i, : len(ids) - 1] = ids[:-1], ids[1:]
    inputs = {"tokens": np.tile(x, (50, 1)), "conditions": np.tile([0, 1], 50)}
    history = model.fit(inputs, np.tile(y, (50, 1)), batch_size=2, epochs=6, verbose=0)
    assert history.history["loss"][-1] < 0.02
    for name, text in zip(model.conditions, texts):
        options = {"condition": name, "temperature": 0, "stop": "\n"}
        assert "\n" + model.generate(**options) == text
    both = model.generate(["", ""], condition=["dog", "cat"], temperature=0, length=12)
    assert both == [texts[1][1:13], texts[0][1:13]]


def finite_difference(loss, array, epsilon=1e-6):
    gradient = np.zeros(array.shape)
    for index in np.ndindex(*array.shape):
        losses = []
        for sign in (1, -1):
            moved = array.astype("float64")
            moved[index] += sign * epsilon
            losses.append(loss(moved))
        gradient[index] = (losses[0] - losses[1]) / (2 * epsilon)
    return gradient


@pytest.mark.slow
def test_a_condition_trains_its_own_first_states_and_no_other():
    model = generator(ElmanCell(4), ElmanCell(3), conditions=["a", "b", "c"])
    model.compile(keras.optimizers.SGD(1.0), LOSS)
    ids = model.encode(TEXT[:8])
    x, y = ids[None, :-1], ids[None, 1:]
    first = learned_states(model, "b")

    def loss(state, level):
        states = [state if i == level else first[i] for i in range(2)]
        p = oracle.softmax(by_hand(model, x[0], states)[0])
        return -np.log(p[range(7), y[0]]).mean()

    expected = [
        finite_difference(functools.partial(loss, level=i), first[i]) for i in range(2)
    ]
    before = {w.name: keras.ops.convert_to_numpy(w) for w in model.weights}
    model.train_on_batch((x, np.array([1])), y)
    after = {w.name: keras.ops.convert_to_numpy(w) for w in model.weights}
    for i in range(2):
        name = f"level_{i}_initial_state"
        change = before[name] - after[name]  # the gradient, at a learning rate of 1
        np.testing.assert_allclose(change[1], expected[i], atol=1e-5)
        assert abs(expected[i]).max() > 1e-3
        assert not change[[0, 2]].any()
    assert "initial_state" not in before  # no weight that nothing would train


@functools.cache
def carrying():
    """A generator that was fit on consecutive windows, and these: three batches."""
    model = generator(LSTMCell(5), ElmanCell(4))
    batches = ConsecutiveWindows(model.encode(TEXT)[:25], batch_size=2, timesteps=4)
    model.compile(keras.optimizers.SGD(0.1), LOSS)
    model.fit(batches, verbose=0)
    return model, batches


@pytest.mark.slow
def test_windows_with_a_carried_state_are_the_text_in_one_go():
    model, batches = carrying()
    ids = model.encode(TEXT)
    assert len(batches) == 3
    for _ in range(2):  # a second epoch starts afresh
        parts = [keras.ops.convert_to_numpy(model(batches[i][0])) for i in range(3)]
        whole = keras.ops.convert_to_numpy(model(np.stack([ids[:12], ids[12:24]])))
        np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=1e-5)
    # The loss of `evaluate` is then that of the whole text, too.
    p = oracle.softmax(whole.astype("float64"))
    y = np.stack([ids[1:13], ids[13:25]])
    loss = -np.log(np.take_along_axis(p, y[..., None], -1)).mean()
    np.testing.assert_allclose(model.evaluate(batches, verbose=0), loss, rtol=1e-5)
    # What was carried is no weight.
    fresh = generator(LSTMCell(5), ElmanCell(4))
    assert [w.shape for w in model.weights] == [w.shape for w in fresh.weights]


@pytest.mark.slow
def test_the_first_states_are_trained_by_the_first_windows_alone():
    model, batches = carrying()

    def first_states():
        states = keras.tree.flatten(model.get_initial_state(1))
        return [keras.ops.convert_to_numpy(state) for state in states]

    def changes(index):
        before = first_states()
        model.train_on_batch(*batches[index])
        return [abs(a - b).max() for a, b in zip(first_states(), before)]

    assert min(changes(0)) > 1e-4
    assert max(changes(1)) == max(changes(2)) == 0  # the gradient is cut at the window
    assert min(changes(0)) > 1e-4


@pytest.mark.slow
def test_fit_reads_consecutive_windows_in_their_order():
    model, batches = carrying()
    seen = []

    class Told(ConsecutiveWindows):
        def __getitem__(self, index):
            seen.append(index)
            return super().__getitem__(index)

    told = Told(model.encode(TEXT * 3), batch_size=2, timesteps=4)
    model.fit(told, epochs=2, verbose=0)
    # Keras may look at some before it begins.
    assert seen[-2 * len(told) :] == list(range(len(told))) * 2
    other = ConsecutiveWindows(model.encode(TEXT), 1, 4)
    # Another batch size later on is no matter.
    losses = [model.evaluate(each, verbose=0) for each in (batches, other, batches)]
    assert losses[0] == pytest.approx(losses[2])
    assert model.predict(other, verbose=0).shape == (
        len(other),
        4,
        len(model.vocabulary),
    )


class Meanwhile(keras.callbacks.Callback):
    """Reads other windows after each batch, in all ways there are."""

    def __init__(self, batches, others):
        super().__init__()
        self.batches, self.others = batches, others

    def on_train_batch_end(self, batch, logs=None):
        model = self.model
        model.evaluate(self.others, verbose=0)
        model.predict(self.batches, verbose=0)
        model(self.batches[0][0])
        model.test_on_batch(*self.batches[1])
        model.predict_on_batch(self.batches[0][0])
        model.generate("the", 3, seed=1)


@functools.cache
def trained(meanwhile):
    """The weights after two epochs that end within the text, as arrays."""
    model = generator(LSTMCell(3), ElmanCell(3))
    ids = model.encode(TEXT)
    batches = ConsecutiveWindows(ids, batch_size=2, timesteps=4)
    others = ConsecutiveWindows(ids[::-1], batch_size=3, timesteps=2)
    model.compile(keras.optimizers.SGD(0.5), LOSS)
    more = {
        None: {},
        "validation": {"validation_data": others},
        "callback": {"callbacks": [Meanwhile(batches, others)]},
    }[meanwhile]
    assert len(batches) == 5
    model.fit(batches, epochs=2, steps_per_epoch=2, verbose=0, **more)
    return model.get_weights()


@pytest.mark.slow
@pytest.mark.parametrize("meanwhile", ["validation", "callback"])
def test_what_is_read_meanwhile_changes_nothing_that_training_carries(meanwhile):
    for after, wanted in zip(trained(meanwhile), trained(None)):
        np.testing.assert_allclose(after, wanted, rtol=1e-5, atol=1e-6)


def test_windows_must_be_those_of_the_model():
    model, ids = carrying()[0], np.arange(20)
    with pytest.raises(ValueError, match="`x`.*from 0 to"):
        model.fit(ConsecutiveWindows(ids + len(TEXT), 1, 4))
    with pytest.raises(ValueError, match="`x`.*conditions"):
        model.evaluate(ConsecutiveWindows(ids % 9, 1, 4, conditions=[0]))
    windows = ConsecutiveWindows([ids % 9] * 2, 1, 4, conditions=[0, 2])
    for bad in (windows, ConsecutiveWindows(ids % 9, 1, 4)):
        with pytest.raises(
            ValueError, match="`validation_data`.*conditions from 0 to 1"
        ):
            lstm().fit(validation_data=bad)


# Saving


def test_config_covers_every_argument():
    options = {
        "vocabulary": " ?abc",
        "embedding_units": 3,
        "dropout": 0.25,
        "conditions": ["x", "y"],
        "start": " ",
        "unknown": "?",
        "name": "writer",
        "dtype": "float64",
    }
    cells = [LSTMCell(4, recurrent_dropout=0.1), ElmanCell(3, output_units=2)]
    model = Generator(cells=cells, **options)
    config = Generator.from_config(model.get_config()).get_config()
    assert config == model.get_config()
    again = Generator.from_config(config)
    for name in (
        "vocabulary",
        "embedding_units",
        "dropout",
        "start",
        "unknown",
        "name",
    ):
        assert getattr(again, name) == options[name]
    assert again.conditions == ("x", "y") and again.dtype == "float64"
    assert [r.cell.units for r in again.levels] == [4, 3]
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


@pytest.mark.slow
def test_mixed_precision_writes_and_trains():
    model = Generator(TEXT, LSTMCell(4), dtype="mixed_bfloat16")
    x, y = windows(model.encode(TEXT), 6)
    assert keras.backend.standardize_dtype(model(x).dtype) == "float32"
    model.compile("adam", LOSS)
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"]).all()
    assert len(model.generate("the", 10, seed=1)) == 10


def in_new_process(code, folder):
    """Runs Python code elsewhere, and returns what it prints."""
    home = str(pathlib.Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": home, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_saved_and_loaded_elsewhere_it_writes_the_same(tmp_path):
    model = lstm()
    model.compile("adam", LOSS)
    model.save(tmp_path / "writer.keras")
    model.save_weights(tmp_path / "writer.weights.h5")
    text = model.generate("the ", 40, seed=3, condition="high")
    code = """
import keras, keras_rnn.generation
model = keras.saving.load_model("writer.keras")
for _ in range(2):
    print(model.generate("the ", 40, seed=3, condition="high"))
    for weight in model.weights:
        weight.assign(weight * 0)
    model.load_weights("writer.weights.h5")
"""
    assert in_new_process(code, tmp_path).splitlines() == [text, text]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_export_writes_the_same_where_there_is_only_tensorflow(tmp_path):
    lstm().export(tmp_path / "writer")
    prompts = ["the cät"[:5], "", "mät. ", "d"]
    classes = ["low", "high", "low", "high"]
    written = [
        (options, lstm().generate(prompts, 30, seed=9, condition=classes, **options))
        for options in (
            {"temperature": 0.0},
            {"temperature": 1.0},
            {"temperature": 0.7, "top_k": 3},
            {"temperature": 1.2, "top_p": 0.6},
        )
    ]
    chances, _ = lstm().read("mä", condition="low")
    code = f"""
import sys
sys.modules["keras"] = sys.modules["keras_rnn"] = None  # not to be had
import tensorflow as tf

writer = tf.saved_model.load("writer").signatures

def generate(prompts={prompts!r}, length=30, temperature=1.0, top_k=0, top_p=1.0,
             seed=9, condition={classes!r}):
    return writer["generate"](
        prompts=tf.constant(prompts),
        length=tf.constant(length),
        temperature=tf.constant(temperature),
        top_k=tf.constant(top_k),
        top_p=tf.constant(top_p),
        seed=tf.constant(seed, tf.int64),
        condition=tf.constant(condition),
    )["texts"].numpy()

for options, texts in {written!r}:
    found = [text.decode() for text in generate(**options)]
    assert found == texts, (options, found, texts)

states = writer["initial_state"](condition=tf.constant(["low"]))
for character, expected in zip(" mä", {chances.tolist()!r}):
    result = writer["step"](character=tf.constant([character]), **states)
    probabilities = result.pop("probabilities")
    assert abs(probabilities[0] - expected).numpy().max() < 1e-5
    states = result
told = {{name: tensor.numpy() for name, tensor in writer["vocabulary"]().items()}}
assert b"".join(told.pop("characters")).decode() == {lstm().vocabulary!r}
assert told.pop("conditions").tolist() == [b"low", b"high"]
assert told == {{"start": b" ", "unknown": b""}}

nonsense = [
    ("`texts` has characters", {{"prompts": ["the", "tZe", "", ""]}}),
    ("Invalid formatting", {{"prompts": [b"\\xff", b"", b"", b""]}}),
    ("`length`", {{"length": 0}}),
    ("`temperature`", {{"temperature": -1.0}}),
    ("`temperature`", {{"temperature": float("nan")}}),
    ("`temperature`", {{"temperature": float("inf")}}),
    ("`top_k`", {{"top_k": -1}}),
    ("`top_p`", {{"top_p": 0.0}}),
    ("`top_p`", {{"top_p": 1.5}}),
    ("`top_p`", {{"top_p": float("nan")}}),
    ("`seed`", {{"seed": -1}}),
    ("`seed`", {{"seed": 2**32}}),
    ("`condition`", {{"condition": ["low", "high", "low", "other"]}}),
    ("`condition`", {{"condition": ["low"]}}),
]
for message, arguments in nonsense:
    try:
        generate(**arguments)
    except tf.errors.InvalidArgumentError as error:
        assert message in str(error), (message, error)
    else:
        raise AssertionError(arguments)
print("as expected")
"""
    assert in_new_process(code, tmp_path) == "as expected\n"


@pytest.mark.slow
@pytest.mark.tensorflow
def test_export_without_conditions_and_all_or_nothing(tmp_path, monkeypatch):
    import tensorflow as tf

    # A string that ends in NUL is another one than without it.
    model = generator(ElmanCell(7), OwnCall(6), vocabulary=TEXT + "\0", start="\0")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="`path`"):
        model.export(tmp_path / "mine")
    path = tmp_path / "deep" / "writer"
    model.export(path)
    model.export(str(path))  # replaces it
    before = sorted(p.name for p in path.iterdir())
    writer = tf.saved_model.load(path).signatures

    def generate(*prompts):
        return writer["generate"](
            prompts=tf.constant(prompts, tf.string),
            length=tf.constant(99),
            temperature=tf.constant(3.0),
            top_k=tf.constant(0),
            top_p=tf.constant(1.0),
            seed=tf.constant(2, tf.int64),
        )["texts"].numpy()

    prompts = ["the\0", "the", "\0"]
    texts = [text.decode() for text in generate(*prompts)]
    assert texts == model.generate(prompts, 99, temperature=3, seed=2)
    assert "\0" in "".join(texts)
    refused = tf.errors.InvalidArgumentError
    with pytest.raises(refused, match="`prompts`"):
        generate()
    for size in (0, -1):
        with pytest.raises(refused, match="`batch_size`"):
            writer["initial_state"](batch_size=tf.constant(size))
    states = writer["initial_state"](batch_size=tf.constant(3))
    assert states["level_1_state"].shape == (3, 6)
    told = writer["vocabulary"]()
    assert told["conditions"].shape == (0,) and told["start"].numpy() == b"\0"
    assert b"".join(told["characters"].numpy()).decode() == model.vocabulary
    with pytest.raises(refused, match="`level_0_state`.*one row"):
        writer["step"](character=tf.constant(["t"]), **states)

    def killed(module, path, **_):
        pathlib.Path(path).mkdir()
        pathlib.Path(path, "saved_model.pb").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(tf.saved_model, "save", killed)
    for target in (path, tmp_path / "deep" / "other"):
        with pytest.raises(KeyboardInterrupt):
            model.export(target)
    assert [p.name for p in path.parent.iterdir()] == ["writer"]
    assert sorted(p.name for p in path.iterdir()) == before


def test_export_needs_tensorflow(tmp_path, monkeypatch):
    model = elman()
    if keras.backend.backend() == "tensorflow":
        monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(RuntimeError, match="^.*set KERAS_BACKEND=tensorflow.*$"):
        model.export(tmp_path / "writer")
    assert not any(tmp_path.iterdir())


# Refusals


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("prompt", {"prompt": ""}),
        ("prompt", {"prompt": ["the", ""]}),
        ("prompt", {"prompt": []}),
        ("prompt", {"prompt": None}),
        ("prompt", {"prompt": 5}),
        ("prompt", {"prompt": b"the"}),
        ("prompt", {"prompt": [3]}),
        ("text", {"prompt": "THE"}),
        ("length", {"length": 0}),
        ("length", {"length": 2.5}),
        ("temperature", {"temperature": -0.1}),
        ("temperature", {"temperature": float("nan")}),
        ("temperature", {"temperature": float("inf")}),
        ("temperature", {"temperature": "hot"}),
        ("temperature", {"temperature": 1e39}),  # infinite in float32
        ("temperature", {"temperature": 10**400}),
        ("temperature", {"temperature": None}),
        ("temperature", {"temperature": True}),
        ("length", {"length": None}),
        ("length", {"length": "long"}),
        ("top_k", {"top_k": "few"}),
        ("top_k", {"top_k": 0}),
        ("top_k", {"top_k": 1.5}),
        ("top_p", {"top_p": 0.0}),
        ("top_p", {"top_p": 1.1}),
        ("top_p", {"top_p": float("nan")}),
        ("top_p", {"top_p": "most"}),
        ("stop", {"stop": ""}),
        ("stop", {"stop": ["a", ""]}),
        ("stop", {"stop": [3]}),
        ("stop", {"stop": 5}),
        ("stop", {"stop": b"a"}),
        ("seed", {"seed": "one"}),
        ("seed", {"seed": True}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": 2**32}),
        ("seed", {"seed": 1.5}),
        ("condition", {"condition": "positive"}),
    ],
)
def test_nonsense_is_refused_by_name(name, arguments):
    with pytest.raises(ValueError, match=f"`{name}`"):
        elman_alone().generate(**{"prompt": "the", "length": 5, **arguments})


@functools.cache
def elman_alone():
    return generator()


@pytest.mark.parametrize(
    "name, call",
    [
        ("text", lambda m: m.encode(None)),
        ("text", lambda m: m.encode(["t"])),
        ("ids", lambda m: m.decode(None)),
        ("ids", lambda m: m.decode("the")),
        ("ids", lambda m: m.decode([1.5])),
        ("ids", lambda m: m.decode([float("nan")])),
        ("ids", lambda m: m.decode([True])),
        ("ids", lambda m: m.decode([-1])),
        ("ids", lambda m: m.decode([[1]])),
        ("ids", lambda m: m.decode([[1], 2])),
        ("text", lambda m: m.read(None)),
        ("text", lambda m: m.read(["the"])),
        ("text", lambda m: m.read("")),
        ("condition", lambda m: m.read("the", condition="low")),
        ("prompt", lambda m: m.stream(None)),
        ("prompt", lambda m: m.stream(["the"])),
        ("stop", lambda m: m.stream("the", stop=5)),
        ("batch_size", lambda m: m.get_initial_state(None)),
        ("batch_size", lambda m: m.get_initial_state(-1)),
        ("batch_size", lambda m: m.get_initial_state("two")),
        ("batch_size", lambda m: m.get_initial_state(2.0)),
        ("conditions", lambda m: lstm().get_initial_state(2)),
        ("conditions", lambda m: lstm().get_initial_state(2, "low")),
        ("tokens", lambda m: m.step(None, m.get_initial_state(1))),
        ("tokens", lambda m: m.step("t", m.get_initial_state(1))),
        ("tokens", lambda m: m.step([[1]], m.get_initial_state(1))),
        ("states", lambda m: m.step(np.ones(1, "int32"), None)),
        ("states", lambda m: m.step(np.ones(1, "int32"), [])),
        ("states", lambda m: m.step(np.ones(1, "int32"), [[np.ones((1, 5))]])),
        ("states", lambda m: m.step(np.ones(2, "int32"), m.get_initial_state(1))),
        ("initial_state", lambda m: m(np.ones((1, 3)), initial_state=[])),
        ("initial_state", lambda m: m(np.ones((1, 3)), initial_state=[[]])),
        (
            "initial_state",
            lambda m: m(np.ones((2, 3)), initial_state=m.get_initial_state(1)),
        ),
        ("inputs", lambda m: m({"fresh": np.ones(1, bool)})),
        ("inputs", lambda m: m(np.ones(3, "int32"))),
        ("inputs", lambda m: m((np.ones((2, 3)), np.ones(2), np.ones(2)))),
        ("path", lambda m: m.export(None)),
        ("path", lambda m: m.export("")),
        ("path", lambda m: m.export("a\0b")),
    ],
)
def test_nonsense_is_refused_everywhere(name, call):
    if name == "path" and keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow is asked for first")
    with pytest.raises(ValueError, match=f"`{name}`"):
        call(elman_alone())


def test_arrays_and_scalars_of_numpy_stand_for_lists_and_numbers():
    model = lstm()
    prompts, classes = ["the", "d"], ["high", "low"]
    found = model.generate(
        np.array(prompts),
        np.int64(5),
        np.float32(0.5),
        np.int32(3),
        np.float64(0.9),
        np.array(["zz"]),
        np.uint32(7),
        np.array(classes),
    )
    assert found == model.generate(prompts, 5, 0.5, 3, 0.9, ["zz"], 7, classes)
    made = Generator(
        np.array(["b", "a"]),
        np.array([ElmanCell(2)]).tolist(),
        np.int64(3),
        np.float32(0.5),
        np.array(["x", "y"]),
        np.str_("a"),
    )
    again = Generator.from_config(made.get_config())
    assert again.conditions == ("x", "y") and type(again.conditions[0]) is str
    assert type(again.dropout) is float and again.decode(np.array([0])) == "a"
    assert again.decode([]) == ""


@pytest.mark.parametrize(
    "condition",
    [None, "middling", ["low", "high", "low"], 1, [["low"], "low"], [b"low", "low"]],
)
def test_a_condition_that_is_not_there_is_refused(condition):
    with pytest.raises(ValueError, match="`condition`.*'low', 'high'"):
        lstm().generate(["the", "d"], 5, condition=condition)


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("vocabulary", {"vocabulary": ""}),
        ("vocabulary", {"vocabulary": ["a", "bc"]}),
        ("vocabulary", {"vocabulary": ["a", 3]}),
        ("vocabulary", {"vocabulary": "a\ud800"}),
        ("vocabulary", {"vocabulary": None}),
        ("vocabulary", {"vocabulary": 5}),
        ("vocabulary", {"vocabulary": b"abc"}),
        ("cells", {"cells": []}),
        ("cells", {"cells": keras.layers.LSTMCell(3)}),
        ("cells", {"cells": None}),
        ("cells", {"cells": [ElmanCell(3), None]}),
        ("embedding_units", {"embedding_units": 0}),
        ("embedding_units", {"embedding_units": None}),
        ("dropout", {"dropout": 1.5}),
        ("dropout", {"dropout": float("nan")}),
        ("conditions", {"conditions": []}),
        ("conditions", {"conditions": ["a", "a"]}),
        ("conditions", {"conditions": "positive"}),
        ("conditions", {"conditions": 5}),
        ("conditions", {"conditions": ["a", ""]}),
        ("conditions", {"conditions": [None]}),
        ("start", {"start": 5}),
        ("start", {"start": ["a"]}),
        ("unknown", {"unknown": 5}),
        ("start", {"start": "z"}),
        ("start", {"start": "ab"}),
        ("start", {"start": ""}),
        ("unknown", {"unknown": "z"}),
    ],
)
def test_nonsense_is_refused_at_construction(name, arguments):
    with pytest.raises(ValueError, match=f"`{name}`"):
        Generator(**{"vocabulary": "abc", "cells": ElmanCell(3), **arguments})


def test_a_cell_that_is_built_or_twice_in_the_list_is_refused():
    built = ElmanCell(3)
    built.build((None, 2))
    with pytest.raises(ValueError, match="`cells`"):
        Generator("abc", built, conditions=["a"])
    twice = ElmanCell(3)
    with pytest.raises(ValueError, match="`cells`"):
        Generator("abc", [twice, twice])


def test_inputs_must_hold_what_the_model_has():
    x = np.zeros((2, 3), "int32")
    with pytest.raises(ValueError, match="`inputs`.*conditions"):
        lstm()(x)
    with pytest.raises(ValueError, match="`inputs`.*conditions"):
        elman()((x, np.zeros(2, "int32")))
    with pytest.raises(ValueError, match="`fresh`"):
        generator()({"tokens": x, "fresh": np.ones(2, bool)})
