import hypothesis
import keras
import pytest

# Each example may trace a graph: seconds on a slow machine, and no fault.
hypothesis.settings.register_profile(
    "keras_rnn", deadline=None, max_examples=25, derandomize=True
)
hypothesis.settings.load_profile("keras_rnn")

if keras.backend.backend() == "torch":
    import torch

    # PyTorch refuses to make an array of numbers that a gradient could go back from. The
    # tests only look at them.
    as_array = torch.Tensor.__array__
    torch.Tensor.__array__ = lambda tensor, dtype=None, copy=None: as_array(
        tensor.detach(), dtype
    )


@pytest.fixture(autouse=True)
def fixed_seed():
    keras.utils.set_random_seed(0)


def pytest_collection_modifyitems(items):
    """What is marked `tensorflow` runs on TensorFlow only."""
    if keras.backend.backend() == "tensorflow":
        return
    for item in items:
        if item.get_closest_marker("tensorflow"):
            item.add_marker(pytest.mark.skip(reason="for the TensorFlow backend"))
