"""The program as its users run it: a small run, what it writes, what it refuses."""

import functools
import importlib
import json
import math
import shutil
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import resource

import keras_rnn
from tests.tutorials.scripts import (
    ROOT,
    break_off_after_one_epoch,
    contents,
    python,
    refused,
    rows,
    small_run,
)

# isort: split
from workshop import corpora

program = importlib.import_module("train_characters")

SCRIPT = ROOT / "examples" / "train_characters.py"
SHAKESPEARE = ROOT.parent / "shared" / "data" / "tiny_shakespeare" / "input.txt"


def story(sentences=400):
    """A text that is easy to learn, and of many lines."""
    random = np.random.default_rng(0)
    words = [["the", "a"], ["cat", "dog", "cow"], ["sees", "has"], ["it.", 'a "bone".']]
    lines = [" ".join(random.choice(w) for w in words) for _ in range(sentences)]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def text(tmp_path_factory):
    """A file with a text of one's own."""
    path = tmp_path_factory.mktemp("text") / "story.txt"
    path.write_text(story(), "utf-8")
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder that a small run with the default reviews has written, and its output."""
    return small_run(SCRIPT, tmp_path_factory)


@pytest.fixture(scope="session")
def generator(finished):
    return keras.saving.load_model(finished[0] / "model.keras")


@pytest.fixture(scope="session")
def reviews():
    """The part of the reviews that a small run reads."""
    return corpora.load("reviews", 1).part(**program.QUICK_PART)


# ------------------------------------------------------------------------ a small run


def test_files_of_a_run(finished):
    folder, _ = finished
    assert {path.name for path in folder.iterdir()} == {
        "history.csv",
        "learning_curve.png",
        "metrics.json",
        "model.keras",
        "progress.csv",
        "saved_model",
    }
    history, progress = rows(folder / "history.csv"), rows(folder / "progress.csv")
    assert [row["epoch"] for row in history] == ["1", "2"]
    batches = [int(row["batches"]) for row in progress]
    assert batches[:4] == [8, 16, 32, 64] and batches == sorted(set(batches))
    bits = [float(row["bits"]) for row in progress]
    assert bits[-1] < bits[0]
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert metrics["seed"] == 1 and metrics["versions"]["keras"] == keras.__version__


def test_the_network_beats_the_unigram_even_when_small(finished):
    folder, _ = finished
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    bits = metrics["test_bits_per_character"]
    assert bits["5-gram"] < bits["unigram"] < bits["uniform"]
    assert bits["network"] < bits["unigram"]


def test_metrics_are_those_of_the_saved_model(finished, generator, reviews):
    folder, _ = finished
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    bits = program.bits_per_character(generator, reviews, "test")
    measured = metrics["test_bits_per_character"]["network"]
    assert bits == pytest.approx(measured, abs=1e-5)


def test_a_sample_of_each_kind_is_shown(finished):
    _, out = finished
    assert out.count("  negative:\n") >= 2 and out.count("  positive:\n") >= 2
    assert "Bits per character" in out


def test_exported_model_writes_the_same_in_a_process_without_keras(finished, generator):
    folder, _ = finished
    # `import tensorflow` imports Keras by itself where it can: here it cannot.
    code = f"""
import sys
sys.modules["keras"] = sys.modules["keras_rnn"] = None
import tensorflow as tf
model = tf.saved_model.load({str(folder / "saved_model")!r})
texts = model.signatures["generate"](
    prompts=tf.constant(["The film", "I "]), condition=tf.constant(["positive"] * 2),
    length=tf.constant(40), temperature=tf.constant(0.0), top_k=tf.constant(0),
    top_p=tf.constant(1.0), seed=tf.constant(1, "int64"),
)["texts"]
for text in texts.numpy():
    print(repr(text.decode()))
