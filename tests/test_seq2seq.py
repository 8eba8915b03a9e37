"""The encoder-decoder against loops in NumPy, and against all texts there are."""

import functools
import itertools
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_rnn import ElmanCell, EncoderDecoder, ExactMatch, GRUCell, LSTMCell
from tests import oracle
from tests.gradients import autodiff
from tests.own_call import OwnCall

SOURCES = ["abba", "c", "", "cabcab", "aa"]
TARGETS = ["xyyx", "z", "zz", "", "xyzxyz"]
WORDS = ["".join(t) for n in range(5) for t in itertools.product("abc", repeat=n)]
LOSS = {"from_logits": True, "ignore_class": 0}
KINDS = {
    "stack": {"cells": lambda: [LSTMCell(4), GRUCell(6)]},
    "dot": {"cells": lambda: LSTMCell(4), "attention": "dot", "bidirectional": True},
    "additive": {"cells": lambda: ElmanCell(4), "attention": "additive"},
}


def build(kind="additive", scale=1.0, **changes):
    """A model with random weights, large enough that it has opinions."""
    arguments = {
        "source_vocabulary": "abc?",
        "target_vocabulary": "xyz",
        "embedding_units": 3,
        "max_length": 6,
        "unknown": "?",
        **KINDS[kind],
        **changes,
    }
    arguments["cells"] = arguments["cells"]()
    model = EncoderDecoder(**arguments)
    random = np.random.default_rng(3)
    model.set_weights(
        [w + scale * random.normal(size=w.shape) for w in model.get_weights()]
    )
    return model


@pytest.fixture(
    scope="module",
    params=[
        kind if kind == "dot" else pytest.param(kind, marks=pytest.mark.slow)
        for kind in KINDS
    ],
)
def model(request):
    """One model of each kind, which tests do not change."""
    return shared(request.param)


@functools.cache
def shared(kind):
    return build(kind)


def log_softmax(logits):
    logits = np.asarray(logits, "float64")
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def compiled(model, rate=0.02):
    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(**LOSS),
        metrics=[ExactMatch()],
    )
    return model


# Reading.


@pytest.mark.parametrize("attention", [None, "dot", "additive"])
def test_the_equations(attention):
    model = build(attention=attention, cells=lambda: [ElmanCell(4), ElmanCell(5)])
    (source, previous), _ = model.encode(SOURCES, TARGETS)
    w = {v.path: keras.ops.convert_to_numpy(v).astype("float64") for v in model.weights}
    dense = [w[layer.kernel.path] for layer in model.layers if "dense" in layer.name]
    x = w[model.source_embedding.embeddings.path][source]
    y = w[model.target_embedding.embeddings.path][previous]
    for reader, writer in zip(model.encoder, model.decoder):
        cell = reader.cell
        step = oracle.elman_step(oracle.weights_of(cell))
        first = oracle.first_states(cell, len(source))
        x, last = oracle.run(step, x, first, source > 0)
        step = oracle.elman_step(oracle.weights_of(writer.cell))
        y, _ = oracle.run(step, y, last)
    if attention is not None:
        queries, keys, combine, _ = dense
        q, k = y @ queries, x @ keys
        if attention == "dot":
            scores = q @ k.transpose(0, 2, 1)
        else:
            v = w[model.attention.scale.path]
            scores = np.tanh(q[:, :, None] + k[:, None]) @ v
        scores = np.where(source[:, None] > 0, scores, -1e9)
        a = np.exp(log_softmax(scores))  # (batch, T, S)
        both = np.concatenate([y, a @ x], axis=-1)
        y = np.tanh(both @ combine + w[model.combine.bias.path])
    logits = y @ dense[-1] + w[model.logits.bias.path]
    np.testing.assert_allclose(model((source, previous)), logits, atol=1e-4)
    if attention is not None:
        found = model.alignment(SOURCES[0], TARGETS[0])
        np.testing.assert_allclose(found, a[0, :5, :4], atol=1e-4)
        np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_numbers_of_characters():
    model = shared("additive")
    (source, previous), following = model.encode(["cab!", "a"], ["z", "xy"])
    # "?abc" are 2, 3, 4, 5 and "xyz" 2, 3, 4; 1 is the stop, 0 padding.
    assert source.tolist() == [[5, 3, 4, 2], [3, 0, 0, 0]]
    assert previous.tolist() == [[0, 4, 1], [0, 2, 3]]
    assert following.tolist() == [[4, 1, 0], [2, 3, 1]]
    assert [model.decode(row) for row in following] == ["z", "xy"]
    assert model.decode([]) == ""
    assert model.encode(np.array(["cab!", "a"])).tolist() == source.tolist()
    nul = build(source_vocabulary="?\0", target_vocabulary="x\0")
    (numbers, _), following = nul.encode(["\0", "?\0\0"], ["x\0", "\0"])
    assert numbers.tolist() == [[2, 0, 0], [3, 2, 2]]
    assert [nul.decode(row) for row in following] == ["x\0", "\0"]
    assert model.encode(["cab!", "a"]).tolist() == source.tolist()


