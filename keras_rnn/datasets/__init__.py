"""Data sets to try recurrent networks on, as TensorFlow Datasets builders.

Importing this package registers its builders, which `tfds.load` then knows by
name. They read files that installed Python packages carry and download nothing:

    import tensorflow_datasets as tfds

    import keras_rnn.datasets  # registers "movie_reviews"

    train, test = tfds.load(
        "movie_reviews", split=["train", "test"], as_supervised=True
    )

The first call writes the data set into `data_dir` (`~/tensorflow_datasets` unless
told otherwise), which takes seconds; later calls read it from there. What they need is
in the extra `[datasets]`.
"""

from keras_rnn.extras import check_installed

check_installed(
    "keras_rnn.datasets", "datasets", "tensorflow_datasets", "importlib_resources"
)

from keras_rnn.datasets.movie_reviews import MovieReviews  # noqa: E402

__all__ = ["MovieReviews"]
