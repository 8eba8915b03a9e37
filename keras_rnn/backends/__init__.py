"""What Keras has no word for, and each backend its own.

One module for each backend, and one for its kernels, with the same names and arguments in
them; those of the backend that Keras runs on are taken. They are:

- `scan`, which carries a state through a sequence; `choose`, which makes of a loop over
  it what runs fast; `project`, what such a loop reads; and `shards` and `split`, which
  cut a batch into parts whose loops run side by side;
- `associative_scan`, of what needs no loop;
- `native`, the kernel of the framework that runs a cell over all steps at once;
- `custom_gradient`, for a function of several results whose gradient is by hand;
- `kept_apart`, which holds variables that are no weights;
- `with_sizes`, which refuses a tensor of other sizes when the graph runs;
- `pullback`, `value_and_gradients`, `compiled`, `compiled_once` and
  `random_state_kept`.
"""

import importlib

import keras

name = keras.backend.backend()

if name not in ("tensorflow", "jax", "torch"):
    raise ImportError(
        "keras_rnn runs on TensorFlow, JAX and PyTorch: set KERAS_BACKEND to one of "
        f"tensorflow, jax, torch (it is {name})."
    )
own = importlib.import_module(f"keras_rnn.backends.{name}")
kernels = importlib.import_module(f"keras_rnn.backends.{name}_kernels")

associative_scan = own.associative_scan
choose = own.choose
compiled = own.compiled
compiled_once = own.compiled_once
custom_gradient = own.custom_gradient
kept_apart = own.kept_apart
native = kernels.native
project = own.project
pullback = own.pullback
random_state_kept = own.random_state_kept
scan = own.scan
shards = own.shards
split = own.split
value_and_gradients = own.value_and_gradients
with_sizes = own.with_sizes
