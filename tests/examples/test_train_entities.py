"""The program that finds names: its masks, its scores, its corpora, and a small run."""

import dataclasses
import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.tutorials.scripts import ROOT, contents, refused, rows, small_run

# isort: split
import train_entities as program
from workshop import sentences as composed
from workshop.tagging import Batches, Lists

SCRIPT = ROOT / "examples" / "train_entities.py"
CORPUS = """\
-DOCSTART- -X- -X- O

Ada NNP B-NP I-PER
Byron NNP I-NP I-PER
met VBD B-VP O
Babbage NNP B-NP B-PER
in IN B-PP O
Turin NNP B-NP I-LOC
. . O O

Turin NNP B-NP I-LOC
is VBZ B-VP O
far RB B-ADVP O
"""


def settings(**others):
    """Those of a tiny network."""
    chosen = {
        "cell": "elman", "units": 5, "letters": True, "bidirectional": True,
        "epochs": 1, "batch_size": 3, "seed": 1, "vector": 4, "letter_vector": 3,
        "letter_units": 2, "word_length": 6, "fewest": 1,
    }  # fmt: skip
    return program.Settings(**(chosen | others))


@pytest.fixture(scope="module")
def some():
    """A few sentences of very different lengths."""
    known = composed.Names(new=False)
    found = composed.compose(composed.TEMPLATES, known, 40, np.random.default_rng(0))
    return sorted(found, key=lambda row: len(row[0]))[::4]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder and the output of a small run."""
    return small_run(SCRIPT, tmp_path_factory)


@pytest.fixture
def corpus(tmp_path):
    """Three small files in CoNLL's format."""
    paths = [tmp_path / name for name in ("train.txt", "valid.txt", "test.txt")]
    for path in paths:
        path.write_text(CORPUS, "utf-8")
    return paths


# ----------------------------------------------------------------------------- masks


def test_padding_costs_nothing(some):
    """Neither the loss, nor the metrics, nor a gradient depend on the padding."""
    chosen = settings()
    lists = Lists.of(some, 1)
    keras.utils.set_random_seed(0)
    network = program.build(chosen, lists, 10)

    def outcome(extra):
        batches = Batches(some, lists, chosen.word_length, 3, extra=extra)
        inputs, tags = batches[0]
        with tf.GradientTape() as tape:
            loss = network.compute_loss(inputs, tags, network(inputs))
        values = [v.value for v in network.trainable_variables]
        gradients = tape.gradient(loss, values)
        gradients = [tf.convert_to_tensor(g).numpy() for g in gradients]
        return network.evaluate(batches, verbose=0), float(loss), gradients

    (figures, loss, gradients), (other_figures, other_loss, others) = map(
        outcome, (0, 7)
    )
    np.testing.assert_allclose(figures, other_figures, rtol=1e-5)
    assert loss == pytest.approx(other_loss, rel=1e-5)
    for a, b in zip(gradients, others):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_loss_and_accuracy_count_real_words(some):
    """Both are means over the words, computed here one by one."""
    chosen = settings(batch_size=4)
    lists = Lists.of(some, 1)
    network = program.build(chosen, lists, 10)
    batches = program.batches_of(some, lists, chosen)
    costs, right = [], []
    for n in range(len(batches)):
        inputs, tags = batches[n]
        said = keras.ops.convert_to_numpy(network(inputs)).astype("float64")
        costs.append([])
        for row, row_tags in zip(said, tags):
            for p, tag in zip(row, row_tags):
                if tag > 0:
                    costs[-1].append(-np.log(p[tag]))
                    right.append(1 + np.argmax(p[1:]) == tag)
    # Keras weighs the batches by their sentences.
    sentences = [len(indices) for indices in batches.batches]
    loss, accuracy = network.evaluate(batches, verbose=0)
    assert accuracy == pytest.approx(np.mean(right), rel=1e-6)
    means = [np.mean(cost) for cost in costs]
    assert loss == pytest.approx(np.average(means, weights=sentences), rel=1e-4)
    assert len(right) == sum(len(words) for words, _ in some)


def test_letters_reach_the_tags():
    """Two unknown words with other letters get other answers; without letters, the same."""
    lists = Lists(["in"], list("abcXYZ"), ["O", "B-LOC", "I-LOC"])
    for letters in (True, False):
        chosen = settings(letters=letters)
        network = program.build(chosen, lists, 1)
        answers = [
            network([w[None], c[None]]).numpy()
            for w, c in (
                lists.encode(["in", word], chosen.word_length)
                for word in ("abc", "XYZ")
            )
        ]
        assert np.allclose(*answers, atol=1e-7) != letters


