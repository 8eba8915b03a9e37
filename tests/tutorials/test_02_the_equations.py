"""The lesson of the two equations, cell by cell, and its solutions."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from workshop import drawings_of_steps

from tests import oracle
from tests.tutorials.notebooks import quick_run
from tests.tutorials.scripts import TUTORIALS, metrics, small_run

LESSON = TUTORIALS / "02_the_equations.py"
WEIGHTS = {
    "kernel": np.array([[0.5, -0.3], [0.8, 0.2]]),
    "recurrent_kernel": np.array([[0.1, 0.4], [-0.6, 0.7]]),
    "bias": np.array([0.1, -0.2]),
    "output_kernel": np.array([[0.9], [-0.4]]),
    "output_bias": np.array([0.2]),
}
XS = np.array([[1.0, 0.5], [-0.5, 1.0], [0.2, -1.0]])
H_0 = np.array([0.3, -0.5])


def outputs(xs):
    return oracle.run(oracle.elman_step(WEIGHTS), xs[None], [H_0[None]])[0][0]


@pytest.mark.tensorflow
def test_cell_by_cell(tmp_path_factory):
    folder, out = quick_run(LESSON, tmp_path_factory)
    names = "inside tanh unfolded one_input".split()
    assert {p.name for p in folder.glob("*.png")} == {f"{name}.png" for name in names}
    found = metrics(folder)
    np.testing.assert_allclose(found["outputs"], outputs(XS), atol=1e-14)
    assert found["dense"] == pytest.approx(outputs(XS)[0].item(), abs=1e-6)
    assert sum(found["softmax"]) == pytest.approx(1)
    assert max(v for k, v in found["measured"].items() if "difference" in k) < 1e-14
    # Each sum that is printed is true by itself, to the digits that it shows.
    sums = re.findall(r"^\w[\w,]+ += (.*\*.*) = (.*)$", out, re.MULTILINE)
    assert len(sums) == 3 * 3
    for left, right in sums:
        assert eval(left, {}) == pytest.approx(float(right), abs=1.5e-4)
    growth = found["growth"]
    assert [row["steps"] for row in growth] == [1, 4, 16, 64]
    assert {row["weights"] for row in growth} == {(16 + 64 + 1 + 1) * 64 + 64 + 1}


@pytest.mark.tensorflow
def test_the_solutions(tmp_path_factory):
    folder, _ = small_run(TUTORIALS / "solutions" / LESSON.name, tmp_path_factory)
    found = metrics(folder)
    changed = np.array([[-1.0, 0.5], *XS[1:]])
    np.testing.assert_allclose(found["changed"], outputs(changed), atol=1e-14)
    assert found["changed"][0][0] == pytest.approx(0.4987, abs=5e-5)  # in the text
    assert found["without_recurrence"][0] > 0.1
    assert found["without_recurrence"][1:] == [0, 0]
    np.testing.assert_allclose(found["sums"], np.cumsum(XS, axis=0), atol=1e-6)
    assert all(row["formula"] == row["count_params"] for row in found["counts"])
    assert max(found["shifted"], found["two"]) < 1e-12


def texts(figure):
    return {text.get_text() for axes in figure.axes for text in axes.texts}


def test_the_pictures_show_the_numbers():
    weights = list(WEIGHTS.values())
    figure = drawings_of_steps.draw_inside(XS[0], H_0, weights)
    shown = {text.replace("\N{MINUS SIGN}", "-") for text in texts(figure)}
    for kernel in ("kernel", "recurrent_kernel", "output_kernel"):
        for weight in WEIGHTS[kernel].ravel():
            factor = f"({weight:g})" if weight < 0 else f"{weight:g}"
            assert f"\N{MULTIPLICATION SIGN} {factor}" in shown
    assert {"$a_{t,1}$ = 1.33", "$a_{t,2}$ = -0.63", "0.87", "-0.56"} <= shown
    plt.close(figure)


def test_a_weight_of_zero_has_no_arrow():
    W_xh, W_hh, _, W_hy, _ = WEIGHTS.values()

    def arrows(kernels):
        hs, ys = np.full((4, 2), 0.25), np.full((3, 1), 0.75)
        figure = drawings_of_steps.draw_unfolded(XS, hs, ys, kernels)
        assert {"0.25", "0.75"} <= texts(figure)
        found = [p for p in figure.axes[0].patches if hasattr(p, "get_arrowstyle")]
        plt.close(figure)
        return len(found)

    assert arrows((W_xh, W_hh, W_hy)) == 3 * (4 + 4 + 2)
    assert arrows((W_xh, 0 * W_hh, W_hy)) == 3 * (4 + 2)
