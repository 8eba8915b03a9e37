"""The tutorial as its readers run it: a small run, what it writes, what it refuses."""

import importlib
import json

import keras
import numpy as np
import pytest
from workshop import runs

tutorial = importlib.import_module("04_vanishing_gradients")

ARGUMENTS = ["--quick", "--seed", "2"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quick")
    assert tutorial.main([*ARGUMENTS, "--output", str(folder)]) == 0
    return folder, json.loads((folder / "metrics.json").read_text("utf-8"))


def test_files(finished):
    folder, _ = finished
    assert {path.name for path in folder.iterdir()} == {
        "adding.png",
        "matrices.png",
        "metrics.json",
        "recall.png",
        "remedies.png",
    }


def test_results(finished):
    _, metrics = finished
    assert {(row["task"], row["cell"]) for row in metrics["results"]} == {
        ("adding", "GRU"),
        ("recall", "GRU"),
        ("adding", "forget bias 0"),
        ("adding", "chrono"),
    }
    for row in metrics["results"]:
        if "curve" in row:
            assert row["curve"][-1] == [row["batches"], row["value"]]
            for key in ("profile_before", "profile_after"):
                assert len(row[key]) == row["timesteps"] == 6
                assert row[key][-1] == pytest.approx(1)


def test_do_nothing(finished):
    _, metrics = finished
    derived, measured = metrics["do_nothing_derived"], metrics["do_nothing"]
    assert derived["adding"] == pytest.approx(1 / 6)
    assert measured["adding"]["6"] == pytest.approx(1 / 6, rel=0.1)
    assert measured["recall"]["6"] == pytest.approx(1 / 8, rel=0.3)


def test_matrices(finished):
    """With the identity and ReLU nothing is lost; below 1, at least g^k is."""
    _, metrics = finished
    table = metrics["matrices"]
    for k, left in table["ReLU, identity"].items():
        assert left == pytest.approx(1, rel=1e-5), k
    for gain in (0.5, 0.9, 1.0):
        for k, left in table[f"tanh, orthogonal x {gain}"].items():
            assert 0 < left <= gain ** int(k) * (1 + 1e-5)


def test_clipping(finished):
    _, metrics = finished
    found = metrics["clipping"]
    assert not np.isfinite(found["nothing"]["losses"][-1])
    assert "explodes in memory" in found["nothing"]["messages"][0]
    for name in ("clipnorm=1.0", "global_clipnorm=1.0"):
        assert np.all(np.isfinite(found[name]["losses"]))
    assert found["global_clipnorm=1.0"]["cosine"] == pytest.approx(1)
    assert found["clipnorm=1.0"]["cosine"] < 1


def test_cosine_is_that_of_what_the_optimizer_does():
    """Against Keras's own clipping, seen as the step of gradient descent at rate 1."""
    random = np.random.default_rng(0)
    gradients = [
        random.normal(0, s, shape) for s, shape in ((2, 5), (0.1, 7), (0.5, 3))
    ]
    norms = np.array([np.linalg.norm(g) for g in gradients])
    for name, clip in (("clipnorm=1.0", "clipnorm"), ("global_clipnorm=1.0", None)):
        optimizer = keras.optimizers.SGD(1.0, **{clip or "global_clipnorm": 1.0})
        variables = [keras.Variable(np.zeros(g.shape)) for g in gradients]
        optimizer.apply(list(map(keras.ops.convert_to_tensor, gradients)), variables)
        steps = -np.concatenate([np.ravel(v.numpy()) for v in variables])
        true = np.concatenate(gradients)
        cosine = steps @ true / np.linalg.norm(steps) / np.linalg.norm(true)
        assert tutorial.cosine_after(name, norms) == pytest.approx(cosine, abs=1e-5)


def test_digits():
    """They train, and are told apart far better than by guessing."""
    settings = tutorial.Settings(
        lengths=[6], cells=["Elman"], units=32, batches=1, seed=0, digits_epochs=4
    )
    row = tutorial.run_digits("row", "Elman", settings)
    assert row["task"] == "digits by row" and row["timesteps"] == 8
    assert row["value"] > 0.3  # who guesses gets 0.1


def test_chrono_start():
    """Forget gates that open for 2 to T steps, and input gates as closed as those open."""
    arguments = tutorial.forget_biases(100, 50, seed=0)["chrono"]
    layer = tutorial.make("LSTM", 100, **arguments)
    layer.build((None, 50, 2))
    i, f, g, o = np.split(keras.ops.convert_to_numpy(layer.cell.bias), 4)
    steps = 1 / (1 - 1 / (1 + np.exp(-f.astype("float64"))))  # sigmoid(f) = 1 - 1/steps
    assert np.all((2 <= steps + 1e-6) & (steps <= 50)) and np.ptp(steps) > 30
    np.testing.assert_array_equal(i, -f)
    assert not np.any(g) and not np.any(o)


def test_resume_takes_what_is_finished(tmp_path, monkeypatch, capsys):
    """A run that stops after its first network goes on with the second."""
    trained = []

    def stops(task, cell, timesteps, settings, **others):
        trained.append(task)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return {"task": task, "cell": cell, "timesteps": timesteps}

    monkeypatch.setattr(tutorial, "run_one", stops)
    monkeypatch.setattr(tutorial, "clip_compared", lambda settings: {})
    monkeypatch.setattr(tutorial, "tell_clipping", lambda found: None)
    monkeypatch.setattr(tutorial, "measure_matrices", lambda settings: {"none": {}})
    arguments = [*ARGUMENTS, "--output", str(tmp_path)]
    assert tutorial.main(arguments) == 130  # as the shell tells Ctrl-C
    settings = tutorial.Settings.of(tutorial.read_options(arguments))
    run = runs.Run(tmp_path, vars(settings), resume=True)
    monkeypatch.setattr(tutorial, "run_one", lambda task, *a, **k: {"task": task})
    first, *others = tutorial.train_all(run, settings)
    assert first["cell"] == "GRU" and first["timesteps"] == 6
    assert others and all("cell" not in row for row in others)
    assert tutorial.main([*arguments, "--resume", "--units", "9"]) == 2
    assert "units=8, not 9" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    [["--lengths", "1"], ["--cells", "CNN"], ["--batches", "0"], ["--resume"]],
)
def test_mistakes(option, tmp_path, capsys):
    assert tutorial.main(["--output", str(tmp_path), *option]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and option[0] in error
    assert list(tmp_path.iterdir()) == []
