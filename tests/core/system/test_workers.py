"""Workers end with their parent, and when it says so; what is meant for a group waits."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import signal, sys, time
from core.system.workers import serve_parent, undisturbed, worker_context

def work(ready):
    serve_parent()
    ready.set()
    time.sleep(60)

if __name__ == "__main__":
    context = worker_context()
    with undisturbed():
        ready = context.Event()
        worker = context.Process(target=work, args=(ready,))
        worker.start()
    ready.wait(30)
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    print(worker.pid, flush=True)
    sys.stdin.readline()
    assert worker.is_alive()
    worker.terminate()
    worker.join(30)
    print(worker.exitcode, flush=True)
"""


@pytest.fixture
def parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        start_new_session=True,
    )
    assert process.stdout is not None
    yield process, int(process.stdout.readline())
    process.kill()
    process.communicate()


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals as POSIX has them")
def test_a_worker_ends_only_on_its_parents_request(parent):
    process, worker = parent
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        os.kill(worker, getattr(signal, name))
    answer, _ = process.communicate("\n", timeout=60)
    assert answer.split() == ["-9"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills as POSIX does")
def test_a_worker_ends_with_its_parent(parent):
    process, worker = parent
    process.kill()
    process.wait()
    for _ in range(3000):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(worker)], capture_output=True)
        if state.stdout.startswith(b"Z"):
            return
    pytest.fail("the worker lives on")
