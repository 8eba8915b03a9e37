"""Each number that the tutorial prints, against a computation that shares nothing with it.

The derivatives here are complex steps: Im L(w + ie) / e is dL/dw to the last digit, since
no difference of nearly equal numbers is taken.
"""

import importlib
import json
import re

import numpy as np
import pytest

tutorial = importlib.import_module("03_backpropagation_through_time")

SEED, TINY = 3, 1e-30


class Page:
    """The network of the page, number by number, and its derivatives."""

    def __init__(self, weights, x, targets):
        self.w = {name: value.astype(complex) for name, value in weights.items()}
        self.x, self.targets = x[:, 0], targets[:, 0]

    def run(self, w, nudges=None, start=0, state=None, stop=4):
        """Each h_t and y_t from step `start` to `stop`."""
        h = w["initial_state"] if state is None else state
        states, outputs = [], []
        for t in range(start, stop):
            new = []
            for j in range(2):
                z = self.x[t] * w["kernel"][0, j] + w["bias"][j]
                z += sum(h[i] * w["recurrent_kernel"][i, j] for i in range(2))
                if nudges is not None:
                    z += nudges["z"][t, j]
                value = np.tanh(z)
                new.append(value + (0 if nudges is None else nudges["h"][t, j]))
            h = new
            states.append(h)
            outputs.append(
                sum(h[i] * w["output_kernel"][i, 0] for i in range(2))
                + w["output_bias"][0]
            )
        return np.array(states), np.array(outputs)

    def losses(self, *arguments, start=0, stop=4, **keywords):
        outputs = self.run(*arguments, start=start, stop=stop, **keywords)[1]
        return 0.5 * (outputs - self.targets[start:stop]) ** 2

    def by_weight(self, name, losses=None):
        """The gradient of a weight; of all losses, or of what `losses` makes of them."""
        losses = losses or (lambda w: self.losses(w).sum())
        gradient = np.zeros(self.w[name].shape)
        for place in np.ndindex(gradient.shape):
            moved = self.w[name].copy()
            moved[place] += 1j * TINY
            gradient[place] = losses({**self.w, name: moved}).imag / TINY
        return gradient

    def by_value(self, kind):
        """The gradients by each h_t ("h") or z_t ("z")."""
        gradient = np.zeros((4, 2))
        for place in np.ndindex(4, 2):
            nudges = {"h": np.zeros((4, 2), complex), "z": np.zeros((4, 2), complex)}
            nudges[kind][place] = 1j * TINY
            gradient[place] = self.losses(self.w, nudges).sum().imag / TINY
        return gradient

    def truncated(self, name, reach):
        """The gradient where an error at step s sees the state of step s - k as given."""
        states = np.vstack([self.w["initial_state"], self.run(self.w)[0]])

        def losses(w):
            total = 0
            for s in range(4):
                start = max(0, s - reach + 1)
                state = None if s < reach else states[start]
                total += self.losses(w, start=start, state=state, stop=s + 1)[-1]
            return total

        return self.by_weight(name, losses)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What a small run prints, its folder, and the page worked out by other means."""
    from _pytest.capture import MultiCapture, SysCapture

    folder = tmp_path_factory.mktemp("quick")
    capture = MultiCapture(in_=None, out=SysCapture(1), err=SysCapture(2))
    capture.start_capturing()
    code = tutorial.main(["--quick", "--seed", str(SEED), "--output", str(folder)])
    out, error = capture.readouterr()
    capture.stop_capturing()
    assert code == 0, error
    return out, folder, Page(*tutorial.draw_numbers(SEED))


def chapter(out, heading):
    """The numbers in each line after a heading, up to the next empty line."""
    text = out[out.index(heading) + len(heading) :].split("\n\n")[0]
    lines = [re.sub(r"\[[\d, ]+\]", "", line) for line in text.splitlines()[1:]]
    pattern = r"[-+]?(?<![\w])\d+\.?\d*(?:e-?\d+)?"
    return [[float(n) for n in re.findall(pattern, line)] for line in lines]


def close(found, expected, digits):
    np.testing.assert_allclose(
        np.ravel(found), np.ravel(expected).real, atol=0.5000001 * 10.0**-digits
    )


def test_weights(run):
    out, _, page = run
    printed = [n for line in chapter("\n" + out, "The weights") for n in line]
    expected = np.concatenate([value.ravel() for value in page.w.values()])
    assert len(printed) == len(expected) == 13
    close(printed, expected, 6)


def test_forward(run):
    out, _, page = run
    _, first, *rows, total = chapter(out, "\nForward")
    states, outputs = page.run(page.w)
    losses = page.losses(page.w)
    close(first[1:], page.w["initial_state"], 4)
    for t, row in enumerate(rows):
        assert row[0] == t + 1
        expected = [page.x[t], *states[t], outputs[t], page.targets[t], losses[t]]
        close(row[1:], expected, 4)
    assert len(rows) == 4
    close(total, losses.sum(), 4)


def test_backward(run):
    out, _, page = run
    _, *rows = chapter(out, "\nBackward")
    states, outputs = page.run(page.w)
    d_h, d_z = page.by_value("h"), page.by_value("z")
    for row, t in zip(rows, (3, 2, 1, 0), strict=True):
        assert row[0] == t + 1
        error = outputs[t] - page.targets[t]
        own = error * page.w["output_kernel"][:, 0]
        later = d_h[t] - own
        expected = [error, *own, *later, *d_h[t], *(1 - states[t] ** 2), *d_z[t]]
        close(row[1:], expected, 4)
    *rows, total = chapter(out, "\nWhat each step adds")
    before = np.vstack([page.w["initial_state"], states[:-1]])
    for t, row in enumerate(rows):
        close(row[1:], np.outer(before[t], d_z[t]), 4)
    close(total, page.by_weight("recurrent_kernel"), 4)


def test_gradients(run):
    out, folder, page = run
    _, *rows = chapter(out, "\nThe gradient of each weight")
    rows, differ = rows[:13], rows[13:]
    expected = np.concatenate([page.by_weight(name).ravel() for name in page.w])
    found = np.array(rows)
    assert found.shape == (13, 4)
    for column in found.T[:3]:
        close(column, expected, 10)
    np.testing.assert_allclose(found[:, 3], expected, atol=1e-8)
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    ways = metrics["gradients"]
    for name in page.w:
        for way in ("by hand", "the fast pass", "autodiff"):
            np.testing.assert_allclose(
                ways[way][name], page.by_weight(name), rtol=1e-10, atol=1e-13
            )
    for way, (said,) in zip(list(ways)[1:], differ, strict=True):
        apart = max(
            np.max(np.abs(np.subtract(ways[way][name], ways["by hand"][name])))
            for name in page.w
        )
        assert said == pytest.approx(apart, rel=0.05) and said < 1e-8


def test_lengths(run):
    out, _, page = run
    rows = chapter(out, "\nThe length of d h_t")
    expected = np.linalg.norm(page.by_value("h"), axis=1)
    for t, row in enumerate(rows):
        assert row[0] == t + 1
        close(row[1:], [expected[t]] * 2, 6)
    assert len(rows) == 4


def test_initial_state(run):
    out, _, page = run
    gradient, losses, expected = chapter(out, "\nThe learned initial state")
    d_first = page.by_weight("initial_state")
    close(gradient[-2:], d_first, 4)
    moved = {**page.w, "initial_state": page.w["initial_state"] - 0.1 * d_first}
    before, after = page.losses(page.w).sum(), page.losses(moved).sum()
    close(losses[-2:], [after, before], 6)
    close(expected, before - 0.1 * np.sum(d_first**2), 6)


def test_truncated(run):
    out, _, page = run
    _, *rows = chapter(out, "\nIf errors travel k steps at most")
    true = page.by_weight("recurrent_kernel")
    for reach, row in enumerate(rows, start=1):
        assert row[0] == reach
        cut = page.truncated("recurrent_kernel", reach)
        cosine = np.sum(cut * true) / np.linalg.norm(cut) / np.linalg.norm(true)
        close(row[1:5], cut, 4)
        close(row[5], cosine, 4)
        close(row[6:], page.truncated("initial_state", reach), 4)
    assert len(rows) == 4


def test_what_training_told(run):
    """The shares of signs, from the weights that were saved, in NumPy."""
    out, folder, _ = run
    x, signs = tutorial.draw_task(1000, SEED + 1_000_000)
    with np.load(folder / "truncated.npz") as saved:
        lines = chapter(out, "\nWhat was the first of")
        for line, reach in zip(lines, (1, tutorial.LENGTH), strict=True):
            w = {
                name.split("/")[1]: saved[name].astype("float64")
                for name in saved
                if name.split("/")[0] == str(reach)
            }
            h = np.zeros((1000, 8))
            for t in range(tutorial.LENGTH):
                z = x[:, t] @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"]
                h = np.tanh(z)
            said = h @ w["dense_kernel"] + w["dense_bias"]
            assert line[0] == reach and line[2] == 1000
            close(line[1], np.mean((said > 0) == (signs > 0)), 3)


def test_errors_travel_as_far_as_it_says():
    """A change of the first number moves the gradient only where errors reach it."""
    import tensorflow as tf

    x, signs = tutorial.draw_task(4, 0)
    for reach in (5, tutorial.LENGTH):
        model = tutorial.build(reach, 0)
        inputs = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(model(inputs))
        size = np.abs(tape.gradient(loss, inputs).numpy()).sum(axis=(0, 2))
        assert np.all(size[: tutorial.LENGTH - reach] == 0)
        assert np.all(size[tutorial.LENGTH - reach :] > 0)


def test_files(run):
    _, folder, _ = run
    assert {path.name for path in folder.iterdir()} == {
        "metrics.json",
        "truncated.npz",
        "truncated.png",
        "unfolded.png",
    }
    for path in folder.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("option", [["--batches", "0"], ["--seed", "-1"], ["--resume"]])
def test_mistakes(option, tmp_path, capsys):
    assert tutorial.main(["--output", str(tmp_path), *option]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and option[0] in error
    assert list(tmp_path.iterdir()) == []
