"""The program as its users run it: a small run, what it writes, what it refuses."""

import csv
import json
import runpy
import signal

import keras
import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.tutorials.scripts import (
    ROOT,
    contents,
    python,
    refused,
    rows,
)

# isort: split

import train_sentiment as program

SCRIPT = ROOT / "examples" / "train_sentiment.py"
TEXTS = [
    "A wonderful film.",
    "awful, boring, bad",
    "?!",
    "not bad at all",
    "It was<br /><br />fine",
    "caf\u00e9 \U0001f3ac",
    "so " * 700,
]


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A table of reviews that are easy to tell apart."""
    random = np.random.default_rng(0)
    words = {"pos": ["good", "great", "fine"], "neg": ["bad", "awful", "poor"]}
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "text", "label"])
        for i in range(120):
            label = ("neg", "pos")[i % 2]
            said = random.choice(words[label] + ["but", "film", "the", "it"], 8)
            table.writerow([i, " ".join(said), label])
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder that a small run with the default reviews has written.

    It runs in a process of its own: what native code writes to stderr would be seen.
    """
    folder = tmp_path_factory.mktemp("quick") / "results" / "here"
    code, out, error = python(
        SCRIPT, "--quick", "--output", folder, cwd=folder.parents[1]
    )
    assert (code, error) == (0, "")
    return folder


def test_files_of_a_run(finished):
    assert {path.name for path in finished.iterdir()} == {
        "history.csv",
        "learning_curves.png",
        "metrics.json",
        "model.keras",
        "saved_model",
    }
    history = rows(finished / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2"]
    metrics = json.loads((finished / "metrics.json").read_text("utf-8"))
    assert set(metrics["baselines"]) == {"commonest label", "mean of embeddings"}
    assert metrics["seed"] == 1 and metrics["versions"]["keras"] == keras.__version__
    assert metrics["seconds_per_epoch"] > 0
    least = min(range(2), key=lambda i: float(history[i]["val_loss"]))
    assert metrics["best_epoch"] == least + 1


def test_metrics_are_those_of_the_saved_model(finished):
    options = program.read_options(["--quick"])
    _, _, (texts, labels) = program.load_reviews(options)
    model = keras.saving.load_model(finished / "model.keras")
    right = (program.opinions(model, texts) > 0.5) == labels
    metrics = json.loads((finished / "metrics.json").read_text("utf-8"))
    assert metrics["test_accuracy"] == pytest.approx(right.mean(), abs=1e-9)


def test_saved_models_agree_in_a_fresh_process(finished):
    # `import tensorflow` imports Keras by itself where it can: first it cannot.
    code = f"""
import json, sys
sys.modules["keras"] = sys.modules["keras_rnn"] = None
import tensorflow as tf
served = tf.saved_model.load({str(finished / "saved_model")!r})
serve = served.signatures["serving_default"]
(_, taken), (given,) = serve.structured_input_signature, serve.structured_outputs.values()
assert list(taken) == ["text"] and taken["text"].dtype == tf.string
assert given.dtype == tf.float32
texts = json.loads({json.dumps(TEXTS)!r})
def ask(texts):
    (p,) = serve(tf.constant(texts)).values()
    return [float(x) for x in p]
found = [ask(texts), [x for text in texts for x in ask([text])]]
assert not [name for name in sys.modules if name.startswith(("keras.", "keras_rnn."))]

del sys.modules["keras"], sys.modules["keras_rnn"]
import keras, keras_rnn
model = keras.saving.load_model({str(finished / "model.keras")!r})
found.append([float(p) for p in model.predict(tf.constant(texts), verbose=0)])
print(json.dumps(found))
"""
    status, out, error = python("-c", code)
    assert status == 0, error
    batch_of_7, batches_of_1, in_keras = json.loads(out.splitlines()[-1])
    assert np.all(np.isfinite(in_keras))
    np.testing.assert_allclose(batch_of_7, in_keras, atol=1e-5)
    np.testing.assert_allclose(batches_of_1, in_keras, atol=1e-5)


def test_predict(finished, capsys):
    before = contents(finished)
    assert program.main(["--output", str(finished), "--predict", "so good"]) == 0
    assert "P(positive) = " in capsys.readouterr().out
    assert contents(finished) == before


def test_own_reviews(data, tmp_path, capsys):
    arguments = ["--quick", "--csv", str(data), "--output", str(tmp_path)]
    arguments += ["--cell", "gru", "--layers", "2", "--batch-size", "1000"]
    assert program.main([*arguments, "--epochs", "1", "--seed", "0"]) == 0
    assert len(rows(tmp_path / "history.csv")) == 1
    assert not (tmp_path / "unfinished").exists()


BAD = {
    "unknown data set": (["--dataset", "novels"], "novels"),
    "unknown option": (["--unit", "3"], "--unit"),
    "missing table": (["--csv", "nowhere.csv"], "nowhere.csv"),
    "units": (["--units", "0"], "--units"),
    "epochs": (["--epochs", "-1"], "--epochs"),
    "batch size": (["--batch-size", "many"], "--batch-size"),
    "empty prediction": (["--predict", "  "], "--predict"),
    "nothing to resume": (["--resume"], "--resume"),
    "not downloaded": (["--dataset", "imdb_reviews"], "--download"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes(case, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "none"))
    options, says = BAD[case]
    (tmp_path / "model.keras").write_text("an earlier one")
    table = [] if {"--csv", "--dataset"} & set(options) else ["--csv", str(data)]
    refused(
        program.main,
        ["--output", str(tmp_path), *table, *options],
        says,
        tmp_path,
        capsys,
    )


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("text,sentiment\ngood,1\n", "'label'"),
        ("review,label\ngood,1\n", "'text'"),
        ("", "'text'"),
        ("text,label\ngood,1\n ,0\n", "line 3: the text is empty"),
        ("text,label\ngood,1\nbad,2\n", "line 3: the label is '2'"),
        ("text,label\ngood\n", "line 2: the label is ''"),
        ("text,label\n" + "good,1\n" * 30, "0 reviews have the label 0"),
    ],
)
def test_bad_tables(table, says, tmp_path, capsys):
    path = tmp_path / "table.csv"
    path.write_text(table, "utf-8")
    refused(
        program.main,
        ["--output", str(tmp_path), "--csv", str(path)],
        says,
        tmp_path,
        capsys,
    )


