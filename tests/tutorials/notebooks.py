"""How the tests run a lesson cell by cell, and look at what its readers see."""

import ast

import make

PLUMBING = {"fetch", "parameters", "injected-parameters"}


def quick_run(script, tmp_path_factory, **parameters):
    """Runs a lesson with `quick=True`, cell by cell, and checks what each cell shows.

    Args:
        script: `Path` of the lesson.
        tmp_path_factory: The fixture of pytest.
        **parameters: Values for more of its parameters.

    Returns:
        The folder that it wrote, and what it printed.
    """
    folder = tmp_path_factory.mktemp("quick") / "results" / "here"
    notebook = make.execute(script, quick=True, output=str(folder), **parameters)
    check(notebook)
    outputs = [o for c in notebook.cells for o in c.get("outputs", [])]
    return folder, "".join(output.get("text", "") for output in outputs)


def check(notebook):
    """Checks that an executed lesson shows something at each step, and a picture.

    No cell has failed or said anything on stderr. Of the cells that are more than
    imports and parameters, at least four in five have an output. At least one picture
    stands inline, and all have an alternative text.
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
    outputs = [output for cell in code for output in cell.outputs]
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert pictures and all(o.metadata["image/png"]["alt"] for o in pictures)


def _is_plumbing(cell):
    """Whether a cell is parameters, or imports and `lesson.begin` alone."""
    if PLUMBING & set(cell.metadata.get("tags", [])):
        return True
    return all(
        isinstance(node, ast.Import | ast.ImportFrom)
        or ast.unparse(node).startswith("lesson.begin(")
        for node in ast.parse(cell.source).body
    )
