"""The rooms of the package: what each may import, and where the map of the house has it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "keras_rnn"
OF_RNN = {"rnn", "rnn_arguments", "engines", "masked_loop"}
# Imports run one way: what each of the lower rooms may stand on, beside itself.
BELOW = {
    "cells": {"arguments", "hints"},
    "states": {"hints"},
    "backends": {"cells", "hints"},
    "step_gradients": {"backends", "cells", "hints"},
    "bptt": {"backends", "cells", "hints", "states", "step_gradients"},
    "parallel": {"backends", "cells", "hints"},
    **{
        name: {"backends", "bptt", "cells", "hints", "parallel", "states"} | OF_RNN
        for name in OF_RNN
    },
}


def rooms_of(name):
    """The rooms that a module, or the modules of a folder, import from."""
    path = PACKAGE / name
    files = path.glob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            else:
                continue
            for module in modules:
                package, _, rest = module.partition(".")
                if package == "keras_rnn":
                    yield rest.partition(".")[0]


@pytest.mark.parametrize("name", sorted(BELOW))
def test_imports_run_one_way(name):
    assert set(rooms_of(name)) <= BELOW[name] | {name}


def test_the_map_names_all_rooms_and_no_other():
    text = (ROOT / "docs" / "how_it_works.md").read_text(encoding="utf-8")
    house = text.partition("## What is in the house")[2]
    house = house.partition("\nkeras_rnn/\n")[2].partition("\ntutorials/")[0]
    told = set(re.findall(r"\b(\w+\.py)\b", house))
    assert told <= {path.name for path in PACKAGE.rglob("*.py")}
    for path in PACKAGE.iterdir():
        if path.suffix == ".py" and path.name not in ("__init__.py", "sampling.py"):
            assert path.name in told
        elif path.is_dir() and (path / "__init__.py").exists():
            assert f"  {path.name}/ " in house
