"""`RecurrentCell`: write the equations of a cell, and get all the rest."""

from typing import Any

import keras

from keras_rnn.cells.cell import CellMixin
from keras_rnn.hints import (
    Activation,
    Config,
    Constraint,
    Initializer,
    Regularizer,
)


class _GateWeights(keras.Layer):
    """The weights of the two terms, with Keras's names for their arguments."""

    gates = 1

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def state_size(self) -> int | list[int]:
        sizes = self.state_sizes
        return sizes[0] if len(sizes) == 1 else sizes

    def recurrent_shape(self) -> tuple[int, ...] | None:
        """The shape of `recurrent_kernel`, or `None` where there is none."""
        return self.state_sizes[0], self.gates * self.units

    def initializer_of(self, name: str) -> Any:
        """The initializer of "kernel", "recurrent" or "bias"."""
        return getattr(self, f"{name}_initializer")

    def build(self, input_shape: Any) -> None:
        width = self.gates * self.units
        names = ["kernel", "recurrent_kernel", "bias"]
        shapes = [(input_shape[-1], width), self.recurrent_shape(), (width,)]
        for name, shape in zip(names[: 3 if self.use_bias else 2], shapes):
            if shape is None:
                continue
            start = name.removesuffix("_kernel")  # as in "recurrent_initializer"
            weight = self.add_weight(
                shape=shape,
                name=name,
                initializer=self.initializer_of(start),
                regularizer=getattr(self, f"{start}_regularizer"),
                constraint=getattr(self, f"{start}_constraint"),
            )
            setattr(self, name, weight)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "recurrent_activation": keras.activations.serialize(
                self.recurrent_activation
            ),
            "use_bias": self.use_bias,
            **{
                f"{start}_{kind}": module.serialize(getattr(self, f"{start}_{kind}"))
                for start in ("kernel", "recurrent", "bias")
                for kind, module in {
                    "initializer": keras.initializers,
                    "regularizer": keras.regularizers,
                    "constraint": keras.constraints,
                }.items()
            },
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }


class RecurrentCell(CellMixin, _GateWeights):
    """A cell of one's own: a subclass writes the equations of one step, `step`.

    They start from two terms, each of shape `(batch, gates * units)`:

        projected_t = x_t @ kernel + bias          recurrent_t = h_{t-1} @ recurrent_kernel

    The initial state that is learned, the output y_t, dropout, saving, and in
    `keras_rnn.RNN` masks, stateful layers and the fast pass come with it: its backward
    step is that of `step`, differentiated automatically, if there is no `step_backward`.

    Class attributes:
        gates: Positive integer, default 1: how many blocks of `units` columns the two
            terms have.
        initial_state_names: Tuple of strings: the attribute of each learned initial
            state, h_0 first. Default `("initial_state",)`: one state.

    More weights are added in `build`, after `super().build(input_shape)`, by
    `self.add_weight`, and read in `step` by `self._tensor(weight)` in the compute dtype.
    A `step` that samples at random, or assigns to a variable, runs in Keras's loop.

    Args:
        units: Positive integer, size of the state h_t.
        activation: Default `"tanh"`. For `step` to use.
        recurrent_activation: Default `"sigmoid"`. For the gates, if there are any.
        use_bias: Boolean, default `True`: whether there is a `bias`.
        kernel_initializer, recurrent_initializer, bias_initializer: Initializers of the
            weights. Default `"glorot_uniform"`, `"orthogonal"`, `"zeros"`.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Default `None`.
        kernel_constraint, recurrent_constraint, bias_constraint: Default `None`.
        dropout, recurrent_dropout: Numbers from 0 to 1, default 0: the fractions of the
            inputs and of the states that are dropped in training.
        seed: Integer, seed of the dropout masks. Default `None`.
        **kwargs: `output_units`, `learn_initial_state` and the other arguments that all
            cells share (see `keras_rnn.ElmanCell`), and those of `keras.layers.Layer`.

    Call arguments:
        inputs: Tensor of shape `(batch, features)`, x_t.
        states: List of tensors of shape `(batch, units)`.
        training: Boolean: whether dropout is at work.

    Returns:
        The output y_t, and the list of new states.

    Raises:
        ValueError: `units` or `output_units` is not a positive integer, a dropout rate
            is not in [0, 1], or the feature count is unknown when the cell is built.

    Example:
    >>> import keras_rnn
    >>> class MinimalGatedCell(RecurrentCell):
    ...     gates = 2
    ...
    ...     def step(self, projected, recurrent, states):
    ...         x_f, x_n = keras.ops.split(projected, 2, axis=-1)
    ...         h_f, h_n = keras.ops.split(recurrent, 2, axis=-1)
    ...         f = self.recurrent_activation(x_f + h_f)
    ...         n = self.activation(x_n + f * h_n)
    ...         return [(1 - f) * states[0] + f * n]
    >>> layer = keras_rnn.RNN(MinimalGatedCell(4), return_sequences=True)
    >>> tuple(layer(numpy.ones((3, 5, 7))).shape)
    (3, 5, 4)
    >>> layer.uses_fast_pass
    True
    """