def test_padding_changes_nothing(model):
    (source, previous), _ = model.encode(SOURCES, TARGETS)
    logits = model((source, previous))
    padded = model(
        (np.pad(source, ((0, 0), (0, 9))), np.pad(previous, ((0, 0), (0, 3))))
    )
    np.testing.assert_allclose(padded[:, : previous.shape[1]], logits, atol=1e-5)


@pytest.mark.slow
def test_padding_costs_nothing():
    model = compiled(build())
    x, y = model.encode(SOURCES, TARGETS)
    logs = log_softmax(model(x))
    want = [-logs[i, t, y[i, t]] for i, t in zip(*np.nonzero(y))]
    wide = tuple(np.pad(part, ((0, 0), (0, 7))) for part in x)
    for inputs, targets in ((x, y), (wide, np.pad(y, ((0, 0), (0, 7))))):
        found = model.evaluate(inputs, targets, verbose=0, return_dict=True)
        assert found["loss"] == pytest.approx(np.mean(want), abs=1e-5)


def test_exact_match():
    metric = ExactMatch()
    y = np.array([[2, 1, 0, 0], [3, 3, 1, 0], [3, 3, 1, 0]])
    best = np.array([[2, 1, 5, 6], [3, 3, 1, 2], [3, 2, 1, 0]])
    metric.update_state(y[:2], np.eye(7)[best[:2]])
    metric.update_state(y[2:], np.eye(7)[best[2:]])
    assert float(metric.result()) == pytest.approx(2 / 3)
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert isinstance(again, ExactMatch) and again.get_config() == metric.get_config()


@pytest.mark.slow
def test_exact_match_is_that_of_greedy_translations():
    model = compiled(build())
    kernel, bias = model.logits.get_weights()
    model.logits.set_weights([kernel, bias + [-99, 2, 0, 0, 0]])
    texts = [t for t in WORDS if len(model.translate(t)) < model.max_length]
    targets = model.translate(texts)
    targets[::3] = ["zyx"] * len(targets[::3])
    x, y = model.encode(texts, targets)
    found = model.evaluate(x, y, verbose=0, return_dict=True)["exact_match"]
    right = [a == b for a, b in zip(model.translate(texts), targets)]
    assert 0 < np.mean(right) < 1 and len(texts) > 10
    assert found == pytest.approx(np.mean(right))


# Writing.


def greedy(model, text):
    """Letter by letter, each time from the start, and no loop of the package."""
    written, limit = "", model.max_length
    while len(written) < limit:
        (source, previous), _ = model.encode([text], [written])
        # Padding changes nothing, and one size is compiled once.
        source, previous = (
            np.pad(each, ((0, 0), (0, 8 - each.shape[1])))
            for each in (source, previous)
        )
        logits = model.predict_on_batch((source, previous))[0, len(written)]
        best = 1 + int(np.argmax(logits[1:]))  # 0 is padding
        if best == 1:
            break
        written += model.target_vocabulary[best - 2]
    return written


def test_greedy_is_the_likeliest_character_each_time(model):
    assert model.translate(SOURCES) == [greedy(model, text) for text in SOURCES]


@pytest.mark.slow
@pytest.mark.parametrize("bidirectional", [False, True])
def test_cells_with_a_call_of_their_own_translate_as_they_are_trained(bidirectional):
    model = build(
        cells=lambda: [OwnCall(4), OwnCall(6)],
        bidirectional=bidirectional,
        attention="dot" if bidirectional else None,
        max_length=4,
    )
    assert model.translate(SOURCES) == [greedy(model, text) for text in SOURCES]
    x, _ = model.encode(["ab"], ["xy"])
    logits = keras.ops.convert_to_numpy(model(x))
    states, memory = model.read(x[0])
    for t in range(3):
        step, states = model.step(x[1][:, t : t + 1], states, memory)
        step = keras.ops.convert_to_numpy(step)
        np.testing.assert_allclose(step[:, 0], logits[:, t], atol=1e-5)


