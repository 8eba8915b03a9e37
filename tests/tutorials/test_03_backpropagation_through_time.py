"""The lesson of back-propagation through time, cell by cell, and its solutions.

The derivatives here are complex steps: Im L(w + ie) / e is dL/dw to the last digit, since
no difference of nearly equal numbers is taken.
"""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from workshop import drawings_of_backpropagation

from tests.tutorials.notebooks import quick_run
from tests.tutorials.scripts import TUTORIALS, metrics, small_run

LESSON = TUTORIALS / "03_backpropagation_through_time.py"
TINY = 1e-30
WEIGHTS = {
    "W_xh": [[0.5, -0.3], [0.8, 0.2]],
    "W_hh": [[0.1, 0.4], [-0.6, 0.7]],
    "b_h": [0.1, -0.2],
    "W_hy": [[0.9], [-0.4]],
    "b_y": [0.2],
    "h_0": [0.3, -0.5],
}
CLASSES = {"W_hy": [[1.0, -0.5, 0.2], [0.4, 0.8, -1.0]], "b_y": [0.0, 0.3, -0.1]}
XS = [[1.0, 0.5], [-0.5, 1.0], [0.2, -1.0]]


def half_squares(ys):
    return sum(0.5 * (y[0] - target) ** 2 for y, target in zip(ys, [1.0, 0.5, 0.5]))


def cross_entropies(logits):
    return sum(np.log(sum(np.exp(s))) - s[c] for s, c in zip(logits, [0, 2, 1]))


def loss_of(w, loss, copies=None):
    """A loss of the network, number by number; each step may have a W_hh of its own."""
    h, ys = w["h_0"], []
    for t, x in enumerate(XS):
        W_hh = w["W_hh"] if copies is None else copies[t]
        h = [
            np.tanh(
                sum(x[i] * w["W_xh"][i][j] + h[i] * W_hh[i][j] for i in range(2))
                + w["b_h"][j]
            )
            for j in range(2)
        ]
        outputs = range(len(w["b_y"]))
        ys.append(
            [
                w["b_y"][k] + h[0] * w["W_hy"][0][k] + h[1] * w["W_hy"][1][k]
                for k in outputs
            ]
        )
    return loss(ys)


def gradient(value, loss):
    """The gradient of `loss(value)`."""
    value = np.array(value, complex)
    found = np.zeros(value.shape)
    for place in np.ndindex(value.shape):
        moved = value.copy()
        moved[place] += 1j * TINY
        found[place] = loss(moved).imag / TINY
    return found


@pytest.mark.tensorflow
def test_cell_by_cell(tmp_path_factory):
    folder, _ = quick_run(LESSON, tmp_path_factory)
    assert {p.name for p in folder.glob("*.png")} == {"passes.png"}
    found = metrics(folder)
    for w, loss, name in (
        (WEIGHTS, half_squares, "gradients"),
        (WEIGHTS | CLASSES, cross_entropies, "gradients_of_classes"),
    ):
        assert list(found[name]) == list(w)
        for key, by_hand in found[name].items():
            true = gradient(
                w[key], lambda v, key=key, w=w, loss=loss: loss_of(w | {key: v}, loss)
            )
            np.testing.assert_allclose(by_hand, true, rtol=0, atol=1e-14)
    for row in found["apart"]:
        limit = 1e-8 if row["by hand and"] == "finite differences" else 1e-14
        assert max(row["squared error"], row["classes"]) < limit
    start = found["initial_state"]
    assert start["after"] < start["before"]
    assert start["after"] == pytest.approx(start["predicted"], abs=1e-5)
    copies = [WEIGHTS["W_hh"]] * 3
    true = gradient(copies, lambda c: loss_of(WEIGHTS, half_squares, copies=c))
    np.testing.assert_allclose(found["by_steps"], true, rtol=0, atol=1e-14)
    np.testing.assert_allclose(found["copies"], true, rtol=0, atol=1e-8)
    np.testing.assert_allclose(true.sum(axis=0), found["gradients"]["W_hh"], atol=1e-14)


def test_the_picture_shows_the_numbers():
    hs, ys = np.linspace(-0.9, 0.9, 6).reshape(3, 2), np.array([[0.25], [-0.75]])
    names = {"y": [0.11], "own": [0.21, 0.22], "next": [0.31, 0.32], "h": [0.41, 0.42]}
    names["a"] = [-0.51, 0.52]
    steps = {t: {k: np.add(v, t) for k, v in names.items()} for t in (1, 2)}
    figure = drawings_of_backpropagation.draw_passes(
        np.array(XS[:2]),
        hs,
        ys,
        np.array([[1.0], [0.5]]),
        steps,
        np.array([0.61, 0.62]),
    )
    shown = {text.get_text() for text in figure.axes[0].texts}
    shown = {text.replace("\N{MINUS SIGN}", "-") for text in shown}
    assert {
        "$x_2$ = (-0.5, 1)",
        "$y_2$ = -0.7500",
        "$h_1$ = (-0.1800, 0.1800)",
    } <= shown
    assert {"$L_1$ = 0.2812", "$dL/dy_1$ = 1.1100", "(2.2100, 2.2200)"} <= shown
    assert {"$dL/dh_2$ = (2.4100, 2.4200)", "$dL/da_1$ = (0.4900, 1.5200)"} <= shown
    assert {"$dL/dh_0$ = (0.6100, 0.6200)", "0.6100\n0.6200", "1.3100\n1.3200"} <= shown
    plt.close(figure)


@pytest.mark.tensorflow
def test_the_solutions(tmp_path_factory):
    folder, _ = small_run(TUTORIALS / "solutions" / LESSON.name, tmp_path_factory)
    found = metrics(folder)
    assert found["first"] == pytest.approx(-0.0897, abs=6e-5)  # in the text
    assert found["linear_apart"] < 1e-8
    assert found["batch_apart"] < 1e-12 and found["differences_apart"] < 1e-6
    errors = found["errors"]
    assert min(errors) < 1e-8 < min(errors[0], errors[-1])
    assert list(found["reached"]) == ["1", "10", "15", "20"]
