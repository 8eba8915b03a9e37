"""The tutorial as its readers run it: a small run, what it writes, what it refuses."""

import datetime
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
from workshop import dates

tutorial = importlib.import_module("train_translation")

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
        "gradients.png",
        "history.csv",
        "languages.png",
        "learning_curves.png",
        "metrics.json",
        "model.keras",
        "saved_model",
        "translations.csv",
    }
    history = rows(finished / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2"] * 2
    assert {row["network"] for row in history} == {"elman", "elman + attention"}
    metrics = json.loads((finished / "metrics.json").read_text("utf-8"))
    assert metrics["seed"] == 1 and metrics["versions"]["keras"] == keras.__version__
    assert len(metrics["exact_match_by_language"]["elman"]) == 13
    for test in metrics["tests"].values():
        assert set(test) == {
            "always the commonest",
            *(
                f"elman{a}, {b}"
                for a in ("", " + attention")
                for b in ("greedy", "beam 4")
            ),
        }
        for name in ("elman", "elman + attention"):
            beam, greedy = test[f"{name}, beam 4"], test[f"{name}, greedy"]
            assert beam["log_probability"] >= greedy["log_probability"] - 1e-5
    lines = metrics["gradients"]["before training"]
    assert len(lines["elman"]) == len(lines["elman + attention"]) > 10


def test_figures_are_those_of_the_saved_model(finished):
    options = tutorial.read_options(["--quick"])
    corpus = tutorial.load(options)
    model = keras.saving.load_model(finished / "model.keras")
    metrics = json.loads((finished / "metrics.json").read_text("utf-8"))
    kept = rows(finished / "translations.csv")
    for test, (sources, targets) in corpus.tests.items():
        texts = model.translate(sources)
        figures = metrics["tests"][test]["elman + attention, greedy"]
        right = [a == b for a, b in zip(texts, targets)]
        assert figures["exact_match"] == pytest.approx(np.mean(right), abs=1e-9)
        written = [
            row["elman + attention, greedy"] for row in kept if row["test"] == test
        ]
        assert written == texts
    served = tf.saved_model.load(finished / "saved_model").signatures["translate"]
    found = served(texts=tf.constant(sources))["translations"].numpy()
    assert [t.decode() for t in found] == model.translate(sources, beam_width=4)


def test_predict(finished, capsys):
    before = contents(finished)
    options = ["--output", str(finished), "--predict", "7 \u5e74 2018"]
    assert tutorial.main(options) == 0
    out = capsys.readouterr().out
    assert "(probability 0." in out and "unknown characters: \u5e74" in out
    assert contents(finished) == before


# Dates.


def test_heaps_share_no_day():
    heaps = dates.cut(np.random.default_rng(0))
    days = np.concatenate(heaps)
    assert len(days) == len(set(days)) == 73_049
    first, last = (datetime.date.fromordinal(int(d)) for d in (days.min(), days.max()))
    assert (first, last) == (datetime.date(1900, 1, 1), datetime.date(2099, 12, 31))


def test_no_date_of_a_test_is_trained_on():
    corpus = tutorial.load(tutorial.read_options(["--quick"]))
    trained = set(corpus.train[1]) | set(corpus.validation[1])
    for sources, targets in corpus.tests.values():
        assert not trained & set(targets)
        assert len(sources) == len(targets) == 300
    assert not set(corpus.train[1]) & set(corpus.validation[1])
    assert set(corpus.languages[300:]) == {"it"} and "it" not in dates.LANGUAGES


def test_what_is_written_is_the_day():
    random = np.random.default_rng(0)
    days = np.arange(700_000, 730_000)
    for languages in (dates.LANGUAGES, [dates.UNSEEN]):
        for source, target, language in dates.compose(400, days, languages, random):
            year, month, day = target.split("-")
            digits = "".join(c if c.isdigit() else " " for c in source).split()
            assert year in digits and str(int(day)) in [d.lstrip("0") for d in digits]
            if len(digits) == 3:  # the month is one of them
                order = [int(digit) for digit in digits]
                numbers = [int(day), int(month), int(year)]
                assert order in (numbers, numbers[::-1])
            assert language in languages and "\u202f" not in source
    named = dates.compose(200, days, ["it"], random, only_in_words=True)
    assert all(any(c.isalpha() for c in each.source) for each in named)


def test_no_two_days_are_written_alike():
    """What a reader could not tell apart is not asked."""
    for language in (*dates.LANGUAGES, dates.UNSEEN):
        assert len(dates.formats(language)) >= 3
        for pattern in dates.formats(language):
            days = [
                datetime.date(1999, 1, 1) + datetime.timedelta(i) for i in range(800)
            ]
            written = {dates.write(day, language, pattern) for day in days}
            assert len(written) == len(days), pattern


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
    assert tutorial.distance(a, b) == tutorial.distance(b, a) == edits


def test_judge():
    texts = ["the cat sees the dog", "a dog"]
    targets = ["the cat sees the cat", "a dog"]
    figures = tutorial.judge(texts, targets, sentences=True)
    assert figures["exact_match"] == 0.5
    assert figures["character_error_rate"] == pytest.approx(3 / 25)
    bleu = sacrebleu.metrics.BLEU().corpus_score(texts, [targets]).score
    assert figures["bleu"] == pytest.approx(bleu)
    assert "bleu" not in tutorial.judge(texts, targets, sentences=False)


# Sentences.


def test_a_source_is_in_one_heap_only(pairs):
    options = tutorial.read_options(["--pairs", str(pairs)])
    corpus = tutorial.load(options)
    heaps = [corpus.train, corpus.validation, *corpus.tests.values()]
    assert sum(len(sources) for sources, _ in heaps) == 62
    found = [set(sources) for sources, _ in heaps]
    assert sum(map(len, found)) == len(set.union(*found))
    assert ("a 0", "the") in [pair for heap in heaps for pair in zip(*heap)]
    assert ("a 0", "a") in [pair for heap in heaps for pair in zip(*heap)]


def test_long_pairs_are_left_out_and_said_so(tmp_path, capsys):
    path = tmp_path / "pairs.txt"
    long = [f"{'a' * 50} {i}\tb" for i in range(7)]
    path.write_text("\n".join([f"{i}\tb" for i in range(40)] + long), "utf-8")
    corpus = tutorial.load(
        tutorial.read_options(["--pairs", str(path), "--longest", "50"])
    )
    assert "7 of 47 pairs" in capsys.readouterr().out
    heaps = [corpus.train, corpus.validation, *corpus.tests.values()]
    assert sum(len(sources) for sources, _ in heaps) == 40


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
    refused(tutorial.main, asked, "--download", tmp_path, capsys)
    options = tutorial.read_options(
        ["--dataset", "tiny_pairs", "--download", "--most", "20"]
    )
    corpus = tutorial.load(options)
    assert len(corpus.train[0]) == 20
    assert sorted(corpus.tests) == ["sentences never seen"]
    want = sentences(50, len("validation"))
    assert sorted(zip(*corpus.validation)) == sorted(want)


# What is refused.

BAD = {
    "unknown option": (["--unit", "3"], "--unit"),
    "units": (["--units", "0"], "--units"),
    "odd units": (["--units", "33", "--bidirectional"], "--units"),
    "attention": (["--attention", "sharp"], "--attention"),
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
def test_mistakes(case, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "none"))
    options, says = BAD[case]
    (tmp_path / "metrics.json").write_text("an earlier one")
    refused(tutorial.main, ["--output", tmp_path, *options], says, tmp_path, capsys)


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
    refused(tutorial.main, asked, says, tmp_path, capsys)


def test_output_that_cannot_be_written(pairs, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    asked = ["--pairs", pairs, "--output", tmp_path / "file" / "results"]
    refused(tutorial.main, asked, "cannot write to", tmp_path, capsys)


def test_other_backend(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    refused(tutorial.main, ["--output", tmp_path], "KERAS_BACKEND", tmp_path, capsys)


def test_broken_off_and_resumed_on_own_pairs(pairs, tmp_path, capsys, monkeypatch):
    (tmp_path / "metrics.json").write_text("an earlier result")
    arguments = ["--quick", "--pairs", pairs, "--output", tmp_path, "--epochs", 3]
    arguments = [str(a) for a in [*arguments, "--attention", "none", "--bidirectional"]]
    with monkeypatch.context() as patch:
        break_off_after_one_epoch(patch)
        assert tutorial.main(arguments) == 130
    assert "--resume" in capsys.readouterr().err
    assert (tmp_path / "metrics.json").read_text() == "an earlier result"
    last = tmp_path / "unfinished" / "network" / "epoch-0001"
    done = json.loads((last / "history.json").read_text("utf-8"))
    assert len(done) == 1
    capsys.readouterr()

    other = [*arguments, "--resume", "--units", "10"]
    refused(tutorial.main, other, "units=32, not 10", tmp_path, capsys)

    assert tutorial.main([*arguments, "--resume"]) == 0
    history = rows(tmp_path / "history.csv")
    assert [int(row["epoch"]) for row in history] == [1, 2, 3]
    assert float(history[0]["loss"]) == done[0]["loss"]
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    (figures,) = metrics["tests"].values()
    assert set(figures) == {"always the commonest", "elman, greedy", "elman, beam 4"}
    assert all(0 <= each["bleu"] <= 100 for each in figures.values())
    assert not (tmp_path / "unfinished").exists()
    assert not (tmp_path / "alignment.png").exists()