# ---------------------------------------------------------------------------- scores


def test_score_by_hand():
    truth = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "B-LOC", "O"]]
    found = [["B-PER", "I-PER", "O", "B-PER"], ["B-LOC", "I-LOC", "O"]]
    scores = program.score(truth, found)
    assert scores["PER"] == {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "names": 1}
    assert scores["LOC"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "names": 3}
    assert scores["all"]["precision"] == pytest.approx(1 / 3)
    assert scores["all"]["recall"] == pytest.approx(1 / 4)


def test_dictionary():
    rows = [(["Rose", "met", "Rose"], ["B-PER", "O", "B-PER"]), (["Rose"], ["O"])]
    dictionary = program.build_dictionary(rows)
    found = program.look_up(dictionary, [["Rose", "met", "Ann"]])
    assert found == [["B-PER", "O", "O"]]


def test_to_iob2():
    assert program.to_iob2(["I-A", "I-A", "B-A", "O", "I-A", "I-B"]) == [
        "B-A", "I-A", "B-A", "O", "B-A", "B-B",
    ]  # fmt: skip


def test_chosen_lines():
    """Some right ones and some wrong ones, and what would have been right."""
    rows = [([str(n)], ["O" if n < 8 else "B-PER"]) for n in range(10)]
    found = {"test": [["O"]] * 10}
    lines = program.choose_lines({"test": rows}, found, [(["x"], ["O"])], 4, 1)
    assert [words and words[0] for _, words, _ in lines] == [
        None, "0", "1", "2", "8", "8", None, "x",
    ]  # fmt: skip
    assert lines[5] == ("right would be", ["8"], ["B-PER"])


# ------------------------------------------------------------------------ the script


def test_files_and_figures_of_a_run(finished):
    folder, _ = finished
    assert {path.name for path in folder.iterdir()} == {
        "history.csv",
        "learning_curves.png",
        "metrics.json",
        "tagged.html",
        "tagged.png",
        "tagger",
    }
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert set(metrics["scores"]) == {
        "unseen templates",
        "unseen templates and names",
    }
    for test, scores in metrics["scores"].items():
        assert set(scores) == {"DATE", "LOC", "ORG", "PER", "all"}
        assert metrics["test_f1"][test] == scores["all"]["f1"]
        assert scores["all"]["names"] == sum(
            row["names"] for name, row in scores.items() if name != "all"
        )
    assert set(metrics["baselines"]) == {"dictionary"}
    assert metrics["seed"] == 1 and metrics["versions"]["keras"] == keras.__version__
    assert len(rows(folder / "history.csv")) == 2
    page = (folder / "tagged.html").read_text("utf-8")
    assert "Test: unseen templates and names" in page


def test_scores_are_those_of_the_saved_tagger(finished):
    folder, _ = finished
    network, lists, chosen = program.load_tagger(folder)
    options = program.read_options(["--quick"])
    _, _, tests = program.load_sentences(options)
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    for name, sentences in tests.items():
        words, truth = (list(column) for column in zip(*sentences))
        found = program.tag(network, lists, chosen, words)
        assert program.score(truth, found) == metrics["scores"][name]


def test_predict(finished, capsys):
    folder, _ = finished
    before = contents(folder)
    text = "Ada Byron met Babbage in Turin."
    assert program.main(["--output", str(folder), "--predict", text]) == 0
    out = capsys.readouterr().out
    plain = re.sub(r"\[(.*?) \| \w+\]", r"\1", out).split()
    assert plain == composed.split_words(text)
    assert contents(folder) == before


def test_own_corpus(corpus, tmp_path, capsys):
    folder = tmp_path / "results"
    arguments = ["--quick", "--conll", *corpus, "--output", folder, "--epochs", "1"]
    arguments += ["--no-letters", "--no-bidirectional", "--batch-size", "1"]
    assert program.main([str(argument) for argument in arguments]) == 0
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert {n: row["names"] for n, row in metrics["scores"]["test"].items()} == {
        "LOC": 2,
        "PER": 2,
        "all": 4,
    }
    assert metrics["baselines"]["dictionary"]["test"]["all"]["f1"] > 0
    assert not (folder / "unfinished").exists()

    for damaged in ("", "[]", "{}", '{"words": 1, "letters": [], "tags": []}'):
        (folder / "tagger" / "lists.json").write_text(damaged)
        asked = ["--output", folder, "--predict", "Ada"]
        refused(program.main, asked, "lists.json", tmp_path, capsys)


