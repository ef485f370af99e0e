"""Reading ahead in worker processes, and what is told when one of them dies."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import Dataset

from core.data.loading import _fetched, read_ahead, workers_explained
from core.errors import OutputError, ResourceError, StoreError

ROOT = Path(__file__).parents[3]


class Numbers(Dataset[torch.Tensor]):
    """Five tensors; reading one kills the process (``killed``) or finds damage (``broken``)."""

    def __init__(self, killed=-1, broken=-1, by=signal.SIGKILL):
        self.killed, self.broken, self.by = killed, broken, by

    def __len__(self):
        return 5

    def __getitem__(self, index):
        if index == self.killed:
            os.kill(os.getpid(), self.by)
        if index == self.broken:
            raise StoreError("damaged")
        return torch.full((2,), float(index))


def numbers(workers, **how):
    found = read_ahead(Numbers(**how), workers=workers, batch_size=None, shuffle=False)
    return [float(item[0]) for item in found]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_items_come_in_order_and_errors_as_they_were(workers):
    assert numbers(workers) == [0, 1, 2, 3, 4]
    with pytest.raises(StoreError, match="damaged"):
        numbers(workers, broken=3)


# In a process of its own: torch raises from a signal's handler, wherever that comes.
KILLED = """
import signal, sys
from core.data.loading import workers_explained
from core.errors import LmgaitError
from tests.core.data.test_loading import numbers

try:
    with workers_explained():
        numbers(1, killed=2, by=getattr(signal, sys.argv[1]))
except LmgaitError as error:
    print(error.exit_code, error.what, error.next_step, flush=True)
"""


def answer_to(name):
    """What is said where a worker dies by a signal: exit code, error, next step."""
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, name],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout or done.stderr


def test_a_killed_worker_is_told():
    assert "process that reads data was killed" in answer_to("SIGKILL")


def test_a_worker_that_found_no_page_of_shared_memory_is_told_as_that():
    """The kernel's answer to a write into a full /dev/shm is SIGBUS."""
    answer = answer_to("SIGBUS")
    assert re.match(r"7 .*shared memory .*too small", answer, re.DOTALL), answer
    assert "--shm-size" in answer
    assert "--set data.workers=0" in answer


@pytest.mark.parametrize(
    "text",
    [
        "unable to write to file </torch_81_2_3>: No space left on device (28)",
        "Caught RuntimeError in DataLoader worker process 0.\nRuntimeError: unable to resize file "
        "</torch_81_2_3> to the right size: No space left on device (28)",
        "unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)",
    ],
)
def test_what_torch_says_of_shared_memory_is_told(text):
    with pytest.raises(ResourceError, match="shared memory"), workers_explained():
        raise RuntimeError(text)


@pytest.mark.parametrize("kind", ["alone", "joined"])
def test_where_shared_memory_is_small_reading_ends_with_words_and_does_not_wait(kind):
    """A megabyte of it, in a mount of this test's own."""
    small = "mount --make-rprivate / && mount -t tmpfs -o size=1m none /dev/shm"
    inside = ["unshare", "-m", "sh", "-c"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*inside, small], capture_output=True, check=False).returncode
    ):
        pytest.skip("this user cannot mount")
    done = subprocess.run(
        [*inside, f"{small} && exec {sys.executable} -m tests.fakes.large 3000000 {kind}"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=100, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("ResourceError The shared memory (/dev/shm, 1 MB)"), done.stderr


@pytest.mark.parametrize("error", [ConnectionResetError, EOFError, FileNotFoundError])
def test_a_worker_that_dies_while_it_hands_something_out_is_told(error):
    def items():
        yield 1
        raise error

    found = _fetched(items())
    assert next(found) == 1
    with pytest.raises(OutputError, match="process that reads data was killed"):
        next(found)


def test_other_errors_are_not_explained_away():
    with pytest.raises(RuntimeError, match="of its own"), workers_explained():
        raise RuntimeError("of its own")
