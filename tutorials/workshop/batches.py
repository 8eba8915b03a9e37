"""Batches of sequences that are about equally long."""

import keras
import numpy as np


class ByLength(keras.utils.PyDataset):
    """Batches of sequences that are about equally long, so that there is little padding.

    A subclass makes the batch, in `take`.

    Keras looks at the first two batches to learn what shapes there will be, and takes for
    fixed what is the same in both (Keras 3.15). So these two differ in length if any do.
    """

    def __init__(self, lengths, batch_size, seed=None, blur=0.0):
        """With a `seed` other sequences meet, in another order, in each epoch.

        Args:
            lengths: Array of shape `(examples,)`.
            batch_size: Integer.
            seed: Integer, or `None` for the same batches in each epoch.
            blur: Number: how different the lengths in a batch may be, about, beyond what
                the batch size makes them.
        """
        super().__init__()
        self.lengths, self.batch_size = np.asarray(lengths), batch_size
        self.seed, self.blur = seed, blur
        self.epoch = 0

    def __len__(self):
        return -(-len(self.lengths) // self.batch_size)

    def __getitem__(self, index):
        if index == 0:
            self.batches = self.draw()
        random = None
        if self.seed is not None:
            random = np.random.default_rng((self.seed, self.epoch, index))
        return self.take(self.batches[index], random)

    def take(self, indices, random):
        """The batch of some examples.

        Args:
            indices: Array of integers: which examples.
            random: `numpy.random.Generator`, or `None` where nothing is to be random.
        """
        raise NotImplementedError

    def draw(self):
        """Which examples make each batch: a list of arrays of integers."""
        lengths, size = self.lengths, self.batch_size
        if self.seed is not None:
            random = np.random.default_rng((self.seed, self.epoch))
            lengths = lengths + random.uniform(0, self.blur, len(lengths))
        order = np.argsort(lengths, kind="stable")
        batches = [order[i : i + size] for i in range(0, len(order), size)]
        if self.seed is not None:
            random.shuffle(batches)
        longest = [self.lengths[indices].max() for indices in batches]
        for i in range(1, len(batches)):
            if longest[i] != longest[0]:
                batches[1], batches[i] = batches[i], batches[1]
                break
        return batches

    def on_epoch_end(self):
        self.epoch += 1