@pytest.mark.slow
def test_log_probability_is_the_sum_over_the_characters(model):
    x, y = model.encode(SOURCES, TARGETS)
    logs = log_softmax(model(x))
    want = [sum(row[t, c] for t, c in enumerate(cs) if c) for row, cs in zip(logs, y)]
    found = model.log_probability(SOURCES, TARGETS)
    np.testing.assert_allclose(found, want, atol=1e-4)
    assert model.log_probability([], []).shape == (0,)


def gains(model):
    """By how much a beam of 4 is more probable than the greedy text, for each word."""
    greedy = model.log_probability(WORDS, model.translate(WORDS))
    return model.log_probability(WORDS, model.translate(WORDS, beam_width=4)) - greedy


@pytest.mark.slow
def test_a_beam_is_never_less_probable_than_greedy(model):
    assert np.min(gains(model)) > -1e-4


def test_a_beam_is_good_for_something():
    assert np.mean(gains(shared("additive")) > 0.1) > 0.1


@pytest.mark.slow
def test_a_beam_as_wide_as_all_texts_finds_the_best(model):
    limit = 3
    candidates = [
        "".join(t) for n in range(limit + 1) for t in itertools.product("xyz", repeat=n)
    ]
    for text, best in zip(SOURCES, model.translate(SOURCES, 40, max_length=limit)):
        logs = model.log_probability([text] * len(candidates), candidates)
        assert model.log_probability([text], [best])[0] >= logs.max() - 1e-4
        assert best in candidates


def test_the_scores_of_the_loop_are_those_of_the_texts(model):
    source = model.encode(SOURCES)
    for width in (1, 4):
        numbers, scores = model._compile("write", width, model.max_length)(source)
        texts = [model.decode(row) for row in np.array(numbers)]
        assert texts == model.translate(SOURCES, width)
        want = model.log_probability(SOURCES, texts)
        np.testing.assert_allclose(scores, want, atol=1e-4)


def test_texts_are_translated_as_if_alone(model):
    for width in (1, 4):
        alone = [model.translate(text, width) for text in SOURCES]
        assert model.translate(SOURCES, width) == alone
        assert model.translate([*SOURCES, "abc" * 30], width)[:-1] == alone


@pytest.mark.slow
def test_what_never_stops_is_cut_at_the_limit():
    model = build(scale=0.0)
    kernel, bias = model.logits.get_weights()
    bias[:] = [0, -50, 3, 0, 0]  # never the stop, always "x"
    model.logits.set_weights([0 * kernel, bias])
    assert model.translate("ab") == model.translate("ab", 2) == "x" * 6
    assert model.translate(["ab"], 2, max_length=2) == ["xx"]
    bias[:] = [90, 60, 0, 0, 0]  # padding is never written
    model.logits.set_weights([0 * kernel, bias])
    assert model.translate(["ab", ""], 2) == ["", ""]


@pytest.mark.slow
@pytest.mark.tensorflow  # JAX compiles each size, PyTorch none
def test_the_loop_is_compiled_once_for_all_sizes():
    model = build()
    for texts in (SOURCES, "a", ["abc" * 20] * 3, SOURCES * 99):
        model.translate(texts, 2)
    assert model.translate([]) == []
    (loop,) = [f for key, f in model._compiled.items() if key[:2] == ("write", 2)]
    assert loop.experimental_get_tracing_count() == 1


def test_characters_that_are_not_known():
    assert shared("additive").translate("a!b") == shared("additive").translate("a?b")
    strict = build(unknown=None)
    for call in (strict.translate, strict.encode):
        with pytest.raises(ValueError, match="source_vocabulary: '!'"):
            call(["a!b"])
    with pytest.raises(ValueError, match="target_vocabulary: 'a'"):
        shared("additive").encode(["a"], ["a"])


# Training.


