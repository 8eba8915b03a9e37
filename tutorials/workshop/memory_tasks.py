"""Tasks that need a memory, and batches of new sequences.

The functions of the tasks return inputs `(count, timesteps, features)` and targets as
NumPy arrays. `Fresh` makes batches of them.
"""

from workshop.errors import UsageError

# isort: split
import keras
import numpy as np

# What a network that always says 1 gets in the adding problem: the variance of the sum of
# two numbers that are uniform in [0, 1], 2/12.
ADDING_BASELINE = 1 / 6


def adding(count, timesteps, random):
    """The adding problem: the sum of two marked numbers.

    At each step there is a number, uniform in [0, 1], and a mark, which is 1 at one step
    of the first half and at one of the second half, else 0.

    Source: Sepp Hochreiter and Juergen Schmidhuber, 1997, Long short-term memory; in this
    form Quoc V. Le, Navdeep Jaitly and Geoffrey E. Hinton, 2015, A simple way to
    initialize recurrent networks of rectified linear units.

    Args:
        count: How many sequences.
        timesteps: Their length, 2 or more.
        random: A NumPy generator.

    Returns:
        Inputs of shape `(count, timesteps, 2)` and sums of shape `(count, 1)`.
    """
    numbers = random.random((count, timesteps))
    marks = np.zeros((count, timesteps))
    rows = np.arange(count)
    marks[rows, random.integers(0, timesteps // 2, count)] = 1
    marks[rows, random.integers(timesteps // 2, timesteps, count)] = 1
    sums = np.sum(numbers * marks, axis=1, keepdims=True)
    return np.stack([numbers, marks], axis=-1).astype("float32"), sums.astype("float32")


def marked_number(count, timesteps, random):
    """The number at a mark, which may stand long before the end.

    At each step there is a number, uniform in [-1, 1], and a mark, which is 1 at one step,
    else 0.

    Args:
        count: How many sequences.
        timesteps: Their length.
        random: A NumPy generator.

    Returns:
        Inputs of shape `(count, timesteps, 2)` and numbers of shape `(count, 1)`.
    """
    rows, at = np.arange(count), random.integers(0, timesteps, count)
    x = np.zeros((count, timesteps, 2), "float32")
    x[:, :, 0] = random.uniform(-1, 1, (count, timesteps))
    x[rows, at, 1] = 1
    return x, x[rows, at, :1]


def digits(by, random):
    """Handwritten digits of 8 x 8 pixels, read pixel by pixel or row by row.

    Source: the data set of scikit-learn, after E. Alpaydin and C. Kaynak, 1998, Optical
    recognition of handwritten digits, UCI Machine Learning Repository.

    Args:
        by: `"pixel"`, 64 steps of one number, or `"row"`, 8 steps of 8 numbers.
        random: A NumPy generator, for the order of the digits.

    Returns:
        Two pairs, 1,437 digits to train on and 360 to test: inputs of shape `(count, 64,
        1)` or `(count, 8, 8)`, in [0, 1], and labels of shape `(count,)`.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UsageError(
            "the digits come with scikit-learn: pip install scikit-learn"
        ) from error
    images, labels = load_digits(return_X_y=True)
    shape = {"pixel": (-1, 64, 1), "row": (-1, 8, 8)}[by]
    images = (images / 16).astype("float32").reshape(shape)
    order = random.permutation(len(labels))
    train, test = order[:1437], order[1437:]
    return (images[train], labels[train]), (images[test], labels[test])


class Fresh(keras.utils.PyDataset):
    """Batches of new sequences, in each epoch others; those of a seed are always the same.

    Args:
        task: Function of a count, a number of time steps and a NumPy generator.
        timesteps: The number of time steps.
        batches: How many batches are an epoch.
        batch_size: How many sequences are a batch.
        seed: Of all of them.
    """

    def __init__(self, task, timesteps, batches, batch_size, seed):
        super().__init__()
        self.task, self.timesteps = task, timesteps
        self.batches, self.batch_size = batches, batch_size
        self.seed, self.epoch = seed, 0

    def __len__(self):
        return self.batches

    def __getitem__(self, index):
        random = np.random.default_rng((self.seed, self.epoch, index))
        return self.task(self.batch_size, self.timesteps, random)

    def on_epoch_end(self):
        self.epoch += 1