"""
    status, out, error = python("-c", code)
    assert status == 0, error
    wanted = generator.generate(
        ["The film", "I "], 40, temperature=0, condition="positive", seed=1
    )
    assert out.splitlines()[-2:] == [repr(text) for text in wanted]


def test_write(finished, generator, capsys):
    folder, _ = finished
    before = contents(folder)
    arguments = ["--output", str(folder), "--condition", "negative", "--length", "60"]
    assert program.main([*arguments, "--write", "The film"]) == 0
    out = capsys.readouterr().out
    assert out == "The film" + generator.generate(
        "The film", 60, temperature=0.7, stop="\n", seed=1, condition="negative"
    ) + "\n"  # fmt: skip
    assert program.main([*arguments, "--write", "", "--temperature", "0"]) == 0
    assert len(capsys.readouterr().out) > 1
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "negative, positive"),
        (["--condition", "neutral"], "negative, positive"),
        (["--condition", "positive", "--write", "naïve"], "ï"),
        (["--condition", "positive", "--temperature", "-1"], "--temperature"),
        (["--condition", "positive", "--length", "0"], "--length"),
    ],
)
def test_write_refuses(options, says, finished, capsys):
    folder, _ = finished
    arguments = ["--output", folder, "--write", "The", *options]
    refused(program.main, arguments, says, folder, capsys)


def test_judge(generator, reviews, tmp_path):
    """A judge who likes what has an "e", and so is right as often as one can count."""

    class Judge(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], "string", name="text")])
        def opinion(self, text):
            return {
                "positive": tf.cast(
                    tf.strings.regex_full_match(text, ".*e.*"), "float32"
                )
            }

    stub = Judge()
    tf.saved_model.save(
        stub, str(tmp_path / "saved_model"), {"serving_default": stub.opinion}
    )
    options = program.read_options(["--length", "40", "--judge", str(tmp_path)])
    opinion = program.load_judge(tmp_path)
    found = program.judge(generator, reviews, opinion, options, count=5)
    right = 0
    for kind in ("negative", "positive"):
        for text in program.write(generator, reviews, kind, 5, 40, 0.7):
            right += ("e" in text) == (kind == "positive")
    assert found["written"] == right / 10
    people = zip(reviews.texts["test"], reviews.labels["test"])
    assert found["people's"] == np.mean(
        [("e" in text) == label for text, label in people]
    )


# --------------------------------------------------------------------- other corpora


@pytest.mark.skipif(
    not SHAKESPEARE.is_file(), reason=f"there is no {SHAKESPEARE} to put in place"
)
def test_tiny_shakespeare_by_the_builder_of_tfds(tmp_path, monkeypatch, capsys):
    """The file lies where the builder would download it to: no flag, no network."""
    builder = functools.partial(tfds.builder, data_dir=tmp_path / "data")
    ((address, info),) = builder("tiny_shakespeare").url_infos.items()
    name = resource.get_dl_fname(address, info.checksum)
    folder = tmp_path / "data" / "downloads"
    folder.mkdir(parents=True)
    shutil.copy(SHAKESPEARE, folder / name)
    (folder / f"{name}.INFO").write_text(json.dumps({"original_fname": "input.txt"}))
    monkeypatch.setattr(corpora.tfds, "builder", builder)

    # Its defaults, but for the size: 150,000 characters once.
    monkeypatch.setattr(program, "QUICK_PART", {"train": 150_000})
    arguments = ["--corpus", "tiny_shakespeare", "--quick", "--output", str(tmp_path)]
    size = ["--units", "128", "--epochs", "1", "--batch-size", "32"]
    assert program.main([*arguments, *size]) == 0
    out = capsys.readouterr().out
    assert "150,000 characters to learn from, 55,770 to choose" in out
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    bits = metrics["test_bits_per_character"]
    assert bits["network"] < bits["unigram"] - 1
    unigram = bits["unigram"] * math.log(2)
    assert metrics["validation_nats_per_character"] < unigram


def test_folk_tunes(tmp_path, capsys):
    music21 = pytest.importorskip("music21", reason="the extra [music]")
    arguments = ["--quick", "--corpus", "folk_tunes", "--output", str(tmp_path)]
    assert program.main([*arguments, "--epochs", "1", "--length", "120"]) == 0
    assert "Ireland" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert set(metrics["tunes"]) == set(corpora.COUNTRIES.values())
    people = [measured["people"] for measured in metrics["tunes"].values()]
    assert all(each["parsed"] > 0.9 and each["right"] > 0.5 for each in people)
    for path in tmp_path.glob("*.mid"):
        assert music21.converter.parse(path).recurse().notes
        assert path.with_suffix(".abc").exists()


# ------------------------------------------------------------------------- mistakes

BAD = {
    "unknown corpus": (["--corpus", "novels"], "novels"),
    "unknown option": (["--unit", "3"], "--unit"),
    "two texts": (["--text", "a.txt", "--corpus", "reviews"], "not allowed with"),
    "missing text": (["--text", "nowhere.txt"], "nowhere.txt"),
    "units": (["--units", "0"], "--units"),
    "dropout": (["--dropout", "1"], "--dropout"),
    "temperature": (["--temperature", "nan"], "--temperature"),
    "nothing to resume": (["--resume"], "--resume"),
    "not downloaded": (["--corpus", "tiny_shakespeare"], "--download"),
    "a kind without --write": (["--condition", "positive"], "--write"),
    "no judge": (["--judge", "nobody"], "nobody"),
    "a judge of plays": (["--corpus", "tiny_shakespeare", "--judge", "."], "--judge"),
    "nothing trained": (["--write", "The", "--condition", "positive"], "no trained"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes(case, text, tmp_path, capsys, monkeypatch):
    empty = functools.partial(tfds.builder, data_dir=tmp_path / "none")
    monkeypatch.setattr(corpora.tfds, "builder", empty)
    options, says = BAD[case]
    (tmp_path / "metrics.json").write_text("an earlier one")
    own = [] if {"--text", "--corpus", "--judge"} & set(options) else ["--text", text]
    refused(
        program.main, ["--output", tmp_path, *own, *options], says, tmp_path, capsys
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"too short", "at least 4000"),
        (b"\xff\xfe\x00" * 3_000, "UTF-8"),
        (b"", "0 char"),
        (b"a" * 5_000, "one character only"),
        ("".join(map(chr, range(0x4E00, 0x6600))).encode(), "at most 6000"),
    ],
)
def test_bad_texts(content, says, tmp_path, capsys):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    arguments = ["--output", tmp_path, "--text", path]
    refused(program.main, arguments, says, tmp_path, capsys)


def test_output_that_cannot_be_written(text, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    arguments = ["--text", text, "--output", tmp_path / "file" / "results"]
    refused(program.main, arguments, "cannot write to", tmp_path, capsys)


def test_without_music21(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "music21", None)
    arguments = ["--output", tmp_path, "--corpus", "folk_tunes"]
    refused(program.main, arguments, "keras-rnn[music]", tmp_path, capsys)


def test_other_backend(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    refused(program.main, ["--output", tmp_path], "KERAS_BACKEND", tmp_path, capsys)


# --------------------------------------------------------------------------- resuming


def test_own_text_broken_off_and_resumed(text, tmp_path, capsys, monkeypatch):
    """It has no line break, which is what a network writes on after where there is one."""
    line = tmp_path / "line.txt"
    line.write_text(text.read_text("utf-8").replace("\n", " "), "utf-8")
    text, tmp_path = line, tmp_path / "results"
    arguments = ["--quick", "--text", text, "--output", tmp_path, "--epochs", 3]
    arguments += ["--cell", "elman", "--no-carry", "--dropout", "0.1"]
    with monkeypatch.context() as patch:
        break_off_after_one_epoch(patch)
        assert program.main([*map(str, arguments)]) == 130
    assert "--resume" in capsys.readouterr().err
    last = tmp_path / "unfinished" / "network" / "epoch-0001"
    done = json.loads((last / "history.json").read_text("utf-8"))
    assert len(done) == 1
    capsys.readouterr()

    # With other options there is nothing of this kind to go on with.
    other = [*arguments, "--resume", "--units", "9"]
    refused(program.main, other, "units=32, not 9", tmp_path, capsys)
    progress = tmp_path / "unfinished" / "progress.json"
    whole = progress.read_text("utf-8")
    for damaged in ("", "{}", "[1]", '[{"batches": 8}]'):
        progress.write_text(damaged)
        resumed = [*arguments, "--resume"]
        refused(program.main, resumed, "--discard", tmp_path, capsys)
    progress.write_text(whole, "utf-8")

    assert program.main([*map(str, arguments), "--resume"]) == 0
    history = rows(tmp_path / "history.csv")
    assert [int(row["epoch"]) for row in history] == [1, 2, 3]
    assert float(history[0]["loss"]) == done[0]["loss"]
    batches = [int(row["batches"]) for row in rows(tmp_path / "progress.csv")]
    assert batches == sorted(set(batches)) and batches[:3] == [8, 16, 32]
    assert not (tmp_path / "unfinished").exists()

    # A network without kinds and without a start writes on after a prompt.
    capsys.readouterr()
    assert program.main(["--output", str(tmp_path), "--write", "the c"]) == 0
    assert capsys.readouterr().out.startswith("the c")
    empty = ["--output", tmp_path, "--write", ""]
    refused(program.main, empty, "--write", tmp_path, capsys)
    kind = ["--output", tmp_path, "--write", "the", "--condition", "positive"]
    refused(program.main, kind, "no kinds", tmp_path, capsys)
    strange = ["--output", tmp_path, "--write", "the q"]
    refused(program.main, strange, "does not know 'q'\n", tmp_path, capsys)
    for damaged in ("[]", "{}", '{"end": 5}'):
        (tmp_path / "metrics.json").write_text(damaged)
        asked = ["--output", tmp_path, "--write", "the"]
        refused(program.main, asked, "metrics.json", tmp_path, capsys)


# ------------------------------------------------------------------------ the surprise


@pytest.fixture(scope="module")
def small():
    """An untrained network over short texts of two kinds, and its corpus."""
    texts = ["\nabca\n", "\nbb\n", "\n" + "acb" * 40 + "\n", "\nc\n"]
    corpus = corpora.Corpus(
        name="small",
        texts={split: texts for split in corpora.SPLITS},
        labels={split: np.array([0, 1, 1, 0]) for split in corpora.SPLITS},
        kinds=("low", "high"),
        start="\n",
        end="\n",
    )
    network = keras_rnn.generation.Generator(
        corpus.characters,
        [keras_rnn.GRUCell(6), keras_rnn.LSTMCell(5)],
        conditions=corpus.kinds,
        start="\n",
    )
    return network, corpus


def by_reading(network, text, kind):
    """The surprise of each character of a text but the first, by `Generator.read`."""
    chances, _ = network.read(text[1:], kind)
    ids = network.encode(text)
    return [-math.log(chances[i, ids[i + 1]]) for i in range(len(ids) - 1)]


def test_surprise_in_windows_is_that_of_each_text_read_whole(small):
    network, corpus = small
    found = program.surprises(network, corpus, "test", rows=2, window=7)
    wanted = []
    for text, label in zip(corpus.texts["test"], corpus.labels["test"]):
        wanted += by_reading(network, text, corpus.kinds[label])
    np.testing.assert_allclose(sorted(found), sorted(wanted), rtol=1e-4)


def test_log_likelihood_is_the_sum_over_the_characters(small):
    network, corpus = small
    texts = corpus.texts["test"]
    found = program.log_likelihoods(network, texts, batch_size=3)
    wanted = [
        [-sum(by_reading(network, text, kind)) for kind in corpus.kinds]
        for text in texts
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_the_best_of_some_is_the_one_most_of_its_kind(small):
    network, corpus = small
    options = program.read_options(["--length", "20", "--temperature", "1"])
    best = program.write_the_best(network, corpus, "high", 2, options, tries=4)
    texts = program.write(network, corpus, "high", 8, 20, 1.0, options.seed)
    low, high = program.log_likelihoods(network, [f"\n{t}\n" for t in texts]).T
    for i in range(2):
        four = slice(4 * i, 4 * i + 4)
        assert best[i] == texts[four][np.argmax((high - low)[four])]


def test_surprise_of_a_long_text_counts_each_character_once(text):
    corpus = corpora.own_text(text)
    network = keras_rnn.generation.Generator(corpus.characters, keras_rnn.ElmanCell(4))
    (held_out,) = corpus.texts["test"]
    found = program.surprises(network, corpus, "test", rows=5, window=20)
    assert len(found) == len(held_out) - 1


def test_windows_that_carry_nothing_all_start_afresh(small):
    network, corpus = small
    carried, separate = (
        program.cut(network, corpus, "train", 2, 7, carry) for carry in (True, False)
    )
    assert len(carried) == len(separate)
    for i in range(len(carried)):
        (a, y), (b, other_y) = carried[i], separate[i]
        np.testing.assert_array_equal(a["tokens"], b["tokens"])
        np.testing.assert_array_equal(y, other_y)
        assert "fresh" not in b  # no state is carried: all start from the learned one
    assert not all(np.all(carried[i][0]["fresh"]) for i in range(len(carried)))
