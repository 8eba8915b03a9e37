"""Brings what the site shows, and what stands elsewhere, into the folder of its sources.

The lessons (`notebooks/en`), their solutions (`tutorials/solutions`), the texts beside
programs and the changelog have their place in the repository. Sphinx reads nothing
outside its own folder: here they are copied there, with their links turned into links
of the site. What is copied, Git ignores.

The French pages (the first one, the course) are a site of their own below `fr/`, with the
sources in `docs/fr`, since Sphinx has one language a site.
"""

import os
import re
import sys
from pathlib import Path

import jupytext
import nbformat

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT / "tutorials"))

from workshop import languages  # noqa: E402

FRENCH = DOCS / "fr"
ROOTS = {"en": DOCS, "fr": FRENCH}
COPIES = {"en": (DOCS / "course", DOCS / "also"), "fr": (FRENCH,)}
EXPLORE = DOCS / "explore" / "index.html"

# Markdown's [text](target), of targets within the repository.
LINK = re.compile(r"\[([^\]]*)\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")

BESIDE_A_LESSON = {
    "en": "{download}`Download this notebook <%s>` · {download}`or the script <%s>`\n",
    "fr": "{download}`Télécharger ce notebook <%s>` · {download}`ou le script <%s>`\n",
}
NOT_RUN = {
    "en": "This lesson has not been run yet: its tables and pictures are missing here.",
    "fr": "Cette leçon n’a pas encore été exécutée en français\u00a0: ses tableaux et ses "
    "figures manquent ici.",
}
CAPTIONS = {"en": ("Lessons", "Solutions"), "fr": ("Leçons", "Solutions")}


def lessons():
    """The lessons, in their order: `Path`s of percent scripts."""
    return sorted((ROOT / "tutorials").glob("[0-9][0-9]_*.py"))


def executed(script, language="en"):
    """The notebook of a lesson, with its outputs. It may be missing."""
    return ROOT / "notebooks" / language / f"{script.stem}.ipynb"


def sources(language="en"):
    """All that is copied: for each file of the repository, its place in `docs/`."""
    places = {
        ROOT / "tutorials" / "README.md": "course/index.md",
        DOCS / "index.md": "index.md",
        ROOT / "README.md": "index.md",  # not copied: the first page has its matter
    }
    if language == "en":
        places |= _more_in_english()
    for script in lessons():
        places[script] = f"course/{script.stem}.ipynb"
        solution = script.parent / "solutions" / script.name
        if solution.exists():
            places[solution] = f"course/solutions/{script.stem}.ipynb"
    return {source: ROOTS[language] / place for source, place in places.items()}


def _more_in_english():
    return {
        ROOT / "tutorials" / "distributed_training.md": "also/several_devices.md",
        ROOT / "examples" / "serve" / "README.md": "also/serve.md",
        ROOT / "CONTRIBUTING.md": "also/contributing.md",
        ROOT / "CHANGELOG.md": "also/changelog.md",
    }


def copy(language="en", strict=False):
    """Copies all of it, and removes what was copied before and is gone.

    Args:
        language: "en" or "fr".
        strict: Boolean: whether each lesson must have been run.

    Raises:
        ValueError: with `strict`, lessons have no notebook in `notebooks/en`.
    """
    missing = [script.stem for script in lessons() if not executed(script).exists()]
    if strict and missing:
        raise ValueError(
            f"`notebooks/en` must have a notebook of each lesson. Missing: {missing}. "
            "Run `python notebooks/make.py`."
        )
    places = sources(language)
    for folder in COPIES[language]:
        for path in folder.rglob("*"):
            if path.is_file() and path not in places.values():
                path.unlink()
    for source, place in places.items():
        copied = any(folder in place.parents for folder in COPIES[language])
        if not copied or source == ROOT / "README.md":
            continue
        if source.suffix == ".md":
            text = languages.translated(source, language)
            text = with_links_of_the_site(text, source, place, language)
            if place.parent.name == "course":
                text = _course_page(text, language)
            elif place == FRENCH / "index.md":
                text = _first_page_in_french(text)
        else:
            text = nbformat.writes(_notebook(source, place, language)) + "\n"
        place.parent.mkdir(parents=True, exist_ok=True)
        # What is as it was keeps its date: Sphinx need not read it again.
        if not place.exists() or place.read_text("utf-8") != text:
            place.write_text(text, "utf-8")


