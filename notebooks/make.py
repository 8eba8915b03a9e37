"""Makes the notebooks: each lesson, run cell by cell, with its outputs and pictures.

    python notebooks/make.py                # those whose code has changed, and all prose
    python notebooks/make.py 03 05 --again  # these, run again
    python notebooks/make.py --check        # says what does not agree with its script
    python notebooks/make.py --language fr  # the same of the French ones

A lesson whose code is that of its notebook is not run: only its prose is taken over.
"""

import argparse
import base64
import io
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbclient
import nbformat
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tutorials"))

from workshop import languages  # noqa: E402

LESSONS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))

# The second cell of each notebook.
FETCH = """\
# This fetches the course where it is missing, as on Colab and Kaggle.
import sys
from pathlib import Path

folders = [Path.cwd(), *Path.cwd().parents, *Path.cwd().glob("keras_rnn-*")]
if not any((folder / "tutorials" / "workshop").is_dir() for folder in folders):
    !pip download --quiet --no-deps --no-binary=:all: keras-rnn
    !tar -xzf keras_rnn-*.tar.gz
    !pip install --quiet "$(ls -d keras_rnn-*/)[tutorials]"
    folders = Path.cwd().glob("keras_rnn-*/")
sys.path[:0] = [str(f / "tutorials") for f in folders if (f / "tutorials").is_dir()]"""


def sources(script, language="en"):
    """A percent script as a notebook without outputs.

    Args:
        script: `Path`.
        language: "en" or "fr".

    Returns:
        Notebook of nbformat. Its cells have the same ids each time.
    """
    notebook = jupytext.reads(languages.translated(script, language), "py:percent")
    fetch = nbformat.v4.new_code_cell(FETCH, metadata={"tags": ["fetch"]})
    notebook.cells.insert(1, fetch)
    for i, cell in enumerate(notebook.cells):
        cell.id = f"{script.stem[:2]}-{i:03}"
        if cell.cell_type == "markdown":
            cell.source = with_links_from_here(cell.source, script, language)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        }
    )
    return notebook


def with_links_from_here(text, script, language="en"):
    """A text of a lesson whose links lead to the same files from its notebook.

    Another lesson is its notebook.
    """
    here = path_of(script, language).parent

    def link(found):
        path = Path(os.path.normpath(script.parent / found[1]))
        if not path.exists():  # no link at all, but code: f[a](b)
            return found[0]
        path = path_of(path, language) if path in LESSONS else path
        way = Path(os.path.relpath(path, here)).as_posix()
        return f"]({way}{found[2] or ''})"

    return re.sub(r"\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)", link, text)


def execute(script, language="en", **parameters):
    """Runs a lesson as a notebook, in a fresh kernel, as a reader would.

    Args:
        script: `Path` of a percent script.
        language: "en" or "fr".
        **parameters: Values for names in its cell tagged `parameters`, injected after
            it as papermill does.

    Returns:
        The notebook with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell raised an exception.
    """
    notebook = sources(script, language)
    if parameters:
        lines = [f"{name} = {value!r}" for name, value in parameters.items()]
        cell = nbformat.v4.new_code_cell("\n".join(["# Parameters", *lines]))
        cell.metadata["tags"] = ["injected-parameters"]
        tags = [c.metadata.get("tags", []) for c in notebook.cells]
        (at,) = [i for i, names in enumerate(tags) if "parameters" in names]
        notebook.cells.insert(at + 1, cell)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in ("MPLBACKEND", "TF_CPP_MIN_LOG_LEVEL"):  # the kernel has its own
        environment.pop(name, None)
    # In the course's folder, where nothing is fetched; what it writes is not kept.
    with tempfile.TemporaryDirectory(dir=ROOT / "notebooks", prefix="run-") as folder:
        nbclient.NotebookClient(
            notebook,
            timeout=None,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": folder}},
        ).execute(env=environment)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            tidy(cell)
    return notebook


