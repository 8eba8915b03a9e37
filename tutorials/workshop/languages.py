"""The course in other languages: what is translated of a lesson, and the lesson in French.

The code is one. A catalogue of gettext (`translations/fr/LESSON.po`) has the paragraphs of
a lesson, the comments and the strings of its code that a reader sees, and what each is in
French. `translations/update.py` keeps the catalogues in step with the lessons.
"""

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

TUTORIALS = Path(__file__).parents[1]
LANGUAGES = ("en", "fr")

_CELL = re.compile(r"^(?=# %%)", re.MULTILINE)
_FENCE = re.compile(r"```.*?^```$|\$\$.*?\$\$", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"[^\W\d_]{2}")
_BEGIN = "lesson.begin("
_SAID = "languages.said"
_SHOWN = {"label", "title", "xlabel", "ylabel", "alt"}  # arguments of Matplotlib
_NOT_SHOWN = {"loc", "textcoords", "cmap"}
_WRITES = {"text", "set_title", "set_xlabel", "set_ylabel", "annotate"}
_chosen = {"language": "en"}


def path_of(source, language):
    """The catalogue of a source: a lesson, a page in Markdown, or "workshop".

    Args:
        source: `Path` below the course's folder or the docs'; or the strings "workshop"
            and "heads".
        language: "fr".
    """
    folder = TUTORIALS / "translations" / language
    if isinstance(source, str):
        return folder / f"{source}.po"
    beside = "solutions" if source.parent.name == "solutions" else ""
    return folder / beside / f"{source.stem}.po"


def read(source, language):
    """The catalogue of a source, of Babel. It is empty where there is none."""
    from babel.messages import Catalog, pofile  # a lesson in English does without

    path = path_of(source, language)
    if not path.exists():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return pofile.read_po(file, locale=language)


@cache
def catalogue(source, language):
    """What the texts of a source are in another language, as a dict.

    Nothing that is fuzzy or missing is in it.
    """
    if language == "en":
        return {}
    messages = read(source, language)
    return {m.id: m.string for m in messages if m.id and m.string and not m.fuzzy}


def choose(language):
    """Sets the language of what the workshop draws and prints."""
    _chosen["language"] = language


def chosen():
    """The language of what the workshop draws and prints."""
    return _chosen["language"]


def head(text):
    """The head of a column in the chosen language. Most are: the lesson is."""
    return catalogue("heads", _chosen["language"]).get(text, text)


def said(text):
    """What the workshop says, in the chosen language.

    Args:
        text: String, from a literal or an f-string of the workshop.
    """
    found = catalogue("workshop", _chosen["language"])
    if text in found:
        return found[text]
    for pattern, names, string in _patterns(_chosen["language"]):
        match = pattern.fullmatch(text)
        if match:
            for name, value in zip(names, match.groups()):
                string = string.replace("{" + name + "}", value)
            return string.replace("{{", "{").replace("}}", "}")
    return text


@cache
def _patterns(language):
    """Those texts of the workshop that come from an f-string, to be known by their form."""
    found = []
    for template, string in catalogue("workshop", language).items():
        names = re.findall(r"(?<!\{)\{([^{}]+)\}", template)
        if names:
            parts = re.split(r"(?<!\{)\{[^{}]+\}", template)
            parts = [part.replace("{{", "{").replace("}}", "}") for part in parts]
            pattern = "(.+?)".join(map(re.escape, parts))
            found.append((re.compile(pattern, re.DOTALL), names, string))
    return found


