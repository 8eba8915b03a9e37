"""Sentences with their names in colours."""

from workshop import tagged_text

TAGS = ["B-PER", "I-PER", "O", "B-LOC"]
WORDS = ["Ada", "Byron", "in", "Turin"]


def test_spans():
    parts = [("Ada Byron", "PER"), ("in", None), ("Turin", "LOC")]
    assert tagged_text.spans(WORDS, TAGS) == parts
    assert tagged_text.spans(["so", "?"], ["O", "O"]) == [("so", None), ("?", None)]


def test_html_is_escaped(tmp_path):
    lines = [("A & B", None, None), (None, ["<b>", "x"], ["B-PER", "O"])]
    tagged_text.write_html(tmp_path / "t.html", lines, {"PER": "#9CCBEA"})
    page = (tmp_path / "t.html").read_text("utf-8")
    assert "A &amp; B" in page and "&lt;b&gt;" in page and "<b>" not in page


def test_picture_has_each_part_in_its_colour():
    colours = tagged_text.colours_of(["O", *TAGS])
    assert list(colours) == ["LOC", "PER"] and len(set(colours.values())) == 2
    figure = tagged_text.draw_lines([("a title", WORDS, TAGS)], colours)
    texts = {text.get_text(): text for text in figure.texts}
    assert list(texts) == ["a title:", "Ada Byron · PER", "in", "Turin · LOC"]
    places = [text.get_position()[0] for text in figure.texts]
    assert places == sorted(places)


def test_the_truth_stands_below_what_is_wrong():
    found = ["B-PER", "O", "O", "B-LOC"]
    right = (None, WORDS, TAGS)
    assert tagged_text.beside_truth(WORDS, TAGS, TAGS) == [right]
    lines = tagged_text.beside_truth(WORDS, TAGS, found)
    assert lines == [(None, WORDS, found), ("right would be", WORDS, TAGS)]
