"""The cells: one time step each. They know nothing of time."""

from keras_rnn.cells.cell import RecurrentCell
from keras_rnn.cells.elman import ElmanCell

__all__ = ["ElmanCell", "RecurrentCell"]
