"""TensorFlow's own kernels: none is taken."""

from collections.abc import Callable

from keras_rnn.cells import CellMixin


def native(
    cell: CellMixin, otherwise: Callable, use_cudnn: bool | str
) -> Callable | str:
    """A kernel of the framework that runs a cell over all steps at once.

    Args:
        cell: One of the three cells, with the equations that it has in this package, for
            which `otherwise` is right.
        otherwise: The `keras_rnn.bptt.Pass` of the cell. A kernel calls it where it finds
            something that it cannot do itself.
        use_cudnn: `True`, `False` or `"auto"`, as in Keras's layers.

    Returns:
        What is called as `otherwise` is, and whose string is its name; or a string, why
        there is none.
    """
    return "no kernel of TensorFlow is taken"
