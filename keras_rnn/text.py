"""Text into words, for networks that read it: TensorFlow's own, as strings are.

A model that takes raw strings carries this in its `keras.layers.TextVectorization`.

With Keras on JAX or PyTorch the layer by itself reads strings, `reader(texts)`, but no
model with the layer in it does: give the model the numbers.
"""

from __future__ import annotations

import keras

from keras_rnn.hints import Tensor


@keras.saving.register_keras_serializable("keras_rnn")
def words_and_marks(text: Tensor) -> Tensor:
    """Lower case, without HTML's line breaks, and with each mark a word of its own.

    It stands in the place of Keras's own standardization, which deletes marks, and so
    makes one word of two that only a mark divides: "good.But" becomes "goodbut".

    Args:
        text: String tensor of any shape.

    Returns:
        String tensor of the same shape, to be split at white space.

    Raises:
        ValueError: `text` holds no strings.

    Example:
    >>> import tensorflow as tf
    >>> words_and_marks(tf.constant("Not bad!<br />But long.")).numpy().decode().split()
    ['not', 'bad', '!', 'but', 'long', '.']
    """
    import tensorflow as tf  # not for those who read no text and run on another backend

    try:
        text = tf.strings.lower(text)
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(f"`text` must be strings. Received: text={text!r}") from error
    # All that ends a line in some reader's eyes, too: Keras saves a vocabulary as lines.
    ends = "<br />|[\\x{0b}\\x{0c}\\x{1c}-\\x{1e}\\x{85}\\x{2028}\\x{2029}]"
    text = tf.strings.regex_replace(text, ends, " ")
    return tf.strings.regex_replace(text, r'([.,!?;:()"/-])', r" \1 ")
