"""The tutorial as its readers run it: a small run, what it writes, what it refuses."""

import csv
import json
import os
import signal
import subprocess
import time

import keras
import numpy as np
import pytest

from tests.tutorials.scripts import (
    TUTORIALS,
    contents,
    python,
    refused,
    rows,
    small_run,
)

# isort: split
import sentiment_classification as tutorial
import workshop

SCRIPT = TUTORIALS / "sentiment_classification.py"
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
    """The folder that a small run with the default reviews has written."""
    folder, _ = small_run(SCRIPT, tmp_path_factory)
    return folder


def test_files_of_a_run(finished):
    assert {path.name for path in finished.iterdir()} == {
        "history.csv",
        "initial_state.png",
        "learning_curves.png",
        "metrics.json",
        "model.keras",
        "opinions.png",
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
    options = tutorial.read_options(["--quick"])
    _, _, (texts, labels) = tutorial.load_reviews(options)
    model = keras.saving.load_model(finished / "model.keras")
    right = (tutorial.opinions(model, texts) > 0.5) == labels
    metrics = json.loads((finished / "metrics.json").read_text("utf-8"))
    assert metrics["test_accuracy"] == pytest.approx(right.mean(), abs=1e-9)


def test_saved_models_agree_in_fresh_processes(finished):
    keras_code = f"""
import json, sys, keras, keras_rnn, numpy as np, tensorflow as tf
model = keras.saving.load_model({str(finished / "model.keras")!r})
texts = json.loads(sys.stdin.read())
print(json.dumps([float(p) for p in model.predict(tf.constant(texts), verbose=0)]))
"""
    # `import tensorflow` imports Keras by itself where it can: here it cannot.
    tensorflow_code = f"""
import json, sys
sys.modules["keras"] = sys.modules["keras_rnn"] = None
import tensorflow as tf
model = tf.saved_model.load({str(finished / "saved_model")!r})
serve = model.signatures["serving_default"]
texts = json.loads(sys.stdin.read())
def ask(texts):
    p = serve(tf.constant(texts))["positive"]
    return [float(x) for x in p]
print(json.dumps([ask(texts), [x for text in texts for x in ask([text])]]))
assert not [name for name in sys.modules if name.startswith(("keras.", "keras_rnn."))]
"""
    found = []
    for code in (keras_code, tensorflow_code):
        process = python("-c", code, wait=False, stdin=subprocess.PIPE)
        out, error = process.communicate(json.dumps(TEXTS), timeout=300)
        assert process.returncode == 0, error
        found.append(json.loads(out.splitlines()[-1]))
    in_keras, (batch_of_7, batches_of_1) = found
    assert np.all(np.isfinite(in_keras))
    np.testing.assert_allclose(batch_of_7, in_keras, atol=1e-5)
    np.testing.assert_allclose(batches_of_1, in_keras, atol=1e-5)


def test_signature_is_listed(finished):
    code, out, error = python(
        "-m",
        "tensorflow.python.tools.saved_model_cli",
        "show",
        "--dir",
        finished / "saved_model",
        "--tag_set",
        "serve",
        "--signature_def",
        "serving_default",
    )
    assert code == 0, error
    assert "inputs['text']" in out and "DT_STRING" in out
    assert "outputs['positive']" in out and "DT_FLOAT" in out


def test_predict(finished, capsys):
    before = contents(finished)
    assert tutorial.main(["--output", str(finished), "--predict", "so good"]) == 0
    assert "P(positive) = " in capsys.readouterr().out
    assert contents(finished) == before


@pytest.mark.parametrize(
    "options",
    [
        ["--cell", "lstm", "--layers", "2", "--no-bidirectional"],
        ["--cell", "gru", "--batch-size", "1000"],
        ["--layers", "2", "--seed", "0"],
    ],
)
def test_own_reviews(data, tmp_path, options, capsys):
    arguments = ["--quick", "--csv", str(data), "--output", str(tmp_path)]
    assert tutorial.main([*arguments, "--epochs", "1", *options]) == 0
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
        tutorial.main,
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
        tutorial.main,
        ["--output", str(tmp_path), "--csv", str(path)],
        says,
        tmp_path,
        capsys,
    )


