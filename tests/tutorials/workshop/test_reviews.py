"""Reviews that are divided, and pairs of texts of the same words."""

import re

import numpy as np
from workshop import reviews


def test_each_part_has_its_share_of_both_labels():
    texts = [str(n) for n in range(100)]
    labels = np.array([1.0] * 40 + [0.0] * 60, "float32")
    rest, cut = reviews.divide(texts, labels, part=1 / 8, seed=3)
    assert sorted(rest.texts + cut.texts) == sorted(texts)
    assert (cut.labels.sum(), len(cut.labels)) == (5, 13)
    for some in (rest, cut):
        assert [float(int(text) < 40) for text in some.texts] == some.labels.tolist()
        assert some.texts != sorted(some.texts, key=int)
    again, _ = reviews.divide(texts, labels, part=1 / 8, seed=3)
    assert again.texts == rest.texts


def test_only_the_order_tells_the_texts_of_a_pair_apart():
    for pair in reviews.PAIRS:
        one, two = (re.findall(r"\w+|[^\w\s]", text) for text in pair)
        assert one != two and sorted(one) == sorted(two)
    assert len(set(sum(reviews.PAIRS, ()))) == 20
