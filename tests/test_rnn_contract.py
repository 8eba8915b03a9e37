"""RNN as a layer: what it refuses, and how; what it writes; the cells of others."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnn import (
    GRU,
    LSTM,
    RNN,
    ElmanCell,
    ElmanRNN,
    Generator,
    GRUCell,
    LSTMCell,
)

BACKEND = keras.backend.backend()


def data(batch=3, timesteps=4, features=2):
    return np.random.randn(batch, timesteps, features).astype("float32")


def stateful_model(layer):
    return keras.Sequential([keras.Input((4, 2), batch_size=3), layer])


# ------------------------------------------------------------ SavedModels of TensorFlow

CARRYING = {
    "cell": lambda: LSTM(3, stateful=True),
    "stack": lambda: RNN([ElmanCell(3), LSTMCell(2)], stateful=True),
    "dropout": lambda: GRU(3, stateful=True, dropout=0.5, recurrent_dropout=0.5),
    "dropout of Keras": lambda: RNN(
        keras.layers.GRUCell(3, dropout=0.5), stateful=True
    ),
    "both directions": lambda: keras.layers.Bidirectional(LSTM(3, stateful=True)),
}


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", CARRYING)
@pytest.mark.parametrize("module", [False, True])
def test_tensorflow_writes_a_stateful_layer_by_itself(tmp_path, kind, module):
    import tensorflow as tf

    layer = CARRYING[kind]()
    model, x = stateful_model(layer), data()
    if module:
        written = tf.Module()
        written.layer = layer
        written.run = tf.function(lambda x: layer(x))
        written.run.get_concrete_function(tf.TensorSpec((3, 4, 2)))
        tf.saved_model.save(written, tmp_path)
        loaded = tf.saved_model.load(tmp_path)
        run = loaded.run
    else:
        tf.saved_model.save(model, tmp_path)
        loaded = tf.saved_model.load(tmp_path)
        run = lambda x: list(loaded.signatures["serving_default"](x).values())[0]  # noqa: E731
    layer.reset_state()
    first, second = np.array(layer(x)), np.array(layer(x))
    assert np.any(first != second)
    for want in (first, second):
        np.testing.assert_allclose(run(tf.constant(x)), want, atol=1e-6)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_tensorflow_writes_a_generator_that_carries_on(tmp_path):
    import tensorflow as tf

    from keras_rnn import ConsecutiveWindows

    generator = Generator("abc", [ElmanCell(4), LSTMCell(3, dropout=0.1)])
    generator.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    windows = ConsecutiveWindows(generator.encode("abcab" * 9), 2, 5)
    generator.fit(windows, verbose=0)
    module = tf.Module()
    module.generator = generator
    module.run = tf.function(
        lambda tokens, fresh: generator({"tokens": tokens, "fresh": fresh})
    )
    tokens = tf.constant([[0, 1, 2], [2, 1, 0]])
    fresh, later = tf.constant([True, True]), tf.constant([False, False])
    module.run.get_concrete_function(tokens, fresh)
    tf.saved_model.save(module, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    for flags in (fresh, later):
        want = generator({"tokens": tokens, "fresh": flags})
        np.testing.assert_allclose(loaded.run(tokens, flags), want, atol=1e-6)


# ------------------------------------------------------- sizes that a graph leaves open


def refusals():
    if BACKEND != "tensorflow":
        return ValueError
    import tensorflow as tf

    return (ValueError, tf.errors.InvalidArgumentError)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
@pytest.mark.parametrize("rows", [7, 8])
def test_a_last_batch_that_is_smaller(method, rows):
    model = stateful_model(ElmanRNN(3, stateful=True))
    model.compile("sgd", "mse")
    x, y = data(rows), np.zeros((rows, 3))
    arguments = [x] if method == "predict" else [x, y]
    # In a graph it is the name of an operation that says so, unless the loss, which runs
    # at the same time, meets its labels first: 2 rows against 3. (1 row would broadcast.)
    says = "divides.the.number.of.sequences"
    if rows == 8 and method != "predict":
        says += "|Incompatible shapes"
    with pytest.raises(refusals(), match=says):
        getattr(model, method)(*arguments, batch_size=3, verbose=0)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(
    "x, other, kind",
    [
        ((1, 4), (3, 4), "mask"),
        ((3, 4), (1, 4), "mask"),
        ((3, 4), (3, 1), "mask"),
        ((3, 1), (3, 4), "mask"),
        ((3, 4), (3, 5), "mask"),
        ((3, 4), (1, 3), "initial_state"),
        ((1, 4), (3, 3), "initial_state"),
    ],
)
def test_sizes_that_a_graph_leaves_open(x, other, kind, jit_compile):
    import tensorflow as tf

    layer = ElmanRNN(3)
    dtype, shape = {
        "mask": ("bool", (None, None)),
        "initial_state": ("float32", (None, 3)),
    }[kind]

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, 2)), tf.TensorSpec(shape, dtype)],
        jit_compile=jit_compile,
    )
    def run(x, other):
        return layer(x, **{kind: other})

    fits = x if kind == "mask" else (x[0], 3)
    good = np.ones(fits, dtype)
    np.testing.assert_allclose(
        run(data(*x) * 0, good), layer(data(*x) * 0, **{kind: good}), atol=1e-6
    )
    # XLA has no messages of its own making.
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=None if jit_compile else f"`{kind}` must"
    ):
        run(data(*x), np.ones(other, dtype))


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_carried_state_is_not_broadcast(jit_compile):
    import tensorflow as tf

    layer = ElmanRNN(3, stateful=True)
    layer(data(3))
    run = tf.function(
        lambda x: layer(x),
        input_signature=[tf.TensorSpec((None, 4, 2))],
        jit_compile=jit_compile,
    )
    assert run(data(3)).shape == (3, 3)
    with pytest.raises(tf.errors.InvalidArgumentError):
        run(data(1))


# -------------------------------------------------------------------- bad arguments

READERS = {
    "cell": lambda: ElmanRNN(3),
    "unrolled": lambda: GRU(3, unroll=True),
    "stack": lambda: RNN([LSTMCell(3), ElmanCell(2)]),
    "cell of Keras": lambda: RNN(keras.layers.LSTMCell(3)),
    "built cell": lambda: RNN(built_cell()),
}


def built_cell():
    cell = ElmanCell(3)
    cell.build((None, 2))
    return cell


@pytest.mark.slow
@pytest.mark.parametrize("kind", READERS)
def test_another_number_of_features(kind):
    layer = READERS[kind]()
    if kind != "built cell":
        layer(data())
    message = r"`sequences` must have 2 features. Received: sequences.shape=\(.*, 5\)"
    with pytest.raises(ValueError, match=message):
        layer(data(features=5))
    with pytest.raises(ValueError, match=message):
        layer(keras.Input((4, 5)))
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with pytest.raises(ValueError, match=message):
            tf.function(lambda x: layer(x))(data(features=5))


@pytest.mark.parametrize("cell_class", [ElmanCell, LSTMCell, GRUCell])
def test_another_number_of_features_for_a_cell_by_itself(cell_class):
    """Whoever calls it: a loop of Keras, a step by hand."""
    cell = cell_class(3)
    layer = keras.layers.RNN(cell)
    layer(data())
    message = r"`inputs` of .* must have 2 features. Received: inputs.shape=\(.*, 5\)"
    with pytest.raises(ValueError, match=message):
        layer(data(features=5))
    with pytest.raises(ValueError, match=message):
        cell(data(features=5)[:, 0], cell.get_initial_state(len(data())))


def test_symbolic_tensors_are_checked_like_others():
    layer, x = ElmanRNN(3), keras.Input((4, 2))
    with pytest.raises(ValueError, match="`initial_state` must hold"):
        layer(x, initial_state=[keras.Input((5,))])
    with pytest.raises(ValueError, match="`mask` must have the shape"):
        layer(x, mask=keras.Input((5,), dtype="bool"))
    layer = ElmanRNN(3, stateful=True)
    layer(data(3))
    with pytest.raises(ValueError, match="it was 3"):
        layer(keras.Input((4, 2), batch_size=5))


def test_a_state_that_is_passed_does_not_change_the_batch_size():
    layer = ElmanRNN(3, stateful=True)
    layer(data(3))
    with pytest.raises(ValueError, match="it was 3"):
        layer(data(2), initial_state=[np.zeros((2, 3))])


class NoCell:
    def call(self, inputs, states):
        return inputs, states


@pytest.mark.parametrize("cell", [3, None, NoCell(), [NoCell()], [ElmanCell(3), 3]])
def test_what_is_no_cell(cell):
    with pytest.raises(ValueError, match="`cell` must be a cell"):
        RNN(cell)


def test_a_stateful_layer_says_how_to_give_the_batch_size():
    with pytest.raises(ValueError, match="batch_size=.*drop_remainder"):
        ElmanRNN(3, stateful=True)(keras.Input((4, 2)))


@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout"])
@pytest.mark.parametrize("rate", [None, "0.5", float("nan"), -0.1, 1.1, [0.5]])
def test_a_dropout_that_is_no_fraction(name, rate):
    with pytest.raises(ValueError, match=f"`{name}` must be a number from 0 to 1"):
        ElmanCell(3, **{name: rate})


class Sevens(keras.initializers.Initializer):
    """One that takes an argument, and has no config to tell it."""

    def __init__(self, seven):
        self.seven = seven

    def __call__(self, shape, dtype=None):
        return ops.full(shape, self.seven, dtype)


@pytest.mark.parametrize(
    "initializer", [lambda shape, dtype=None: ops.full(shape, 7.0, dtype), Sevens(7.0)]
)
def test_an_initializer_may_be_any_function(initializer):
    cell = LSTMCell(3, initial_state_initializer=initializer)
    cell.build((None, 2))
    for state in cell.get_initial_state(2):
        np.testing.assert_array_equal(state, np.full((2, 3), 7))
    generator = Generator(
        "ab",
        GRUCell(3, initial_state_initializer=initializer),
        conditions=["one", "two"],
    )
    ((state,),) = generator.get_initial_state(2, np.array([0, 1]))
    np.testing.assert_array_equal(state, np.full((2, 3), 7))


def test_no_initializer_is_the_default_of_keras():
    cell = ElmanCell(50, initial_state_initializer=None, kernel_initializer=None)
    cell.build((None, 2))
    (state,) = cell.get_initial_state(1)
    assert (
        0 < np.abs(np.array(state)).max() <= (6 / 100) ** 0.5
    )  # Glorot's, of 50 and 50
    assert ElmanCell.from_config(cell.get_config()).initial_state_initializer is None


# ------------------------------------------------------- cells of others, as Keras takes


class Plain(keras.Layer):
    """The cell of Keras's documentation: no initial state of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size = 3

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3))
        self.recurrent = self.add_weight(shape=(3, 3))

    def call(self, inputs, states):
        h = ops.tanh(inputs @ self.kernel + states[0] @ self.recurrent)
        return h, [h]


