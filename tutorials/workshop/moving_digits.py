"""Clips of handwritten digits that move over a dark screen."""

import numpy as np
from sklearn.datasets import load_digits

from workshop.errors import UsageError

SIDE = 28  # of the screen, in pixels
SPEED = 2  # pixels from one frame to the next
LONGEST = 8  # frames of a clip that stays on the screen
DIRECTIONS = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}


def load(seed, train, test):
    """Some digits to train on, and others to test with.

    Args:
        seed: Integer.
        train: Integer, how many to train on.
        test: Integer, how many to test with.

    Returns:
        Two pairs of images, (digits, 8, 8), from 0 to 1, and labels, (digits,).
    """
    digits = load_digits()
    if train + test > len(digits.target):
        raise UsageError(
            f"digits: there are {len(digits.target)}, and {train} to train on and {test} "
            "to test with are asked for"
        )
    order = np.random.default_rng(seed).permutation(len(digits.target))
    images = (digits.images / 16).astype("float32")
    parts = order[:train], order[train : train + test]
    return [(images[part], digits.target[part]) for part in parts]


def clips(images, frames, random, meet=None):
    """Four clips of each digit, one in each direction, which meet in one frame.

    There the digit is at the same place in all four, which is random: this frame is the
    same picture in all of them.

    Args:
        images: Array of shape (digits, 8, 8).
        frames: Integer. More than 5 stay on the screen if they meet in the middle.
        random: `numpy.random.Generator`.
        meet: The frame in which the four clips of a digit meet, counted from 0: an
            integer, or an array of shape (digits,). `None` is the middle, which lies
            between two frames if their number is even.

    Returns:
        Array of shape (4 digits, frames, 28, 28, 1), and the directions, (4 digits,).
    """
    count, size = len(images), images.shape[1]
    directions = np.tile(np.arange(len(DIRECTIONS)), count)
    border = 1 + SPEED * (LONGEST - 1) // 2
    places = random.integers(border, SIDE - size - border, (count, 2), endpoint=True)
    meet = np.broadcast_to((frames - 1) / 2 if meet is None else meet, count)
    places, meet = (np.repeat(each, len(DIRECTIONS), axis=0) for each in (places, meet))
    steps = SPEED * np.array(list(DIRECTIONS.values()))[directions]  # (clips, 2)
    time = (np.arange(frames) - meet[:, None])[..., None]  # (clips, frames, 1)
    corners = (places[:, None] + time * steps[:, None]).astype(int)
    pixels = corners[..., None] + np.arange(size)  # (clips, frames, 2, size)
    made = np.zeros((len(directions), frames, SIDE, SIDE, 1), "float32")
    clip = np.arange(len(directions))[:, None, None, None]
    frame = np.arange(frames)[None, :, None, None]
    rows, columns = pixels[:, :, 0, :, None], pixels[:, :, 1, None, :]
    made[clip, frame, rows, columns, 0] = np.repeat(images, 4, axis=0)[:, None]
    return made, directions
