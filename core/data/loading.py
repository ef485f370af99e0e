"""Items of a data set read ahead by worker processes, with their errors as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from core.errors import LmgaitError, OutputError
from core.workers import serve_parent, undisturbed, worker_context


class _Errors(Dataset[Any]):
    """A data set that hands its errors out as items: torch would make texts of them."""

    def __init__(self, data: Dataset[Any]) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)  # type: ignore[arg-type]

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401
        try:
            return self._data[index]
        except LmgaitError as error:
            return error


class _Join:
    """Joins items, unless one of them is an error."""

    def __init__(self, join: Callable[[Sequence[Any]], Any]) -> None:
        self._join = join

    def __call__(self, items: Sequence[Any]) -> Any:  # noqa: ANN401
        errors = [item for item in items if isinstance(item, LmgaitError)]
        return errors[0] if errors else self._join(items)


def read_ahead(
    data: Dataset[Any],
    *,
    workers: int,
    join: Callable[[Sequence[Any]], Any] | None = None,
    **how: Any,  # noqa: ANN401 - torch's own arguments
) -> Iterator[Any]:
    """Read items in order, ahead of their use by ``workers`` processes (0: in this one).

    Args:
        data: The items.
        workers: How many.
        join: Makes a batch of items; None hands them out one by one.
        how: More arguments of torch's loader.

    Raises:
        LmgaitError: as ``data`` raises it.
        OutputError: a worker was killed while it handed something out.
    """
    loader = DataLoader(
        _Errors(data),
        num_workers=workers,
        multiprocessing_context=worker_context() if workers else None,
        worker_init_fn=_begin if workers else None,
        # The loader seeds its workers, which draw nothing, from a generator of its own: the global
        # one stays where a checkpoint left it.
        generator=torch.Generator(),
        collate_fn=None if join is None else _Join(join),
        **how,
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
            raise _killed() from error
        yield item


@contextmanager
def workers_explained() -> Iterator[None]:
    """Say in words that a worker was killed; torch tells of it wherever the process is just then.

    So this goes around whole pieces of work, their closing of files and locks included.

    Raises:
        OutputError: a worker was killed.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise _killed() from error


def _killed() -> OutputError:
    return OutputError(
        "A process that reads data was killed, perhaps for want of memory",
        next_step="Run the same command again, with fewer of them: --set data.workers=0.",
    )


def _begin(_: int) -> None:
    serve_parent()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
