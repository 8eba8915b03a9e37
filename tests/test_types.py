"""The type hints: on every public function, method and property of the package.

Whether they are true is mypy's business: `mypy` (see pyproject.toml).
"""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "keras_rnn"
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}


def is_public(name):
    """Whether a name is for others: special methods are, `_this` is not."""
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))


def functions(body, owner=""):
    """The public functions of a module and the public methods of its classes.

    Those of private classes count, too: public ones inherit them.
    """
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from functions(node.body, f"{owner}{node.name}.")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if is_public(node.name):
                yield owner, node


def without_hints(owner, function):
    """The names of the arguments without a type hint, and "return"."""
    arguments = [*function.args.posonlyargs, *function.args.args]
    static = any(ast.unparse(d) == "staticmethod" for d in function.decorator_list)
    if owner and not static:
        del arguments[0]  # `self`, or `cls`
    arguments += function.args.kwonlyargs
    arguments += filter(None, [function.args.vararg, function.args.kwarg])
    missing = [each.arg for each in arguments if each.annotation is None]
    return missing + ["return"] * (function.returns is None)


def missing_in(source):
    """What lacks a hint, by the name of the function."""
    found = {
        owner + function.name: without_hints(owner, function)
        for owner, function in functions(ast.parse(source).body)
    }
    return {name: missing for name, missing in found.items() if missing}


@pytest.mark.parametrize("name", sorted(FILES))
def test_all_that_is_public_has_type_hints(name):
    assert missing_in(FILES[name].read_text(encoding="utf-8")) == {}


def test_each_kind_of_argument_is_seen():
    source = """
def free(a, /, b: int, *c, d, **e): ...
def whole(a: int, *b: int, **c: int) -> None: ...
def _private(a): ...
class _Base:
    def method(self, a) -> None: ...
    def _private(self, a): ...
    def __len__(self): ...
    @property
    def there(self): ...
    @staticmethod
    def static(a) -> None: ...
    @classmethod
    def of_class(cls, a: int) -> None: ...
"""
    assert missing_in(source) == {
        "free": ["a", "d", "c", "e", "return"],
        "_Base.method": ["a"],
        "_Base.__len__": ["return"],
        "_Base.there": ["return"],
        "_Base.static": ["a"],
    }
