"""The cells: one time step each. They know nothing of time."""

from keras_rnn.cells.cell import CellMixin
from keras_rnn.cells.elman import ElmanCell
from keras_rnn.cells.gru import GRUCell
from keras_rnn.cells.independent import IndRNNCell
from keras_rnn.cells.layer_norm import (
    LayerNormElmanCell,
    LayerNormGRUCell,
    LayerNormLSTMCell,
)
from keras_rnn.cells.linear import LinearCell, LRUCell, MinGRUCell, MinLSTMCell
from keras_rnn.cells.lstm import LSTMCell
from keras_rnn.cells.lstm_variants import PeepholeLSTMCell, ProjectedLSTMCell
from keras_rnn.cells.recurrent_cell import RecurrentCell

__all__ = [
    "CellMixin",
    "ElmanCell",
    "GRUCell",
    "IndRNNCell",
    "LRUCell",
    "LSTMCell",
    "LayerNormElmanCell",
    "LayerNormGRUCell",
    "LayerNormLSTMCell",
    "LinearCell",
    "MinGRUCell",
    "MinLSTMCell",
    "PeepholeLSTMCell",
    "ProjectedLSTMCell",
    "RecurrentCell",
]
