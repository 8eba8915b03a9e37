"""From which states a row goes on: a mask, or a fresh start, decides row by row."""

import numpy as np
import pytest
from keras import ops

from keras_rnn.states import carry_on, masked


@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 2, 4)])
@pytest.mark.parametrize("axes", [1, 2])
def test_masked_is_where_row_by_row(shape, axes):
    axes = min(axes, len(shape))
    random = np.random.default_rng(0)
    mask = random.random(shape[:axes]) < 0.5
    new, old = (random.normal(size=shape).astype("float32") for _ in range(2))
    found = masked(*map(ops.convert_to_tensor, (mask, new, old)))
    wanted = old.copy()
    wanted[mask] = new[mask]
    np.testing.assert_array_equal(ops.convert_to_numpy(found), wanted)


def test_masked_keeps_a_nest_as_it_is():
    one, two = ops.ones((2, 3)), ops.zeros((2, 1))
    found = masked(
        ops.convert_to_tensor([True, False]), {"a": [one], "b": two}, [two] * 2
    )
    assert set(found) == {"a", "b"} and isinstance(found["a"], list)
    rows = ops.convert_to_numpy(found["a"][0])
    np.testing.assert_array_equal(rows, [[1, 1, 1], [0, 0, 0]])


@pytest.mark.parametrize("fresh", [True, False, [True, False]])
def test_a_batch_starts_afresh_or_carries_on(fresh):
    first = [[ops.ones((2, 3))], ops.ones((2, 1))]
    carried = [
        np.full((2, 3), 5.0),
        np.full((2, 1), 7.0),
    ]  # float64, as none computes in
    found = carry_on(ops.convert_to_tensor(fresh), first, carried)
    afresh = np.broadcast_to(fresh, 2)[:, None]
    for state, value in ((found[0][0], 5.0), (found[1], 7.0)):
        assert state.dtype == first[1].dtype
        wanted = np.broadcast_to(np.where(afresh, 1.0, value), state.shape)
        np.testing.assert_array_equal(ops.convert_to_numpy(state), wanted)