class Reversals(keras.utils.PyDataset):
    """Texts of "a" and "b" to be written backwards; batches of all lengths."""

    def __init__(self, model, count):
        super().__init__()
        self.model, self.count = model, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        random = np.random.default_rng(index)
        sizes = random.integers(1, 3 + index % 3, 32)
        texts = ["".join(random.choice(["a", "b"], size)) for size in sizes]
        back = [text[::-1].translate({97: "x", 98: "y"}) for text in texts]
        return self.model.encode(texts, back)


@pytest.mark.slow
def test_it_learns_to_write_backwards():
    model = EncoderDecoder("ab", "xy", ElmanCell(16), 8, attention="dot")
    compiled(model).fit(Reversals(model, 60), epochs=3, shuffle=False, verbose=0)
    assert model.translate(["ab", "bba", "a", "abaa"]) == ["yx", "xyy", "x", "xxyx"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stack", "dot"])
def test_every_weight_learns(kind):
    model = shared(kind)
    x, y = model.encode(SOURCES, TARGETS)
    loss = keras.losses.SparseCategoricalCrossentropy(**LOSS)
    gradients = autodiff(
        lambda: loss(y, model(x, training=True)), model.trainable_weights
    )
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert np.any(gradient), weight.path


@pytest.mark.slow
def test_mixed_precision():
    model = build("additive", dtype="mixed_bfloat16")
    x, _ = model.encode(SOURCES, TARGETS)
    assert keras.backend.standardize_dtype(model(x).dtype) == "float32"
    assert model.decoder[0].compute_dtype == "bfloat16"
    assert len(model.translate(SOURCES, 4)) == len(SOURCES)


# Keeping.


@pytest.mark.slow
def test_saved_and_loaded(model, tmp_path):
    compiled(model).optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = EncoderDecoder.from_config(model.get_config())
    again.load_weights(tmp_path / "model.weights.h5")
    x, _ = model.encode(SOURCES, TARGETS)
    for other in (loaded, again):
        assert other.get_config() == model.get_config()
        np.testing.assert_array_equal(other(x), model(x))
    assert loaded.translate(SOURCES) == model.translate(SOURCES)


@pytest.mark.slow
def test_a_loaded_model_goes_on_training(tmp_path):
    compiled(build("additive")).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x, y = loaded.encode(SOURCES, TARGETS)
    figures = loaded.train_on_batch(x, y, return_dict=True)
    assert set(figures) == {"loss", "exact_match"}


@pytest.mark.slow
def test_attention_layer_of_ones_own():
    layer = keras.layers.Attention(score_mode="concat")
    model = build(attention=layer)
    again = EncoderDecoder.from_config(model.get_config())
    again.set_weights(model.get_weights())
    assert again.attention.score_mode == "concat"
    assert again.translate(SOURCES) == model.translate(SOURCES)


CHARACTERS = "abc?!\u00e9"


@pytest.mark.slow
@pytest.mark.tensorflow
def test_export_agrees_in_a_process_without_keras(tmp_path):
    model = shared("dot")
    random = np.random.default_rng(5)
    texts = ["".join(random.choice(list(CHARACTERS), n % 9)) for n in range(200)]
    model.export(tmp_path / "saved", beam_width=4)
    code = """
import json, sys
sys.modules["keras"] = sys.modules["keras_rnn"] = None
import tensorflow as tf
translate = tf.saved_model.load(sys.argv[1]).signatures["translate"]
def ask(texts):
    return [t.decode() for t in translate(texts=tf.constant(texts))["translations"].numpy()]
texts = json.load(sys.stdin)
print(json.dumps([ask(texts), [t for text in texts[:20] for t in ask([text])]]))
assert not [name for name in sys.modules if name.startswith(("keras.", "keras_rnn."))]
"""
    process = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "saved"],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    together, alone = json.loads(process.stdout.splitlines()[-1])
    assert together == model.translate(texts, beam_width=4)
    assert alone == together[:20]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_export_refuses_unknown_characters(tmp_path):
    import tensorflow as tf

    # With NUL, which some take for the end of a string.
    model = build(unknown=None, source_vocabulary="abc\0", target_vocabulary="\0")
    model.export(tmp_path / "saved")
    translate = tf.saved_model.load(tmp_path / "saved").signatures["translate"]
    texts = ["abc", "abc\0", "\0", "a\0c", "\0\0a", "b", "ca", "cc\0"]
    found = translate(texts=tf.constant(texts))["translations"].numpy()
    assert [text.decode() for text in found] == model.translate(texts)
    assert any(found)  # which then ends in it
    assert translate(texts=tf.constant([], tf.string))["translations"].shape == (0,)
    with pytest.raises(tf.errors.InvalidArgumentError, match="source_vocabulary"):
        translate(texts=tf.constant(["abc", "a!"]))


