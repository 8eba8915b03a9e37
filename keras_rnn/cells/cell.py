"""What every cell has beside its own equations.

A first state that back-propagation learns, the output y_t, dropout, and the checks of
its arguments. `RecurrentCell` is a mixin: a cell of this package names it before the
cell of Keras whose arguments and weights it keeps,

    class ElmanCell(RecurrentCell, keras.layers.SimpleRNNCell): ...

so that it adds weights after those of Keras's cell and changes none of them.
"""

import inspect
import numbers
import operator
import re

import keras
from keras import ops


def positive_integer(name, value):
    """Returns `value` as an `int`, or raises a `ValueError` that names the argument."""
    try:
        integer = operator.index(value)  # takes NumPy's integers, refuses 3.0
    except TypeError:
        integer = 0
    if integer < 1 or isinstance(value, bool):
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={value!r}"
        )
    return integer


def different_cells(cells):
    """Returns a cell, or a list of cells, as a list, or raises a `ValueError`."""
    listed = list(cells) if isinstance(cells, (list, tuple)) else [cells]
    if (
        not listed
        or not all(isinstance(cell, RecurrentCell) for cell in listed)
        or len({id(cell) for cell in listed}) < len(listed)
    ):
        raise ValueError(
            "`cells` must be a cell of keras_rnn, or a list of at least one, all "
            f"different. Received: cells={cells}"
        )
    return listed


def given(scope):
    """The arguments of a call of `__init__` by name, from its `locals()`."""
    arguments = {k: v for k, v in scope.items() if k not in ("self", "__class__")}
    others = arguments.pop("kwargs")
    return {**arguments, **others}


def fraction(name, value):
    """Returns `value` if it is in [0, 1], or raises a `ValueError` that names it."""
    if not (isinstance(value, numbers.Real) and 0.0 <= value <= 1.0):
        raise ValueError(
            f"`{name}` must be a number from 0 to 1. Received: {name}={value!r}"
        )
    return value


def independent(initializer):
    """An initializer like this one, which draws numbers of its own.

    One that is called twice gives the same numbers twice. What has no arguments of its
    own to tell, a function above all, stands for itself; so does `None`, in whose place
    `add_weight` takes its default.
    """
    base = keras.initializers.Initializer
    tells = isinstance(initializer, base) and (
        type(initializer).get_config is not base.get_config
    )
    return initializer.clone() if tells else initializer


def dense(inputs, kernel, bias=None):
    """The affine map inputs @ kernel + bias, as one product however many axes there are.

    A product of a batch of matrices with one matrix would have a gradient for each of
    them, to be added up.
    """
    if len(inputs.shape) > 2:
        rows = dense(ops.reshape(inputs, (-1, kernel.shape[0])), kernel, bias)
        return ops.reshape(rows, (*ops.shape(inputs)[:-1], kernel.shape[1]))
    outputs = inputs @ kernel  # `ops.matmul` would round float64 to float32 on PyTorch
    return outputs if bias is None else outputs + bias


def keras_group(store):
    """The part of a weights file that is named after Keras's cell instead of ours.

    Keras names the parts of a file by the classes of the layers, and of the cells in a
    stack, and finds nothing under another name. Only those of SimpleRNN differ.

    Args:
        store: What Keras passes to `load_own_variables`.
    """
    path = getattr(store, "_h5_entry_path", None) or ""  # nothing public tells it
    renamed = re.sub(r"\belman_rnn((_\d+)?/cell)$", r"simple_rnn\1", path)
    renamed = re.sub(r"\belman_cell((_\d+)?)$", r"simple_rnn_cell\1", renamed)
    return store if renamed == path else store.get(renamed)


# The derivative of an activation, in terms of its value: what `adjoint` needs. An
# activation that is not here has no hand-written adjoint.
DERIVATIVES = {
    keras.activations.linear: lambda y: ops.ones_like(y),
    keras.activations.relu: lambda y: ops.cast(y > 0, y.dtype),
    keras.activations.sigmoid: lambda y: y * (1 - y),
    keras.activations.tanh: lambda y: 1 - y * y,
}


