import hypothesis
import keras
import pytest

from tests.oracle import CELLS_IN_FLOAT64

BACKEND = keras.backend.backend()

# What only TensorFlow does, or is told of TensorFlow; see `pytest_report_header`.
TENSORFLOWS = [
    "tutorials",
    "examples",
    "benchmarks/test_compatibility.py",
    "benchmarks/test_scaling.py",
]
collect_ignore = [] if BACKEND == "tensorflow" else TENSORFLOWS

# Each example may trace a graph: seconds on a slow machine, and no fault. On JAX each one
# of another shape compiles some twenty operations, which is most of the time that the
# tests take there: a few must do.
hypothesis.settings.register_profile(
    "keras_rnn",
    deadline=None,
    max_examples=4 if BACKEND == "jax" else 25,
    derandomize=True,
)
hypothesis.settings.load_profile("keras_rnn")

if BACKEND == "jax":
    import jax

    # What is computed here takes less time than to make it fast.
    jax.config.update("jax_disable_most_optimizations", True)

if BACKEND == "torch":
    import torch

    # Threads wait for each other longer than they need for a few numbers.
    torch.set_num_threads(1)
    # On a GPU, as exact as the loops that its kernels are compared with.
    torch.backends.cudnn.allow_tf32 = False
    # PyTorch refuses to make an array of numbers that a gradient could go back from. The
    # tests only look at them.
    as_array = torch.Tensor.__array__
    torch.Tensor.__array__ = lambda tensor, dtype=None, copy=None: as_array(
        tensor.detach().cpu(), dtype
    )


@pytest.fixture(autouse=True)
def fixed_seed():
    keras.utils.set_random_seed(0)


def pytest_report_header():
    if BACKEND != "tensorflow":
        left_out = ", ".join(f"tests/{name}" for name in TENSORFLOWS)
        return f"Keras runs on {BACKEND}: left out is what is TensorFlow's, {left_out}"


def pytest_collection_modifyitems(items):
    """What is marked `tensorflow` runs on TensorFlow only, `float64` not on JAX."""
    skipped = {
        "tensorflow": BACKEND != "tensorflow",
        "float64": not CELLS_IN_FLOAT64,
    }
    for item in items:
        for name in skipped:
            if skipped[name] and item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=f"{name}: not on {BACKEND}"))