def words(**changes):
    """A model that reads and writes words and parts of words."""
    pieces = {
        "source_vocabulary": ["ab", "abc", *"abc?"],
        "target_vocabulary": ["xy", *"xyz"],
    }
    return build(**{**pieces, **changes})


@pytest.mark.slow
def test_pieces_of_several_characters():
    model = words()
    (source, previous), following = model.encode(["abcab!", "b"], ["zxyx", "xyxy"])
    # "?", "a", "ab", "abc", "b", "c" are 2 to 7, and "x", "xy", "y", "z" 2 to 5.
    assert source.tolist() == [[5, 4, 2], [6, 0, 0]]
    assert previous.tolist() == [[0, 5, 3, 2], [0, 3, 3, 1]]
    assert following.tolist() == [[5, 3, 2, 1], [3, 3, 1, 0]]
    assert [model.decode(row) for row in following] == ["zxyx", "xyxy"]
    assert model.alignment("abcab!", "zxyx").shape == (4, 3)
    texts = ["abcab", "", "cb", "aabb"]
    greedy, beam = (model.translate(texts, width) for width in (1, 3))
    gain = model.log_probability(texts, beam) - model.log_probability(texts, greedy)
    assert np.all(gain > -1e-4)
    again = EncoderDecoder.from_config(json.loads(json.dumps(model.get_config())))
    again.set_weights(model.get_weights())
    assert again.translate(texts, 3) == beam


@pytest.mark.slow
@pytest.mark.tensorflow
def test_export_with_pieces(tmp_path):
    import tensorflow as tf

    model = words()
    model.export(tmp_path / "saved", beam_width=2)
    translate = tf.saved_model.load(tmp_path / "saved").signatures["translate"]
    texts = ["abcab", "", "cb!", "aabb", "abc" * 5]
    found = translate(texts=tf.constant(texts))["translations"].numpy()
    assert [text.decode() for text in found] == model.translate(texts, 2)
    assert translate(texts=tf.constant([], tf.string))["translations"].shape == (0,)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_export_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    import tensorflow as tf

    model, folder = build(), tmp_path / "there" / "saved"
    model.export(folder)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def save(module, path, signatures):
        path.mkdir()
        raise OSError("no space left")

    monkeypatch.setattr(tf.saved_model, "save", save)
    with pytest.raises(OSError, match="no space"):
        model.export(folder)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert [p.name for p in folder.parent.iterdir()] == ["saved"]


@pytest.mark.tensorflow
def test_export_does_not_replace_what_is_no_saved_model(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    for path in (tmp_path, tmp_path / "letter.txt"):
        with pytest.raises(ValueError, match="`path`"):
            shared("additive").export(path)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_export_needs_tensorflow(tmp_path, monkeypatch):
    model = shared("additive")
    if keras.backend.backend() == "tensorflow":
        monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="^.*set KERAS_BACKEND=tensorflow.*$"):
        model.export(tmp_path / "saved")
    assert not any(tmp_path.iterdir())


