"""How the tests run a lesson as a notebook, and look at what its readers see."""

import ast
import os

import jupytext
import nbclient
import nbformat

from tests.tutorials.scripts import ROOT, TUTORIALS

PARAMETERS = {"parameters", "injected-parameters"}


def execute(path, **parameters):
    """Runs a percent script as a notebook, in a fresh kernel, as a reader would.

    Args:
        path: The script.
        **parameters: Values for names in its cell tagged `parameters`, injected after
            it as papermill does.

    Returns:
        The notebook with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell raised an exception.
    """
    notebook = jupytext.read(path)
    if parameters:
        lines = [f"{name} = {value!r}" for name, value in parameters.items()]
        cell = nbformat.v4.new_code_cell("\n".join(["# Parameters", *lines]))
        cell.metadata["tags"] = ["injected-parameters"]
        (at,) = [i for i, c in enumerate(notebook.cells) if "parameters" in _tags(c)]
        notebook.cells.insert(at + 1, cell)
    client = nbclient.NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(TUTORIALS)}},
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in ("MPLBACKEND", "TF_CPP_MIN_LOG_LEVEL"):  # the kernel has its own
        environment.pop(name, None)
    return client.execute(env=environment)


def check(notebook):
    """Checks that an executed lesson shows something at each step, and a picture.

    No cell has failed or said anything on stderr. Of the cells that are more than
    imports and parameters, at least four in five have an output. At least one picture
    stands inline.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        for output in cell.outputs:
            assert output.output_type != "error", f"{cell.source}\n{output}"
            assert output.get("name") != "stderr", f"{cell.source}\n{output.text}"
            shown = output.get("data", {})
            is_figure = shown.get("text/plain", "").startswith("<Figure")
            assert "image/png" in shown or not is_figure, cell.source  # no picture
    telling = [cell for cell in code if not _is_plumbing(cell)]
    silent = [cell.source for cell in telling if not cell.outputs]
    assert telling and 5 * len(silent) <= len(telling), "\n\n".join(silent)
    assert any("image/png" in o.get("data", {}) for c in code for o in c.outputs)


def _tags(cell):
    return set(cell.metadata.get("tags", []))


def _is_plumbing(cell):
    """Whether a cell is parameters, or imports and `lesson.begin` alone."""
    if PARAMETERS & _tags(cell):
        return True
    return all(
        isinstance(node, ast.Import | ast.ImportFrom)
        or ast.unparse(node).startswith("lesson.begin(")
        for node in ast.parse(cell.source).body
    )
