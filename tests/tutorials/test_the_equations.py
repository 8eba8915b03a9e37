"""The equations by hand, the network of one step, and the tutorial as a script."""

import importlib
import json
import re

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracle
from tests.tutorials.scripts import TUTORIALS, refused, small_run

tutorial = importlib.import_module("02_the_equations")

# isort: split

SEEDS = range(5)


def example(seed):
    """A cell and a sequence, as `main` draws them."""
    random = np.random.default_rng(seed)
    sequence = tutorial.draw(random, (tutorial.STEPS, tutorial.FEATURES))
    return tutorial.build_cell(random), sequence


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder and the output of a small run."""
    return small_run(TUTORIALS / "02_the_equations.py", tmp_path_factory)


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_by_hand(seed, capsys):
    cell, sequence = example(seed)
    memories, answers, apart = tutorial.tell_steps(cell, sequence)
    y, (h,) = oracle.run(
        oracle.elman_step(tutorial.weights_of(cell)),
        sequence[None],
        [tutorial.weights_of(cell)["initial_state"][None]],
    )
    np.testing.assert_allclose(answers, y[0], atol=1e-12)
    np.testing.assert_allclose(memories[-1], h[0], atol=1e-12)
    assert 0 < apart < 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_every_line_adds_up(seed, capsys):
    """Each line that is printed is true by itself, to the digits that it shows."""
    cell, sequence = example(seed)
    tutorial.tell_steps(cell, sequence)
    lines = capsys.readouterr().out.splitlines()
    sums = [line for line in lines if ")(" in line]
    assert len(sums) == tutorial.STEPS * (tutorial.UNITS + tutorial.OUTPUTS)
    for line in sums:
        left, right = line.removeprefix("    y    = ").split(" = ")
        value = eval(left.replace(")(", ")*("), {})
        assert value == pytest.approx(float(right), abs=1.5e-4)
    slopes = [re.search(r"tanh\((.*)\) = (.*)", line) for line in lines]
    slopes = [found.groups() for found in slopes if found]
    assert len(slopes) == tutorial.STEPS * tutorial.UNITS
    for z, h in slopes:
        assert np.tanh(float(z)) == pytest.approx(float(h), abs=1.01e-4)


def test_weights_are_as_printed():
    """The cell holds the numbers of two digits that the calculation by hand uses."""
    cell, _ = example(0)
    w = tutorial.weights_of(cell)
    assert sum(value.size for value in w.values()) == cell.count_params() == 15
    for weight in cell.weights:
        np.testing.assert_array_equal(weight.numpy(), w[weight.name].astype("float32"))


@given(seed=st.integers(0, 2**32 - 1), batch=st.integers(1, 20))
def test_one_step_is_a_dense_network(seed, batch):
    """Same outputs and same gradients: as the two networks and the chain rule say."""
    cell, _ = example(seed)
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, (batch, tutorial.FEATURES)).astype("float32")
    target = random.uniform(-1, 1, (batch, tutorial.OUTPUTS)).astype("float32")
    compared = tutorial.compare_with_twin(cell, x, target)
    w = {name: v.astype("float64") for name, v in oracle.weights_of(cell).items()}
    h_0 = w["initial_state"]
    h = np.tanh(x @ w["kernel"] + h_0 @ w["recurrent_kernel"] + w["bias"])
    y = h @ w["output_kernel"] + w["output_bias"]
    d_y = 2 * (y - target) / y.size
    d_z = d_y @ w["output_kernel"].T * (1 - h**2)
    by_chain_rule = {
        "y": y,
        "dL/dW_xh": x.T @ d_z,
        "dL/db_h": d_z.sum(0),
        "dL/dW_hy": h.T @ d_y,
        "dL/db_y": d_y.sum(0),
        "dL/dW_hh": np.outer(h_0, d_z.sum(0)),
        "dL/dh_0": w["recurrent_kernel"] @ d_z.sum(0),
    }
    assert [name for name, _, _ in compared] == list(by_chain_rule)
    for name, dense, recurrent in compared:
        np.testing.assert_allclose(dense, recurrent, rtol=0, atol=1e-6)
        np.testing.assert_allclose(recurrent, by_chain_rule[name], rtol=0, atol=1e-6)


def test_twin_is_dense():
    twin = tutorial.dense_twin(example(0)[0])
    assert all(type(layer) is keras.layers.Dense for layer in twin.layers)


def test_picture_shows_the_weights_and_numbers():
    cell, sequence = example(3)
    w = tutorial.weights_of(cell)
    memories = np.array([[0.11, -0.22], [0.33, -0.44], [0.55, -0.66], [0.77, -0.88]])
    answers = np.array([[1.01], [-1.02], [1.03]])
    figure = tutorial.draw_network(w, sequence, memories, answers)
    left, right = figure.axes
    folded, unfolded = ([t.get_text() for t in axes.texts] for axes in (left, right))
    for name in ("kernel", "recurrent_kernel", "output_kernel"):
        for value in w[name].ravel():
            assert f"{value:.2f}" in folded
    for value in [*w["bias"], *w["output_bias"]]:
        assert any(text.endswith(f"{value:+.2f}") for text in folded)
    for value in [*sequence.ravel(), *memories.ravel(), *answers.ravel()]:
        assert f"{value:.2f}" in unfolded

    def looks(axes):
        arrows = [p for p in axes.patches if hasattr(p, "get_arrowstyle")]
        return sorted((a.get_edgecolor(), round(a.get_linewidth(), 6)) for a in arrows)

    kernels = [w[name] for name in ("kernel", "recurrent_kernel", "output_kernel")]
    assert len(looks(left)) == sum(kernel.size for kernel in kernels)
    assert looks(right) == sorted(looks(left) * tutorial.STEPS)  # the same, each step
    tutorial.plt.close(figure)


def test_growth(finished):
    folder, _ = finished
    growth = json.loads((folder / "metrics.json").read_text("utf-8"))["growth"]
    assert [row["steps"] for row in growth] == [1, 4, 16, 64]
    units, width = tutorial.MEMORY, tutorial.WIDTH
    weights = (width + units + 1) * units + units + (units + 1)
    for row in growth:
        assert row["weights"] == weights
        assert row["weights_dense"] == (row["steps"] * width + 1) * units
        assert row["milliseconds_forward"] > 0 and row["milliseconds_training"] > 0


def test_peak_sees_what_is_held():
    before = tutorial.peak(lambda: None)

    def hold():
        held = np.ones(2**25)  # 256 MiB
        tutorial.time.sleep(0.05)
        return held.sum()

    assert tutorial.peak(hold) - before > 200 * 2**20


def test_files_and_figures_of_a_run(finished):
    folder, out = finished
    assert {path.name for path in folder.iterdir()} == {
        "folded_and_unfolded.png",
        "growth.png",
        "metrics.json",
    }
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert metrics["weights"] == 15
    assert metrics["by_hand_and_cell_differ_by"] < 1e-6
    assert metrics["one_step_and_dense_differ_by"] < 1e-6
    assert metrics["seed"] == 1
    assert metrics["options"] == {"quick": True, "longest": 64}
    assert metrics["versions"]["keras"] == keras.__version__
    assert "Step 3:" in out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--longest", "0"], "--longest"),
        (["--seed", "-1"], "--seed"),
        (["--resume"], "--resume"),
        (["--output", "{folder}/file/results"], "cannot write to"),
    ],
)
def test_mistakes(options, says, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    options = [option.format(folder=tmp_path) for option in options]
    arguments = ["--output", tmp_path, *options]
    refused(tutorial.main, arguments, says, tmp_path, capsys)


def test_other_backend(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    arguments = ["--output", tmp_path]
    refused(tutorial.main, arguments, "KERAS_BACKEND", tmp_path, capsys)
