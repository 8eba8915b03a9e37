"""Recurrent neural networks in Keras, to understand, use, train and ship."""

from keras_rnn.cells import ElmanCell, GRUCell, LSTMCell
from keras_rnn.rnn import GRU, LSTM, RNN, ElmanRNN
from keras_rnn.text import words_and_marks

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "ElmanCell",
    "ElmanRNN",
    "GRUCell",
    "LSTMCell",
    "words_and_marks",
]
