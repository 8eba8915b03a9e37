"""The affine map that all cells are made of."""

from keras import ops

from keras_rnn.hints import Tensor


def dense(inputs: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """The affine map inputs @ kernel + bias, as one product however many axes there are.

    A product of a batch of matrices with one matrix would have a gradient for each of
    them, to be added up.
    """
    if len(inputs.shape) > 2:
        rows = dense(ops.reshape(inputs, (-1, kernel.shape[0])), kernel, bias)
        return ops.reshape(rows, (*ops.shape(inputs)[:-1], kernel.shape[1]))
    outputs = inputs @ kernel  # `ops.matmul` would round float64 to float32 on PyTorch
    return outputs if bias is None else outputs + bias


def recurrent_term(h_prev: Tensor, weights: list[Tensor]) -> Tensor:
    """h_{t-1} @ recurrent_kernel (+ bias), or h_{t-1} where there are no weights."""
    return dense(h_prev, *weights) if weights else h_prev