class Bare(Plain):
    """Its one state is in no list, and the output is not the state."""

    def call(self, inputs, states):
        h, (state,) = super().call(inputs, states)
        return 2 * h, state


class Matrix(Plain):
    """A matrix for a state."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size, self.output_size = [(3, 2)], 3

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, 3, 2))]

    def call(self, inputs, states):
        (matrix,) = states
        h = ops.tanh(inputs @ self.kernel + ops.sum(matrix, -1) @ self.recurrent)
        return h, [0.5 * matrix + ops.expand_dims(h, -1)]


class OneShape(Matrix):
    """A shape for a state size, and a state in no list."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size = (3, 2)

    def get_initial_state(self, batch_size=None):
        return ops.zeros((batch_size, 3, 2))


class Nested(Plain):
    """States in a nest, as they are in a stack."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size, self.output_size = [[3, 2], 3], 3

    def get_initial_state(self, batch_size=None):
        zeros = [ops.zeros((batch_size, n)) for n in (3, 2, 3)]
        return [zeros[:2], zeros[2]]

    def call(self, inputs, states):
        (a, b), c = states
        h, _ = super().call(inputs, [a + c])
        return h + ops.sum(b, -1, keepdims=True), [[h, b + h[:, :2]], a]


class Picture(Plain):
    """Reads pictures, (batch, timesteps, 5, 2), and carries one."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size, self.output_size = [(5, 3)], 3

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, 5, 3))]


