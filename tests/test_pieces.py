"""Pieces of text and their numbers: against a search of all ways to cut, and in a graph."""

import collections

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnn import learn_pieces
from keras_rnn.pieces import WORD, Pieces, vocabulary_of
from keras_rnn.vocabulary import Vocabulary
from tests.test_vocabulary import IN_GRAPH, in_graph

ALPHABET = "ab\0 é日\U0001f3ac"
TEXTS = st.text(ALPHABET, max_size=9)


def cut(text, pieces):
    """The longest piece that a text starts with, or one character, and so on: a list."""
    if not text:
        return []
    fits = max((p for p in pieces if text.startswith(p)), key=len, default=text[0])
    return [fits, *cut(text[len(fits) :], pieces)]


@pytest.mark.slow
@settings(max_examples=4)  # each traces a graph
@given(
    st.lists(st.text(ALPHABET, min_size=1, max_size=4), max_size=6),
    st.lists(TEXTS, min_size=1, max_size=4),
    st.integers(1, 3),
)
def test_there_and_back(pieces, texts, first):
    pieces = [*pieces, *ALPHABET]
    vocabulary = Pieces(pieces, first=first)
    order = sorted(set(pieces))
    want = [[order.index(p) + first for p in cut(text, pieces)] for text in texts]
    numbers = [vocabulary.encode(text) for text in texts]
    assert [n.tolist() for n in numbers] == want
    assert [vocabulary.split(text) for text in texts] == [cut(t, pieces) for t in texts]
    assert [vocabulary.decode(n) for n in numbers] == texts
    assert all(n.dtype == "int32" for n in numbers)
    if IN_GRAPH:
        assert in_graph(vocabulary, texts) == (want, texts)


@settings(max_examples=8)
@given(TEXTS)
def test_single_characters_are_a_vocabulary(text):
    arguments = ALPHABET, "é", 2
    want = Vocabulary(*arguments).encode(text)
    assert Pieces(list(ALPHABET), *arguments[1:]).encode(text).tolist() == want.tolist()


def test_unknown_characters_are_replaced():
    vocabulary = Pieces(["ab", "c", "<?>"], unknown="<?>", first=2)
    assert vocabulary.split("abxcb") == ["ab", "<?>", "c", "<?>"]
    numbers = vocabulary.encode("abxcb").tolist()
    if IN_GRAPH:
        assert in_graph(vocabulary, ["abxcb", ""]) == ([numbers, []], ["ab<?>c<?>", ""])


def test_unknown_characters_without_a_replacement_are_refused():
    vocabulary = Pieces(["ab", "c"], name="source_vocabulary")
    with pytest.raises(ValueError, match="source_vocabulary: 'a', 'x'"):
        vocabulary.encode("abxacx")


@pytest.mark.tensorflow
def test_unknown_characters_without_a_replacement_are_refused_in_a_graph():
    import tensorflow as tf

    vocabulary = Pieces(["ab", "c"], first=1, name="source_vocabulary")
    with pytest.raises(tf.errors.InvalidArgumentError, match="source_vocabulary:.*x"):
        in_graph(vocabulary, ["c", "abx"])


@pytest.mark.parametrize(
    ("units", "kind"),
    [("ab", Vocabulary), (["a", "b"], Vocabulary), (["a", "bc"], Pieces)],
)
def test_one_longer_unit_makes_them_pieces(units, kind):
    assert type(vocabulary_of(units)) is kind


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"pieces": []}, "`vocabulary`"),
        ({"pieces": "ab"}, "`vocabulary`"),
        ({"pieces": None}, "`vocabulary`"),
        ({"pieces": ["ab", ""]}, "`vocabulary`"),
        ({"pieces": ["ab", 1]}, "`vocabulary`"),
        ({"pieces": ["ab\ud800"]}, "`vocabulary`"),
        ({"pieces": ["ab"], "unknown": "a"}, "`unknown`"),
        ({"pieces": ["ab"], "first": -1}, "`first`"),
    ],
)
def test_bad_arguments(arguments, says):
    with pytest.raises(ValueError, match=says):
        Pieces(**arguments)


# How pieces are learned.


def by_definition(texts, merges):
    """Byte-pair encoding as its authors have it: all pairs are counted anew each time."""
    counts = collections.Counter(w for text in texts for w in WORD.findall(text))
    words = {word: list(word) for word in counts}
    pieces = set("".join(texts))
    for _ in range(merges):
        pairs = collections.Counter()
        for word, parts in words.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += counts[word]
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < 2:
            break
        pieces.add("".join(best))
        for parts in words.values():
            i = 0
            while i < len(parts) - 1:
                if (parts[i], parts[i + 1]) == best:
                    parts[i : i + 2] = ["".join(best)]
                i += 1
    return sorted(pieces)


@given(st.lists(st.text("aab' .", max_size=12), max_size=5), st.integers(1, 8))
def test_pieces_are_those_of_the_definition(texts, merges):
    assert learn_pieces(texts, merges) == by_definition(texts, merges)


def test_words_are_pieces_in_the_end():
    texts = ["She sees the cat.", "She sees the dog, and l'eau d'Orl\u00e9ans."] * 2
    pieces = learn_pieces(texts, merges=1_000)
    assert Pieces(pieces).split(texts[1]) == [
        "She", " sees", " the", " dog", ",", " and", " l'", "eau", " d'", "Orl\u00e9ans", ".",
    ]  # fmt: skip


@pytest.mark.slow
@given(st.text(max_size=20))
def test_words_are_the_whole_text(text):
    assert "".join(WORD.findall(text)) == text


@pytest.mark.parametrize(
    ("texts", "merges", "says"),
    [("ab", 3, "`texts`"), ([1], 3, "`texts`"), (["ab"], 0, "`merges`")],
)
def test_bad_texts(texts, merges, says):
    with pytest.raises(ValueError, match=says):
        learn_pieces(texts, merges)
