"""The program as its users run it: a small run, what it writes, what it refuses."""

import collections
import importlib
import json

import keras
import numpy as np
import pytest
import sacrebleu
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.tutorials.scripts import (
    ROOT,
    break_off_after_one_epoch,
    contents,
    refused,
    rows,
    small_run,
)

# isort: split
from workshop import phrases

program = importlib.import_module("train_translation")

SCRIPT = ROOT / "examples" / "train_translation.py"
WORDS = {"a": "the", "b": "dog", "c": "sees", "d": "cat"}


def sentences(count, seed=0):
    """Pairs that can be learned: word for word."""
    random = np.random.default_rng(seed)
    pairs = []
    for i in range(count):
        letters = random.choice(list(WORDS), random.integers(1, 5))
        pairs.append((f"{' '.join(letters)} {i}", " ".join(WORDS[c] for c in letters)))
    return pairs


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """A file as Tatoeba's are exchanged: a third column, and one text twice."""
    path = tmp_path_factory.mktemp("data") / "pairs.txt"
    lines = [f"{a}\t{b}\tCC-BY {i}\n" for i, (a, b) in enumerate(sentences(60))]
    path.write_text("".join([*lines, "a 0\tthe\n", "a 0\ta\n"]), "utf-8")
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder that a small run with the default dates has written."""
    folder, _ = small_run(SCRIPT, tmp_path_factory)
    return folder


def test_files_of_a_run(finished):
    assert {path.name for path in finished.iterdir()} == {
        "alignment.png",
        "history.csv",
        "learning_curves.png",
        "metrics.json",
        "model.keras",
        "saved_model",
        "translations.csv",
    }
    assert [row["epoch"] for row in rows(finished / "history.csv")] == ["1", "2"]
    metrics = json.loads((finished / "metrics.json").read_text("utf-8"))
    assert metrics["seed"] == 1 and metrics["versions"]["keras"] == keras.__version__
    for test in metrics["tests"].values():
        assert set(test) == {"always the commonest", "greedy", "beam 4"}
        beam, greedy = test["beam 4"], test["greedy"]
        assert beam["log_probability"] >= greedy["log_probability"] - 1e-5


def test_figures_are_those_of_the_saved_model(finished):
    corpus = program.load(program.read_options(["--quick"]))
    model = keras.saving.load_model(finished / "model.keras")
    metrics = json.loads((finished / "metrics.json").read_text("utf-8"))
    kept = rows(finished / "translations.csv")
    for test, pairs in corpus.tests.items():
        sources, (targets,) = phrases.references(pairs)
        texts = model.translate(sources)
        figures = metrics["tests"][test]["greedy"]
        right = [a == b for a, b in zip(texts, targets)]
        assert figures["exact_match"] == pytest.approx(np.mean(right), abs=1e-9)
        assert [row["greedy"] for row in kept if row["test"] == test] == texts
    served = tf.saved_model.load(finished / "saved_model").signatures["translate"]
    found = served(texts=tf.constant(sources))["translations"].numpy()
    assert [t.decode() for t in found] == model.translate(sources, beam_width=4)


def test_predict(finished, capsys):
    before = contents(finished)
    options = ["--output", str(finished), "--predict", "7 \u5e74 2018"]
    assert program.main(options) == 0
    out = capsys.readouterr().out
    assert "(probability 0." in out and "unknown characters: \u5e74" in out
    assert contents(finished) == before


def test_no_date_of_a_test_is_trained_on():
    corpus = program.load(program.read_options(["--quick"]))
    trained, validated = (
        {target for _, target in pairs} for pairs in (corpus.train, corpus.validation)
    )
    for pairs in corpus.tests.values():
        assert not (trained | validated) & {target for _, target in pairs}
        assert len(pairs) == 300
    assert not trained & validated


# Figures.


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [
        ("", "", 0),
        ("", "ab", 2),
        ("kitten", "sitting", 3),
        ("abc", "abc", 0),
        ("ab", "ba", 2),
    ],
)
def test_distance(a, b, edits):
    assert program.distance(a, b) == program.distance(b, a) == edits


def test_judge():
    texts = ["the cat sees the dog", "a dog"]
    first = ["the cat sees the cat", "one dog"]
    second = [None, "a dog"]
    figures = program.judge(texts, [first, second], sentences=True)
    assert figures["exact_match"] == 0.5
    assert figures["character_error_rate"] == pytest.approx(3 / 25)
    bleu = sacrebleu.metrics.BLEU().corpus_score(texts, [first, second]).score
    assert figures["bleu"] == pytest.approx(bleu)
    assert "bleu" not in program.judge(texts, [first, second], sentences=False)


# Sentences.


def test_a_source_is_in_one_part_only(pairs):
    corpus = program.load(program.read_options(["--pairs", str(pairs)]))
    parts = [corpus.train, corpus.validation, *corpus.tests.values()]
    assert sum(map(len, parts)) == 62
    found = [{source for source, _ in part} for part in parts]
    assert sum(map(len, found)) == len(set.union(*found))
    assert {("a 0", "the"), ("a 0", "a")} <= {pair for part in parts for pair in part}


def test_long_pairs_are_left_out_and_said_so(tmp_path, capsys):
    path = tmp_path / "pairs.txt"
    long = [f"{'a' * 50} {i}\tb" for i in range(7)]
    short = [f"{i}\u202f!\tb" for i in range(40)]
    path.write_text("\n".join(short + long), "utf-8")
    corpus = program.load(
        program.read_options(["--pairs", str(path), "--longest", "50"])
    )
    assert "7 of 47 pairs" in capsys.readouterr().out
    parts = [corpus.train, corpus.validation, *corpus.tests.values()]
    assert sorted(pair for part in parts for pair in part) == sorted(
        (f"{i} !", "b") for i in range(40)
    )


def test_batches_have_no_more_padding_than_they_need():
    pairs = [(c * n, d) for n in range(1, 9) for c, d in (("a", "x"), ("b", "xyxyx"))]
    settings = program.Settings.of(program.read_options(["--units", "4"]))
    corpus = program.Corpus(train=pairs, validation=pairs, tests={})
    model = program.build(settings, program.vocabularies(settings, corpus), 5, 1)
    seen = collections.Counter()
    batches = program.Batches(model, pairs, 4, seed=1)
    for (source, previous), target in map(batches.__getitem__, range(len(batches))):
        assert source.shape == previous.shape == target.shape
        assert (source[:, -1] > 0).any() or (target[:, -1] > 0).any()
        there = target[:, 1:] > 0
        assert np.all(previous[:, 1:][there] == target[:, :-1][there])
        seen.update((str(x[x > 0]), model.decode(y)) for x, y in zip(source, target))
    want = [(str(model.encode([x])[0]), y) for x, y in pairs]
    assert seen == collections.Counter(want)


class TinyPairs(tfds.core.GeneratorBasedBuilder):
    """A translation set that is made on the spot."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.Translation(["xx", "en"]),
            supervised_keys=("xx", "en"),
        )

    def _split_generators(self, manager):
        return {
            name: self._generate_examples(name)
            for name in ("train", "validation", "test")
        }

    def _generate_examples(self, name):
        for i, (a, b) in enumerate(sentences(50, len(name))):
            yield i, {"xx": a, "en": b}


