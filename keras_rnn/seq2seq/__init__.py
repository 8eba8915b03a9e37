"""Many to many, of other lengths: one network reads, another one writes.

An `EncoderDecoder` reads a text to its end. The state that it is in then is where
another network starts, which writes a text of its own, until it writes that it has
ended:

    h_s  = encoder(x_s, h_{s-1})           s = 1 ... S, the characters that are read
    d_0  = h_S
    d_t  = decoder(y_{t-1}, d_{t-1})       t = 1 ... T, the characters that are written
    y_t ~  softmax(d_t @ kernel + bias)

`keras_rnn.exact_match` has the metric that goes with it.

    encoder_decoder.py   `EncoderDecoder`: texts in, texts out
    network.py           the network under it: numbers in, logits out
    beam.py              the loop that writes, and which texts it keeps
    saved_model.py       a SavedModel from strings to strings, with the loop inside
"""

from keras_rnn.seq2seq.encoder_decoder import EncoderDecoder

__all__ = ["EncoderDecoder"]