class Bystander:
    """A cell that is no layer, which Keras takes in a stack."""

    state_size = output_size = 2

    def __init__(self):
        self.name = "bystander"

    def call(self, inputs, states):
        h = ops.tanh(inputs + states[0])
        return h, [h]


OTHERS = {
    "plain": (Plain, [(3,)]),
    "bare": (Bare, [(3,)]),
    "matrix": (Matrix, [(3, 2)]),
    "one shape": (OneShape, [(3, 2)]),
    "nested": (Nested, [[(3,), (2,)], (3,)]),
    "picture": (Picture, [(5, 3)]),
    "stack": (lambda: [Matrix(), Nested()], [[(3, 2)], [[(3,), (2,)], (3,)]]),
    "no layer": (lambda: [Bystander()], [(2,)]),
}


def other(kind, rows=3):
    """Inputs, and states to start from."""
    x = np.random.randn(rows, 4, 5, 2) if kind == "picture" else data(rows)
    states = keras.tree.map_shape_structure(
        lambda shape: np.random.randn(rows, *shape).astype("float32"), OTHERS[kind][1]
    )
    return x.astype("float32"), states


def both(kind, **options):
    """The same cell in Keras's layer and in this one, with the same weights."""
    layers = [make(OTHERS[kind][0](), **options) for make in (keras.layers.RNN, RNN)]
    x, _ = other(kind)
    for layer in layers:
        layer(x)
        if layer.stateful and layer is layers[1]:
            layer.reset_state()
    theirs, ours = layers
    ours.set_weights(theirs.get_weights())
    return theirs, ours


