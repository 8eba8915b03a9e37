"""The French words of numbers, read back by another rule than the one that writes them."""

import numpy as np
from workshop.french_numbers import in_french, indexed

VALUES = dict(
    zip(
        "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize "
        "quatorze quinze seize vingt trente quarante cinquante soixante".split(),
        [*range(17), 20, 30, 40, 50, 60],
    )
)


def value(words):
    """What the words mean: 4 before 20 and n before 100 multiply, all else adds."""
    total = 0
    for before, word in zip(["", *words], words):
        if word == "cent":
            total = 100 * max(total, 1)
        elif (before, word) == ("quatre", "vingt"):
            total += 80 - 4
        elif word != "et":
            total += VALUES[word]
    return total


def test_every_number_can_be_read_back():
    assert [value(in_french(number)) for number in range(1000)] == [*range(1000)]


def test_the_irregular_ones():
    texts = {
        21: "vingt et un",
        71: "soixante et onze",
        80: "quatre vingt",
        81: "quatre vingt un",
        97: "quatre vingt dix sept",
        100: "cent",
        200: "deux cent",
        999: "neuf cent quatre vingt dix neuf",
    }
    assert {number: " ".join(in_french(number)) for number in texts} == texts


def test_the_indices_of_the_words():
    words, indices = indexed([7, 92, 70])
    assert words == ["", "dix", "douze", "quatre", "sept", "soixante", "vingt"]
    np.testing.assert_array_equal(indices, [[4, 0, 0, 0], [3, 6, 2, 0], [5, 1, 0, 0]])
