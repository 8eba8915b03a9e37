"""The state before the first step: a weight, which back-propagation learns."""

from typing import Any

import keras
from keras import ops

from keras_rnn.hints import (
    Config,
    Constraint,
    Initializer,
    MixedIntoCell,
    Regularizer,
    Tensor,
)


def independent(initializer: Any) -> Any:
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


class LearnedInitialState(MixedIntoCell):
    """The initial state of a cell.

    It is a vector of `units` numbers, small and random at the start, then trained like
    any other weight. It is the same for each example of a batch: it is tiled, and its
    gradient is the sum over the examples.
    """

    # The weight behind each state, in the order of the states.
    initial_state_names: tuple[str, ...] = ("initial_state",)

    def __init__(
        self,
        *args: Any,
        learn_initial_state: bool = True,
        initial_state_initializer: Initializer = "random_normal",
        initial_state_regularizer: Regularizer = None,
        initial_state_constraint: Constraint = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.learn_initial_state = learn_initial_state
        self.initial_state_initializer = keras.initializers.get(
            initial_state_initializer
        )
        self.initial_state_regularizer = keras.regularizers.get(
            initial_state_regularizer
        )
        self.initial_state_constraint = keras.constraints.get(initial_state_constraint)

    @property
    def state_sizes(self) -> list[int]:
        """The size of each state, in their order."""
        return [self.units] * len(self.initial_state_names)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.learn_initial_state:
            for name, size in zip(self.initial_state_names, self.state_sizes):
                weight = self.add_weight(
                    shape=(size,),
                    name=name,
                    initializer=independent(self.initial_state_initializer),
                    regularizer=self.initial_state_regularizer,
                    constraint=self.initial_state_constraint,
                )
                setattr(self, name, weight)

    def get_initial_state(self, batch_size: Tensor | int | None = None) -> list[Tensor]:
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
                ops.zeros((batch_size, size), dtype=self.compute_dtype)
                for size in self.state_sizes
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

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "learn_initial_state": self.learn_initial_state,
            "initial_state_initializer": keras.initializers.serialize(
                self.initial_state_initializer
            ),
            "initial_state_regularizer": keras.regularizers.serialize(
                self.initial_state_regularizer
            ),
            "initial_state_constraint": keras.constraints.serialize(
                self.initial_state_constraint
            ),
        }