def test_one_source_of_reviews(data, tmp_path, capsys):
    asked = ["--csv", data, "--dataset", "movie_reviews", "--output", tmp_path]
    refused(program.main, asked, "not allowed with", tmp_path, capsys)


def test_reviews_that_cannot_be_prepared(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").write_text("not a folder")
    asked = ["--output", tmp_path]
    refused(program.main, asked, "TFDS_DATA_DIR", tmp_path, capsys)


def test_output_that_cannot_be_written(data, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    arguments = ["--csv", str(data), "--output", str(tmp_path / "file" / "results")]
    refused(program.main, arguments, "cannot write to", tmp_path, capsys)


def test_nothing_to_predict_with(tmp_path, capsys):
    arguments = ["--output", str(tmp_path / "none"), "--predict", "good"]
    refused(program.main, arguments, "no trained network", tmp_path, capsys)


def test_one_line_and_code_2_of_the_script(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [str(SCRIPT), "--units", "0"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1


def test_other_backend(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    refused(
        program.main, ["--output", str(tmp_path)], "KERAS_BACKEND", tmp_path, capsys
    )


def test_killed_and_resumed(data, tmp_path, capsys):
    earlier = tmp_path / "metrics.json"
    earlier.write_text("an earlier result")
    arguments = ["--quick", "--csv", data, "--output", tmp_path, "--epochs", 3]
    arguments += ["--cell", "lstm", "--layers", 2, "--no-bidirectional"]
    arguments = [str(argument) for argument in arguments]
    code = f"""
import os, sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
import train_sentiment as program
from workshop import runs
keep = runs._Keeper.on_epoch_end
def keep_and_die(keeper, epoch, logs=None):
    keep(keeper, epoch, logs)
    if keeper.folder.name == "network":
        os.kill(os.getpid(), {signal.SIGKILL.value})
runs._Keeper.on_epoch_end = keep_and_die
program.main({arguments!r})
"""
    status, _, error = python("-c", code)
    assert (status, error) == (-signal.SIGKILL, "")
    assert earlier.read_text() == "an earlier result"
    last = tmp_path / "unfinished" / "network" / "epoch-0001"
    done = json.loads((last / "history.json").read_text("utf-8"))
    assert len(done) == 1

    # With other options there is nothing of this kind to go on with.
    other = [*arguments, "--resume", "--units", "9"]
    refused(program.main, other, "units=8, not 9", tmp_path, capsys)

    assert program.main([*arguments, "--resume"]) == 0
    history = rows(tmp_path / "history.csv")
    assert [int(row["epoch"]) for row in history] == [1, 2, 3]
    assert float(history[0]["loss"]) == done[0]["loss"]
    assert json.loads(earlier.read_text("utf-8"))["options"]["epochs"] == 3
    assert not (tmp_path / "unfinished").exists()


def test_order_of_batches():
    words = np.arange(1, 101)[:, None].repeat(3, axis=1)
    batches = program.Batches(words, np.zeros(100), 8, seed=4)

    def epoch():
        return np.concatenate([batches[i][0][:, 0] for i in range(len(batches))])

    first = epoch()
    batches.on_epoch_end()
    second = epoch()
    assert sorted(first) == sorted(second) == list(range(1, 101))
    assert not np.array_equal(first, second)
    again = program.Batches(words, np.zeros(100), 8, seed=4)
    again.epoch = 1
    batches = again
    np.testing.assert_array_equal(epoch(), second)
