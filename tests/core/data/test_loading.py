"""Reading ahead in worker processes, and what is told when one of them dies."""

import os
import signal

import pytest
import torch
from torch.utils.data import Dataset

from core.data.loading import _fetched, read_ahead, workers_explained
from core.errors import OutputError, StoreError


class Numbers(Dataset[torch.Tensor]):
    """Five tensors; reading one kills the process (``killed``) or finds damage (``broken``)."""

    def __init__(self, killed=-1, broken=-1):
        self.killed, self.broken = killed, broken

    def __len__(self):
        return 5

    def __getitem__(self, index):
        if index == self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
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


# Torch tells of a dead worker from a signal handler, wherever this process is just then: in the end
# of an object that nobody can catch it from, too.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
def test_a_killed_worker_is_told():
    with (
        pytest.raises(OutputError, match="process that reads data was killed"),
        workers_explained(),
    ):
        numbers(1, killed=2)


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
