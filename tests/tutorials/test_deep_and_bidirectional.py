"""The tutorial as its readers run it, and what its tasks and claims say."""

import importlib
import json

import numpy as np
import pytest

tutorial = importlib.import_module("06_deep_and_bidirectional")


@pytest.fixture
def random():
    return np.random.default_rng(0)


def quick_settings(**options):
    arguments = [text for name, v in options.items() for text in (f"--{name}", str(v))]
    return tutorial.Settings.of(tutorial.read_options(["--quick", *arguments]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quick")
    assert tutorial.main(["--quick", "--output", str(folder)]) == 0
    return folder, json.loads((folder / "metrics.json").read_text("utf-8"))


def test_files(finished):
    folder, _ = finished
    names = {path.name for path in folder.iterdir()}
    assert names == {"ablation.png", "learning.png", "metrics.json"}


def test_results(finished):
    _, metrics = finished
    found = {(r["task"], r["depth"], r["both"]) for r in metrics["results"]}
    assert found == {("slow and fast", 1, both) for both in (False, True)}
    for row in metrics["results"]:
        assert row["accuracy"] == row["curve"][-1] and len(row["curve"]) == 2
        assert row["milliseconds_per_batch"] > 0
        assert len(row["gradients"]) == row["depth"] * (1 + row["both"])


def test_networks_have_the_levels_they_say():
    settings = quick_settings(units=3)
    for depth, both in ((3, False), (2, True)):
        model = tutorial.build(settings, depth, both, classes=10)
        output = model(np.zeros((2, 5, 4), "float32"))
        assert tuple(output.shape) == (2, 5, 10)
        *levels, _ = model.layers
        assert len(levels) == depth
        assert all(tuple(each.output.shape)[2] == 3 * (1 + both) for each in levels)


@pytest.mark.parametrize("cell", tutorial.CELLS)
def test_stacks_are_the_same(cell):
    for difference in tutorial.stacks_compared(quick_settings(cell=cell)).values():
        assert difference < 1e-6


def test_reach_of_the_last_step(finished):
    moves = finished[1]["last_input_moves"]
    *others, last = moves["one direction"]
    assert last > 0 and not any(others)
    assert all(moves["both directions"])


def test_future(random):
    x, labels = tutorial.future(50, 9, random)
    assert x.shape == labels.shape == (50, 9, 1)
    for numbers, row in zip(x[..., 0], labels[..., 0]):
        for t in range(9):
            before = numbers[t - 2] if t >= 2 else 0
            after = numbers[t + 2] if t + 2 < 9 else 0
            assert row[t] == (before + after > 0)


def test_ceiling(random):
    """Who goes by the sign of x_{t-2}, and guesses at first, is as good as can be."""
    x, labels = tutorial.future(20_000, 10, random)
    guess = random.choice([False, True], (20_000, 10))
    guess[:, 2:] = x[:, :-2, 0] > 0
    right = np.mean(guess == labels[..., 0])
    assert right == pytest.approx(tutorial.CEILING, abs=0.005)


def test_slow_and_fast(random):
    x, labels = tutorial.slow_and_fast(50, 40, random)
    assert x.shape == (50, 40, 2) and labels.shape == (50, 40, 1)
    assert 0.03 < np.mean(x[:, 1:, 1] != 0) < 0.15
    for (quick, slow), row in zip(x.transpose(0, 2, 1), labels[..., 0]):
        switch = 0
        for t in range(40):
            switch = slow[t] or switch
            before = quick[t - 2] if t >= 2 else 1
            assert row[t] == (quick[t] * before * switch > 0)


@pytest.mark.parametrize(
    "option", [["--depth", "0"], ["--cell", "cnn"], ["--epochs", "x"], ["--resume"]]
)
def test_mistakes(option, tmp_path, capsys):
    assert tutorial.main(["--output", str(tmp_path), *option]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and option[0] in error
    assert list(tmp_path.iterdir()) == []
