"""Recurrent neural networks in Keras, to understand, use, train and ship."""

from keras_rnn.cells import ElmanCell
from keras_rnn.rnn import RNN, ElmanRNN

__all__ = ["RNN", "ElmanCell", "ElmanRNN"]
