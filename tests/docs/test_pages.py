"""The pages of the site: their code runs, and what they name is there."""

import ast
import contextlib
import importlib
import importlib.util
import io
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# What is written by hand; the rest is copied from elsewhere, or made.
PAGES = [DOCS / "index.md", *sorted(DOCS.glob("howto/*.md")), DOCS / "how_it_works.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What a page needs beside TensorFlow and the extras of the quick tests.
NEEDS = {
    "from_torch.md": ["torch"],
    "export_and_serve.md": ["onnx", "onnxruntime", "tf2onnx", "ai_edge_litert"],
}

# Those that export, or import another framework.
SLOW = {*NEEDS, "write_and_translate.md", "own_data.md"}


def blocks(page, language="python"):
    """The code of a page: for each block its first line, and what stands in it."""
    text = page.read_text("utf-8")
    return [
        (text[: found.start(2)].count("\n"), found[2])
        for found in BLOCK.finditer(text)
        if found[1] == language
    ]


def run(page):
    """Runs the code of a page from its start, and checks what it says that is printed.

    `print(...)  # something` says so of something.
    """
    names = {"__name__": "__page__"}
    for start, code in blocks(page):
        lines = code.splitlines()
        for node in ast.parse(code).body:
            module = ast.Module([node], [])
            ast.increment_lineno(module, start)
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(module, str(page), "exec"), names)
            told = re.match(r"print\(.*\)  # (.+)$", lines[node.lineno - start - 1])
            if told:
                assert out.getvalue().strip() == told[1], code


def pages_with_code():
    """Each page with code, as a parameter of a test: marked, if it takes long."""
    for page in PAGES:
        if blocks(page) and page.name != "how_it_works.md":
            marks = [pytest.mark.slow] if page.name in SLOW else []
            yield pytest.param(page, id=page.stem, marks=marks)


@pytest.mark.tensorflow
@pytest.mark.parametrize("page", pages_with_code())
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    for package in NEEDS.get(page.name, []):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    run(page)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_commands_for_data_of_ones_own_run(tmp_path, monkeypatch):
    from tests.tutorials.scripts import python  # it needs the extra [tutorials]

    page = DOCS / "howto" / "own_data.md"
    monkeypatch.chdir(tmp_path)
    exec(blocks(page)[0][1], {})  # it writes reviews.csv
    commands = re.findall(r"^    python (examples/.*)$", page.read_text("utf-8"), re.M)
    assert len(commands) == 2
    for command in commands:
        script, *arguments = shlex.split(command)
        code, out, error = python(ROOT / script, *arguments, cwd=tmp_path)
        assert (code, error) == (0, ""), out + error
    assert (tmp_path / "output" / "sentiment" / "model.keras").exists()


def cited(pattern):
    """What the pages, and those who change the package, name by a path or a name."""
    pages = [*PAGES, *DOCS.glob("*.md"), *DOCS.glob("reference/*.md")]
    pages += [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    text = "\n".join(page.read_text("utf-8") for page in pages)
    return sorted(set(re.findall(pattern, text)))


def test_each_path_that_is_named_exists():
    folders = "keras_rnn|tutorials|examples|benchmarks|tests|docs"
    paths = cited(
        rf"(?<![\w/.])((?:{folders})/[\w/.]*\w\.(?:py|md|png|svg)|keras_rnn/)"
    )
    assert "keras_rnn/cells/elman.py" in paths and len(paths) > 10
    paths = [path for path in paths if "NN_name" not in path]  # any lesson
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_each_dotted_name_exists():
    names = cited(r"(?<![\w./])keras_rnn(?:\.[a-zA-Z_]\w*)+(?!\w|\.md)")
    assert "keras_rnn.cells.CellMixin" in names and len(names) > 20
    assert [name for name in names if not exists(name)] == []


def exists(name):
    """Whether a dotted name leads to something: through modules, then attributes."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_each_option_that_a_command_names_is_one_of_its_program():
    pages = [*PAGES, ROOT / "README.md", *DOCS.glob("*.md")]
    commands = [
        found
        for page in pages
        for found in re.findall(
            r"python ([\w/]+\.py)([^`\n#]*)", page.read_text("utf-8")
        )
    ]
    commands = [command for command in commands if command[0] != "my_program.py"]
    assert len(commands) > 8
    for path, arguments in commands:
        shared = ROOT / "tutorials" / "workshop" / "command_line.py"
        code = (ROOT / path).read_text("utf-8") + shared.read_text("utf-8")
        for option in re.findall(r"--[\w-]+", arguments):
            assert f'"{option}"' in code or option == "--help", (path, option)
