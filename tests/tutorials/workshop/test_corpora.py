"""What the texts that are learned from look like, and how they are cut."""

import numpy as np
import pytest

from tests.tutorials import scripts  # noqa: F401

# isort: split
from workshop import corpora

LETTERS = "".join(f"{n} bottles of beer\n" for n in range(1000))


def test_own_text_is_cut_and_nothing_lost(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(LETTERS, "utf-8")
    corpus = corpora.own_text(path)
    parts = ["".join(corpus.texts[split]) for split in corpora.SPLITS]
    assert "".join(parts) == LETTERS
    assert len(parts[0]) == pytest.approx(18 * len(parts[1]), rel=0.01)


def test_review_ends():
    review = "I went. It was<br /><br />long, naïvely so! Why? “Bad” film."
    assert (
        corpora.verdict(review, 200)
        == "I went. It was long, naively so! Why? Bad film."
    )
    assert corpora.verdict(review, 20) == "Why? Bad film."
    assert corpora.verdict(review, 3) == ""


def test_reviews_keep_the_films_apart():
    corpus = corpora.reviews(1)
    texts = {split: set(corpus.texts[split]) for split in corpora.SPLITS}
    assert all(
        text[0] == corpus.start and text.endswith(corpus.end) and "\n" not in text[1:-1]
        for text in corpus.texts["train"]
    )
    assert max(map(len, corpus.texts["train"])) <= 202
    # What two reviews end with may be the same words: "Highly recommended."
    assert len(texts["train"] & texts["test"]) < 0.01 * len(texts["test"])
    for split in corpora.SPLITS:
        assert np.mean(corpus.labels[split]) == pytest.approx(0.5, abs=0.05)


def test_plain_tunes():
    tune = (
        "1\nT: Slow Air\nM: C|\nL: 1/8\nO: China, Shaanxi\nK: Gmin\n"
        '"Am"{cd}~A2 (Bc) | (3def g2 \\\n| a4 :|\n'
    )
    plain = "\nM: 2/2\nL: 1/8\nK: Gmin\nA2 Bc | (3def g2 | a4 :|\n\n"
    assert corpora.plain_tune(tune) == (plain, "China")
    assert corpora.plain_tune(tune.replace("C|", "none")) == ("", None)
    assert corpora.plain_tune(tune.replace("China", "Atlantis"))[1] is None
