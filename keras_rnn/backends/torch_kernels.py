"""PyTorch's own kernels: `torch.lstm`, `torch.gru`, `torch.rnn_tanh`, `torch.rnn_relu`.

They run all steps in one call, by cuDNN on a GPU and by oneDNN or plain C++ on a processor.
Here the weights and the masks of Keras are put as they take them:

- **Weights.** The transposed ones, the gates of the GRU in another order, two biases.
- **Masks.** The real steps of each row come first, and the kernel goes on over the padding
  behind them, which takes less time than packed sequences: nothing is read of that.
- **Gradients.** Theirs. But they have no gradient of a gradient, no tangent and no batch
  of batches: for these the loop of `keras_rnn.bptt` stands in.
"""

from collections.abc import Callable
from typing import Any

import keras
import torch

from keras_rnn.backends.torch import is_watched, scan, with_all_derivatives
from keras_rnn.cells import CellMixin, GRUCell, LSTMCell
from keras_rnn.cells.dense import dense
from keras_rnn.hints import Tensor

# What holds in the padding a state that the sequence of h_t does not show, or that would
# grow there: a feature that is 1 in it, and the signs of its great weights, gate by gate.
HELD = {
    "lstm": [-1, 1, 0, 0],  # i_t = 0 and f_t = 1: c_t = c_{t-1}
    "rnn_relu": [-1],  # h_t = 0
}


def native(
    cell: CellMixin, otherwise: Callable, use_cudnn: bool | str
) -> Callable | str:
    """PyTorch's kernel of a cell: see `keras_rnn.backends.tensorflow_kernels.native`."""
    tanh, relu, sigmoid = (
        getattr(keras.activations, name) for name in ("tanh", "relu", "sigmoid")
    )
    if not isinstance(cell, (LSTMCell, GRUCell)):
        if cell.activation not in (tanh, relu):
            return f"PyTorch's kernels know tanh and relu, not the activation of {cell.name}"
        name = "rnn_tanh" if cell.activation is tanh else "rnn_relu"
    else:
        name = "lstm" if isinstance(cell, LSTMCell) else "gru"
        if cell.activation is not tanh or cell.recurrent_activation is not sigmoid:
            return f"PyTorch's {name} knows tanh and sigmoid, not those of {cell.name}"
    return Kernel(cell, name, otherwise, use_cudnn)


