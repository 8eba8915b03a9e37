"""The kernels that a backend brings, against Keras's loop and against the fast pass."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnn import GRU, LSTM, RNN, ElmanCell, ElmanRNN, GRUCell, LSTMCell, bptt
from tests import test_transforms
from tests.gradients import autodiff, squared_slope
from tests.test_bptt import outputs_and_gradients, value_of

BACKEND = keras.backend.backend()
torch_only = pytest.mark.skipif(BACKEND != "torch", reason="PyTorch's kernels")

KINDS = {
    "lstm": lambda units, **kwargs: LSTMCell(units, **kwargs),
    "gru": lambda units, **kwargs: GRUCell(units, **kwargs),
    "tanh": lambda units, **kwargs: ElmanCell(units, **kwargs),
    "relu": lambda units, **kwargs: ElmanCell(units, activation="relu", **kwargs),
}
# Five rows of six steps: all real, none, one, and what the name says.
MASKS = {
    "none": None,
    "right": np.arange(6) < [[6], [0], [1], [4], [2]],
    "left": np.arange(6) >= [[0], [6], [5], [2], [4]],
    "holes": np.array(
        [
            [1, 1, 1, 1, 1, 1],
            [0, 0, 0, 0, 0, 0],
            [0, 0, 0, 1, 0, 0],
            [1, 0, 1, 0, 0, 1],
            [0, 1, 1, 0, 1, 0],
        ],
        bool,
    ),
    "nothing": np.zeros((5, 6), bool),
}


@pytest.fixture
def passes(monkeypatch):
    """A list that grows when the fast pass runs."""
    calls, usual = [], bptt.Pass.__call__
    monkeypatch.setattr(
        bptt.Pass, "__call__", lambda *args: calls.append(1) or usual(*args)
    )
    return calls


def twins(kind, dtype, **options):
    """A layer, and Keras's loop over an equal cell."""
    arguments = {"bias_initializer": "random_normal", "dtype": dtype}
    ours = RNN(KINDS[kind](3, **arguments), dtype=dtype, **options)
    theirs = keras.layers.RNN(KINDS[kind](3, **arguments), dtype=dtype, **options)
    ours.build((5, 6, 2)), theirs.build((5, 6, 2))
    theirs.set_weights(ours.get_weights())
    return ours, theirs


def check_equal(results, tolerance):
    for ours, theirs in zip(*results, strict=True):
        ours, theirs = map(ops.convert_to_numpy, (ours, theirs))
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


# ------------------------------------------------------------------------- the choice


def test_the_engine_is_told():
    kernels = BACKEND == "torch"
    for layer, kernel in (
        (ElmanRNN(3), "rnn_tanh"),
        (ElmanRNN(3, activation="relu"), "rnn_relu"),
        (LSTM(3), "lstm"),
        (GRU(3), "gru"),
    ):
        wanted = f"PyTorch's {kernel}" if kernels else "the fast pass: "
        assert layer.engine.startswith(wanted)
    assert LSTM(3, activation="sigmoid").engine.startswith("the fast pass: ")
    assert "reset_after=False" in GRU(3, reset_after=False).engine
    assert "unroll" in LSTM(3, unroll=True).engine


def test_a_stack_tells_of_each_level():
    stack = RNN([ElmanCell(3), ElmanCell(3, activation="sigmoid")])
    assert "fast pass" in stack.engine
    if BACKEND == "torch":
        assert stack.engine.startswith("PyTorch's rnn_tanh; the fast pass: ")


def test_own_equations_are_obeyed(passes):
    class Leaky(ElmanCell):
        """h_t = h_{t-1} / 2 + tanh(...) / 2."""

        saved_count = 1

        def step(self, projected, recurrent, states):
            new = self.activation(projected + recurrent)
            return [(states[0] + new) / 2], [new]

        def step_backward(self, d_states, h, saved):
            half = d_states[0] / 2
            return [half * (1 - saved[0] ** 2)], [half]

    layer = RNN(Leaky(3))
    assert "fast pass" in layer.engine
    layer(np.zeros((2, 4, 2), "float32"))
    assert passes


@torch_only
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_kernel_cannot_do_the_pass_does(kind, passes):
    layer = RNN(KINDS[kind](3, recurrent_dropout=0.5))
    x = ops.ones((2, 4, 2))
    layer(x)
    assert not passes and layer.engine.startswith("PyTorch's")
    layer(x, training=True)
    assert passes