# What is refused.


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"source_vocabulary": ""}, "`source_vocabulary`"),
        ({"target_vocabulary": ["ab", ""]}, "`target_vocabulary`"),
        ({"cells": lambda: []}, "`cells`"),
        ({"cells": lambda: keras.layers.GRUCell(4)}, "`cells`"),
        ({"cells": lambda: [ElmanCell(4)] * 2}, "different"),
        ({"cells": lambda: ElmanCell(4, output_units=3)}, "`output_units`"),
        ({"cells": lambda: ElmanCell(5), "bidirectional": True}, "even"),
        ({"embedding_units": 0}, "`embedding_units`"),
        ({"max_length": 2.5}, "`max_length`"),
        ({"attention": "sharp"}, "`attention`.*additive"),
        ({"attention": keras.layers.Dense(3)}, "`attention`"),
        ({"unknown": "!"}, "`unknown`"),
        ({"unknown": 5}, "`unknown`"),
        ({"source_vocabulary": None}, "`source_vocabulary`"),
        ({"target_vocabulary": 5}, "`target_vocabulary`"),
        ({"cells": lambda: None}, "`cells`"),
        ({"embedding_units": None}, "`embedding_units`"),
        ({"bidirectional": "no"}, "`bidirectional`"),
        ({"bidirectional": None}, "`bidirectional`"),
        ({"max_length": None}, "`max_length`"),
        ({"attention": ["dot"]}, "`attention`"),
        ({"attention": keras.layers.Attention}, "`attention`"),
    ],
)
def test_bad_arguments(arguments, says):
    with pytest.raises(ValueError, match=says):
        build(**arguments)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: m.translate("a", beam_width=0), "`beam_width`"),
        (lambda m: m.translate("a", max_length=0), "`max_length`"),
        (lambda m: m.translate([b"a"]), "`texts`"),
        (lambda m: m.translate(["a", 3]), "`texts`"),
        (lambda m: m.encode("ab"), "`sources`"),
        (lambda m: m.encode(["a"], "xy"), "`targets`"),
        (lambda m: m.encode(["a"], ["x", "y"]), "1 sources, 2 targets"),
        (lambda m: m.export("nowhere", beam_width=True), "`beam_width`"),
        (lambda m: m.export("nowhere", max_length="long"), "`max_length`"),
        (lambda m: m.encode(None), "`sources`"),
        (lambda m: m.encode([None]), "`sources`"),
        (lambda m: m.encode(["a"], 5), "`targets`"),
        (lambda m: m.decode(None), "`numbers`"),
        (lambda m: m.decode([99]), "`numbers`.*from 0 to 4"),
        (lambda m: m.decode([1, 5]), "`numbers`"),
        (lambda m: m.decode([-1]), "`numbers`"),
        (lambda m: m.decode([2.0]), "`numbers`"),
        (lambda m: m.decode("xy"), "`numbers`"),
        (lambda m: m.decode([[2]]), "`numbers`"),
        (lambda m: m.translate(None), "`texts`"),
        (lambda m: m.translate(5), "`texts`"),
        (lambda m: m.translate("a", beam_width=None), "`beam_width`"),
        (lambda m: m.translate("a", max_length="long"), "`max_length`"),
        (lambda m: m.log_probability(None, ["x"]), "`texts`"),
        (lambda m: m.log_probability(["a"], None), "`translations`"),
        (lambda m: m.log_probability("a", ["x"]), "`texts`"),
        (lambda m: m.log_probability(["a"], ["x", "y"]), "1 texts, 2 translations"),
        (lambda m: m.alignment(None), "`text`"),
        (lambda m: m.alignment(["a"]), "`text`"),
        (lambda m: m.alignment("a", 5), "`translation`"),
        (lambda m: m(np.ones((3, 2))), "`inputs`"),
        (lambda m: m([np.ones(3), np.ones(3)]), "`inputs`"),
        (lambda m: m([np.ones((1, 3))] * 3), "`inputs`"),
        (lambda m: m.read(None), "`source`"),
        (lambda m: m.read([1, 2]), "`source`"),
        (lambda m: m.write(None, 1, 1), "`source`"),
        (lambda m: m.write([[2]], 0, 1), "`beam_width`"),
        (lambda m: m.step(None, *m.read([[2]])), "`tokens`"),
        (lambda m: m.step([2], *m.read([[2]])), "`tokens`"),
        (lambda m: m.step([[2]], None, m.read([[2]])[1]), "`states`"),
        (lambda m: m.step([[2]], *m.read([[2], [3]])), "`states`"),
        (lambda m: m.step([[2]], m.read([[2]])[0], None), "`memory`"),
        (lambda m: m.look_back(None, m.read([[2]])[1]), "`states`"),
        (lambda m: m.look_back(np.ones((1, 1, 4)), 5), "`memory`"),
        (lambda m: ExactMatch()(np.ones((2, 3)), np.ones((2, 3))), "`y_pred`"),
        (lambda m: ExactMatch()(np.ones((2, 3)), np.ones((2, 1, 4))), "`y_pred`"),
    ],
)
def test_bad_calls(call, says):
    with pytest.raises(ValueError, match=says):
        call(shared("additive"))


def test_alignment_without_attention():
    with pytest.raises(ValueError, match="attention='dot'"):
        shared("stack").alignment("a")
