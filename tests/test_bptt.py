"""The fast pass, against Keras's loop with autodiff and against finite differences."""

import re

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_rnn import GRU, LSTM, RNN, ElmanCell, ElmanRNN, GRUCell, LSTMCell
from keras_rnn.backends import scan, split
from tests.gradients import autodiff, finite_differences, squared_slope
from tests.oracle import CELLS_IN_FLOAT64

DTYPE, TOLERANCE = ("float64", 1e-9) if CELLS_IN_FLOAT64 else ("float32", 1e-4)
CELLS = {"elman": ElmanCell, "lstm": LSTMCell, "gru": GRUCell}
LAYERS = {
    "elman": (ElmanRNN, keras.layers.SimpleRNN),
    "lstm": (LSTM, keras.layers.LSTM),
    "gru": (GRU, keras.layers.GRU),
}

WAYS = [
    "eager",
    pytest.param("unknown sizes", marks=pytest.mark.tensorflow),
    pytest.param("compiled", marks=pytest.mark.tensorflow),
]


def mode(function, kind):
    """`function` run step by step, or in a graph that knows its shapes or does not."""
    if kind == "eager":
        return lambda *arrays: function(*map(ops.convert_to_tensor, arrays))
    import tensorflow as tf

    if kind == "compiled":
        return tf.function(function)
    unknown = tf.function(function, reduce_retracing=True)

    def call(*arrays):
        specs = [
            tf.TensorSpec([None] * (np.ndim(a) - 1) + [np.shape(a)[-1]], a.dtype)
            for a in arrays
        ]
        return unknown.get_concrete_function(*specs)(*map(tf.constant, arrays))

    return call


def value_of(outputs):
    """A number in which each of the outputs has its share."""
    return sum(ops.sum(ops.sin(3 * each)) for each in keras.tree.flatten(outputs))


def outputs_and_gradients(layer, kind, x, states=(), call=None, **arguments):
    """What a layer gives, and the gradients of its weights, `x` and `states`.

    With `call`, what that function of the same arguments gives.
    """

    def run(x, *states):
        return (call or layer)(x, initial_state=list(states) or None, **arguments)

    variables = layer.trainable_variables
    if kind == "eager":
        before = [np.array(v) for v in layer.non_trainable_variables]
        outputs = mode(run, kind)(x, *states)
        for variable, value in zip(layer.non_trainable_variables, before):
            variable.assign(value)  # dropout draws the same once more
        found = autodiff(lambda *a: value_of(run(*a)), variables, [x, *states])
        return [*keras.tree.flatten(outputs), *found]
    import tensorflow as tf

    def gradients(x, *states):
        with tf.GradientTape() as tape:
            tape.watch([x, *states])
            outputs = run(x, *states)
            value = value_of(outputs)
        wanted = [*(v.value for v in variables), x, *states]
        found = tape.gradient(value, wanted, unconnected_gradients="zero")
        return [*keras.tree.flatten(outputs), *found]

    return mode(gradients, kind)(x, *states)


