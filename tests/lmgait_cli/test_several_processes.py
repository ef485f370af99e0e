"""Which of several processes prints what."""

import socket

import pytest

from core.errors import Interrupted, StoreError, UsageError
from lmgait_cli import console, exits
from lmgait_cli.process import rank_and_size


@pytest.fixture
def second_of_four(monkeypatch):
    for module in (console, exits):
        monkeypatch.setattr(module, "RANK", 1)
    monkeypatch.setattr(console, "PROCESSES", 4)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (0, 1)),
        ({"RANK": "2", "WORLD_SIZE": "4"}, (2, 4)),
        ({"RANK": "2"}, (0, 1)),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, (1, 2)),
    ],
)
def test_rank_and_size_come_from_the_launcher(monkeypatch, variables, expected):
    for name in ("RANK", "WORLD_SIZE", "PMI_RANK", "PMI_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert rank_and_size() == expected


def test_an_error_of_a_single_process_names_its_rank(second_of_four, capfd):
    error = StoreError("The shard is damaged", where="shard-3", next_step="Prepare it again.")
    assert exits.print_error(error) == 3
    who = f"Process 1 of 4 on {socket.gethostname()}: "
    assert f"{who}Error: The shard is damaged (shard-3)" in capfd.readouterr().err


def test_an_error_of_all_processes_is_printed_by_rank_0(second_of_four, capfd):
    shared = StoreError("The shard is damaged", next_step="Prepare it again.")
    shared.everywhere = True
    stopped = Interrupted("Stopped", next_step="Again.")
    for error in (shared, stopped, UsageError("No such run", next_step="Name another.")):
        assert exits.print_error(error) == error.exit_code
    assert capfd.readouterr() == ("", "")


def test_only_rank_0_prints_lines_files_and_progress(second_of_four, capfd, tmp_path, monkeypatch):
    from lmgait_cli import results

    monkeypatch.setattr(results, "RANK", 1)
    console.print_note("A line")
    results.write_file(tmp_path / "result.json", "{}", quiet=False)
    with console.ConsoleProgress().task("Work", 1, "it") as task:
        task.advance()
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "result.json").exists()