def test_translation_set(tmp_path, monkeypatch, capsys):
    # TensorFlow Datasets has read the environment when it was imported.
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    (tmp_path / "results").mkdir()
    asked = ["--dataset", "tiny_pairs", "--output", tmp_path / "results"]
    refused(program.main, asked, "--download", tmp_path, capsys)
    options = program.read_options(
        ["--dataset", "tiny_pairs", "--download", "--most", "20"]
    )
    corpus = program.load(options)
    assert len(corpus.train) == 20
    assert sorted(corpus.tests) == ["sentences never seen"]
    assert sorted(corpus.validation) == sorted(sentences(50, len("validation")))


# What is refused.

BAD = {
    "unknown option": (["--unit", "3"], "--unit"),
    "units": (["--units", "0"], "--units"),
    "odd units": (["--units", "33"], "--units"),
    "attention": (["--attention", "sharp"], "--attention"),
    "merges": (["--merges", "-1"], "--merges"),
    "dropout": (["--dropout", "1"], "--dropout"),
    "beam": (["--beam-width", "0"], "--beam-width"),
    "missing file": (["--pairs", "nowhere.txt"], "nowhere.txt"),
    "two corpora": (["--pairs", "a.txt", "--dataset", "b"], "--dataset"),
    "unknown data set": (["--dataset", "novels_of_nobody"], "novels_of_nobody"),
    "no translations": (["--dataset", "mnist"], "no translation set"),
    "empty prediction": (["--predict", "  "], "--predict"),
    "nothing to predict with": (["--predict", "3 May 2001"], "no trained network"),
    "nothing to resume": (["--resume", "--quick"], "--resume"),
}


