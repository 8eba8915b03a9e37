"""The cells: one time step each. They know nothing of time."""

from keras_rnn.cells.cell import RecurrentCell
from keras_rnn.cells.elman import ElmanCell
from keras_rnn.cells.gru import GRUCell
from keras_rnn.cells.lstm import LSTMCell

__all__ = ["ElmanCell", "GRUCell", "LSTMCell", "RecurrentCell"]
