"""Reading ahead in worker processes, and the error when one of them dies."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import Dataset

from core.data import loading
from core.data.loading import _fetched, empty, loader_workers, read_ahead, workers_explained
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
    return [float(item[0]) for item in read_ahead(Numbers(**how), workers=workers)]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_items_come_in_order_and_errors_as_they_were(workers):
    assert numbers(workers) == [0, 1, 2, 3, 4]
    with pytest.raises(StoreError, match="damaged"):
        numbers(workers, broken=3)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_items_come_in_the_order_of_the_keys(workers):
    result = read_ahead(Numbers(), (key for key in (3, 1, 1, 4, 0)), workers=workers)
    assert [float(item[0]) for item in result] == [3, 1, 1, 4, 0]


class SharedTensors(Dataset[tuple[torch.Tensor, ...]]):
    """A tensor made to be handed out and one moved; whether each was in shared memory at once."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        created, moved = empty((3, 2), torch.int16), torch.full((2,), index)
        created[:] = index
        return created, moved, torch.tensor([created.is_shared(), moved.is_shared()])


@pytest.mark.parametrize("workers", [0, 1])
def test_tensors_to_be_sent_are_created_in_shared_memory(workers):
    items = list(read_ahead(SharedTensors(), workers=workers))
    for index, (created, moved, shared) in enumerate(items):
        assert created.tolist() == [[index] * 2] * 3
        assert moved.tolist() == [index] * 2
        assert created.dtype == torch.int16
        assert shared.tolist() == [workers > 0, False]
        assert created.is_shared() == moved.is_shared() == (workers > 0)
    assert len(items) == 2


CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine of some cores and some free bytes of shared memory."""

    def make(cores, free):
        usage = SimpleNamespace(total=free, free=free)
        monkeypatch.setattr(loading, "usable_cores", lambda: cores)
        monkeypatch.setattr(loading, "_SHARED", tmp_path)
        monkeypatch.setattr("core.data.loading.shutil.disk_usage", lambda path: usage)

    return make


@pytest.mark.parametrize("setting", [0, 3, 1024])
@pytest.mark.parametrize("device", [CPU, GPU])
def test_an_explicit_number_of_workers_is_used(machine, setting, device):
    machine(4, 1000)
    assert loader_workers(setting, device=device, processes=2, item=1000) == setting


@pytest.mark.parametrize(
    ("device", "cores", "processes", "workers"),
    [
        (CPU, 1, 1, 2),
        (CPU, 64, 1, 2),
        (CPU, 64, 8, 2),
        (GPU, 1, 1, 2),
        (GPU, 4, 1, 3),
        (GPU, 6, 1, 5),
        (GPU, 64, 1, 8),
        (GPU, 64, 8, 7),
        (GPU, 32, 8, 3),
        (GPU, 16, 8, 2),
    ],
)
def test_workers_follow_device_and_cores(machine, device, cores, processes, workers):
    machine(cores, 10**12)
    result = loader_workers("auto", device=device, processes=processes, item=10**6)
    assert result == workers


@pytest.mark.parametrize(
    ("device", "free", "processes", "workers"),
    [
        (GPU, 64_000_000, 1, 0),  # Docker's, and a batch of the paper's size
        (CPU, 64_000_000, 1, 0),
        # Three quarters of it hold one batch in use and four that each worker reads ahead.
        (GPU, 4 * 5 * 50_000_000, 1, 1),
        (GPU, 4 * 5 * 50_000_000 - 4, 1, 0),
        (GPU, 4 * 9 * 50_000_000, 1, 2),
        (CPU, 4 * 9 * 50_000_000, 1, 2),
        (GPU, 4 * 13 * 50_000_000, 1, 3),
        (GPU, 4 * 9 * 50_000_000, 2, 0),
        (GPU, 8 * 9 * 50_000_000, 2, 2),
    ],
)
def test_shared_memory_bounds_workers(machine, device, free, processes, workers):
    machine(64, free)
    result = loader_workers("auto", device=device, processes=processes, item=150_000_000)
    assert result == workers


def test_without_shared_memory_workers_are_not_limited(machine, monkeypatch, tmp_path):
    machine(64, 0)
    monkeypatch.setattr(loading, "_SHARED", tmp_path / "none")
    assert loader_workers("auto", device=GPU, processes=1, item=10**9) == 8
    assert loader_workers("auto", device=CPU, processes=1, item=10**9) == 2


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
    """Report of a worker that dies by a signal: exit code, error, next step."""
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    process = subprocess.run(
        [sys.executable, "-c", KILLED, name],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return process.stdout or process.stderr


def test_a_killed_worker_raises_a_clear_error():
    assert "process that reads data was killed" in answer_to("SIGKILL")


def test_a_worker_without_shared_memory_raises_a_clear_error():
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
def test_torch_errors_about_shared_memory_are_explained(text):
    with pytest.raises(ResourceError, match="shared memory"), workers_explained():
        raise RuntimeError(text)


@pytest.mark.parametrize("kind", ["made", "moved", "clips"])
def test_small_shared_memory_raises_a_clear_error_without_waiting(kind):
    """A megabyte of it, in a mount of this test's own."""
    small = "mount --make-rprivate / && mount -t tmpfs -o size=1m none /dev/shm"
    inside = ["unshare", "-m", "sh", "-c"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*inside, small], capture_output=True, check=False).returncode
    ):
        pytest.skip("this user cannot mount")
    process = subprocess.run(
        [*inside, f"{small} && exec {sys.executable} -m tests.fakes.large 3000000 {kind}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert process.stdout.startswith("ResourceError The shared memory (/dev/shm, 1 MB)"), (
        process.stderr
    )


@pytest.mark.parametrize("error", [ConnectionResetError, EOFError, FileNotFoundError])
def test_a_worker_that_dies_while_sending_raises_a_clear_error(error):
    def items():
        yield 1
        raise error

    result = _fetched(items())
    assert next(result) == 1
    with pytest.raises(OutputError, match="process that reads data was killed"):
        next(result)


def test_other_errors_are_not_translated():
    with pytest.raises(RuntimeError, match="of its own"), workers_explained():
        raise RuntimeError("of its own")
