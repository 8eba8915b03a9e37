"""Sentences whose names stand in colours, as a picture and as a page."""

import html

import matplotlib.pyplot as plt
from seqeval.metrics.sequence_labeling import get_entities

from workshop import files

# Light enough for black letters, and told apart by all kinds of colour vision.
PALETTE = ["#9CCBEA", "#F7C58C", "#A5DCC4", "#E7B8D3", "#F4EA9A", "#CCCCCC"]


def spans(words, tags):
    """A sentence cut where names begin and end: (text, class or `None`) in order."""
    parts, at = [], 0
    for name, first, last in get_entities(tags):
        parts += [(word, None) for word in words[at:first]]
        parts.append((" ".join(words[first : last + 1]), name))
        at = last + 1
    return parts + [(word, None) for word in words[at:]]


def beside_truth(words, truth, found):
    """A sentence with the tags found, and where they are wrong, below, with the true ones.

    Returns:
        List of one or two lines, as `draw_lines` and `write_html` take them.
    """
    lines = [(None, words, found), ("right would be", words, truth)]
    return lines[:1] if found == truth else lines


def colours_of(tags):
    """A colour for each class of names in a list of tags."""
    classes = sorted({tag[2:] for tag in tags if tag != "O"})
    return {name: PALETTE[n % len(PALETTE)] for n, name in enumerate(classes)}


def write_html(path, lines, colours):
    """The lines as a page for the browser, names in the colour of their class.

    Args:
        path: The file.
        lines: List of (title or `None`, words, tags). Without words it is a heading.
        colours: Dict from classes to colours.
    """
    styles = [f"mark.{name} {{ background: {c} }}" for name, c in colours.items()]
    body = []
    for title, words, tags in lines:
        if words is None:
            body.append(f"<h2>{html.escape(title)}</h2>")
            continue
        parts = [
            html.escape(text)
            if name is None
            else f'<mark class="{html.escape(name)}">{html.escape(text)} '
            f"<small>{html.escape(name)}</small></mark>"
            for text, name in spans(words, tags)
        ]
        note = f"<i>{html.escape(title)}:</i> " if title else ""
        body.append(f"<p{' class=right' if title else ''}>{note}{' '.join(parts)}</p>")
    page = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Named entities</title>
<style>
body {{ font: 18px/1.9 sans-serif; max-width: 52em; margin: 2em auto; color: black }}
mark {{ padding: 0.15em 0.3em; border-radius: 0.3em }}
small {{ font-size: 60%; font-weight: bold }}
p.right {{ margin-left: 3em; color: #444444 }}
{chr(10).join(styles)}
</style>
{chr(10).join(body)}
</html>
"""
    with files.replacing(path) as new:
        new.write_text(page, "utf-8")


def draw_lines(lines, colours, width=15.0):
    """The same lines as a picture."""
    figure = plt.figure(figsize=(width, 1), layout="none")
    pen = figure.canvas.get_renderer()
    inch, gap, line_height = figure.dpi, 0.09, 0.42
    x, y = 0.3, 0.4  # inches from the left and from the top

    def put(text, **style):
        return figure.text(0, 0, text, va="baseline", **style)

    placed = []
    for title, words, tags in lines:
        indent = 0.9 if title and words else 0.3
        x = indent
        parts = [] if words is None else spans(words, tags)
        start = [(title + (":" if words else ""), "")] if title else []
        for text, name in start + parts:
            label = text
            style = {"size": 13}
            if name == "":
                heading = words is None
                style.update(weight="bold" if heading else "normal", color="#555555")
                y += 0.15 if heading else 0.0
            elif name is not None:
                label = f"{text} \u00b7 {name}"
                x += 0.06
                style["bbox"] = {"fc": colours[name], "ec": "none", "pad": 3}
            artist = put(label, **style)
            size = artist.get_window_extent(pen).width / inch
            if x + size > width - 0.3 and x > indent:
                x, y = indent + 0.3, y + line_height
            placed.append((artist, x, y))
            x += size + gap + (0.08 if name else 0)
        y += line_height
    height = y + 0.1
    figure.set_size_inches(width, height)
    for artist, x, y in placed:
        artist.set_position((x / width, 1 - y / height))
    return figure
