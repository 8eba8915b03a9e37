"""A lesson: its parameters, its figures, its tables, and what was measured in it.

A lesson has one cell of plain assignments, tagged as papermill has it, and then `begin`:

    # %% tags=["parameters"]
    units = 64  # size of the hidden state
    epochs = 3  # passes over the data
    seed = 1  # of all randomness
    quick = False  # a small network and little data, to see that everything works
    output = "output/five_shapes"  # folder for the figures

    # %%
    lesson.begin(globals(), quick={"epochs": 1})

`python LESSON.py --units 32 --quick` sets the same names from the command line. In a
notebook they have the values that stand there, or that papermill injected.
"""

import argparse
import ast
import io
import json
import math
import numbers
import re
import sys
import tokenize
from pathlib import Path

import keras
from matplotlib.text import Text

from workshop import errors, files, languages, machine, plots, printing
from workshop.errors import UsageError

_CELL = re.compile(r"^# %%.*$", re.MULTILINE)
_INJECTED = "# Parameters"  # how papermill begins the cell that it injects

_lesson = {}  # what the lesson that began last needs


def in_language(language):
    """Sets the language of what pictures and tables say: "en" (the default) or "fr"."""
    languages.choose(language)


def begin(namespace, quick, choices=None):
    """Sets the parameters of a lesson, checks them, and seeds all randomness.

    With `--language fr` on the command line, the lesson runs in French instead.

    Args:
        namespace: `globals()` of the lesson.
        quick: Dict from names of parameters to values that `quick = True` puts in the
            place of the defaults. What is given on the command line or injected stays.
        choices: Dict from names of parameters to all values that they may have.
    """
    notebook = "get_ipython" in namespace
    if not notebook:
        printing.make_lenient()
        sys.excepthook = errors.hook
    try:
        if notebook:
            defaults, given = _of_notebook(namespace["In"])
        else:
            source = Path(namespace["__file__"]).read_text("utf-8")
            defaults = _parameters(_tagged(source))
            given = {}
            if namespace["__name__"] == "__main__":
                given = _of_command_line(source, defaults)
                _run_in(given.pop("language", languages.chosen()), namespace)
        for names in (quick, choices or {}):
            for name in names:
                if name not in defaults:
                    raise ValueError(f"{name!r} is not among the parameters.")
        given = {
            name: _checked(name, value, defaults, choices or {})
            for name, value in given.items()
        }
        values = {name: default for name, (default, _) in defaults.items()}
        if given.get("quick", values["quick"]):
            values |= quick
        values |= given
        files.make_writable(Path(values["output"]))
    except UsageError as error:
        if notebook:
            raise
        sys.exit(errors.report(error))
    namespace.update(values)
    keras.utils.set_random_seed(values["seed"])
    _lesson.clear()
    _lesson.update(
        notebook=notebook, folder=Path(values["output"]), parameters=values, figures={}
    )
    if notebook:
        found = machine.versions()
        libraries = [f"{name} {found[name]}" for name in ("keras", "tensorflow")]
        print(f"{machine.machine_and_date()}; {', '.join(libraries)}")
    if values["quick"]:
        smaller = ", ".join(f"{name}={values[name]!r}" for name in quick) or "-"
        print(languages.said(f"Quick, to see that everything works: {smaller}"))


def _tagged(source):
    """The cell of a percent script that is tagged `parameters`."""
    starts = [*_CELL.finditer(source)]
    for start, end in zip(starts, [*starts[1:], None]):
        if '"parameters"' in start.group():
            return source[start.end() : end and end.start()]
    raise ValueError('There is no cell `# %% tags=["parameters"]`.')


def _parameters(cell):
    """The names that a cell assigns to, each with its value and the comment beside it."""
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(cell).readline)
        if token.type == tokenize.COMMENT
    }
    found = {
        node.targets[0].id: (
            ast.literal_eval(node.value),
            comments.get(node.end_lineno, ""),
        )
        for node in ast.parse(cell).body
        if isinstance(node, ast.Assign)
    }
    for name in ("seed", "quick", "output"):
        if name not in found:
            raise ValueError(f"`{name}` is missing among the parameters.")
    return found


def _of_notebook(cells):
    """The parameters of a notebook from the cells that ran, and those injected."""
    given = {}
    for cell in reversed(cells):
        if cell.lstrip().startswith(_INJECTED):
            for node in ast.parse(cell).body:
                value = ast.literal_eval(node.value)
                given.setdefault(node.targets[0].id, value)
        elif re.search("^quick *=", cell, re.M) and re.search("^output *=", cell, re.M):
            return _parameters(cell), given
    raise ValueError("The cell of the parameters has not run.")


