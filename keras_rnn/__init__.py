"""Recurrent neural networks in Keras, to understand, use, train and ship."""

from keras_rnn.cells import ElmanCell, GRUCell, LSTMCell
from keras_rnn.rnn import GRU, LSTM, RNN, ElmanRNN

__all__ = ["GRU", "LSTM", "RNN", "ElmanCell", "ElmanRNN", "GRUCell", "LSTMCell"]
