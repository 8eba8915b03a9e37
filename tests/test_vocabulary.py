"""Characters and their numbers, in Python and in a graph of TensorFlow."""

import keras
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_rnn.vocabulary import Vocabulary

IN_GRAPH = keras.backend.backend() == "tensorflow"  # where strings are tensors
ALPHABET = "\0abc é\u202fЖ日\U0001f3ac"
FIRSTS = st.integers(1, 5)


def in_graph(vocabulary, texts):
    """What the operations of the graph make of texts, there and back again."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def there_and_back(texts):
        numbers = vocabulary.encode_tensor(texts)
        return numbers, vocabulary.decode_tensor(numbers.to_tensor(0))

    numbers, back = there_and_back(tf.constant(texts))
    return numbers.to_list(), [text.decode() for text in back.numpy()]


@pytest.mark.slow
@settings(max_examples=8)  # each traces a graph
@given(st.lists(st.text(ALPHABET), min_size=1, max_size=4), FIRSTS)
@example(["a\0", "\0", "\0a\0\0b", ""], 1)
def test_there_and_back(texts, first):
    vocabulary = Vocabulary(ALPHABET, first=first)
    numbers = [vocabulary.encode(text) for text in texts]
    want = [[sorted(ALPHABET).index(c) + first for c in text] for text in texts]
    assert [n.tolist() for n in numbers] == want
    assert [vocabulary.decode(n) for n in numbers] == texts
    if IN_GRAPH:
        assert in_graph(vocabulary, texts) == (want, texts)


@settings(max_examples=8)  # each traces a graph
@given(st.text(max_size=8))
def test_unknown_characters_are_replaced(text):
    vocabulary = Vocabulary(ALPHABET, unknown="é", first=2)
    want = "".join(c if c in ALPHABET else "é" for c in text)
    numbers = vocabulary.encode(text)
    assert vocabulary.decode(numbers) == want
    if IN_GRAPH:
        assert in_graph(vocabulary, [text]) == ([numbers.tolist()], [want])


def test_unknown_characters_without_a_replacement_are_refused():
    vocabulary = Vocabulary("abc", first=1, name="source_vocabulary")
    with pytest.raises(ValueError, match="source_vocabulary: 'x', 'z'"):
        vocabulary.encode("azbxz")


@pytest.mark.tensorflow
def test_unknown_characters_without_a_replacement_are_refused_in_a_graph():
    import tensorflow as tf

    vocabulary = Vocabulary("abc", first=1, name="source_vocabulary")
    with pytest.raises(tf.errors.InvalidArgumentError, match="source_vocabulary:.*z"):
        in_graph(vocabulary, ["a", "bz"])


def test_order_and_repetition_do_not_matter():
    assert Vocabulary("cabba").characters == Vocabulary(["b", "c", "a"]).characters
    assert len(Vocabulary("cabba")) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"characters": ""}, "`vocabulary`"),
        ({"characters": ["a", "bc"]}, "`vocabulary`"),
        ({"characters": ["a", 1]}, "`vocabulary`"),
        ({"characters": "a\ud800"}, "`vocabulary`"),
        ({"characters": "", "name": "target_vocabulary"}, "`target_vocabulary`"),
        ({"characters": "ab", "unknown": "c"}, "`unknown`"),
        ({"characters": "ab", "unknown": "ab"}, "`unknown`"),
        ({"characters": "ab", "unknown": ""}, "`unknown`"),
        ({"characters": "ab", "unknown": 1}, "`unknown`"),
        ({"characters": None}, "`vocabulary`"),
        ({"characters": 5}, "`vocabulary`"),
        ({"characters": b"ab"}, "`vocabulary`"),
        ({"characters": "ab", "first": -1}, "`first`"),
        ({"characters": "ab", "first": None}, "`first`"),
        ({"characters": "ab", "first": 1.5}, "`first`"),
    ],
)
def test_bad_arguments(arguments, says):
    with pytest.raises(ValueError, match=says):
        Vocabulary(**arguments)


@pytest.mark.parametrize("text", [None, 5, ["a"], b"a"])
def test_text_must_be_a_string(text):
    with pytest.raises(ValueError, match="`text`"):
        Vocabulary("ab").encode(text)


@pytest.mark.parametrize("numbers", [None, 5, "a", [1.0], [-1], [3], [[1]], [None]])
def test_numbers_must_be_those_of_characters(numbers):
    with pytest.raises(ValueError, match="`numbers`.*from 0 to 2"):
        Vocabulary("ab", first=1).decode(numbers)
