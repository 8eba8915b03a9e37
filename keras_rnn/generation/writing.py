"""The loop that writes: each step reads the character that the step before sampled."""

from collections.abc import Callable, Iterator

import numpy as np
from keras import ops

from keras_rnn.backends import compiled
from keras_rnn.generation.network import CharacterNetwork
from keras_rnn.generation.sampling import Sampling, draw, prepare
from keras_rnn.hints import Tensor
from keras_rnn.states import masked

UNROLL = 4  # steps in one iteration of the writing loop, which costs as much as a step
CHUNK = 64 * UNROLL  # characters that one call of the loop writes at most


class WritingLoop:
    """Writes on where prompts end, compiled once for all sizes.

    Args:
        model: The network.
    """

    def __init__(self, model: CharacterNetwork) -> None:
        self.model = model
        self._compiled: dict[str, Callable] = {}

    def chunks(
        self,
        tokens: np.ndarray,
        lengths: np.ndarray,
        classes: np.ndarray,
        sampling: Sampling,
        length: int,
        chunk: int,
    ) -> Iterator[np.ndarray]:
        """What is written, some steps at a time.

        Args:
            tokens: The prompts, integers `(batch, timesteps)`, padded at their ends.
            lengths: Integers `(batch,)`, those of the prompts.
            classes: Integers `(batch,)`, see `CharacterNetwork.get_initial_state`.
            sampling: How each character is sampled.
            length: Positive integer, how many characters to write.
            chunk: Positive integer, at most `CHUNK`: how many of them at a time.

        Yields:
            Integers `(batch, steps)`.
        """
        last, states = self._compile("begin")(tokens, lengths, classes)
        for start in range(0, length, chunk):
            count = min(chunk, length - start)
            written, last, states = self._compile("write")(
                last,
                states,
                sampling.uniforms(len(tokens), start, CHUNK),
                np.int32(count),
                list(sampling.settings),
            )
            yield ops.convert_to_numpy(written)[:count].T

    def begin(
        self, tokens: Tensor, lengths: Tensor, classes: Tensor
    ) -> tuple[Tensor, list]:
        """Reads each prompt but for its last character: that one, and the states."""
        ends = lengths - 1  # where the last character stands, (batch,)

        def body(t, states):
            _, new = self.model.advance(tokens[:, t], states)
            return t + 1, masked(t < ends, new, states)  # each row as if it were alone

        first = self.model.get_initial_state(ops.shape(tokens)[0], classes)
        longest = ops.max(ends)
        _, states = ops.while_loop(lambda t, *_: t < longest, body, (0, first))
        last = ops.take_along_axis(tokens, ops.expand_dims(ends, -1), axis=1)
        return last[:, 0], states

    def write(
        self,
        last: Tensor,
        states: list,
        uniforms: Tensor,
        count: Tensor,
        settings: list,
    ) -> tuple[Tensor, Tensor, list]:
        """Writes characters: (steps, batch), the last of them, the states after it.

        The first `count` of them are written, and up to a multiple of `UNROLL`, as the
        number of steps of `uniforms` must be. `settings` are those of `Sampling`.
        """
        uniforms, *cut = prepare(uniforms, self.model.logits.units, *settings)

        def body(k, last, states, written):
            steps = [k + i for i in range(UNROLL)]
            new = []
            for step in steps:
                logits, states = self.model.step(last, states)
                last = draw(logits, uniforms[step], *cut)
                new.append(last)
            places = ops.stack([[step] for step in steps])
            written = ops.scatter_update(written, places, ops.stack(new))
            return k + UNROLL, last, states, written

        _, last, states, written = ops.while_loop(
            lambda k, *_: k < count,
            body,
            (0, last, states, ops.zeros(ops.shape(uniforms), "int32")),
        )
        return written, last, states

    def _compile(self, name: str) -> Callable:
        """`begin` or `write`, compiled once for all sizes, or as the backend can."""
        if name not in self._compiled:
            states = [
                [((None, size), cell.compute_dtype) for size in cell.state_sizes]
                for cell in (level.cell for level in self.model.levels)
            ]
            ids, integer, number = ((None,), "int32"), ((), "int32"), ((), "float32")
            uniforms = ((CHUNK, None), "float32")
            settings = [number, integer, number]
            arguments: dict[str, list] = {
                "begin": [((None, None), "int32"), ids, ids],
                "write": [ids, states, uniforms, integer, settings],
            }
            function = getattr(self, name)
            self._compiled[name] = compiled(self.model, function, arguments[name])
        return self._compiled[name]
