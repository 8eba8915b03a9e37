"""The course in French: the catalogues are whole, and the lessons they make are the same."""

import ast
import csv
import re

import pytest
import update

from tests.tutorials.scripts import TUTORIALS

# isort: split
from workshop import languages

NO_BREAK = "\u00a0\u202f"
LESSONS = [source for source in update.SOURCES if str(source).endswith(".py")]


def name_of(source):
    return str(source).removeprefix(f"{TUTORIALS}/")


@pytest.fixture(autouse=True)
def in_english():
    yield
    languages.choose("en")


@pytest.mark.parametrize("source", update.SOURCES, ids=name_of)
def test_nothing_is_untranslated_fuzzy_or_stale(source):
    assert list(update.faults(source, "fr")) == []


def test_each_lesson_has_a_catalogue():
    lessons = sorted(TUTORIALS.glob("[0-9]*.py"))
    assert len(lessons) >= 12 and set(lessons) <= set(update.SOURCES)
    assert all(languages.path_of(each, "fr").exists() for each in update.SOURCES)


def test_what_is_missing_is_found(monkeypatch, tmp_path):
    lesson = tmp_path / "13_half.py"
    lesson.write_text("# %% [markdown]\n# # How much is a half?\n", "utf-8")
    path = tmp_path / "13_half.po"
    monkeypatch.setattr(languages, "path_of", lambda source, language: path)
    monkeypatch.setattr(update, "TUTORIALS", tmp_path)
    (fault,) = update.faults(lesson, "fr")
    assert "untranslated" in fault and "How much" in fault
    update.update(lesson, "fr")
    text = path.read_text("utf-8")
    path.write_text(text.replace('msgstr ""', 'msgstr "# Une moitié ?"'), "utf-8")
    assert list(update.faults(lesson, "fr")) == []
    lesson.write_text("# %% [markdown]\n# # How much is one half?\n", "utf-8")
    missing, stale = sorted(update.faults(lesson, "fr"), reverse=True)
    assert "untranslated" in missing and "stale" in stale
    update.update(lesson, "fr")
    (fault,) = update.faults(lesson, "fr")
    assert "fuzzy" in fault


def shape_of(code):
    """Code without its strings: it must be the same in each language."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            node.values = []
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


@pytest.mark.parametrize("source", LESSONS, ids=name_of)
def test_the_code_is_one(source):
    english, french = (languages.translated(source, each) for each in ("en", "fr"))
    assert english == source.read_text("utf-8") != french
    french = french.replace('\nlesson.in_language("fr")\n', "\n", 1)
    assert shape_of(french) == shape_of(english)
    heads = re.compile("^# %%.*$", re.MULTILINE)
    assert heads.findall(french) == heads.findall(english)


def templates(text):
    return sorted(re.findall(r"\{[^{}]*\}", re.sub(r"\['.*?'\]", "[]", text)))


@pytest.mark.parametrize("source", update.SOURCES, ids=name_of)
def test_formulas_code_and_links_are_those_of_the_original(source):
    for english, french in languages.catalogue(source, "fr").items():
        for pattern in (r"`[^`]+`", r"(?<!\\)\$[^$]+\$", r"\]\([^)]*\)"):
            there, here = (set(re.findall(pattern, each)) for each in (english, french))
            if "|" not in english:  # rows of a table may have words in a formula
                assert there <= here, french  # none is lost
        if "{" in english and "$" not in english:
            assert templates(french) == templates(english), french


@pytest.mark.parametrize("source", update.SOURCES, ids=name_of)
def test_french_typography(source):
    for french in languages.catalogue(source, "fr").values():
        if french in languages.catalogue(source, "fr"):  # data, as it is
            continue
        plain = re.sub(r"`[^`]*`|\$[^$]*\$|\]\([^)]*\)|\{[^}]*\}|^\|.*", "", french)
        assert not re.search(r"(?<=\w) ?[;!?](?= |$)", plain), french
        assert not re.search(r"(?<=\w) :(?= |$)", plain), french
        for quoted in re.findall("«(.).*?(.)»", plain, re.DOTALL):
            assert all(each in NO_BREAK for each in quoted), french


def glossary():
    with (TUTORIALS / "translations" / "glossary.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_glossary_has_some_forty_terms():
    assert len(glossary()) >= 40


def plain(text):
    """A text as terms are looked for in it: no marks, no formulas, one kind of space."""
    text = re.sub(r"`[^`]*`|\$[^$]*\$|\]\([^)]*\)|\{[^}]*\}|[*]", "", text)
    return re.sub(f"[\\s{NO_BREAK}]+", " ", text.replace("’", "'").lower())


@pytest.mark.parametrize("term", glossary(), ids=lambda term: term["english"])
def test_the_catalogues_keep_to_the_glossary(term):
    """Where a term stands in a paragraph, its translation does, in any of its forms."""
    forms = [plain(each) for each in (term["français"], term["also"]) if each]
    # Of each word all but its ending, which changes with number and gender.
    stems = [
        r"\b" + r"\w* ".join(w[: max(3, len(w) - 2)] for w in f.split()) for f in forms
    ]
    english = re.compile(rf"\b{term['english']}s?\b")
    missed = [
        french
        for source in update.SOURCES
        for text, french in languages.catalogue(source, "fr").items()
        if english.search(plain(text))
        and " " in text
        and not any(re.search(stem, plain(french)) for stem in stems)
    ]
    assert missed == []


def test_what_the_workshop_says():
    assert languages.said("epoch") == "epoch"
    languages.choose("fr")
    assert languages.said("epoch") == "époque"
    assert languages.said("frame 3") == "image 3"
    assert languages.said("bias $b_{h,2}$") == "biais $b_{h,2}$"
    assert languages.said("nobody has translated this") == "nobody has translated this"