class _CommandLine(argparse.ArgumentParser):
    def error(self, message):
        raise UsageError(message)


def _of_command_line(source, defaults):
    """The parameters that the command line gives."""
    title = re.search(r"^# # (.*)$", source, re.MULTILINE)
    parser = _CommandLine(
        description=title and title[1],
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    for name, (default, comment) in defaults.items():
        how = {"type": type(default), "metavar": type(default).__name__.upper()}
        if isinstance(default, bool):
            how = {"action": argparse.BooleanOptionalAction}
        text = f"{comment} (default: {default})".strip().replace("%", "%%")
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, help=text, **how)
    parser.add_argument(
        "--language", choices=languages.LANGUAGES, help="of all that it says"
    )
    return vars(parser.parse_args())


def _run_in(language, namespace):
    """Runs the whole lesson in another language, if it does not run in it already."""
    if language == languages.chosen():
        return
    path = Path(namespace["__file__"]).resolve()
    exec(compile(languages.translated(path, language), path, "exec"), namespace)
    sys.exit()


def _checked(name, value, defaults, choices):
    """The value that a parameter is given, or a `UsageError` if it may not have it."""
    if name not in defaults:
        raise UsageError(f"{name}: is not one of the parameters, {', '.join(defaults)}")
    default = defaults[name][0]
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    kind = type(default).__name__
    if type(value) is not type(default):
        raise UsageError(f"{name}: must be of type {kind}, not {value!r}")
    if name in choices and value not in choices[name]:
        allowed = ", ".join(map(str, choices[name]))
        raise UsageError(f"{name}: must be one of {allowed}, not {value!r}")
    if name == "seed":
        if not 0 <= value < 2**32:
            raise UsageError(f"seed: must be from 0 to {2**32 - 1}, not {value}")
    elif kind in ("int", "float"):
        if not math.isfinite(value):
            raise UsageError(f"{name}: must be finite, not {value}")
        if default > 0 and value <= 0:
            raise UsageError(f"{name}: must be greater than 0, not {value}")
    return value


def show(figure, name):
    """Shows a figure of Matplotlib: in a notebook inline, and in the output folder.

    Args:
        figure: `matplotlib.figure.Figure`.
        name: String, the name of the file: "learning_curves.png".
    """
    path = _lesson["folder"] / name
    for text in figure.findobj(Text):
        text.set_text(languages.said(text.get_text()))
    plots.save_figure(figure, path)
    if not _lesson["notebook"]:
        print(languages.said(f"The figure is in {path}"))
        return
    from IPython.display import display

    if not figure.axes:  # of texts alone: IPython takes it for empty
        figure.add_axes((0, 0, 1, 1)).set_axis_off()
        figure.set_layout_engine("none")
    display(figure, metadata={"image/png": {"alt": plots.description(figure)}})


def table(rows):
    """Prints a small table. Numbers stand right, text left.

    Args:
        rows: List of dicts: in each row the value by the name of its column. What is
            missing stays blank, and what is a string already is taken as it is.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_text(row.get(name, "")) for name in columns] for row in rows]
    heads = [languages.head(name) for name in columns]
    right = [not any(isinstance(row.get(c), str) for row in rows) for c in columns]
    widths = [max(map(len, column)) for column in zip(heads, *cells)]
    for line in (heads, ["-" * width for width in widths], *cells):
        padded = [
            cell.rjust(width) if side else cell.ljust(width)
            for cell, width, side in zip(line, widths, right)
        ]
        print("  ".join(padded).rstrip())


def _text(value):
    """A value as a table has it: some digits of it, whatever its size."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return languages.said("yes") if value else languages.said("no")
    if isinstance(value, numbers.Integral):
        return f"{value:,}"
    size = abs(value)
    if 1000 <= size < math.inf:
        return f"{value:,.0f}"
    return f"{value:.1e}" if 0 < size < 0.001 else f"{value:.3f}"


def record(**figures):
    """Adds measured figures to `metrics.json`, with all that they depend on.

    Args:
        **figures: What JSON can hold, and numbers and arrays of NumPy.
    """
    _lesson["figures"] |= json.loads(json.dumps(figures, default=lambda v: v.tolist()))
    told = {
        "parameters": _lesson["parameters"],
        "versions": machine.versions(),
        "machine": machine.machine_and_date(),
    }
    files.write_json(_lesson["folder"] / "metrics.json", _lesson["figures"] | told)