def assert_same(given, wanted, atol=1e-6):
    given, wanted = keras.tree.flatten(given), keras.tree.flatten(wanted)
    for a, b in zip(given, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=atol)


def rows_of(nest, rows):
    return keras.tree.map_structure(lambda each: each[rows], nest)


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize(
    "options", [{}, {"go_backwards": True}, {"unroll": True}], ids=str
)
def test_the_cells_of_others(kind, options):
    theirs, ours = both(kind, return_sequences=True, return_state=True, **options)
    x, states = other(kind)
    assert_same(ours(x), theirs(x))
    assert_same(ours(x, initial_state=states), theirs(x, initial_state=states))


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("zeros", [False, True])
def test_the_cells_of_others_with_masks(kind, zeros):
    """A padded row gives what Keras's loop gives on the row alone."""
    theirs, ours = both(
        kind, return_sequences=True, return_state=True, zero_output_for_mask=zeros
    )
    x, states = other(kind)
    lengths = [4, 2, 1]
    mask = np.arange(4) < np.array(lengths)[:, None]
    x[~mask] = np.nan
    y, *last = ours(x, mask=mask, initial_state=states)
    for row, length in enumerate(lengths):
        alone = slice(row, row + 1)
        short, *wanted = theirs(
            x[alone, :length],
            initial_state=rows_of(states, alone),
        )
        short = np.array(short)
        padding = np.repeat(short[:, -1:] * (not zeros), 4 - length, axis=1)
        assert_same(y[alone], np.concatenate([short, padding], axis=1))
        assert_same(rows_of(last, alone), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHERS)
def test_the_cells_of_others_carry_on(kind):
    options = {"return_sequences": True, "return_state": True}
    theirs, _ = both(kind, **options)
    _, ours = both(kind, stateful=True, **options)
    ours.set_weights(theirs.get_weights())
    x, _ = other(kind)
    y, *states = theirs(x)
    for _ in range(2):
        first, *_ = ours(x[:, :3])
        rest, *last = ours(x[:, 3:])
        assert_same(np.concatenate([first, rest], axis=1), y)
        assert_same(last, states)
        ours.reset_state()


def test_states_of_the_cells_of_others_are_checked_as_far_as_they_are_known():
    x, _ = other("nested")
    for kind in ("nested", "matrix"):
        layer = RNN(OTHERS[kind][0]())
        _, states = other(kind, rows=1)
        with pytest.raises(ValueError, match="`initial_state` must hold"):
            layer(x, initial_state=states)


def test_the_sequences_of_the_cells_of_others():
    for bad in (data()[0], data()[:, :0]):
        with pytest.raises(ValueError, match="`sequences` must have the shape"):
            RNN(Plain())(bad)
