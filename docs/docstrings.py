"""Docstrings as the site shows them.

They are Google's style with Markdown in it: `code` in single backticks, tables, and
equations as indented blocks. Sphinx reads reStructuredText, so they are translated, after
which `sphinx.ext.napoleon` does the rest.
"""

import re

CODE = re.compile(r"`([^`]+)`")
ROW = re.compile(r"^(\s*)\|(.*)\|\s*$")
RULE = re.compile(r"^\s*\|[\s:|-]+\|\s*$")  # below the head of a table
CELL = re.compile(r"(?<!\\)\|(?=(?:[^`]*`[^`]*`)*[^`]*$)")  # a bar that is not in code
SECTION = re.compile(r"^\s*[A-Z][a-z ]+:$")


def translate(lines, public):
    """A docstring in reStructuredText.

    Args:
        lines: List of strings, without the indentation of the docstring.
        public: Set of the names that are at `keras_rnn.NAME`, and have a place in the
            reference.

    Returns:
        List of strings.
    """
    found, i = [], 0
    while i < len(lines):
        line = lines[i]
        if ROW.match(line) and i + 1 < len(lines) and RULE.match(lines[i + 1]):
            end = i
            while end < len(lines) and ROW.match(lines[end]):
                end += 1
            found += _table(lines[i:end], public)
            i = end
        elif _starts_equation(lines, i):
            indent, end = _indent(line), i
            while end < len(lines) and (
                not lines[end] or _indent(lines[end]) >= indent
            ):
                end += 1
            before = _indent(next(x for x in reversed(lines[:i]) if x))
            found += [f"{' ' * before}.. code-block:: none", "", *lines[i:end]]
            if found[-1]:
                found.append("")
            i = end
        elif _is_example(line):
            if found and SECTION.match(found[-1]):
                found.append("")
            while i < len(lines) and lines[i]:
                found.append(lines[i])
                i += 1
        elif not line:
            found.append(line)
            i += 1
        else:  # a paragraph, or what stands under the head of a section
            end = i
            while end < len(lines) and lines[end] and not _is_example(lines[end]):
                end += 1
            found += _code("\n".join(lines[i:end]), public).split("\n")
            i = end
    return found


def _is_example(line):
    return line.lstrip().startswith(">>>")


def _code(text, public):
    """Single backticks as code; the name of something in the reference as a link to it."""

    def code(found):
        # What goes over the end of a line begins the next one.
        first, *others = found[1].split("\n")
        before = ""
        if others:
            before = "\n" + " " * _indent(others[0])
        name = " ".join([first.strip(), *(each.strip() for each in others)])
        short = name.removeprefix("keras_rnn.")
        if short.split("(")[0] in public and "(" not in name:
            return f"{before}:py:obj:`~keras_rnn.{short}`"
        return f"{before}``{name}``"

    return CODE.sub(code, text)


def _table(lines, public):
    """A table of Markdown as a `list-table`."""
    indent = ROW.match(lines[0])[1]
    head, _, *rows = [
        [cell.strip() for cell in CELL.split(ROW.match(line)[2])] for line in lines
    ]
    found = ["", f"{indent}.. list-table::", f"{indent}   :header-rows: 1", ""]
    for row in (head, *rows):
        for i, cell in enumerate(row):
            mark = "* -" if i == 0 else "  -"
            found.append(f"{indent}   {mark} {_code(cell, public)}".rstrip())
    return [*found, ""]


def _starts_equation(lines, i):
    """Whether an indented block that is no text starts at a line."""
    before = [line for line in lines[:i] if line]
    return bool(
        lines[i]
        and before
        and not lines[i - 1]
        and _indent(lines[i]) > _indent(before[-1])
        and not SECTION.match(before[-1])
    )


def _indent(line):
    return len(line) - len(line.lstrip())
