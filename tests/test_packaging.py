"""What is handed out: the source distribution has all, the wheel the package alone."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MADE = {"__pycache__", "build", "dist", "output", "PKG-INFO", "setup.cfg"}
MADE |= {"_build", "also", "course"}  # in docs/
# What front ends call, such as pip and build.
BUILD = """
import sys
from setuptools import build_meta as backend
getattr(backend, "build_" + sys.argv[1])(sys.argv[2])
"""


def run(*command, cwd, **environment):
    found = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def files_of(root):
    """The files of the repository: those that Git knows or, without it, all there are."""
    if (root / ".git").exists() and shutil.which("git"):
        names = run("git", "ls-files", "-z", cwd=root).split("\0")[:-1]
    else:
        names = [path.relative_to(root).as_posix() for path in root.rglob("*")]
    return {
        name
        for name in names
        if (root / name).is_file() and not is_made(Path(name).parts)
    }


def is_made(parts):
    """Whether the file is no source: what is hidden, and what running or building writes."""
    return any(
        part in MADE or part.startswith(".") or part.endswith(".egg-info")
        for part in parts
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("source")
    # Not where the repository is, which setuptools would write into.
    tree = folder / "tree"
    for name in files_of(ROOT):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes((ROOT / name).read_bytes())
    (tree / "tests" / "__pycache__").mkdir()
    (tree / "tests" / "__pycache__" / "made.pyc").touch()
    run(sys.executable, "-c", BUILD, "sdist", folder, cwd=tree)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    """The unpacked wheel, made of the source distribution."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-c", BUILD, "wheel", folder, cwd=source)
    (archive,) = folder.glob("*.whl")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_source_distribution_has_all_that_the_tests_need(source):
    assert files_of(source) == files_of(ROOT)
    for name in ("conftest.py", "pyproject.toml", "tests/conftest.py", "LICENSE"):
        assert (source / name).read_bytes() == (ROOT / name).read_bytes()
    made = [path for path in source.rglob("*") if "__pycache__" in path.parts]
    assert made == []


def test_the_wheel_has_the_package_and_nothing_else(wheel):
    found = {
        path.relative_to(wheel).as_posix()
        for path in wheel.rglob("*")
        if path.is_file()
    }
    told = {name for name in found if ".dist-info/" in name}
    assert found - told == {n for n in files_of(ROOT) if n.startswith("keras_rnn/")}
    assert any(name.endswith("/LICENSE") for name in told)


def test_the_wheel_can_be_imported(wheel, tmp_path):
    code = "import keras_rnn; print(keras_rnn.__file__)"
    out = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(wheel))
    assert out.strip() == str(wheel / "keras_rnn" / "__init__.py")
