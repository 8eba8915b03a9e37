"""The composed sentences: their templates, their names, their tags."""

import os
import re
import subprocess
import sys

import numpy as np
from seqeval.metrics.sequence_labeling import get_entities

from tests.tutorials.scripts import TUTORIALS

# isort: split
from workshop import sentences


def test_templates_are_dealt_out():
    parts = sentences.split_templates(np.random.default_rng(3))
    assert sorted(sum(parts, [])) == sorted(sentences.TEMPLATES)
    assert len(set(sentences.TEMPLATES)) == len(sentences.TEMPLATES)
    assert all(len(part) > 10 for part in parts)
    slots = re.findall(r"\{(\w+)\}", " ".join(sentences.TEMPLATES))
    assert set(slots) == {*sentences.CLASSES, "number"}


def test_new_names_are_new():
    """No word with a capital letter is in names of both worlds."""
    worlds = [sentences.Names(new=False), sentences.Names(new=True)]
    kinds = ("first", "last", "city", "country")
    found = [
        {
            word.casefold()
            for pools in names.pools.values()
            for kind in kinds
            for name in pools[kind]
            for word in sentences.words(name)
        }
        for names in worlds
    ]
    assert all(len(words) > 2000 for words in found)
    assert not found[0] & found[1]
    for names in worlds:
        assert all(pools[kind] for pools in names.pools.values() for kind in kinds)


def test_words_of_a_text():
    text = "P. Dinu (of Güçlü S.A.) met O'Neil on 28/12/2016, e.g. in New-York. So?"
    assert sentences.split_words(text) == [
        "P.", "Dinu", "(", "of", "Güçlü", "S.A.", ")", "met", "O'Neil", "on",
        "28/12/2016", ",", "e.g.", "in", "New-York", ".", "So", "?",
    ]  # fmt: skip


def test_composed_sentences():
    known = sentences.Names(new=False)
    found, again = (
        sentences.compose(sentences.TEMPLATES, known, 300, np.random.default_rng(0))
        for _ in range(2)
    )
    assert found == again
    for words, tags in found:
        assert len(words) == len(tags) > 0 and all(words)
        assert not {"|", "{", "}"} & set(words)
        begins = [at for at, tag in enumerate(tags) if tag[0] == "B"]
        assert [first for _, first, _ in get_entities(tags)] == begins  # IOB2
    classes = {tag[2:] for _, tags in found for tag in tags if tag != "O"}
    assert classes == set(sentences.CLASSES.values())


def test_the_same_names_in_each_process():
    """Whatever order the sets of a process have."""
    code = (
        "import sys; sys.path.append(sys.argv[1]); from workshop import sentences;"
        "print([sorted(sentences.stock(name)[0]['city']) for name in ('it_IT', 'fi_FI')])"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", code, str(TUTORIALS)],
            env={**os.environ, "PYTHONHASHSEED": seed, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in "12"
    ]
    assert told[0] == told[1]
