"""Text into words."""

import keras
import numpy as np
import pytest

import keras_rnn


def test_a_saved_vocabulary_is_read_as_it_was_written(tmp_path):
    ends = [chr(c) for c in range(0x2100) if len(f"a{chr(c)}b".splitlines()) > 1]
    assert {"\n", "\x85", "\u2028"} < set(ends)
    texts = [f"good{end}bad <br />fine" for end in ends]
    reader = keras.layers.TextVectorization(standardize=keras_rnn.words_and_marks)
    reader.adapt(texts)
    assert set(reader.get_vocabulary()) == {"", "[UNK]", "good", "bad", "fine"}
    model = keras.Sequential([keras.Input((), dtype="string"), reader])
    model.save(tmp_path / "reader.keras")
    loaded = keras.saving.load_model(tmp_path / "reader.keras")
    np.testing.assert_array_equal(loaded.layers[-1](texts), reader(texts))
    words = np.array(reader.get_vocabulary())
    assert words[reader(texts)].tolist() == [["good", "bad", "fine"]] * len(texts)


@pytest.mark.tensorflow
def test_a_model_reads_strings():
    import tensorflow as tf

    words = ["good", ",", "bad"]
    reader = keras.layers.TextVectorization(
        standardize=keras_rnn.words_and_marks, vocabulary=words
    )
    model = keras.Sequential([keras.Input((), dtype="string"), reader])
    texts = tf.constant(["Good,bad", "bad<br />odd"])
    assert np.array(model(texts)).tolist() == [[2, 3, 4], [4, 1, 0]]
    # In the graph of a pipeline, too.
    (found,) = tf.data.Dataset.from_tensors(texts).map(reader)
    assert found.numpy().tolist() == [[2, 3, 4], [4, 1, 0]]


@pytest.mark.parametrize("text", [None, 5, 1.5, [1, 2], ["a", None], np.ones(2)])
def test_text_must_be_strings(text):
    with pytest.raises(ValueError, match="`text`"):
        keras_rnn.words_and_marks(text)


@pytest.mark.parametrize("text", [["A,b"], np.array(["A,b"]), (b"A,b",)])
def test_lists_and_arrays_of_strings_are_read(text):
    assert keras_rnn.words_and_marks(text).numpy().tolist() == [b"a , b"]
