import hypothesis
import keras
import pytest

# Each example may trace a graph: seconds on a slow machine, and no fault.
hypothesis.settings.register_profile(
    "keras_rnn", deadline=None, max_examples=25, derandomize=True
)
hypothesis.settings.load_profile("keras_rnn")


@pytest.fixture(autouse=True)
def fixed_seed():
    keras.utils.set_random_seed(0)