def tidy(cell):
    """Makes the outputs of an executed cell fit to be kept."""
    cell.metadata.pop("execution", None)
    outputs = []
    for output in cell.outputs:
        streams = output.output_type == "stream" and outputs
        if streams and outputs[-1].get("name") == output.name:
            outputs[-1].text += output.text
        else:
            outputs.append(output)
    for output in outputs:
        if output.output_type == "stream":
            output.text = last_of_each_line(output.text)
        picture = output.get("data", {}).get("image/png")
        if picture:
            output.data["image/png"] = smaller(picture)
            # Where MyST-NB looks for the alternative text.
            alt = output.metadata.get("image/png", {}).get("alt")
            if alt:
                cell.metadata["mystnb"] = {"image": {"alt": alt}}
    cell.outputs = outputs


def last_of_each_line(text):
    """Of a progress bar, which overwrites its line, what stands there at the end."""
    lines = []
    for line in text.split("\n"):
        while "\b" in line.strip("\b"):
            line = re.sub("[^\b]\b", "", line)
        written = [part for part in line.replace("\b", "").split("\r") if part]
        lines.append(written[-1].rstrip() if written else "")
    return "\n".join(lines)


def smaller(picture):
    """The same PNG, in base64, with 256 colours where that takes less room."""
    data = base64.b64decode(picture)
    image, buffer = Image.open(io.BytesIO(data)).convert("RGB"), io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return base64.b64encode(min(data, buffer.getvalue(), key=len)).decode()


def path_of(script, language):
    """The notebook of a lesson."""
    return ROOT / "notebooks" / language / f"{script.stem}.ipynb"


def cells_of(notebook, kind):
    """The sources of all cells of a kind: "code" or "markdown"."""
    return [cell.source for cell in notebook.cells if cell.cell_type == kind]


def disagreement(script, language):
    """In what a notebook is not that of its script, "" if it is."""
    path = path_of(script, language)
    if not path.exists():
        return f"{language}/{path.name} is missing"
    notebook, fresh = nbformat.read(path, 4), sources(script, language)
    for kind in ("code", "markdown"):
        for i, (old, new) in enumerate(
            zip(cells_of(notebook, kind), cells_of(fresh, kind))
        ):
            if old != new:
                return f"{path.name}: {kind} cell {i} is not that of the script"
    if len(notebook.cells) != len(fresh.cells):
        return f"{path.name} has {len(notebook.cells)} cells, not {len(fresh.cells)}"
    return ""


def make(script, language, again):
    """Writes the notebook of a lesson, run if its code has changed."""
    path, fresh = path_of(script, language), sources(script, language)
    old = nbformat.read(path, 4) if path.exists() else None
    if again or not old or cells_of(old, "code") != cells_of(fresh, "code"):
        print(f"{script.name} runs", flush=True)
        start = time.time()
        fresh = execute(script, language)
        print(f"{script.name}: {(time.time() - start) / 60:.1f} minutes", flush=True)
    else:
        executed = [cell for cell in old.cells if cell.cell_type == "code"]
        code = [cell for cell in fresh.cells if cell.cell_type == "code"]
        for cell, done in zip(code, executed):
            cell.outputs, cell.metadata = done.outputs, done.metadata
            cell.execution_count = done.execution_count
    path.parent.mkdir(exist_ok=True)
    text = nbformat.writes(fresh) + "\n"
    if str(ROOT) in text or str(Path.home()) in text:
        raise ValueError(f"{path.name} has a path of this machine in it.")
    new = path.with_suffix(".new")
    new.write_text(text, "utf-8")
    new.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "numbers", nargs="*", metavar="NN", help="lessons (default: all)"
    )
    parser.add_argument("--language", choices=languages.LANGUAGES, default="en")
    parser.add_argument("--again", action="store_true", help="run them in any case")
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    options = parser.parse_args()
    chosen = [s for s in LESSONS if s.stem[:2] in (options.numbers or s.stem[:2])]
    if options.check:
        found = [
            text for text in (disagreement(s, options.language) for s in chosen) if text
        ]
        print("\n".join(found) or "All notebooks are those of their scripts.")
        return bool(found)
    for script in chosen:
        make(script, options.language, options.again)


if __name__ == "__main__":
    sys.exit(main())
