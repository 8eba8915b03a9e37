"""Reviews and what their writers thought, and texts in which only the order counts."""

from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

import keras_rnn.datasets  # noqa: F401  registers movie_reviews
from workshop import data_sets

# Each pair has the same words. The first text of it is negative, the second positive.
PAIRS = [
    ("not good, bad", "not bad, good"),
    ("this is not a good film, it is a bad one", "this is not a bad film, it is a good one"),
    ("the actors are great but the film is boring", "the actors are boring but the film is great"),
    ("i thought it would be great but it was awful", "i thought it would be awful but it was great"),
    ("it begins well and ends badly", "it begins badly and ends well"),
    ("far from good, really bad", "far from bad, really good"),
    ("i loved the book and hated the film", "i hated the book and loved the film"),
    ("never funny, always dull", "never dull, always funny"),
    ("it could have been great, but it is poor", "it could have been poor, but it is great"),
    ("the film is bad although the music is good", "the film is good although the music is bad"),
]  # fmt: skip


class Reviews(NamedTuple):
    """Texts, and for each of them 1.0 if it is positive, else 0.0."""

    texts: list
    labels: np.ndarray


def load(name, download=False):
    """The training and the test reviews of a data set of TensorFlow Datasets.

    Args:
        name: String: `movie_reviews/imdb`, `movie_reviews/rotten_tomatoes`, or another
            one with `text` and `label`.
        download: Boolean: whether it may be downloaded. The two above need not be.
    """
    builder = tfds.builder(name)
    data_sets.prepare(builder, name, download or builder.name == "movie_reviews")
    reviews = []
    for split in ("train", "test"):
        texts, labels = builder.as_dataset(
            split=split, batch_size=-1, as_supervised=True
        )
        texts = [text.decode("utf-8") for text in texts.numpy()]
        reviews.append(Reviews(texts, labels.numpy().astype("float32")))
    return reviews


def divide(texts, labels, part, seed):
    """Cuts a random part of each label off the reviews, and shuffles both parts.

    Args:
        texts: List of strings.
        labels: Array of 0.0 and 1.0.
        part: Number between 0 and 1, how much to cut off.
        seed: Integer.

    Returns:
        The rest, and what was cut off.
    """
    random = np.random.default_rng(seed)
    kinds = [random.permutation(np.flatnonzero(labels == label)) for label in (0, 1)]
    sizes = [max(1, round(part * len(kind))) for kind in kinds]
    cut = np.concatenate([kind[:size] for kind, size in zip(kinds, sizes)])
    cut = random.permutation(cut)
    rest = np.concatenate([kind[size:] for kind, size in zip(kinds, sizes)])
    rest = random.permutation(rest)
    return [Reviews([texts[i] for i in half], labels[half]) for half in (rest, cut)]


def in_three(name, seed, most=None):
    """The reviews of a data set to train on, for validation, and to test.

    Args:
        name: String, as in `load`.
        seed: Integer.
        most: Integer, how many reviews each part may have, or `None` for all.

    Returns:
        Dict with `Reviews` for "training", "validation" and "test".
    """
    rest, test = load(name)
    training, validation = divide(*rest, part=1 / 8, seed=seed)
    parts = {"training": training, "validation": validation, "test": test}
    return {
        part: Reviews(texts[:most], labels[:most])
        for part, (texts, labels) in parts.items()
    }


def bag_of_words(together=1):
    """A model that knows which words a text has, and how often.

    Args:
        together: Integer: with 2 it also knows pairs of words that stand together.
    """
    # What only lessons need.
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        TfidfVectorizer(
            token_pattern=r"\w+", min_df=3, sublinear_tf=True, ngram_range=(1, together)
        ),
        LogisticRegression(C=4),
    )