@pytest.mark.parametrize("case", BAD)
def test_usage_errors(case, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "none"))
    options, says = BAD[case]
    (tmp_path / "metrics.json").write_text("an earlier one")
    refused(program.main, ["--output", tmp_path, *options], says, tmp_path, capsys)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["a\tb", "no tab"], "line 2: no tab"),
        (["a\tb", "", "c\td"], "line 2: no tab"),
        (["a\t\tlicence"], "line 1: the target is empty"),
        (["a\tb", " \tb"], "line 2: the source is empty"),
        (["a\tb"] * 50, "1 different"),
        ([f"{i}\tb" for i in range(29)] + ["a" * 70 + "\tb"] * 40, "29 different"),
        ([b"a\tb\xff"], "UTF-8"),
    ],
)
def test_bad_files(lines, says, tmp_path, capsys):
    path = tmp_path / "pairs.txt"
    lines = [line if isinstance(line, bytes) else line.encode() for line in lines]
    path.write_bytes(b"\n".join(lines))
    asked = ["--output", tmp_path, "--pairs", path]
    refused(program.main, asked, says, tmp_path, capsys)


def test_output_that_cannot_be_written(pairs, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    asked = ["--pairs", pairs, "--output", tmp_path / "file" / "results"]
    refused(program.main, asked, "cannot write to", tmp_path, capsys)


def test_other_backend(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    refused(program.main, ["--output", tmp_path], "KERAS_BACKEND", tmp_path, capsys)


def test_broken_off_and_resumed_on_own_pairs(pairs, tmp_path, capsys, monkeypatch):
    (tmp_path / "metrics.json").write_text("an earlier result")
    arguments = ["--quick", "--pairs", pairs, "--output", tmp_path, "--epochs", 3]
    arguments = [str(a) for a in [*arguments, "--attention", "none", "--merges", "50"]]
    with monkeypatch.context() as patch:
        break_off_after_one_epoch(patch)
        assert program.main(arguments) == 130
    assert "--resume" in capsys.readouterr().err
    assert (tmp_path / "metrics.json").read_text() == "an earlier result"
    last = tmp_path / "unfinished" / "network" / "epoch-0001"
    done = json.loads((last / "history.json").read_text("utf-8"))
    assert len(done) == 1
    capsys.readouterr()

    other = [*arguments, "--resume", "--units", "10"]
    refused(program.main, other, "units=32, not 10", tmp_path, capsys)

    assert program.main([*arguments, "--resume"]) == 0
    history = rows(tmp_path / "history.csv")
    assert [int(row["epoch"]) for row in history] == [1, 2, 3]
    assert float(history[0]["loss"]) == done[0]["loss"]
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    (figures,) = metrics["tests"].values()
    assert set(figures) == {"always the commonest", "greedy", "beam 4"}
    assert all(0 <= each["bleu"] <= 100 for each in figures.values())
    assert not (tmp_path / "unfinished").exists()
    assert not (tmp_path / "alignment.png").exists()