@torch_only
def test_without_cudnn_a_processor_still_has_its_kernels(passes):
    layer = LSTM(3)
    layer.use_cudnn = False
    layer(ops.ones((2, 4, 2)))
    import torch

    assert bool(passes) == torch.cuda.is_available()


def test_cudnn_that_is_asked_for_and_is_not_there():
    layer = LSTM(3, activation="sigmoid")
    layer.use_cudnn = True
    with pytest.raises(ValueError, match="use_cudnn=True"):
        layer(ops.ones((2, 4, 2)))


# ------------------------------------------------------------------------ the numbers


@torch_only
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masked", MASKS)
def test_a_kernel_gives_what_the_loop_gives(kind, masked, dtype, passes):
    """Outputs and states, and the gradients of weights, inputs and initial states."""
    mask, random = MASKS[masked], np.random.default_rng(0)
    x = random.normal(size=(5, 6, 2)).astype(dtype)
    options = {"return_sequences": True, "return_state": True, "go_backwards": True}
    tolerance = 1e-9 if dtype == "float64" else 1e-5
    layers = twins(kind, dtype, **options)
    count = len(layers[0].cell.initial_state_names)
    states = [random.normal(size=(5, 3)).astype(dtype) for _ in range(count)]
    # The last states alone, of a sequence that starts elsewhere.
    check_equal(
        [outputs_and_gradients(each, "eager", x, mask=mask) for each in layers],
        tolerance,
    )
    for layer in layers:
        layer.return_sequences = layer.go_backwards = False
    check_equal(
        [outputs_and_gradients(each, "eager", x, states, mask=mask) for each in layers],
        tolerance,
    )
    assert not passes


@torch_only
@pytest.mark.parametrize("kind", KINDS)
def test_without_gradients_and_without_bias(kind, passes):
    import torch

    ours = RNN(KINDS[kind](3, use_bias=False), return_sequences=True)
    theirs = keras.layers.RNN(ours.cell, return_sequences=True)
    x = np.random.randn(5, 6, 2).astype("float32")
    with torch.no_grad():
        for mask in MASKS.values():
            check_equal([[each(x, mask=mask)] for each in (ours, theirs)], 1e-5)
    assert not passes


@torch_only
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masked", ["right", "holes"])
def test_the_gradient_of_a_gradient_of_a_kernel(kind, masked, passes):
    x = np.random.randn(5, 6, 2)

    def penalty(layer):
        def value(x):
            return value_of(layer(x, mask=MASKS[masked]))

        return autodiff(
            lambda x: squared_slope(value, x), layer.trainable_variables, [x]
        )

    check_equal(map(penalty, twins(kind, "float64")), 1e-8)
    assert not passes


@torch_only
def test_going_back_twice_gives_the_same():
    import torch

    layer = LSTM(3)
    x = torch.randn(5, 6, 2, requires_grad=True)
    loss = value_of(layer(x, mask=MASKS["right"]))
    wanted = [x, *(each.value for each in layer.trainable_variables)]
    check_equal(
        [torch.autograd.grad(loss, wanted, retain_graph=True) for _ in range(2)], 0
    )


@torch_only
@pytest.mark.parametrize("kind", KINDS)
def test_padding_that_would_explode_is_not_seen(kind):
    layer = RNN(KINDS[kind](3), return_sequences=True)
    x = np.random.randn(1, 300, 2).astype("float32")
    layer.build(x.shape)
    layer.cell.recurrent_kernel.assign(4 * np.ones(layer.cell.recurrent_kernel.shape))
    mask = np.arange(300) < 3

    def real(*args, **kwargs):
        return layer(*args, **kwargs)[:, :3]

    padded = outputs_and_gradients(layer, "eager", x, mask=mask[None], call=real)
    alone = outputs_and_gradients(layer, "eager", x[:, :3], call=real)
    assert not np.any(ops.convert_to_numpy(padded[-1])[:, 3:])
    padded[-1] = padded[-1][:, :3]
    check_equal([padded, alone], 1e-5)


@torch_only
@pytest.mark.parametrize("make", [LSTM, GRU, ElmanRNN])
def test_both_directions(make, passes):
    x = np.random.randn(5, 6, 2).astype("float32")
    results = []
    for ours in (True, False):
        keras.utils.set_random_seed(1)
        layer = make(3, return_sequences=True, dropout=0.3, seed=1)
        if not ours:
            layer = keras.layers.RNN(layer.cell, return_sequences=True)
        layer = keras.layers.Bidirectional(layer)
        layer.build(x.shape)
        results.append(
            outputs_and_gradients(layer, "eager", x, mask=MASKS["holes"], training=True)
        )
    check_equal(results, 1e-5)
    assert not passes