def test_reading_a_corpus(corpus):
    found, first_lines = program.read_conll(corpus[0])
    assert found == [
        (
            ["Ada", "Byron", "met", "Babbage", "in", "Turin", "."],
            ["B-PER", "I-PER", "O", "B-PER", "O", "B-LOC", "O"],
        ),
        (["Turin", "is", "far"], ["B-LOC", "O", "O"]),
    ]
    assert first_lines == {"PER": 3, "LOC": 8}


BAD_LINES = {
    "no tag": ("Byron NNP I-NP I-PER", "Byron", "line 4: 'Byron' has no tag"),
    "columns": ("in IN B-PP O", "in IN O", "line 7: 3 columns, but 4"),
    "tag": ("in IN B-PP O", "in IN B-PP S-LOC", "line 7: the tag is 'S-LOC'"),
    "only O": ("", "", "nothing to learn"),
    "empty": (CORPUS, "\n\n", "there is no sentence"),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_malformed_corpora(case, corpus, tmp_path, capsys):
    old, new, says = BAD_LINES[case]
    if case == "only O":
        bad = re.sub(r"[BI]-(PER|LOC)$", "O", CORPUS, flags=re.M)
        for path in corpus[1:]:
            path.write_text(bad, "utf-8")
    else:
        bad = CORPUS.replace(old, new)
    corpus[0].write_text(bad, "utf-8")
    arguments = ["--conll", *corpus, "--output", tmp_path]
    refused(program.main, arguments, says, tmp_path, capsys)


def test_class_that_is_not_in_the_training(corpus, tmp_path, capsys):
    corpus[2].write_text(CORPUS.replace("I-LOC", "I-ORG"), "utf-8")
    arguments = ["--conll", *corpus, "--output", tmp_path]
    says = f"{corpus[2]}, line 8: the class ORG does not occur"
    refused(program.main, arguments, says, tmp_path, capsys)


def test_corpus_that_is_no_text(corpus, tmp_path, capsys):
    corpus[1].write_bytes(b"Ada\xff B-PER\n")
    arguments = ["--conll", *corpus, "--output", tmp_path]
    refused(program.main, arguments, "not a text file in UTF-8", tmp_path, capsys)


def test_tfds(monkeypatch):
    """The data set's numbers become tags, in IOB2."""

    def rows(builder, split, **_):
        names = builder.info.features["ner"].feature.names
        tags = [names.index(tag) for tag in ("I-PER", "O", "I-LOC", "I-LOC")]
        row = {"tokens": ["Ada", "saw", "New", split], "ner": tags}
        return tf.data.Dataset.from_tensors(row)

    builder = tfds.builder_cls("conll2003")
    monkeypatch.setattr(builder, "is_prepared", lambda self: True)
    with tfds.testing.mock_data(as_dataset_fn=rows):
        parts = program.read_tfds("conll2003", download=False)
    assert parts == [
        [(["Ada", "saw", "New", split], ["B-PER", "O", "B-LOC", "I-LOC"])]
        for split in ("train", "dev", "test")
    ]


USAGE_ERRORS = {
    "unknown data set": (["--dataset", "novels"], "novels"),
    "units": (["--units", "0"], "--units"),
    "two corpora": (["--dataset", "conll2003", "--conll", "a", "b", "c"], "--conll"),
    "two corpora, as by default": (
        ["--dataset", "composed", "--conll", "a", "b", "c"],
        "--conll",
    ),
    "two files": (["--conll", "a", "b"], "--conll"),
    "missing file": (["--conll", "nowhere.txt", "b", "c"], "cannot read nowhere.txt"),
    "not downloaded": (["--dataset", "conll2003"], "--download"),
    "empty prediction": (["--predict", "  "], "--predict"),
    "nothing to predict with": (["--predict", "Ada"], "no trained network"),
    "nothing to resume": (["--quick", "--resume"], "--resume"),
}


@pytest.mark.parametrize("case", USAGE_ERRORS)
def test_usage_errors(case, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "none"))
    options, says = USAGE_ERRORS[case]
    refused(program.main, ["--output", tmp_path, *options], says, tmp_path, capsys)


def test_settings_are_saved():
    chosen = settings(cell="lstm")
    assert (
        program.Settings(**json.loads(json.dumps(dataclasses.asdict(chosen)))) == chosen
    )
