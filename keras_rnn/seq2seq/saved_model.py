"""A SavedModel from texts to translations, with the whole loop inside: TensorFlow's alone."""

from typing import Any

from keras_rnn.hints import StrPath
from keras_rnn.vocabulary import PADDING


def save_translator(
    model: Any, path: StrPath, beam_width: int, max_length: int
) -> None:
    """The SavedModel of `EncoderDecoder.export`, whose arguments it takes."""
    import tensorflow as tf

    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]

    def translate(texts):
        source = model._source.encode_tensor(texts).to_tensor(PADDING)
        source = tf.pad(source, [[0, 0], [0, 1]])  # at least one step
        written, _ = model.write(source, beam_width, max_length)
        translations = model._target.decode_tensor(written)
        return {"translations": translations}

    texts = tf.TensorSpec((None,), tf.string, "texts")
    signature = tf.function(translate).get_concrete_function(texts=texts)
    tf.saved_model.save(module, path, signatures={"translate": signature})
