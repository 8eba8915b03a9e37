"""How one character is drawn: the random numbers, and what they pick."""

import importlib
import sys

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_rnn.generation.sampling import sample, uniform
from tests import oracle


def test_uniform_numbers_are_uniform_and_independent():
    seeds, rows, steps = (np.asarray(a, "uint32") for a in np.ogrid[:4, :50, :1000])
    u = keras.ops.convert_to_numpy(uniform(seeds, rows, steps)).astype("float64")
    assert u.shape == (4, 50, 1000) and 0 <= u.min() and u.max() < 1
    counts = np.histogram(u, bins=100, range=(0, 1))[0]
    expected = u.size / 100
    # Chi-square with 99 degrees of freedom: mean 99, standard deviation sqrt(198).
    assert abs(((counts - expected) ** 2 / expected).sum() - 99) < 4 * 198**0.5
    for axis in range(3):  # neighbours: other seeds, rows, steps
        a, b = np.split(np.delete(u, 0, axis), 1)[0], np.delete(u, -1, axis)
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / a.size**0.5
    # What is drawn elsewhere changes nothing.
    alone = uniform(seeds[2], rows[0, 7:8], steps[0, :, 500:])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(alone)[0], u[2, 7, 500:])


@given(
    seed=st.integers(0, 2**32 - 1),
    temperature=st.sampled_from([1e-9, 0.3, 1.0, 2.5]),
    top_k=st.sampled_from([None, 1, 2, 5, 9, 100]),
    top_p=st.sampled_from([None, 1e-6, 0.3, 0.9, 1.0]),
)
def test_sample_draws_from_the_distribution_that_is_asked_for(
    seed, temperature, top_k, top_p
):
    count = 1000
    logits = np.random.default_rng(seed).normal(size=9, scale=2).astype("float32")
    # Evenly spaced numbers: each character is drawn as often as its chance says.
    uniforms = ((np.arange(count) + 0.5) / count).astype("float32")
    drawn = sample(np.tile(logits, (count, 1)), uniforms, temperature, top_k, top_p)
    found = np.bincount(keras.ops.convert_to_numpy(drawn), minlength=9) / count

    p = oracle.softmax(logits.astype("float64") / temperature)
    order = np.argsort(-p)
    p[order[top_k or 9 :]] = 0
    p /= p.sum()
    before = np.cumsum(p[order]) - p[order]
    p[order[before >= (top_p or 1.0)]] = 0
    p /= p.sum()
    np.testing.assert_allclose(found, p, atol=1.1 / count)
    assert not found[p == 0].any()


def test_temperature_zero_takes_the_likeliest_and_of_equals_the_first():
    logits = np.array([[0.0, 3.0, 3.0], [2.0, -1.0, 1.9999]], "float32")
    uniforms = np.array([0.999, 0.999], "float32")
    drawn = sample(logits, uniforms, temperature=0.0)
    assert keras.ops.convert_to_numpy(drawn).tolist() == [1, 0]


def test_the_name_of_before_works_with_a_warning(monkeypatch):
    monkeypatch.delitem(sys.modules, "keras_rnn.sampling", raising=False)
    with pytest.warns(DeprecationWarning, match="keras_rnn.generation.sampling"):
        before = importlib.import_module("keras_rnn.sampling")
    assert before.sample is sample and before.uniform is uniform
