"""What the examples in the docstrings find at hand, beside their own module."""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

import keras  # noqa: E402

# The example writes a SavedModel, which PyTorch cannot.
collect_ignore = ["keras_rnn/export.py"] if keras.backend.backend() == "torch" else []


@pytest.fixture(autouse=True)
def examples_have_numpy(doctest_namespace):
    import numpy

    doctest_namespace["numpy"] = numpy
