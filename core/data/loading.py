"""Items of a data set read ahead by worker processes, with their errors as they were."""

from __future__ import annotations

import math
import shutil
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from core.errors import LmgaitError, OutputError, ResourceError
from core.settings import Workers
from core.system.workers import serve_parent, undisturbed, usable_cores, worker_context

AHEAD = 4
"""Items that each worker reads ahead of their use."""
USUAL_WORKERS, MOST_WORKERS = 2, 8


class _Errors(Dataset[Any]):
    """A data set that hands its errors out as items: torch would make texts of them."""

    def __init__(self, data: Dataset[Any]) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)  # type: ignore[arg-type]

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401
        try:
            return _shared(self._data[key])
        except LmgaitError as error:
            return error


class _Keys(Sampler[Any]):
    def __init__(self, keys: Iterable[Any]) -> None:
        self._keys = keys

    def __iter__(self) -> Iterator[Any]:
        return iter(self._keys)


def _unchanged(item: Any) -> Any:  # noqa: ANN401 - in place of torch's own, which makes lists
    return item


def empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A tensor to be filled and handed out, with no values yet.

    In a worker it lies in the shared memory that the parent reads: nothing copies it on its way.

    Raises:
        ResourceError: there is too little shared memory.
    """
    if get_worker_info() is None:
        return torch.empty(tuple(shape), dtype=dtype)
    try:
        # As torch's own joining of items does; share_memory_ would copy.
        storage = torch.UntypedStorage._new_shared(math.prod(shape) * dtype.itemsize)
    except RuntimeError as error:
        raise _no_shared_memory() from error
    return torch.empty(0, dtype=dtype).set_(storage).view(tuple(shape))


def _shared(item: Any) -> Any:  # noqa: ANN401
    """In a worker, move tensors not made by :func:`empty` to shared memory before they are sent.

    The queue would do it in a thread, whose errors nobody hears: the item would never come.
    """
    if get_worker_info() is None:
        return item
    if isinstance(item, Tensor):
        parts: Iterable[Any] = (item,)
    elif is_dataclass(item):
        parts = (getattr(item, field.name) for field in fields(item))
    else:
        parts = item.values() if isinstance(item, dict) else item
        parts = parts if isinstance(item, tuple | list | dict) else ()
    try:
        for part in parts:
            if isinstance(part, Tensor):
                part.share_memory_()
    except RuntimeError as error:
        raise _no_shared_memory() from error
    return item


def loader_workers(setting: Workers, *, device: torch.device, processes: int, item: int) -> int:
    """Worker processes of one process's loader.

    A number is taken as it is. ``auto`` is two for a CPU, which computes far longer than two read;
    for a GPU the cores that each process has beside its own, from two to eight; and never more than
    three quarters of the free shared memory hold, which may be none.

    Args:
        setting: ``data.workers``.
        device: Where the items are computed on.
        processes: Processes of this machine that read likewise, this one included.
        item: Bytes of an item that workers hand out (a batch, or a chunk of frames).
    """
    if isinstance(setting, int):
        return setting
    workers = USUAL_WORKERS
    if device.type != "cpu":
        workers = min(max(workers, usable_cores() // processes - 1), MOST_WORKERS)
    if _SHARED.is_dir() and item:
        room = shutil.disk_usage(_SHARED).free * 3 // 4 // processes
        # What each worker reads ahead, and the one in use.
        workers = min(workers, max(0, room - item) // (AHEAD * item))
    return workers


def read_ahead(
    data: Dataset[Any],
    keys: Iterable[Any] | None = None,
    *,
    workers: int,
    pin: bool = False,
) -> Iterator[Any]:
    """Read items in order, ahead of their use by ``workers`` processes (0: in this one).

    Args:
        data: The items; their tensors are best made by :func:`empty`.
        keys: Which items, in order; all of them by default.
        workers: How many.
        pin: Hand them out in memory that a GPU copies from by itself: tensors, tuples of them, or
            what has a method ``pin_memory``.

    Raises:
        LmgaitError: as ``data`` raises it.
        OutputError: a worker was killed while it handed something out.
        ResourceError: there is too little shared memory for what they hand out.
    """
    loader = DataLoader(
        _Errors(data),
        batch_size=None,
        sampler=None if keys is None else _Keys(keys),
        num_workers=workers,
        multiprocessing_context=worker_context() if workers else None,
        worker_init_fn=_begin if workers else None,
        # The loader seeds its workers, which draw nothing, from a generator of its own: the global
        # one stays where a checkpoint left it.
        generator=torch.Generator(),
        collate_fn=_unchanged,
        pin_memory=pin,
        prefetch_factor=AHEAD if workers else None,
    )
    with undisturbed():
        items = iter(loader)
    for item in _fetched(items) if workers else items:
        if isinstance(item, LmgaitError):
            raise item
        yield item


def _fetched(items: Iterator[Any]) -> Iterator[Any]:
    # A worker hands tensors out through a socket; one that dies just then breaks it.
    while True:
        try:
            item = next(items)
        except StopIteration:
            return
        except (ConnectionError, EOFError, FileNotFoundError) as error:
            raise _lost_worker(items) from error
        yield item


@contextmanager
def workers_explained() -> Iterator[None]:
    """Explain that a worker was killed; torch reports it at any point of the process.

    So this goes around whole pieces of work, their closing of files and locks included.

    Raises:
        OutputError: a worker was killed.
        ResourceError: there is too little shared memory for what the workers hand out.
    """
    try:
        yield
    except RuntimeError as error:
        # What torch notices first depends on timing; the other error is its cause or context then.
        messages = f"{error} {error.__cause__} {error.__context__}"
        if any(word in messages for word in _NO_SHARED_MEMORY):
            raise _no_shared_memory() from error
        if "in DataLoader worker process" in str(error):  # its text is a traceback
            raise RuntimeError(str(error).strip().splitlines()[-1]) from error
        if "DataLoader worker" not in messages:
            raise
        raise _killed() from error


# Batches come from the workers in shared memory: a page that is not to be had ends a worker by
# SIGBUS, a file that is not to be had is told by torch, in the worker or in this process.
_NO_SHARED_MEMORY = (
    "killed by signal: Bus error",
    "unable to allocate shared memory",
    "unable to resize file </torch_",
    "unable to write to file </torch_",
    "unable to mmap",
    "insufficient shared memory",
)
_SHARED = Path("/dev/shm")


def _lost_worker(items: Iterator[Any]) -> LmgaitError:
    """Explain a worker's death by its exit code."""
    bus = getattr(signal, "SIGBUS", None)
    for worker in getattr(items, "_workers", ()):
        worker.join(timeout=1)
        if bus is not None and worker.exitcode == -bus:
            return _no_shared_memory()
    return _killed()


def _no_shared_memory() -> ResourceError:
    size = f", {shutil.disk_usage(_SHARED).total / 1e6:,.0f} MB" if _SHARED.is_dir() else ""
    return ResourceError(
        f"The shared memory ({_SHARED}{size}) is too small for the batches that workers read",
        next_step="In Docker add --shm-size=8g or --ipc=host (Kubernetes: an emptyDir in memory "
        "there); or read in the training's own process: --set data.workers=0.",
    )


def _killed() -> OutputError:
    return OutputError(
        "A process that reads data was killed, perhaps because memory ran out",
        next_step="Run the same command again, with fewer of them: --set data.workers=0.",
    )


def _begin(_: int) -> None:
    serve_parent()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