# What each step goes through in Keras's loop, and the fast pass does in its own way.
_NOT_OF_THE_PASS = (
    "call",
    "drop_inputs",
    "drop_state",
    "get_dropout_mask",
    "get_recurrent_dropout_mask",
    "reset_dropout_mask",
    "reset_recurrent_dropout_mask",
)
# What the fast pass computes for all steps at once, or has the gradient of by `adjoint`.
OF_THE_BACKWARD_STEP = (
    "step",
    "recurrent_term",
    "input_weights",
    "recurrent_weights",
    "readout",
    "held_masks",
)


def overridden(layer, names, owner):
    """The first of some methods that is not the one of a class, or `None`.

    Args:
        layer: A layer or a cell.
        names: Names of methods.
        owner: A class that the one of `layer` is derived from.

    Returns:
        String, the class (or the layer, if the method was replaced on it) and the method:
        "MyCell.call".
    """
    for name in names:
        if name in vars(layer):
            return f"{layer.name}.{name}"
        if getattr(type(layer), name) is not getattr(owner, name):
            mro = type(layer).__mro__
            return f"{next(c for c in mro if name in vars(c)).__name__}.{name}"
    return None


class RecurrentCell:
    """The learned first state, the output and the dropout that all cells share.

    The output of a step is read off the state h_t:

        y_t = output_activation(h_t @ output_kernel + output_bias)   # output_units given
        y_t = h_t                                                    # output_units=None

    The state before the first step is a vector of `units` numbers, small and random at
    the start, then trained like any other weight. It is the same for each example of
    a batch: it is tiled, and its gradient is the sum over the examples.

    Args:
        units: Positive integer, size of the state.
        *args: The further positional arguments of the Keras cell, in its order.
        output_units: Positive integer, size of the output y_t, or `None` (default):
            the output is the state, as in Keras.
        output_activation: g_y, the activation of the output. Default `None`: linear.
        output_kernel_initializer: Initializer of `output_kernel`.
        output_bias_initializer: Initializer of `output_bias`. There is an output bias
            where `use_bias` is `True`.
        output_kernel_regularizer: Regularizer of `output_kernel`.
        output_bias_regularizer: Regularizer of `output_bias`.
        output_kernel_constraint: Constraint of `output_kernel`.
        output_bias_constraint: Constraint of `output_bias`.
        learn_initial_state: Boolean, default `True`. `False` starts from zeros, as
            Keras does, and adds no weight.
        initial_state_initializer: Initializer of the first state. Default
            `"random_normal"` (standard deviation 0.05). `None`: Keras's default for
            a weight, `"glorot_uniform"`.
        initial_state_regularizer: Regularizer of the first state.
        initial_state_constraint: Constraint of the first state.
        **kwargs: The keyword arguments of the Keras cell.

    Raises:
        ValueError: `units` or `output_units` is not a positive integer, a dropout rate
            is not in [0, 1], or the feature count is unknown when the cell is built.
    """

    # The weight behind each state, in the order of the states.
    initial_state_names = ("initial_state",)

    # How often an attribute was assigned: what `keras_rnn.bptt` compiles depends on them.
    assignments = 0

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        object.__setattr__(self, "assignments", self.assignments + 1)

    def __init__(
        self,
        units,
        *args,
        output_units=None,
        output_activation=None,
        output_kernel_initializer="glorot_uniform",
        output_bias_initializer="zeros",
        output_kernel_regularizer=None,
        output_bias_regularizer=None,
        output_kernel_constraint=None,
        output_bias_constraint=None,
        learn_initial_state=True,
        initial_state_initializer="random_normal",
        initial_state_regularizer=None,
        initial_state_constraint=None,
        **kwargs,
    ):
        units = positive_integer("units", units)
        if output_units is not None:
            output_units = positive_integer("output_units", output_units)
        for name in ("dropout", "recurrent_dropout"):
            fraction(name, kwargs.get(name, 0.0))
        super().__init__(units, *args, **kwargs)

        self.output_units = output_units
        self.output_activation = keras.activations.get(output_activation)
        self.output_kernel_initializer = keras.initializers.get(
            output_kernel_initializer
        )
        self.output_bias_initializer = keras.initializers.get(output_bias_initializer)
        self.output_kernel_regularizer = keras.regularizers.get(
            output_kernel_regularizer
        )
        self.output_bias_regularizer = keras.regularizers.get(output_bias_regularizer)
        self.output_kernel_constraint = keras.constraints.get(output_kernel_constraint)
        self.output_bias_constraint = keras.constraints.get(output_bias_constraint)
        self.learn_initial_state = learn_initial_state
        self.initial_state_initializer = keras.initializers.get(
            initial_state_initializer
        )
        self.initial_state_regularizer = keras.regularizers.get(
            initial_state_regularizer
        )
        self.initial_state_constraint = keras.constraints.get(initial_state_constraint)

        self.output_size = units if output_units is None else output_units
        # The dropout masks of now. Kept out of Keras's tracking: no part of the model.
        object.__setattr__(self, "_held", {})

    @classmethod
    def argument_names(cls):
        """The names of the arguments of the cell, but for those that all layers have."""
        mro = cls.__mro__[: cls.__mro__.index(keras.Layer)]
        parameters = [
            parameter
            for each in mro
            if "__init__" in vars(each)
            for parameter in inspect.signature(each.__init__).parameters.values()
        ]
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return {p.name for p in parameters if p.kind not in variadic} - {"self"}

    def build(self, input_shape):
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                f"The `inputs` of one step of {type(self).__name__} must have the shape "
                "(batch, features), with a known number of features. "
                f"Received: inputs.shape={tuple(input_shape)}"
            )
        super().build(input_shape)
        if self.output_units is not None:
            self.output_kernel = self.add_weight(
                shape=(self.units, self.output_units),
                name="output_kernel",
                initializer=self.output_kernel_initializer,
                regularizer=self.output_kernel_regularizer,
                constraint=self.output_kernel_constraint,
            )
            if self.use_bias:
                self.output_bias = self.add_weight(
                    shape=(self.output_units,),
                    name="output_bias",
                    initializer=self.output_bias_initializer,
                    regularizer=self.output_bias_regularizer,
                    constraint=self.output_bias_constraint,
                )
        if self.learn_initial_state:
            for name in self.initial_state_names:
                weight = self.add_weight(
                    shape=(self.units,),
                    name=name,
                    initializer=independent(self.initial_state_initializer),
                    regularizer=self.initial_state_regularizer,
                    constraint=self.initial_state_constraint,
                )
                setattr(self, name, weight)

    def get_initial_state(self, batch_size=None):
        """The state before the first step, once for each example of the batch.

        Args:
            batch_size: Integer or scalar integer tensor.

        Returns:
            A list with a tensor of shape `(batch_size, units)` for each state, in the
            compute dtype: the learned vector, or zeros.

        Raises:
            ValueError: the cell has a learned state but is not built yet.
        """
        if not self.learn_initial_state:
            return [
                ops.zeros((batch_size, self.units), dtype=self.compute_dtype)
                for _ in self.initial_state_names
            ]
        if not self.built:
            raise ValueError(
                f"The initial state of {self.name} is a weight that `build` creates. "
                "Call `build((None, features))` before `get_initial_state`."
            )
        learned = [getattr(self, name) for name in self.initial_state_names]
        return [
            ops.tile(
                ops.cast(ops.expand_dims(vector, 0), self.compute_dtype),
                (batch_size, 1),
            )  # (batch, units)
            for vector in learned
        ]

    def readout(self, state):
        """y_t from h_t, for one step or for many.

        Args:
            state: Tensor of shape `(..., units)`.

        Returns:
            Tensor of shape `(..., output_units)`, or `state` where there is no output
            kernel.
        """
        if self.output_units is None:
            return state
        bias = self._tensor(self.output_bias) if self.use_bias else None
        return self.output_activation(
            dense(state, self._tensor(self.output_kernel), bias)
        )

    # One step, cut where time comes in. `step` makes the new states from two terms: the
    # projected input, which waits for nothing, and the recurrent term, which waits for
    # h_{t-1}. `adjoint` is the backward step. The fast pass is taken for the methods that
    # it belongs to: those that its class has, or inherits. An override further down is
    # obeyed by Keras's loop, which calls the cell at each step.

    # How many tensors of shape (batch, units) `step` saves for `adjoint`.
    saved_count = 0
    # 1 where a change of the projected input and the same change of the recurrent term
    # do the same, so that they have one gradient; else 2.
    delta_count = 1

    def input_weights(self):
        """The weights of the projected input, x_t @ kernel + bias.

        Returns:
            The list `[kernel]` or `[kernel, bias]`, tensors in the compute dtype.
        """
        weights = [self.kernel, self.bias] if self.use_bias else [self.kernel]
        return [self._tensor(weight) for weight in weights]

    def recurrent_weights(self):
        """The weights of the recurrent term, h_{t-1} @ recurrent_kernel.

        Returns:
            The list `[recurrent_kernel]`, or `[recurrent_kernel, bias]` where the term
            has a bias of its own.
        """
        return [self._tensor(self.recurrent_kernel)]

    def recurrent_term(self, h_prev):
        """The term that waits for the step before, h_{t-1} @ recurrent_kernel.

        Args:
            h_prev: Tensor of shape `(batch, units)`, after dropout.

        Returns:
            Tensor of shape `(batch, gates)`.
        """
        return dense(h_prev, *self.recurrent_weights())

    def step(self, projected, recurrent, states):
        """The new states.

        Args:
            projected: Tensor of shape `(batch, gates)`, the map of x_t by
                `input_weights`.
            recurrent: Tensor of shape `(batch, gates)`, the `recurrent_term`.
            states: List of tensors of shape `(batch, units)`, the states before.

        Returns:
            The list of new states, and a list of `saved_count` tensors of shape
            `(batch, units)` for `adjoint`.
        """
        raise NotImplementedError

    def adjoint(self, d_states, h, saved):
        """Back through `step`: from the gradients of its results to those of its terms.

        Args:
            d_states: List of the gradients of the loss by the new states.
            h: The new h_t.
            saved: What `step` saved.

        Returns:
            A list of `delta_count` tensors of shape `(batch, gates)`, the gradients by
            the projected input and (if it has its own) by the recurrent term; and the
            list of the gradients by the states before, but for what they owe to the
            recurrent term. `None` in it means zero.
        """
        raise NotImplementedError

    def fast_pass_obstacle(self):
        """Why `keras_rnn.bptt` cannot run this cell: a sentence, or `None`."""
        # The class of the backward step.
        owner = next(c for c in type(self).__mro__ if "adjoint" in vars(c))
        if method := (
            overridden(self, ["__call__"], keras.Layer)
            or overridden(self, _NOT_OF_THE_PASS, RecurrentCell)
        ):
            return f"the fast pass does not call `{method}`, which is overridden"
        if method := overridden(self, OF_THE_BACKWARD_STEP, owner):
            return f"`{owner.__name__}.adjoint` does not belong to `{method}`"
        if self.activity_regularizer is not None:
            return f"{self.name} has an activity_regularizer, which reads each output"
        for name in ("activation", "recurrent_activation"):
            activation = getattr(self, name, keras.activations.linear)
            if activation not in DERIVATIVES:
                return f"the {name} of {self.name} has no hand-written derivative"
        return None

    def call(self, inputs, states, training=False):
        nested = isinstance(states, (list, tuple))
        states = list(states) if nested else [states]
        h_prev = self.drop_state(states[0], training)  # (batch, units)
        inputs = ops.cast(inputs, self.compute_dtype)  # integers, say
        x = self.drop_inputs(inputs, training)  # (batch, features)
        projected = dense(x, *self.input_weights())  # (batch, gates)
        recurrent = self.recurrent_term(h_prev)  # (batch, gates)
        states, _ = self.step(projected, recurrent, states)
        return self.readout(states[0]), states if nested else states[0]

    def _tensor(self, variable):
        return ops.cast(ops.convert_to_tensor(variable), self.compute_dtype)

    # Dropout. An RNN layer asks for the masks before its loop and drops them after it,
    # so that all steps of a sequence share them (Gal and Ghahramani, 2016, A
    # theoretically grounded application of dropout in recurrent neural networks).
    # A cell that is called by hand, outside such a loop, draws anew at each call and
    # keeps nothing: a mask that stayed behind would have the batch size of the past.

    def get_dropout_mask(self, step_input):
        """The mask on the inputs of all steps until `reset_dropout_mask`, or `None`."""
        return self._held_mask("inputs", step_input, self.dropout)

    def get_recurrent_dropout_mask(self, step_input):
        """The mask on the states of all steps until `reset_recurrent_dropout_mask`."""
        return self._held_mask("state", step_input, self.recurrent_dropout)

    def reset_dropout_mask(self):
        """Forgets the mask on the inputs."""
        self._held.pop("inputs", None)

    def reset_recurrent_dropout_mask(self):
        """Forgets the mask on the states."""
        self._held.pop("state", None)

    def _held_mask(self, name, like, rate):
        if name not in self._held and rate > 0.0:
            ones = ops.ones_like(like, dtype=self.compute_dtype)
            mask = keras.random.dropout(ones, rate, seed=self.seed_generator)
            self._held[name] = mask
        return self._held.get(name)

    def drop_inputs(self, inputs, training):
        """The inputs x_t, `(batch, features)`, after dropout in training."""
        return self._drop("inputs", inputs, self.get_dropout_mask, training)

    def drop_state(self, state, training):
        """The state h_{t-1}, `(batch, units)`, after recurrent dropout in training."""
        return self._drop("state", state, self.get_recurrent_dropout_mask, training)

    def _drop(self, name, values, get_mask, training):
        if not training:
            return values
        held = name in self._held
        mask = get_mask(values)
        if not held:
            self._held.pop(name, None)
        return values if mask is None else values * mask

    def held_masks(self, training):
        """The masks that all steps share, as an RNN layer had them drawn.

        Returns:
            Those on the inputs, `(batch, features)`, and on the states, `(batch, units)`:
            each a tensor, or `None` where nothing is dropped.
        """
        held = self._held if training else {}
        return held.get("inputs"), held.get("state")

    # The name is Keras's: its files are read through it.
    def load_own_variables(self, store):
        """Loads the weights from a file of this cell, or of Keras's.

        Keras's has no initial state. A learned one then becomes zeros, what Keras starts
        from, so that the outputs are those of the file.

        Args:
            store: What the file holds for this cell: arrays by `"0"`, `"1"`, ...

        Raises:
            ValueError: the file lacks any other weight, or has more than the cell.
        """
        if not self.built:
            return super().load_own_variables(store)
        if not store.keys():
            store = keras_group(store)
        saved = [store[str(i)] for i in range(len(store.keys()))]
        own = {}
        super().save_own_variables(own)  # the variables, in the order of a file
        states = []
        if self.learn_initial_state:
            states = [getattr(self, name) for name in self.initial_state_names]
        if states and len(saved) == len(own) - len(states):
            rest = iter(saved)
            saved = [
                ops.zeros(variable.shape)
                if any(variable is state for state in states)
                else next(rest)
                for variable in own.values()
            ]
        if len(saved) != len(own):
            raise ValueError(self._misfit(own.values(), saved))
        super().load_own_variables({str(i): value for i, value in enumerate(saved)})

    def _misfit(self, own, saved):
        """What to tell where a file holds more or fewer weights than the cell has."""
        wanted = [(variable.name, tuple(variable.shape)) for variable in own]
        shapes = [tuple(value.shape) for value in saved]
        message = (
            f"The file must hold the weights of {self.name}: {wanted}. "
            f"Received: {f'weights of the shapes {shapes}' if shapes else 'none'}."
        )
        states = [(self.units,)] * len(self.initial_state_names)
        if not self.learn_initial_state and shapes[len(wanted) :] == states:
            message += (
                " It seems to hold a learned initial state as well: load it into a layer "
                "with `learn_initial_state=True`. To start from zeros all the same, pass "
                "the weights of that layer, without the learned state, to `set_weights` "
                "of this one."
            )
        return message

    def get_config(self):
        initializers, regularizers = keras.initializers, keras.regularizers
        constraints = keras.constraints
        return {
            **super().get_config(),
            "output_units": self.output_units,
            "output_activation": keras.activations.serialize(self.output_activation),
            "output_kernel_initializer": initializers.serialize(
                self.output_kernel_initializer
            ),
            "output_bias_initializer": initializers.serialize(
                self.output_bias_initializer
            ),
            "output_kernel_regularizer": regularizers.serialize(
                self.output_kernel_regularizer
            ),
            "output_bias_regularizer": regularizers.serialize(
                self.output_bias_regularizer
            ),
            "output_kernel_constraint": constraints.serialize(
                self.output_kernel_constraint
            ),
            "output_bias_constraint": constraints.serialize(
                self.output_bias_constraint
            ),
            "learn_initial_state": self.learn_initial_state,
            "initial_state_initializer": initializers.serialize(
                self.initial_state_initializer
            ),
            "initial_state_regularizer": regularizers.serialize(
                self.initial_state_regularizer
            ),
            "initial_state_constraint": constraints.serialize(
                self.initial_state_constraint
            ),
        }
