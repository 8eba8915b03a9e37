"""Recurrent neural networks in Keras, to understand, use, train and ship."""

from keras_rnn.cells import (
    ElmanCell,
    GRUCell,
    IndRNNCell,
    LayerNormElmanCell,
    LayerNormGRUCell,
    LayerNormLSTMCell,
    LRUCell,
    LSTMCell,
    MinGRUCell,
    MinLSTMCell,
    PeepholeLSTMCell,
    ProjectedLSTMCell,
    RecurrentCell,
)
from keras_rnn.conversion import convert, from_torch
from keras_rnn.exact_match import ExactMatch
from keras_rnn.export import export_model
from keras_rnn.generation import Generator
from keras_rnn.gradient_flow import GradientFlow, jacobian_spectrum, state_gradients
from keras_rnn.layers import GRU, LSTM, ElmanRNN
from keras_rnn.pieces import learn_pieces
from keras_rnn.rnn import RNN
from keras_rnn.seq2seq import EncoderDecoder
from keras_rnn.text import words_and_marks
from keras_rnn.text_windows import ConsecutiveWindows, windows

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "ConsecutiveWindows",
    "ElmanCell",
    "ElmanRNN",
    "EncoderDecoder",
    "ExactMatch",
    "GRUCell",
    "Generator",
    "GradientFlow",
    "IndRNNCell",
    "LRUCell",
    "LSTMCell",
    "LayerNormElmanCell",
    "LayerNormGRUCell",
    "LayerNormLSTMCell",
    "MinGRUCell",
    "MinLSTMCell",
    "PeepholeLSTMCell",
    "ProjectedLSTMCell",
    "RecurrentCell",
    "convert",
    "export_model",
    "from_torch",
    "jacobian_spectrum",
    "learn_pieces",
    "state_gradients",
    "windows",
    "words_and_marks",
]
