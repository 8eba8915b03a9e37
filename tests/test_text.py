"""Text into words."""

import keras
import numpy as np
import tensorflow as tf

import keras_rnn


def test_a_saved_vocabulary_is_read_as_it_was_written(tmp_path):
    ends = [chr(c) for c in range(0x2100) if len(f"a{chr(c)}b".splitlines()) > 1]
    assert {"\n", "\x85", "\u2028"} < set(ends)
    texts = [f"good{end}bad <br />fine" for end in ends]
    reader = keras.layers.TextVectorization(standardize=keras_rnn.words_and_marks)
    reader.adapt(tf.constant(texts))
    assert set(reader.get_vocabulary()) == {"", "[UNK]", "good", "bad", "fine"}
    model = keras.Sequential([keras.Input((), dtype="string"), reader])
    model.save(tmp_path / "reader.keras")
    loaded = keras.saving.load_model(tmp_path / "reader.keras")
    np.testing.assert_array_equal(loaded(tf.constant(texts)), model(tf.constant(texts)))