def messages_of(source):
    """What is to be translated of a lesson or a page, in its order.

    Args:
        source: As in `path_of`. "workshop" is the texts of its drawings and what it
            hands to `said`, "heads" what stands over the tables of lessons, in one word.

    Returns:
        List of pairs of a text and what a translator is told of it: its kind, or where
        it stands.
    """
    found = []
    if source == "workshop":
        for path in sorted((TUTORIALS / "workshop").glob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            if path.name.startswith(("drawings", "plots")):
                found += [(text, path.name) for _, text in _literals(tree)]
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == _SAID:
                    texts = [each.value for each in node.args if _is_string(each)]
                    texts += [text for _, text in _literals(node)]
                    found += [(text, path.name) for text in texts]
        return list(dict(reversed(found)).items())
    if source == "heads":
        for path in sorted(TUTORIALS.glob("**/[01]*.py")):
            found += [(head, path.name) for head in _heads(path)]
        return list(dict(reversed(found)).items())

    def collector(kind):
        def collect(text):
            found.append((text, kind))
            return text

        return collect

    _rewritten(source, collector)
    return list(dict(found).items())


def translated(source, language):
    """A lesson or a page, as a text, in another language.

    Args:
        source: As in `path_of`.
        language: "en" or "fr".
    """
    if language == "en":
        return source.read_text("utf-8")
    found = catalogue(source, language)
    text = _rewritten(source, lambda kind: lambda each: found.get(each, each))
    return text.replace(
        f"\n{_BEGIN}", f'\nlesson.in_language("{language}")\n{_BEGIN}', 1
    )


def _rewritten(source, translator):
    """A lesson, cell by cell, or a page, with what `translator` makes of its texts.

    Args:
        source: `Path`.
        translator: Function of a kind ("prose", "comment", "code"), which returns a
            function from a text of that kind to what is to stand there.
    """
    text = source.read_text("utf-8")
    if source.suffix == ".md":
        return _translated_prose(text, translator("prose"))
    cells = []
    for cell in _CELL.split(text):
        head, newline, body = cell.partition("\n")
        if "[markdown]" in head:
            prose = re.sub(r"^# ?", "", body, flags=re.MULTILINE)
            prose = _translated_prose(prose, translator("prose"))
            body = re.sub(r"^(?=.)", "# ", prose, flags=re.MULTILINE)
            body = re.sub(r"^$(?=\n.*\S)", "#", body, flags=re.MULTILINE)
        elif head.startswith("# %%"):
            body = _translated_code(body, translator("code"), translator("comment"))
        cells.append(head + newline + body)
    return "".join(cells)


def _translated_prose(text, translate):
    """Markdown, paragraph by paragraph; formulas and blocks of code stay as they are.

    A paragraph is one line for the catalogue, a list or a table as many as it has.
    """
    kept = []

    def hide(found):
        kept.append(found[0])
        return f"\0{len(kept) - 1}\0"

    parts = re.split(r"(\n{2,})", _FENCE.sub(hide, text))
    for i, part in enumerate(parts):
        body = part.strip("\n")
        words = re.sub(r"\0\d+\0", "", body)
        if not _WORD.search(words) or body.startswith("    "):  # or a block of code
            continue
        shown = re.sub(r"\0(\d+)\0", lambda m: kept[int(m[1])], _unwrapped(body))
        parts[i] = part.replace(body, translate(shown))
    return re.sub(r"\0(\d+)\0", lambda m: kept[int(m[1])], "".join(parts))


def _unwrapped(paragraph):
    """A paragraph with each item of a list, row of a table, or directive on one line."""
    return re.sub(r"\n(?!\s*([-*] |\||:|\d+\. )|\0)\s*", " ", paragraph)


def _translated_code(code, translate, translate_comment):
    """Code with its comments and strings translated that a reader is to read."""
    lines = code.splitlines(keepends=True)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    edits = []
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            comment = token.string.lstrip("# ")
            words = _WORD.findall(re.sub(r"\(.*?\)|`.*?`", "", comment))
            if len(words) > 1 and not comment.startswith(("fmt:", "isort:", "noqa")):
                at = offsets[token.start[0] - 1] + token.start[1]
                new = "# " + translate_comment(comment)
                edits.append((at, at + len(token.string), new))
    tree = ast.parse(code)
    templates = [n for n in ast.walk(tree) if isinstance(n, ast.JoinedStr)]
    inner = {c for t in templates for c in ast.walk(t) if c is not t}
    texts = {node: (shown, translate(shown)) for node, shown in _literals(tree)}
    for node in [*texts, *(t for t in templates if t not in texts)]:
        if node in inner:
            continue
        # The columns of `ast` count bytes.
        start, end = (
            offsets[line - 1] + len(lines[line - 1].encode()[:column].decode())
            for line, column in (
                (node.lineno, node.col_offset),
                (node.end_lineno, node.end_col_offset),
            )
        )
        shown, new = texts.get(node, ("", ""))
        if new != shown:
            edits.append((start, end, _literal(node, new)))
        elif node in templates:  # what is looked up in it may be translated elsewhere
            new = code[start:end]
            for there, here in (texts[n] for n in ast.walk(node) if n in texts):
                new = new.replace(f"'{there}'", f"'{here}'")
            edits.append((start, end, new))
    for start, end, new in sorted(edits, reverse=True):
        code = code[:start] + new + code[end:]
    return code


def _literals(tree):
    """The strings of code that may be read, in its order, with what they say."""
    parents = _parents(tree)
    found = []
    for node in ast.walk(tree):
        parent = parents.get(node)
        if isinstance(node, ast.JoinedStr):
            text = _template(node)
            words = re.sub(r"\{.*?\}", "", text)
        elif _is_string(node):
            if isinstance(parent, ast.JoinedStr | ast.Expr | ast.Attribute):
                continue
            text = words = node.value
        else:
            continue
        argument = parent.arg if isinstance(parent, ast.keyword) else ""
        if (
            _WORD.search(words)
            and not re.fullmatch(r"[\w./-]*(\.(png|json|txt)|/\w+)", words)
            and not _inside(node, parents, _BEGIN[:-1])
            and argument not in _NOT_SHOWN
            and (
                argument in _SHOWN
                or isinstance(parent, ast.Call)
                and getattr(parent.func, "attr", "") in _WRITES
                or re.search(r"\s", words)
                or words[0].isupper()
            )
        ):
            found.append((node, text))
    return sorted(found, key=lambda each: (each[0].lineno, each[0].col_offset))


def _heads(path):
    """The keys of one word of the tables of a lesson, which its code may need as they are."""
    tree = ast.parse(path.read_text("utf-8"))
    parents = _parents(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict) and not _inside(node, parents, _BEGIN[:-1]):
            for key in filter(_is_string, node.keys):
                if re.fullmatch("[a-z]{2,}", key.value):
                    yield key.value


def _parents(tree):
    return {c: n for n in ast.walk(tree) for c in ast.iter_child_nodes(n)}


def _is_string(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _inside(node, parents, function):
    while node := parents.get(node):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function:
            return True
    return False


def _template(node):
    """An f-string as its template: `{name}: {loss:.3f}`."""
    text = ""
    for value in node.values:
        if isinstance(value, ast.Constant):
            text += value.value.replace("{", "{{").replace("}", "}}")
            continue
        text += "{" + ast.unparse(value.value).replace('"', "'")
        if value.conversion > 0:
            text += "!" + chr(value.conversion)
        if value.format_spec:
            text += ":" + _template(value.format_spec)
        text += "}"
    return text


def _literal(node, text):
    """Source of a string, or f-string, that says `text`."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    if isinstance(node, ast.JoinedStr):
        return 'f"' + escaped + '"'
    return '"' + escaped + '"'
