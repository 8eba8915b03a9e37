"""Files and folders that are there whole or not at all, whoever is killed."""

import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from keras_rnn.files import replacing

HOME = pathlib.Path(__file__).parents[1]


def write(path, words, folder):
    """Writes a file, or a folder with one in it."""
    if folder:
        path.mkdir()
        path = path / "words"
    path.write_text(words)


def read(path):
    return (path / "words" if path.is_dir() else path).read_text()


def names(folder):
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize("was", [None, False, True])
@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize(
    "name", ["it.keras", "old", "new", "n" * 255, "[a]*", "ä" * 99]
)
def test_what_is_written_takes_the_place(tmp_path, name, folder, was):
    path = tmp_path / "deep" / name
    if was is not None:
        path.parent.mkdir()
        write(path, "before", was)
    with pytest.raises(KeyboardInterrupt), replacing(path) as new:
        write(new, "half", folder)
        raise KeyboardInterrupt
    assert names(path.parent) == ([] if was is None else [name])
    assert was is None or read(path) == "before"
    with replacing(str(path)) as new:
        assert new.name == name and not new.exists()
        write(new, "whole", folder)
        assert was is None or read(path) == "before"
    assert read(path) == "whole" and path.is_dir() == folder
    assert names(path.parent) == [name]


def test_nothing_written_leaves_what_was_there(tmp_path):
    write(tmp_path / "it", "before", True)
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "it"):
        pass
    assert read(tmp_path / "it") == "before" and names(tmp_path) == ["it"]


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("there", [False, True])
def test_what_a_link_points_to_is_replaced(tmp_path, folder, there):
    disk, link = tmp_path / "disk" / "data", tmp_path / "it.keras"
    link.symlink_to(disk)
    if there:
        disk.parent.mkdir()
        write(disk, "before", folder)
    with replacing(link) as new:
        assert new.name == "it.keras"  # its ending tells Keras what to write
        write(new, "whole", folder)
    assert link.is_symlink() and read(link) == read(disk) == "whole"
    assert names(tmp_path) == ["disk", "it.keras"] and names(disk.parent) == ["data"]


# The module by itself: a process that need not wait for Keras.
KILLED = """
import importlib.util, os, signal, sys
spec = importlib.util.spec_from_file_location("files", sys.argv[1])
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
between = sys.argv[3] == "between"
if between:  # the renamings, as soon as the first is done
    rename = os.replace
    def replace(*paths):
        rename(*paths)
        os.kill(os.getpid(), signal.SIGKILL)
    os.replace = replace
with files.replacing(sys.argv[2]) as new:
    new.mkdir()
    (new / "words").write_text("of the dead")
    print("writing", flush=True)
    if not between:
        sys.stdin.read()
"""

unix = pytest.mark.skipif(os.name != "posix", reason="no locks on folders there")


def writer(path, when):
    module = HOME / "keras_rnn" / "files.py"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    program = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(module), str(path), when], **pipes
    )
    assert program.stdout.readline() == b"writing\n"
    return program


@unix
def test_what_the_killed_left_is_removed_and_what_others_write_is_not(tmp_path):
    path = tmp_path / "it"
    mine = tmp_path / ".new-it-of-mine"
    mine.mkdir()
    killed, alive = writer(path, "while"), writer(path, "while")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(names(tmp_path)) == 3
    with replacing(path) as new:
        write(new, "whole", True)
    assert read(path) == "whole" and len(names(tmp_path)) == 3  # one is alive
    alive.communicate()
    assert alive.returncode == 0 and read(path) == "of the dead"
    assert names(tmp_path) == [mine.name, "it"]


@unix
def test_who_is_killed_between_the_renamings_loses_nothing(tmp_path):
    path = tmp_path / "it"
    write(path, "before", True)
    killed = writer(path, "between")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL and not path.exists()
    with pytest.raises(KeyboardInterrupt), replacing(path):
        assert read(path) == "of the dead"  # whole, and newer
        raise KeyboardInterrupt
    assert read(path) == "of the dead" and names(tmp_path) == ["it"]


@unix
def test_writers_side_by_side_leave_one_of_them_whole(tmp_path):
    failed = []

    def work(i):
        try:
            for _ in range(20):
                with replacing(tmp_path / "it") as new:
                    write(new, str(i), True)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert names(tmp_path) == ["it"] and read(tmp_path / "it") in "0123"
