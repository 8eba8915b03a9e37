"""One to many: a network that writes, its own output fed back in.

A `Generator` reads a character and says how likely each character of its vocabulary is
to come next. One is sampled, is written, and is what the network reads next:

    y_t = softmax(h_t @ output_kernel + output_bias)      x_{t+1} ~ y_t

It is trained on the windows of `keras_rnn.text_windows`.

    generator.py        `Generator`: texts in, texts out
    network.py          the network under it: numbers in, logits out
    carried_states.py   what goes on from window to window
    writing.py          the loop that writes
    sampling.py         how one character is sampled
    stopping.py         where a text ends
    saved_model.py      a SavedModel from strings to strings, with the loop inside
"""

from keras_rnn.generation.generator import Generator

__all__ = ["Generator"]
