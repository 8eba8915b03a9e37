"""Tasks that need what comes later, what is slow and fast, or what is far away.

Their functions return inputs `(count, timesteps, features)` and targets as NumPy arrays.
"""

import numpy as np

# The accuracy of the best network that reads `future` from left to right.
CEILING = 0.75


def future(count, timesteps, random):
    """Is the sum of the number two steps back and the one two steps ahead positive?

    Before the beginning and after the end the numbers are 0.

    Args:
        count: How many sequences.
        timesteps: Their length.
        random: A NumPy generator.

    Returns:
        Normal numbers of shape `(count, timesteps, 1)`, and labels of the same shape.
    """
    x = np.zeros((count, timesteps + 4))
    x[:, 2:-2] = random.normal(size=(count, timesteps))
    labels = x[:, :-4] + x[:, 4:] > 0
    return x[:, 2:-2, None].astype("float32"), labels[..., None].astype("float32")


def slow_and_fast(count, timesteps, random):
    """Is the product of a quick sign, of the one two steps back, and of a switch positive?

    The quick input is +1 or -1 at each step. The slow one is 0 but at the first step and,
    on average, at one in twelve others, where it sets the switch to +1 or -1. Before the
    beginning the quick input counts as +1.

    Args:
        count: How many sequences.
        timesteps: Their length.
        random: A NumPy generator.

    Returns:
        Both inputs, of shape `(count, timesteps, 2)`, and labels `(count, timesteps, 1)`.
    """
    quick = random.choice([-1.0, 1.0], (count, timesteps))
    sets = random.random((count, timesteps)) < 1 / 12
    sets[:, 0] = True
    slow = np.where(sets, random.choice([-1.0, 1.0], (count, timesteps)), 0)
    last = np.maximum.accumulate(np.where(sets, np.arange(timesteps), 0), axis=1)
    switch = np.take_along_axis(slow, last, axis=1)
    before = np.concatenate([np.ones((count, 2)), quick[:, :-2]], axis=1)
    labels = (quick * before * switch > 0)[..., None]
    return np.stack([quick, slow], -1).astype("float32"), labels.astype("float32")


def marked(place):
    """The task to say the number that was marked, somewhere in ten steps of a place.

    Args:
        place: `"beginning"`, `"middle"` or `"end"` of the sequence.

    Returns:
        Function of a count, a number of time steps (ten or more) and a NumPy generator.
        It returns numbers from -1 to 1 beside marks, which are 1 at one step and else 0,
        of shape `(count, timesteps, 2)`, and the marked numbers, `(count, 1)`.
    """

    def task(count, timesteps, random):
        first = {
            "beginning": 0,
            "middle": (timesteps - 10) // 2,
            "end": timesteps - 10,
        }[place]
        rows, at = np.arange(count), random.integers(first, first + 10, count)
        x = np.zeros((count, timesteps, 2), "float32")
        x[:, :, 0] = random.uniform(-1, 1, (count, timesteps))
        x[rows, at, 1] = 1
        return x, x[rows, at, :1]

    return task