class Kernel:
    """A cell over time by a kernel of PyTorch, called as `keras_rnn.bptt.Pass` is.

    Args:
        cell: A `keras_rnn.cells.CellMixin` with the equations of the kernel.
        name: String, the kernel's name in `torch`.
        otherwise: The `Pass` of the cell, for what the kernel cannot do.
        use_cudnn: `False` leaves a GPU to the pass.
    """

    def __init__(
        self,
        cell: CellMixin,
        name: str,
        otherwise: Any,
        use_cudnn: bool | str,
    ) -> None:
        self.cell, self.name, self.otherwise = cell, name, otherwise
        self.use_cudnn = use_cudnn

    def __str__(self) -> str:
        return f"PyTorch's {self.name}"

    def __call__(
        self,
        inputs: Tensor,
        states: list[Tensor],
        mask: Tensor | None = None,
        training: bool = False,
        return_sequences: bool = True,
    ) -> tuple[Tensor | None, list[Tensor]]:
        """Runs the cell along a batch of sequences: see `keras_rnn.bptt.Pass`."""
        weights = self.cell.input_weights()
        tensors = [inputs, *states, *weights, *self.cell.recurrent_weights()]
        a, b = 1 + len(states), 1 + len(states) + len(weights)
        if not self._takes(tensors, training):
            return self.otherwise(inputs, states, mask, training, return_sequences)

        def kernel(*tensors, train=True):
            inputs, groups = tensors[0], (tensors[1:a], tensors[a:b], tensors[b:])
            sequence, last = self._run(inputs, *groups, mask, train, return_sequences)
            return (sequence, *last) if return_sequences else tuple(last)

        def plain(*tensors):
            projected = dense(tensors[0], *tensors[a:b])
            masks = [] if mask is None else [mask[..., None]]
            last, sequence, _ = self.otherwise.forward(
                scan, projected, tensors[b:], [], tensors[1:a], masks, drops=[]
            )
            return (sequence, *last) if return_sequences else tuple(last)

        if torch.is_grad_enabled() and any(each.requires_grad for each in tensors):
            results = with_all_derivatives(_with_gradient(kernel), plain)(*tensors)
        else:
            results = kernel(*tensors, train=False)
        results = list(results)
        sequence = results.pop(0) if return_sequences else None
        return sequence, results

    def _takes(self, tensors, training):
        """Whether the kernel computes what the pass does, of these tensors."""
        first, device = tensors[0], tensors[0].device.type
        _, drop = self.cell.held_masks(training)
        return (
            not is_watched(tensors)
            and not torch.jit.is_tracing()
            and drop is None
            and (device == "cpu" or device == "cuda" and self.use_cudnn is not False)
            and first.shape[0] > 0
            and all(each.dtype == first.dtype for each in tensors)
            and not _is_transformed_elsewhere()
        )

    def _run(self, inputs, states, weights, recurrent, mask, train, whole):
        """The sequence of h_t, that of masked steps if it is `whole`, and the last states."""
        if mask is None:
            return self._run_all(inputs, states, weights, recurrent, train)
        counts = mask.cumsum(dim=1)  # the real steps so far, (batch, timesteps)
        lengths, first = counts[:, -1:], states[0]
        scattered = bool((mask[:, 1:] & ~mask[:, :-1]).any())
        real = mask
        if scattered:
            order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)
            inputs = inputs.take_along_dim(order[..., None], dim=1)
            real = torch.arange(mask.shape[1], device=mask.device) < lengths
        if self.name in HELD:
            inputs = torch.cat([inputs, (~real)[..., None].to(inputs.dtype)], dim=-1)
            kernel, *bias = weights
            great, units = torch.finfo(kernel.dtype).max ** 0.5, self.cell.units
            row = [kernel.new_full((1, units), s * great) for s in HELD[self.name]]
            weights = [torch.cat([kernel, torch.cat(row, dim=-1)]), *bias]
        sequence, last = self._run_all(inputs, states, weights, recurrent, train)

        def after(counts):
            """h_t after so many steps of each row, where that is not h_0."""
            found = sequence.take_along_dim((counts - 1).clamp(min=0)[..., None], dim=1)
            return torch.where((counts > 0)[..., None], found, first[:, None])

        h_last = after(lengths)  # (batch, 1, units)
        if scattered and whole:
            sequence = after(counts)
        elif whole:
            sequence = torch.where(mask[..., None], sequence, h_last)
        return sequence, [h_last[:, 0], *last[1:]]

    def _run_all(self, inputs, states, weights, recurrent, train):
        """The same of all steps, the padding among them."""
        states = [state[None].contiguous() for state in states]  # one layer's
        sequence, *last = getattr(torch, self.name)(
            inputs,
            states if self.name == "lstm" else states[0],
            self._flat_weights(weights, recurrent),
            self.cell.use_bias,
            1,  # layer
            0.0,  # dropout
            train,  # without, cuDNN keeps nothing to go back by
            False,  # not bidirectional
            True,  # the batch comes first
        )
        return sequence, [state[0] for state in last]

    def _flat_weights(self, weights, recurrent):
        """The weights as the kernel takes them: two kernels, and two biases."""
        kernels, biases = [
            [self._reordered(each[i]) for each in (weights, recurrent) if each[i:]]
            for i in (0, 1)
        ]
        kernels = [kernel.T for kernel in kernels]
        if len(biases) == 1:
            biases.append(torch.zeros_like(biases[0]))
        flat = kernels + biases
        if flat[0].is_cuda:
            # One below the other in this order, cuDNN takes them without a copy (and
            # without a warning that it makes one).
            whole = torch.cat([each.reshape(-1) for each in flat])
            parts = whole.split([each.numel() for each in flat])
            flat = [part.view(each.shape) for part, each in zip(parts, flat)]
        return flat

    def _reordered(self, weight):
        """Keras's gates in the order of PyTorch: r, z, n of the GRU, not z, r, n."""
        if self.name != "gru":
            return weight
        z, r, n = weight.chunk(3, dim=-1)
        return torch.cat([r, z, n], dim=-1)


def _is_transformed_elsewhere():
    """Whether a transform of `torch.func` is at work, on other tensors, too.

    It lets nothing be recorded beside what it records itself.
    """
    try:
        torch.empty(0, device="cpu").requires_grad_()
    except RuntimeError:
        return True
    return False


def _with_gradient(kernel):
    """A function of tensors and its gradient, by what PyTorch recorded of it."""

    def function(*tensors):
        inside = [each.detach().requires_grad_(each.requires_grad) for each in tensors]
        wanted = [each for each in inside if each.requires_grad]

        def run():
            with torch.enable_grad():
                return kernel(*inside)

        results = run()
        kept = [results]

        def gradient(*upstream):
            # What was recorded is used once, and free then. Who goes back again pays.
            results = kept.pop() if kept else run()
            found = iter(
                torch.autograd.grad(results, wanted, upstream, allow_unused=True)
            )
            return [next(found) if each.requires_grad else None for each in inside]

        return tuple(each.detach() for each in results), gradient

    return function