def with_links_of_the_site(text, source, place, language="en"):
    """A Markdown text of the repository with links that work where it is shown.

    A file that has a page becomes a link to that page, another one a download. Folders
    have no page: their name stays.

    Args:
        text: String.
        source: `Path` of the file that it is from.
        place: `Path` of the file in `docs/` that it is for, the same for what is there.
        language: Its language. What has no French page is linked in English.
    """
    places, here = sources(language), place.parent
    in_english = sources()
    to_root = "../" * (len(place.relative_to(DOCS).parts) - 1)  # of the English site

    def link(found):
        name, target, anchor = found[1], found[2], found[3] or ""
        path = Path(os.path.normpath(source.parent / target))
        if path.suffix == ".ipynb":  # of a lesson
            path = ROOT / "tutorials" / f"{path.stem}.py"
        if path == EXPLORE:  # not made by Sphinx
            return f"<a href='{to_root}explore/index.html'>{name}</a>"
        if path.is_dir():
            return f"`{name.strip('`')}`"
        if not path.exists():  # no link at all, but code: f[a](b)
            return found[0]
        way = Path(os.path.relpath(places.get(path, path), here)).as_posix()
        is_page = path in places or (DOCS in path.parents and path.suffix == ".md")
        if language == "fr" and is_page and path not in places:
            page = in_english.get(path, path).relative_to(DOCS).with_suffix(".html")
            return f"<a href='{to_root}{page.as_posix()}' hreflang='en'>{name}</a>"
        if is_page or path.suffix in (".png", ".svg"):
            return f"[{name}]({way}{anchor})"
        return f"{{download}}`{name.strip('`')} <{way}>`"

    return LINK.sub(link, text)


def _notebook(script, place, language):
    """A lesson or a solution as the notebook that the site shows."""
    is_lesson = script.parent.name == "tutorials"
    done = executed(script, language)
    ran = is_lesson and done.exists()
    if ran:
        notebook = nbformat.read(done, 4)
    else:
        notebook = jupytext.reads(languages.translated(script, language), "py:percent")
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
        }
    )
    # What fetches the course where it is missing is for who opens the notebook there.
    notebook.cells = [
        cell for cell in notebook.cells if "fetch" not in cell.metadata.get("tags", [])
    ]
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i}"
        if cell.cell_type == "markdown":
            source = done if ran else script
            cell.source = with_links_of_the_site(cell.source, source, place, language)
    if is_lesson:
        files = [
            Path(os.path.relpath(path, place.parent)).as_posix()
            for path in (done, script)
        ]
        note = f":::{{note}}\n{NOT_RUN[language]}\n:::\n"
        if ran:
            note = BESIDE_A_LESSON[language] % tuple(files)
        title, rest = notebook.cells[0].source.split("\n", 1)
        notebook.cells[0].source = f"{title}\n\n{note}\n{rest.lstrip()}"
    return notebook


def _first_page_in_french(text):
    """Its pictures are those of the English site, and so is all but the course."""
    text = text.replace("} pictures/", "} ../pictures/")
    text = re.sub(
        r":link: (?!course/)(\S+)\n:link-type: doc",
        r":link: ../\1.html\n:link-type: url",
        text,
    )
    toctree = "```{toctree}\n:hidden:\n\nCours <course/index>\n```"
    return re.sub(r"```\{toctree\}.*?```", toctree, text, flags=re.DOTALL)


def _course_page(text, language):
    """The table of contents of the course, with what Sphinx needs to list its pages."""

    def cards(table):
        return _cards(table, "../pictures" if language == "en" else "../../pictures")

    text = re.sub(r"(?:^\|.*\|\n)+", cards, text, count=1, flags=re.MULTILINE)
    pages = [script.stem for script in lessons()]
    solutions = [
        f"solutions/{path.stem}"
        for path in lessons()
        if (path.parent / "solutions" / path.name).exists()
    ]
    for caption, names in zip(CAPTIONS[language], (pages, solutions)):
        lines = [
            "```{toctree}",
            ":hidden:",
            f":caption: {caption}",
            ":maxdepth: 1",
            "",
        ]
        text += "\n" + "\n".join([*lines, *names, "```"]) + "\n"
    return text


def _cards(table, pictures):
    """The table of the lessons as cards with a picture each, which fit a phone, too.

    Args:
        table: Match of the table. Its columns are the number, the link, the question,
            and whatever else.
        pictures: String, the folder of the pictures, seen from the page.
    """
    lines = ["::::{grid} 1 2 2 3", ":gutter: 3", ""]
    for row in table[0].strip().split("\n")[2:]:
        number, link, question, *others = (c.strip() for c in row.strip("|").split("|"))
        title, page = re.fullmatch(r"\[(.*)\]\((.*)\.ipynb\)", link).groups()
        lines += [f":::{{grid-item-card}} {number} {title}", f":link: {page}"]
        lines += [":link-type: doc"]
        if (DOCS / "pictures" / f"{number}.png").exists():
            lines += [f":img-top: {pictures}/{number}.png"]
            lines += [f":img-alt: {title}"]
        lines += ["", question, "", " · ".join(f"*{o}*" for o in others if o), ":::"]
    return "\n".join([*lines, "::::", ""])