def test_output_that_cannot_be_written(data, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    arguments = ["--csv", str(data), "--output", str(tmp_path / "file" / "results")]
    refused(tutorial.main, arguments, "cannot write to", tmp_path, capsys)


def test_nothing_to_predict_with(tmp_path, capsys):
    arguments = ["--output", str(tmp_path / "none"), "--predict", "good"]
    refused(tutorial.main, arguments, "no trained network", tmp_path, capsys)


def test_one_line_and_code_2_of_the_script(tmp_path):
    code, out, error = python(SCRIPT, "--units", "0", cwd=tmp_path)
    assert code == 2
    assert error.startswith("error: ") and error.count("\n") == 1


def test_other_backend(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    refused(
        tutorial.main, ["--output", str(tmp_path)], "KERAS_BACKEND", tmp_path, capsys
    )


def test_killed_and_resumed(data, tmp_path, capsys):
    earlier = tmp_path / "metrics.json"
    earlier.write_text("an earlier result")
    arguments = ["--quick", "--csv", data, "--output", tmp_path, "--epochs", 60]
    process = python(SCRIPT, *arguments, wait=False, stdin=subprocess.DEVNULL)
    kept = tmp_path / "unfinished" / "network"
    until = time.monotonic() + 200
    while not list(kept.glob("epoch-*")):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert earlier.read_text() == "an earlier result"
    (last,) = list(kept.glob("epoch-*"))[-1:]
    done = json.loads((last / "history.json").read_text("utf-8"))
    assert 1 <= len(done) < 60

    # With other options there is nothing of this kind to go on with.
    arguments = [str(argument) for argument in arguments]
    other = [*arguments, "--resume", "--units", "9"]
    refused(tutorial.main, other, "units=8, not 9", tmp_path, capsys)

    assert tutorial.main([*arguments, "--resume"]) == 0
    history = rows(tmp_path / "history.csv")
    assert [int(row["epoch"]) for row in history] == list(range(1, 61))
    assert [float(row["loss"]) for row in history[: len(done)]] == [
        row["loss"] for row in done
    ]
    assert json.loads(earlier.read_text("utf-8"))["options"]["epochs"] == 60
    assert not (tmp_path / "unfinished").exists()


def test_resumed_state_is_whole(tmp_path):
    """Weights, optimizer, learning rate and the best epoch come back."""
    random = np.random.default_rng(0)
    words = random.integers(1, 50, (64, 10))
    labels = random.integers(0, 2, 64).astype("float32")
    settings = tutorial.Settings(
        cell="elman", units=3, layers=1, bidirectional=True, epochs=3, batch_size=16,
        seed=0, words=50, vector=4,
    )  # fmt: skip

    def train(run, epochs):
        batches = tutorial.Batches(words, labels, 16, seed=0)

        def build():
            return tutorial.build_network(settings, 3 * len(batches))

        validation = tutorial.Batches(words, labels, 16)
        return run.train("net", build, batches, validation, epochs)

    workshop.Run(tmp_path, {"a": 1}, resume=False)
    first, _ = train(workshop.Run(tmp_path, {"a": 1}, resume=True), 1)
    run = workshop.Run(tmp_path, {"a": 1}, resume=True)
    again, history = train(run, 1)  # nothing left to train
    assert len(history) == 1
    assert int(again.optimizer.iterations) == 4
    for a, b in zip(first.optimizer.variables, again.optimizer.variables):
        np.testing.assert_array_equal(a, b)
    last, history = train(run, 3)
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert int(last.optimizer.iterations) == 12
    assert float(last.optimizer.learning_rate) == pytest.approx(0.0, abs=1e-6)


def test_order_of_batches():
    words = np.arange(1, 101)[:, None].repeat(3, axis=1)
    batches = tutorial.Batches(words, np.zeros(100), 8, seed=4)

    def epoch():
        return np.concatenate([batches[i][0][:, 0] for i in range(len(batches))])

    first = epoch()
    batches.on_epoch_end()
    second = epoch()
    assert sorted(first) == sorted(second) == list(range(1, 101))
    assert not np.array_equal(first, second)
    again = tutorial.Batches(words, np.zeros(100), 8, seed=4)
    again.epoch = 1
    batches = again
    np.testing.assert_array_equal(epoch(), second)


def test_a_failed_writing_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), workshop.replacing(path) as new:
        new.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
