"""Brings the catalogues of translations in step with the lessons.

    python tutorials/translations/update.py            # new and changed texts: to translate
    python tutorials/translations/update.py --check    # says what is missing; writes nothing

A text that is new has no translation yet; one that has changed a little keeps its old one,
marked `fuzzy`, until somebody has read it again; what no lesson says any more goes. Any
editor of catalogues (Poedit, or one of text) is good for the rest.
"""

import argparse
import sys
from pathlib import Path

from babel.messages import Catalog, pofile

TUTORIALS = Path(__file__).parents[1]
sys.path.insert(0, str(TUTORIALS))

from workshop import languages  # noqa: E402

SOURCES = [
    *sorted(TUTORIALS.glob("[0-9]*.py")),
    *sorted(TUTORIALS.glob("solutions/[0-9]*.py")),
    TUTORIALS / "README.md",
    TUTORIALS.parent / "docs" / "index.md",
    "workshop",
    "heads",
]


def template_of(source):
    """All texts of a source, untranslated, in its order."""
    name = source if isinstance(source, str) else source.relative_to(TUTORIALS.parent)
    template = Catalog(project="keras_rnn", header_comment=f"# French: {name}")
    for text, kind in languages.messages_of(source):
        template.add(text, auto_comments=[kind])
    return template


def update(source, language):
    """Writes the catalogue of a source anew, with the translations that it has."""
    catalogue, template = languages.read(source, language), template_of(source)
    catalogue.update(template, update_header_comment=True)
    catalogue.obsolete.clear()
    path = languages.path_of(source, language)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        pofile.write_po(file, catalogue, width=88, omit_header=True, no_location=True)
    new.replace(path)


def faults(source, language):
    """What is not right with the catalogue of a source, a line each."""
    catalogue = languages.read(source, language)
    name = languages.path_of(source, language).relative_to(TUTORIALS)
    wanted = dict(languages.messages_of(source))
    for message in catalogue:
        if message.id and message.id not in wanted:
            yield f"{name}: stale: {message.id[:60]!r}"
        elif message.fuzzy and message.id:
            yield f"{name}: fuzzy: {message.id[:60]!r}"
    for text in wanted:
        message = catalogue.get(text)
        if not message or not message.string:
            yield f"{name}: untranslated: {text[:60]!r}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="parts of names (default: all)")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    chosen = [
        source
        for source in SOURCES
        if not options.names or any(name in str(source) for name in options.names)
    ]
    if options.check:
        found = [f for s in chosen for f in faults(s, "fr")]
        print("\n".join(found) or "All is translated.")
        return bool(found)
    for source in chosen:
        update(source, "fr")


if __name__ == "__main__":
    sys.exit(main())
