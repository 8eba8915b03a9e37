"""Files that are written whole or not at all, whatever is in their place."""

import os
import resource

import pytest

from tests.tutorials.scripts import contents

# isort: split
from workshop import files
from workshop.errors import CannotWrite, UsageError


def a_file(path):
    path.write_text("old")


def a_folder(path):
    path.mkdir()
    (path / "old").write_text("old")


def a_link_to_a_folder(path):
    a_folder(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def a_link_to_nothing(path):
    path.symlink_to("nowhere")


def nothing(path):
    pass


BEFORE = [a_file, a_folder, a_link_to_a_folder, a_link_to_nothing, nothing]


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("new", [a_file, a_folder])
def test_the_new_takes_the_place_of_whatever_is_there(before, new, tmp_path):
    path = tmp_path / "result"
    before(path)
    with files.replacing(path) as written:
        new(written)
    new(tmp_path / "wanted")
    is_link = before in (a_link_to_a_folder, a_link_to_nothing)
    assert path.is_symlink() == is_link  # what it points to is replaced
    assert path.is_dir() == (new is a_folder)
    if new is a_folder:
        assert contents(path) == contents(tmp_path / "wanted")
    names = {"result", "elsewhere", "nowhere", "wanted"}
    assert {each.name for each in tmp_path.iterdir()} <= names


@pytest.mark.parametrize("before", BEFORE)
def test_a_failed_writing_leaves_what_was_there(before, tmp_path):
    path = tmp_path / "result"
    before(path)
    there = contents(tmp_path), os.path.lexists(path)
    with pytest.raises(RuntimeError), files.replacing(path) as written:
        a_file(written)
        raise RuntimeError
    assert (contents(tmp_path), os.path.lexists(path)) == there


def test_what_a_full_disk_leaves(tmp_path):
    path = tmp_path / "result"
    path.write_text("old")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, usual[1]))
    try:
        with pytest.raises(CannotWrite, match=f"cannot write {path}: File too large"):
            files.write_json(path, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert contents(tmp_path) == {"result": b"old"}


def test_a_full_disk_in_others_words(tmp_path):
    said = "Unable to flush (errno = 28, error message = 'No space left on device')"
    with pytest.raises(CannotWrite, match="No space left on device$"):
        with files.replacing(tmp_path / "result"):
            raise RuntimeError(said)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_a_damaged_json_file(text, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(text)
    with pytest.raises(UsageError, match="a.json"):
        files.read_json(path)