def check_against_the_loop(kind, how, draw, tolerance=TOLERANCE):
    """All that comes out of the pass, and all gradients, equal those of Keras's loop."""
    batch = draw(st.integers(1, 4))
    # JAX compiles each step of the loop that it is compared with; the pass there has no
    # remainder of steps.
    timesteps = draw(st.integers(1, 13 if CELLS_IN_FLOAT64 else 5))
    if draw(st.booleans()):
        batch += 16  # enough rows for two loops side by side
    features, units = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    arguments = {
        "units": units,
        "activation": draw(st.sampled_from(["tanh", "relu", "linear", "sigmoid"])),
        "use_bias": draw(st.booleans()),
        "output_units": draw(st.sampled_from([None, 2])),
        "output_activation": "tanh",
        "learn_initial_state": draw(st.booleans()),
        "kernel_initializer": keras.initializers.RandomNormal(stddev=0.5),
        "bias_initializer": "random_normal",
    }
    options = {
        "return_sequences": draw(st.booleans()),
        "return_state": True,
        "go_backwards": draw(st.booleans()),
        "dtype": DTYPE,
    }
    random = np.random.default_rng(draw(st.integers(0, 99)))
    x = random.normal(size=(batch, timesteps, features))
    count = len(CELLS[kind].initial_state_names)
    states = [random.normal(size=(batch, units)) for _ in range(count)]
    mask = random.random((batch, timesteps)) < 0.7 if draw(st.booleans()) else None

    fast = RNN(CELLS[kind](**arguments), **options)
    # Unrolled on JAX, where Keras's loop takes the state of a masked step for its y_t.
    slow = keras.layers.RNN(
        CELLS[kind](**arguments, dtype=DTYPE),
        **options,
        unroll=keras.backend.backend() == "jax",
    )
    fast.build(x.shape), slow.build(x.shape)
    slow.set_weights(fast.get_weights())
    assert fast.uses_fast_pass

    arguments = {"mask": mask, "training": draw(st.booleans())}
    given_states = states if draw(st.booleans()) else []
    for ours, theirs in zip(
        outputs_and_gradients(fast, how, x, given_states, **arguments),
        outputs_and_gradients(slow, "eager", x, given_states, **arguments),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CELLS)
@settings(max_examples=15 if CELLS_IN_FLOAT64 else 4)  # JAX compiles each
@given(st.data())
def test_gradients_equal_autodiff_through_the_loop(kind, data):
    check_against_the_loop(kind, "eager", data.draw)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", CELLS)
@settings(max_examples=8)
@given(st.data())
def test_gradients_in_a_graph_of_unknown_sizes(kind, data):
    check_against_the_loop(kind, "unknown sizes", data.draw)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", CELLS)
@settings(max_examples=6)
@given(st.data())
def test_gradients_of_compiled_loops(kind, data):
    check_against_the_loop(kind, "compiled", data.draw)


@pytest.mark.float64
@pytest.mark.parametrize(
    "kind",
    ["elman", *(pytest.param(k, marks=pytest.mark.slow) for k in ("lstm", "gru"))],
)
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_equal_finite_differences(kind, masked):
    layer = RNN(CELLS[kind](2, output_units=2), dtype="float64", return_sequences=True)
    x = keras.Variable(np.random.randn(2, 5, 2), dtype="float64")
    mask = np.arange(5) < np.array([[5], [3]]) if masked else None
    layer.build(x.shape)

    def loss():
        return ops.sum(ops.sin(3 * layer(x.value, mask=mask)))

    variables = [*layer.trainable_variables, x]
    pairs = zip(autodiff(loss, variables), finite_differences(loss, variables))
    for ours, by_differences in pairs:
        np.testing.assert_allclose(ours, by_differences, atol=1e-7)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("masked", [False, True])
def test_weights_of_keras_give_its_outputs_and_gradients(kind, masked):
    ours, theirs = LAYERS[kind]
    ours = ours(4, learn_initial_state=False, return_sequences=True)
    theirs = theirs(4, bias_initializer="random_normal", return_sequences=True)
    x = np.random.randn(3, 6, 2).astype("float32")
    mask = np.arange(6) < np.array([[6], [2], [4]]) if masked else None
    theirs(x), ours(x)
    ours.set_weights(theirs.get_weights())
    results = [
        outputs_and_gradients(layer, "eager", x, mask=mask) for layer in (ours, theirs)
    ]
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("how", WAYS)
def test_dropout_is_that_of_the_loop(kind, how):
    """With the same seed, the pass and Keras's loop drop the same."""
    x = np.random.randn(20, 6, 2).astype("float32")
    arguments = {"units": 4, "dropout": 0.4, "recurrent_dropout": 0.4, "seed": 7}
    results = []
    for make, way in ((RNN, how), (keras.layers.RNN, "eager")):
        keras.utils.set_random_seed(1)
        layer = make(CELLS[kind](**arguments), return_sequences=True)
        layer.build(x.shape)

        results.append(outputs_and_gradients(layer, way, x, training=True))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", CELLS)
