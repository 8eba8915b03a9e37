"""The numbers from 0 to 999 in French words."""

import numpy as np

UNITS = (
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze "
    "quinze seize"
).split()
TENS = {2: "vingt", 3: "trente", 4: "quarante", 5: "cinquante", 6: "soixante"}


def in_french(number):
    """The words of a number, without hyphens and the plural s: `["quatre", "vingt"]`.

    Args:
        number: Integer from 0 to 999.
    """
    hundreds, rest = divmod(number, 100)
    words = [] if hundreds < 2 else [UNITS[hundreds]]
    words += ["cent"] if hundreds else []
    return words + (_below_100(rest) if rest or not hundreds else [])


def indexed(numbers):
    """All words of numbers, and the words of each as indices into them.

    Args:
        numbers: List of integers from 0 to 999.

    Returns:
        The words, a list, of which number 0 is `""`, and an array of shape `(numbers,
        the most words + 1)`. Each row ends with at least one 0.
    """
    texts = [in_french(number) for number in numbers]
    words = ["", *sorted({word for text in texts for word in text})]
    length = 1 + max(map(len, texts))
    filled = [text + [""] * (length - len(text)) for text in texts]
    return words, np.array([[words.index(word) for word in text] for text in filled])


def _below_100(number):
    """The words of a number: 70 counts on from 60, 90 from 80, which is 4 times 20."""
    if number < 17:
        return [UNITS[number]]
    if number < 20:
        return ["dix", UNITS[number - 10]]
    if number >= 80:
        return ["quatre", "vingt", *(_below_100(number - 80) if number > 80 else [])]
    tens = min(number // 10, 6)
    rest = number - 10 * tens
    et = ["et"] if rest in (1, 11) else []
    return [TENS[tens], *et, *(_below_100(rest) if rest else [])]
