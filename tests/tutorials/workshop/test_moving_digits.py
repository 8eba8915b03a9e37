"""The clips of moving digits: what is in them, and what single frames give away."""

import numpy as np
import pytest
from workshop import moving_digits
from workshop.errors import UsageError

SIDE, SPEED = moving_digits.SIDE, moving_digits.SPEED
IMAGES = np.random.default_rng(0).uniform(0.1, 1, (6, 8, 8)).astype("float32")


def clips(frames, **how):
    """Clips as (digits, directions, frames, height, width)."""
    made, directions = moving_digits.clips(
        IMAGES, frames, np.random.default_rng(1), **how
    )
    np.testing.assert_array_equal(directions, np.tile(range(4), len(IMAGES)))
    return made.reshape(len(IMAGES), 4, frames, SIDE, SIDE)


def test_no_digit_of_the_test_is_in_the_training():
    parts = moving_digits.load(3, 500, 250)
    train, test = ({image.tobytes() for image in images} for images, _ in parts)
    assert [len(labels) for _, labels in parts] == [500, 250]
    assert train and test and not train & test
    with pytest.raises(UsageError, match="there are 1797, and 1500 to train"):
        moving_digits.load(3, 1500, 750)


@pytest.mark.parametrize("frames", range(1, moving_digits.LONGEST + 1))
def test_each_frame_is_the_digit_alone_moved_by_the_speed(frames):
    for image, four in zip(IMAGES, clips(frames)):
        for clip, (down, right) in zip(four, moving_digits.DIRECTIONS.values()):
            corners = []
            for frame in clip:
                rows, columns = np.nonzero(frame)
                corner = rows.min(), columns.min()
                place = tuple(slice(start, start + 8) for start in corner)
                np.testing.assert_array_equal(frame[place], image)
                assert np.count_nonzero(frame) == image.size
                corners.append(corner)
            steps = np.diff(corners, axis=0)
            expected = np.tile([SPEED * down, SPEED * right], (frames - 1, 1))
            np.testing.assert_array_equal(steps, expected)


@pytest.mark.parametrize("frames", [1, 3, 5, 7])
def test_the_frame_in_the_middle_is_the_same_in_all_four(frames):
    middle = clips(frames)[:, :, frames // 2]
    np.testing.assert_array_equal(middle, middle[:, [1, 2, 3, 0]])


@pytest.mark.parametrize("frames", [4, 5])
def test_backwards_is_the_opposite_direction(frames):
    made = clips(frames)
    np.testing.assert_array_equal(made[:, :, ::-1], made[:, [1, 0, 3, 2]])


@pytest.mark.parametrize("meet", [0, 3, np.array([0, 1, 2, 3, 4, 4])])
def test_or_another_frame_is_the_same(meet):
    made = clips(5, meet=meet)
    same = made[np.arange(len(IMAGES)), :, np.broadcast_to(meet, len(IMAGES))]
    np.testing.assert_array_equal(same, same[:, [1, 2, 3, 0]])