def test_a_stack_runs_level_by_level(kind):
    x = np.random.randn(3, 6, 2)
    mask = np.arange(6) < np.array([[6], [2], [4]])
    cells = [CELLS[kind](4, output_units=3), CELLS[kind](2)]
    fast = RNN(cells, dtype=DTYPE, return_sequences=True, return_state=True)
    slow = keras.layers.RNN(
        keras.layers.StackedRNNCells(
            [
                CELLS[kind](4, output_units=3, dtype=DTYPE),
                CELLS[kind](2, dtype=DTYPE),
            ],
            dtype=DTYPE,
        ),
        dtype=DTYPE,
        return_sequences=True,
        return_state=True,
        unroll=keras.backend.backend() == "jax",
    )
    fast.build(x.shape), slow.build(x.shape)
    slow.set_weights(fast.get_weights())
    assert fast.uses_fast_pass
    a, b = fast(x, mask=mask), slow(x, mask=mask)
    for ours, theirs in zip(keras.tree.flatten(a), keras.tree.flatten(b), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


def test_the_choice_and_its_reason():
    assert ElmanRNN(4).uses_fast_pass
    assert ElmanRNN(4).fast_pass_obstacle is None
    for layer, reason in (
        (ElmanRNN(4, unroll=True), "unroll"),
        (
            RNN([ElmanCell(4), keras.layers.LSTMCell(3, dropout=0.1)]),
            "dropout of Keras",
        ),
    ):
        assert not layer.uses_fast_pass
        assert reason in layer.fast_pass_obstacle


@pytest.mark.slow
@pytest.mark.float64
@pytest.mark.parametrize(
    "make",
    [
        lambda **o: ElmanRNN(3, activation="softsign", **o),
        lambda **o: LSTM(3, recurrent_activation="hard_sigmoid", **o),
        lambda **o: GRU(3, reset_after=False, **o),
    ],
)
def test_without_the_pass_the_gradients_are_right_too(make):
    layer = make(dtype="float64", output_units=2)
    x = np.random.randn(2, 4, 2)
    mask = np.arange(4) < np.array([[4], [2]])
    layer.build(x.shape)

    def loss():
        return ops.sum(ops.sin(3 * layer(x, mask=mask)))

    variables = layer.trainable_variables
    pairs = zip(autodiff(loss, variables), finite_differences(loss, variables))
    for ours, by_differences in pairs:
        np.testing.assert_allclose(ours, by_differences, atol=1e-7)


def test_gru_with_reset_before_the_product_is_that_of_keras():
    x = np.random.randn(3, 6, 2).astype("float32")
    ours = GRU(4, reset_after=False, learn_initial_state=False)
    theirs = keras.layers.GRU(4, reset_after=False, bias_initializer="random_normal")
    theirs(x), ours(x)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("how", WAYS)
def test_the_gradient_of_a_gradient(kind, how):
    """A penalty on the gradient of the inputs trains the weights through it."""
    x = np.random.randn(3, 4, 2)
    mask = np.arange(4) < [[4], [3], [1]]
    fast = RNN(CELLS[kind](3), dtype=DTYPE)
    slow = keras.layers.RNN(CELLS[kind](3, dtype=DTYPE), dtype=DTYPE, unroll=True)
    fast.build(x.shape), slow.build(x.shape)
    slow.set_weights(fast.get_weights())

    results = []
    for layer, way in ((fast, how), (slow, "eager")):

        def penalty(x, initial_state, layer=layer):
            def value(x):
                return value_of(layer(x, initial_state, mask=mask, training=True))

            return squared_slope(value, x)

        results.append(outputs_and_gradients(layer, way, x, call=penalty))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.float64
def test_the_gradient_of_a_gradient_equals_finite_differences():
    layer = ElmanRNN(3, dtype="float64")
    x = ops.convert_to_tensor(np.random.randn(2, 4, 2))
    layer.build(x.shape)

    def loss():
        return squared_slope(lambda x: ops.sum(ops.sin(layer(x))), x)

    variables = layer.trainable_variables
    pairs = zip(autodiff(loss, variables), finite_differences(loss, variables))
    for ours, by_differences in pairs:
        np.testing.assert_allclose(ours, by_differences, atol=1e-6)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_persistent_tape_in_a_graph():
    """Two losses of one forward pass, each with its gradient."""
    import tensorflow as tf

    layer = ElmanRNN(3)
    x = np.random.randn(17, 4, 2).astype("float32")
    layer.build(x.shape)

    @tf.function
    def two_gradients(x):
        with tf.GradientTape(persistent=True) as tape:
            y = layer(x, training=True)
            losses = tf.reduce_sum(y**2), tf.reduce_sum(tf.sin(y))
        return [tape.gradient(loss, layer.trainable_variables) for loss in losses]

    for loss, ours in zip((ops.square, ops.sin), two_gradients(x)):
        found = autodiff(
            lambda x, loss=loss: ops.sum(loss(layer(x))), layer.trainable_variables, [x]
        )
        for a, b in zip(ours, found):
            np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_what_is_exported_holds_plain_operations(tmp_path):
    import tensorflow as tf

    inputs = keras.Input((6, 2))  # a fixed number of steps, any batch size
    model = keras.Model(inputs, LSTM(4, return_sequences=True)(inputs))
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    definition = loaded.signatures["serving_default"].graph.as_graph_def()
    compiled = [
        function.signature.name
        for function in definition.library.function
        if function.attr["_XlaMustCompile"].b
    ]
    assert definition.library.function and not compiled
    x = np.random.randn(5, 6, 2).astype("float32")
    np.testing.assert_allclose(loaded.serve(x), model(x), atol=1e-6)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", LAYERS)
def test_litert_needs_builtin_operations_only(kind):
    """For one sequence of any length, as the interpreter without Flex runs it."""
    import tensorflow as tf

    layer = LAYERS[kind][0](4, output_units=2, return_sequences=True)
    layer.build((1, None, 3))
    serve = tf.function(layer, input_signature=[tf.TensorSpec((1, None, 3))])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [serve.get_concrete_function()]
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    (given,), (found,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    for timesteps in (12, 3):
        x = np.random.randn(1, timesteps, 3).astype("float32")
        interpreter.resize_tensor_input(given["index"], x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], x)
        interpreter.invoke()
        np.testing.assert_allclose(
            interpreter.get_tensor(found["index"]), layer(x), atol=1e-5
        )


@pytest.mark.slow
@pytest.mark.tensorflow
def test_new_sizes_are_compiled_once_each(monkeypatch):
    import tensorflow as tf

    traces = []
    forward = ElmanCell.step
    monkeypatch.setattr(
        ElmanCell, "step", lambda self, *a: traces.append(1) or forward(self, *a)
    )
    model = keras.Sequential([keras.Input((None, 2)), ElmanRNN(3)])
    model.compile("sgd", "mse")
    lengths = list(range(3, 13))

    def batches():
        for length in lengths:
            yield np.ones((4, length, 2), "float32"), np.ones((4, 3), "float32")

    dataset = tf.data.Dataset.from_generator(
        batches,
        output_signature=(tf.TensorSpec((4, None, 2)), tf.TensorSpec((4, 3))),
    )
    model.fit(dataset, verbose=0)
    seen = len(traces)
    assert seen > 0
    model.fit(dataset, epochs=2, verbose=0)
    assert len(traces) == seen


def is_compiled(function, *shape):
    """Whether XLA runs a loop in a `tf.function`, on a tensor of so much of a shape."""
    import tensorflow as tf

    traced = function.get_concrete_function(tf.TensorSpec(shape))
    definition = traced.graph.as_graph_def()
    nodes = [*definition.node]
    for branch in definition.library.function:  # of a choice that the graph makes
        nodes += branch.node_def
    return any(node.attr["_XlaMustCompile"].b for node in nodes)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_first_lengths_are_compiled_and_all_are_right():
    import tensorflow as tf

    from keras_rnn.backends.tensorflow import SHAPES_COMPILED

    layer = ElmanRNN(3)
    layer.build((None, None, 2))

    @tf.function
    def function(x):
        return layer(x, training=True)

    lengths = range(3, 3 + SHAPES_COMPILED + 2)
    found = [is_compiled(function, None, timesteps, 2) for timesteps in lengths]
    assert found == [True] * SHAPES_COMPILED + [False] * 2
    for timesteps in lengths:
        x = np.random.normal(size=(2, timesteps, 2)).astype("float32")
        np.testing.assert_allclose(function(x), layer(x), atol=1e-6)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", LAYERS)
def test_bfloat16_is_not_compiled_on_a_processor(kind):
    import tensorflow as tf

    if tf.config.list_logical_devices("GPU"):
        pytest.skip("a GPU multiplies bfloat16 as it does the rest")
    for dtype, wanted in (("mixed_bfloat16", False), ("mixed_float16", True)):
        layer = LAYERS[kind][0](3, dtype=dtype)
        layer.build((2, 4, 2))
        function = tf.function(lambda x, layer=layer: layer(x, training=True))
        assert is_compiled(function, 2, 4, 2) == wanted


# ---------------------------------------------------------------- the loop by itself


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "make",
    [ElmanRNN, lambda *a, **o: ElmanRNN(*a, activation="relu", **o), LSTM, GRU],
    ids=["elman", "relu", "lstm", "gru"],
)
def test_no_step_copies_an_array_of_all_steps(make, training):
    """XLA does where it cannot tell that what is written over has been read."""
    import tensorflow as tf

    layer = make(5, return_sequences=True)
    x = tf.constant(np.random.randn(3, 9, 2), "float32")
    mask = tf.constant(np.arange(9) < np.array([[9], [3], [4]])) if training else None

    @tf.function(jit_compile=True)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, mask=mask, training=training)
        return tape.gradient(outputs, x) if training else outputs

    run(x)
    program = run.experimental_get_compiler_ir(x)(stage="optimized_hlo")
    assert " while(" in program
    # What the entry calls runs once, the bodies of the loops among the rest at each step.
    rest = "\n".join(p for p in program.split("\n\n") if not p.startswith("ENTRY"))
    assert not re.findall(r".*= f32\[3,9,\d+\]\S* copy\(.*", rest)


