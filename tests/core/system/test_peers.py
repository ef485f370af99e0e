"""Processes that end together: real ones, but without what makes their start slow."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest

from core.system.peers import Main
from core.system.signals import REPEAT_SECONDS, note_signal

ROOT = Path(__file__).parents[3]
SCRIPT = textwrap.dedent(
    """
    import json, os, signal, sys, time
    from pathlib import Path
    from core.errors import EXIT_DATA
    from core.system.peers import Ending, end_together, part, watch_peers, when_ended_elsewhere

    rank, count, folder, what = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]

    def exchange(value):
        address = folder / "address"
        if value is not None:
            (folder / "new").write_text(json.dumps(value))
            (folder / "new").rename(address)
        while not address.exists():
            time.sleep(0.01)
        return json.loads(address.read_text())

    def everyone(name):
        (folder / f"{name}-{rank}").touch()
        while len(list(folder.glob(f"{name}-*"))) < count:
            time.sleep(0.01)

    if "slowly" in what[0]:
        from core.system import peers
        serve = peers.Main._serve
        peers.Main._serve = lambda self, connection: (time.sleep(1), serve(self, connection))
    when_ended_elsewhere(lambda end, tell: print("ended by", end.rank, end.what, tell, flush=True))
    watch_peers(rank, count, exchange)
    everyone("joined")
    if "fail" in what[rank]:
        end = Ending(0, "", EXIT_DATA + rank, f"failed {rank}")
        end_together(end, lambda: print("tells", rank, flush=True), float("late" in what[rank]))
    elif what[rank] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what[rank] == "raise":
        import atexit
        atexit.register(part)
        raise ValueError("a defect")
    elif what[rank] == "wait":
        time.sleep(60)
    part()
    """
)


def run(folder, *what):
    """Exit code and lines of each process."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(rank), str(len(what)), str(folder), *what],
            env={**os.environ, "PYTHONPATH": str(ROOT), "MASTER_ADDR": "127.0.0.1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for rank in range(len(what))
    ]
    try:
        lines = [process.communicate(timeout=50)[0].splitlines() for process in running]
    finally:
        for process in running:
            process.kill()
    return [process.returncode for process in running], lines


KILLED = "It ended without a message, as a process that is killed does"


@pytest.mark.parametrize(
    ("what", "codes", "lines"),
    [
        (("done", "done"), [0, 0], [[], []]),
        (("done", "done", "done"), [0, 0, 0], [[], [], []]),
        (
            ("wait", "fail", "wait"),
            [4, 4, 4],
            [["ended by 1 failed 1 False"], ["tells 1"], ["ended by 1 failed 1 False"]],
        ),
        (
            ("fail", "wait", "wait"),
            [3, 3, 3],
            [["tells 0", "ended by 0 failed 0 False"], *[["ended by 0 failed 0 False"]] * 2],
        ),
        (
            ("wait", "wait", "kill"),
            [7, 7, -9],
            [[f"ended by 2 {KILLED} True"], [f"ended by 2 {KILLED} False"], []],
        ),
        (
            ("kill", "wait", "wait"),
            [-9, 7, 7],
            [[], [f"ended by 0 {KILLED} True"], [f"ended by 0 {KILLED} False"]],
        ),
        (("wait", "raise"), [7, 1], [[f"ended by 1 {KILLED} True"], []]),
        (("fail late", "fail"), [4, 4], [["ended by 1 failed 1 False"], ["tells 1"]]),
        (
            ("fail slowly", "wait", "wait"),
            [3, 3, 3],
            [["tells 0", "ended by 0 failed 0 False"], *[["ended by 0 failed 0 False"]] * 2],
        ),
        (("done", "fail"), [4, 4], [["ended by 1 failed 1 False"], ["tells 1"]]),
    ],
    ids=str,
)
def test_the_end_of_one_process_ends_all(tmp_path, what, codes, lines):
    assert run(tmp_path, *what) == (codes, lines)


def test_one_of_several_failing_processes_reports(tmp_path):
    codes, lines = run(tmp_path, "fail", "fail", "fail")
    assert sum(line.startswith("tells") for own in lines for line in own) == 1
    assert all(code in (3, 4, 5) for code in codes)


@pytest.mark.parametrize(
    "hello", [b"", b"{}\n", b"[]\n", b'{"token": "x", "rank": 1}\n', b"\xff" * 9]
)
def test_unauthorised_connections_are_refused(hello):
    main = Main(2)
    with socket.create_connection(("127.0.0.1", main.port)) as stranger:
        stranger.sendall(hello + json.dumps({"ending": {}}).encode() + b"\n")
        stranger.shutdown(socket.SHUT_WR)
        stranger.settimeout(10)
        with suppress(ConnectionResetError):
            assert stranger.recv(10) == b""
    assert main._connections == {}


@pytest.mark.parametrize("launched", [True, False])
def test_a_signal_that_comes_again_soon_counts_once(monkeypatch, launched):
    now = [1000.0]
    monkeypatch.setattr("core.system.signals.monotonic", lambda: now[0])
    monkeypatch.setattr("core.system.signals._noted", float("-inf"))
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if launched:
        monkeypatch.setenv("WORLD_SIZE", "2")
    assert not note_signal(signal.SIGTERM)
    now[0] += 1
    assert note_signal(signal.SIGTERM)
    assert note_signal(signal.SIGUSR1)
    assert note_signal(signal.SIGINT) is launched
    now[0] += REPEAT_SECONDS + 1
    assert not note_signal(signal.SIGTERM)
