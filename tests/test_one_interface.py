"""The modules of the three backends have one interface: the same names and arguments."""

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "keras_rnn" / "backends"
BACKENDS = ("tensorflow", "jax", "torch")


def tree_of(name):
    return ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))


def functions_of(name):
    """The arguments and their defaults of each function that a module has, by name."""
    found = {}
    for node in tree_of(name).body:
        if isinstance(node, ast.FunctionDef):
            defaults = [ast.unparse(each) for each in node.args.defaults]
            found[node.name] = [each.arg for each in node.args.args], defaults
            others = (node.args.vararg, node.args.kwonlyargs, node.args.kwarg)
            assert others == (None, [], None)
        elif isinstance(node, ast.ImportFrom):
            folder, _, module = (node.module or "").rpartition(".")
            if folder == "keras_rnn.backends":
                there = functions_of(module)
                found |= {each.name: there[each.name] for each in node.names}
    return found


def wanted_from(owner):
    """The names that the package takes from a module of the backend."""
    return {
        node.attr
        for node in ast.walk(tree_of("__init__"))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == owner
    }


@pytest.mark.parametrize("owner, suffix", [("own", ""), ("kernels", "_kernels")])
def test_the_same_names_and_arguments(owner, suffix):
    names = wanted_from(owner)
    assert names
    for backend in BACKENDS[1:]:
        theirs, ours = (
            functions_of(backend + suffix),
            functions_of("tensorflow" + suffix),
        )
        for name in names:
            assert theirs[name] == ours[name], f"{name} on {backend}"