@pytest.mark.parametrize("timesteps", [1, 2, 5, 6, 7, 11, 101])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "how",
    [
        "eager",
        pytest.param("unknown sizes", marks=pytest.mark.tensorflow),
        pytest.param("compiled", marks=pytest.mark.tensorflow),
        pytest.param("written over", marks=pytest.mark.tensorflow),
    ],
)
def test_scan_is_a_running_sum(timesteps, reverse, how):
    x = np.random.randint(-9, 9, (3, timesteps, 2)).astype("float64")  # sums are exact

    def run(x):
        def step(carry, slices):
            total = carry[0] + slices[0]
            return [total], [total]

        zeros = ops.zeros_like(x[:, 0])
        first = [x, ops.eye(2, dtype=x.dtype)] if how == "written over" else x
        return loop(step, [zeros], [first], [2], reverse)

    loop, function = scan, None
    if how in ("compiled", "written over"):
        import tensorflow as tf

        from keras_rnn.backends.tensorflow_scan import scan_in_place as loop

        function = tf.function(run, jit_compile=True)
    function = function or mode(run, how)
    (carry,), (sums,) = function(x)
    way = slice(None, None, -1 if reverse else 1)
    want = np.cumsum(x[:, way], axis=1)[:, way]
    np.testing.assert_array_equal(sums, want)
    np.testing.assert_array_equal(carry, x.sum(axis=1))


@pytest.mark.tensorflow
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("size", [0, 1, 2, 7])
def test_split_covers_the_batch(size, count, known):
    import tensorflow as tf

    x = np.random.randn(size, 2)

    @tf.function(input_signature=[tf.TensorSpec([size if known else None, 2], x.dtype)])
    def run(x):
        return split(([x], [], [-x]), count)

    found = run(x)
    assert len(found) == count
    for one, none, other in found:
        assert none == []
        np.testing.assert_array_equal(one[0], -other[0])
    np.testing.assert_array_equal(np.concatenate([one[0] for one, *_ in found]), x)