@torch_only
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_near(kind, policy):
    half = RNN(KINDS[kind](3, dtype=policy), return_sequences=True, dtype=policy)
    whole = RNN(KINDS[kind](3), return_sequences=True)
    x = np.random.randn(5, 6, 2).astype("float32")
    half.build(x.shape), whole.build(x.shape)
    half.set_weights(whole.get_weights())
    for mask in (None, MASKS["right"]):
        outputs = half(x, mask=mask)
        assert keras.backend.standardize_dtype(outputs.dtype) == half.compute_dtype
        check_equal([[ops.cast(outputs, "float32")], [whole(x, mask=mask)]], 3e-2)
        assert all(
            np.isfinite(each).all()
            for each in autodiff(
                lambda x, mask=mask: value_of(ops.cast(half(x, mask=mask), "float32")),
                half.trainable_variables,
                [x],
            )
        )


# --------------------------------------------------------- JAX: cuDNN, and what stands in


@pytest.fixture
def stand_in(monkeypatch):
    """JAX's reference in place of its kernel, which a processor has not.

    It has a gradient, and refuses the same.
    """
    import jax
    from jax.custom_batching import custom_vmap
    from jax.experimental import rnn

    from keras_rnn.backends import jax_kernels

    calls = []

    def refuses(function):
        function = custom_vmap(function)

        @function.def_vmap
        def _(*arguments):
            raise NotImplementedError("a batch of batches")

        return function

    def lstm(x, h_0, c_0, weights, seq_lengths, input_size, hidden_size, **options):
        calls.append(options)
        assert seq_lengths.dtype == "int32"

        def reference(x, h_0, c_0, weights, seq_lengths):
            parts = rnn.unpack_lstm_weights(weights, input_size, hidden_size, 1, False)
            sizes = input_size, hidden_size, 1, 0.0, False
            return rnn.lstm_ref(x, h_0, c_0, *parts, seq_lengths, *sizes)

        def gradient(tensors, upstream):
            *floating, lengths = tensors
            back = jax.vjp(lambda *each: reference(*each, lengths), *floating)[1]
            return back(upstream)

        forward, back = refuses(reference), refuses(gradient)
        kernel = jax.custom_vjp(forward)
        kernel.defvjp(
            lambda *tensors: (forward(*tensors), tensors),
            lambda tensors, upstream: (*back(tensors, upstream), None),
        )
        return kernel(x, h_0, c_0, weights, seq_lengths)

    monkeypatch.setattr(jax_kernels, "_has_cuda", lambda: True)
    monkeypatch.setattr(jax_kernels.rnn, "lstm", lstm)
    return calls


jax_only = pytest.mark.skipif(BACKEND != "jax", reason="JAX's kernel")


@jax_only
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("masked", ["none", "right", "holes"])
def test_jax_takes_cudnn_where_there_is_one(masked, bias, stand_in):
    options = {"return_sequences": True, "return_state": True}
    layer = RNN(LSTMCell(3, use_bias=bias), **options)
    loop = keras.layers.RNN(layer.cell, **options, unroll=True)
    x = np.random.randn(5, 6, 2).astype("float32")
    layer.build(x.shape), loop.build(x.shape)
    results = [
        outputs_and_gradients(each, "eager", x, mask=MASKS[masked])
        for each in (layer, loop)
    ]
    assert stand_in and layer.engine == "JAX's lstm (cuDNN)"
    check_equal(results, 1e-5)


@jax_only
@pytest.mark.parametrize("name", test_transforms.TRANSFORMS)
def test_jax_gives_all_derivatives_of_cudnn(name, stand_in):
    test_transforms.test_a_transform_gives_what_it_gives_of_the_loop("lstm", name)
    assert stand_in


@jax_only
def test_what_cudnn_cannot_do_the_pass_does_on_jax(stand_in):
    layer = LSTM(3, recurrent_dropout=0.5)
    layer(ops.ones((2, 4, 2)), training=True)
    assert not stand_in
    for other in (
        GRU(3),
        ElmanRNN(3),
        LSTM(3, activation="relu"),
        LSTM(3, dtype="mixed_bfloat16"),
    ):
        assert other.engine.startswith("the fast pass: JAX")
