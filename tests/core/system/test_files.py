"""Files that appear whole or not at all, and what dead processes leave of them."""

import os
import subprocess
import sys

import pytest

from core.errors import OutputError
from core.system.files import (
    hidden_path,
    output_error,
    remove,
    remove_leftovers,
    whole_file,
    write_text,
)


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_files_of_a_dead_writer_are_removed_and_those_of_a_running_one_stay(tmp_path, dead):
    path = tmp_path / "a[b].json"
    rests = [hidden_path(path, f".{number}.partial") for number in (dead, os.getppid())]
    other = hidden_path(tmp_path / "a[b].jsonl", f".{dead}.partial")
    for rest in (*rests, other):
        rest.write_text("half")
    write_text(path, "whole")
    assert path.read_text() == "whole"
    assert not rests[0].exists()
    assert rests[1].exists()
    assert other.exists()


@pytest.mark.parametrize("name", ["x" * 255, "\u00fc" * 127])
def test_the_longest_names_can_be_written(tmp_path, name):
    write_text(tmp_path / name, "text")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert hidden_path(tmp_path / name, ".1.partial") != hidden_path(
        tmp_path / name[1:], ".1.partial"
    )


def test_a_deleted_folder_is_not_created_again(tmp_path):
    with pytest.raises(OutputError, match="has gone"):
        write_text(tmp_path / "gone" / "a", "text", parents=False)
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("file write failed: errno = 28, error message = 'x'"), "No space left"),
        (ValueError("I/O error: No space left on device (os error 28)"), "No space left"),
        (OSError("[Errno 30] x"), "No permission"),
        (FileNotFoundError(2, "x"), "has gone"),
        (OSError("odd"), "Cannot write: odd"),
    ],
)
def test_system_errors_are_recognised_in_library_messages(tmp_path, error, message):
    assert message in str(output_error(error, tmp_path))
    if "odd" not in str(error):
        with pytest.raises(OutputError, match=message), whole_file(tmp_path / "a"):
            raise error


def test_other_errors_are_not_translated(tmp_path):
    def write():
        with whole_file(tmp_path / "a") as partial:
            partial.write_text("half")
            raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_files_and_folders_are_removed(tmp_path):
    (tmp_path / ".step-1.partial").mkdir()
    (tmp_path / ".step-1.partial" / "a").write_text("half")
    (tmp_path / ".b.7.partial").write_text("half")
    for remaining in (".lock", "c.partial", "d"):
        (tmp_path / remaining).write_text("whole")
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "gone")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "c.partial", "d"]


def test_a_folder_is_hidden_before_it_is_removed(tmp_path, monkeypatch):
    (tmp_path / "step-1").mkdir()
    removed = []
    monkeypatch.setattr("shutil.rmtree", lambda path, **_: removed.append(path.name))
    remove(tmp_path / "step-1")
    assert not (tmp_path / "step-1").exists()
    assert removed[0].startswith(".step-1.")
    remove(tmp_path / "gone")
