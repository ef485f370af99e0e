"""Worker processes that make shards."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING

from core.errors import OutputError
from core.preparation.shard_jobs import ShardJob, make_shard
from core.progress import Progress, Task
from core.storage.build import shard_done
from core.storage.layout import shard_name
from core.system.files import PARTIAL_SUFFIX, remove_leftovers
from core.system.workers import serve_parent, undisturbed, worker_context

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

POLL_SECONDS = 0.2
# Exit signals of a process that crashed on its input; other kills may mean a lack of memory.
CRASHES = frozenset(
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")
    if hasattr(signal, name)
)


def make_shards(jobs: Sequence[ShardJob], workers: int, progress: Progress) -> None:
    """Make shards in worker processes (in this one if ``workers`` is 0).

    A file may crash the library that reads it, and thus the worker. The shards in progress are then
    made one by one, each in its own process, without the sequences that crash it; the report lists
    these sequences.

    Raises:
        OutputError: a shard cannot be written, or a worker was killed.
    """
    if not jobs:
        return
    frames = sum(raw.weight for job in jobs for raw in job.sequences)
    with progress.task("Preparing", frames, "frames") as task:
        if workers == 0:
            for job in jobs:
                make_shard(job, task.advance)
            return
        _in_processes(jobs, workers, task)


def _in_processes(jobs: Sequence[ShardJob], workers: int, task: Task) -> None:
    with undisturbed():
        counts: Queue[int] = worker_context().Queue()
    waiting = deque(jobs)
    try:
        while waiting:
            for job in _until_broken(waiting, workers, counts, task):
                _alone(job, counts, task)
    finally:
        _count(counts, task)
        with suppress(OSError):
            remove_leftovers(jobs[0].folder)


def _until_broken(
    waiting: deque[ShardJob], workers: int, counts: Queue[int], task: Task
) -> list[ShardJob]:
    """Make shards until all are made or a worker crashes; return the shards then in progress."""
    pool = _pool(workers, counts)
    processes: list[BaseProcess] = []
    running: dict[Future[int], ShardJob] = {}
    try:
        while True:
            with undisturbed():  # the first call starts all the processes
                while len(running) < 2 * workers and waiting:
                    future = pool.submit(_work, waiting[0])
                    running[future] = waiting.popleft()
                    processes = list((pool._processes or {}).values())
            if not running:
                return []
            done, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            _count(counts, task)
            for future in done:
                future.result()
                del running[future]
    except BrokenProcessPool:
        _stop(pool)  # otherwise a thread of the pool waits for the same exit codes
        if not any(map(_crashed, processes)):
            raise _killed(None) from None
        return [job for job in running.values() if shard_done(job.folder, job.number) is None]
    finally:
        _stop(pool)


def _alone(job: ShardJob, counts: Queue[int], task: Task) -> None:
    while True:
        pool = _pool(1, counts)
        try:
            with undisturbed():
                future = pool.submit(_work, job)
            (process,) = (pool._processes or {}).values()
            while not wait([future], timeout=POLL_SECONDS).done:
                _count(counts, task)
            future.result()
            return
        except BrokenProcessPool:
            pass
        finally:
            _stop(pool)
        position, crashed = _read_note(job), _crashed(process)
        if position is None or not crashed:
            raise _killed(None if position is None else job.sequences[position].first.path)
        job = replace(job, crashed=job.crashed | {position})


def _crashed(process: BaseProcess) -> bool:
    process.join()
    return -(process.exitcode or 0) in CRASHES


def _killed(where: str | None) -> OutputError:
    return OutputError(
        "A worker process was killed, perhaps due to a lack of memory",
        where=where,
        next_step="Run the same command again, with fewer --workers.",
    )


def _pool(workers: int, counts: Queue[int]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        workers,
        mp_context=worker_context(),
        initializer=_start_worker,
        initargs=(counts,),
    )


def _note(job: ShardJob) -> Path:
    """File in which a worker records the sequence it is about to read."""
    return job.folder / f".{shard_name(job.number)}.reading{PARTIAL_SUFFIX}"


def _read_note(job: ShardJob) -> int | None:
    try:
        return int(_note(job).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _stop(pool: ProcessPoolExecutor) -> None:
    # Workers own nothing but partial files.
    for process in list((pool._processes or {}).values()):
        process.terminate()
    pool.shutdown(wait=True, cancel_futures=True)


def _count(counts: Queue[int], task: Task) -> None:
    try:
        while True:
            task.advance(counts.get_nowait())
    except Empty:
        return


_counts: Queue[int] | None = None


def _start_worker(counts: Queue[int]) -> None:
    global _counts
    _counts = counts
    counts.cancel_join_thread()
    serve_parent()
    # Image libraries print errors on damaged files to stderr; the report describes them better.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _work(job: ShardJob) -> int:
    assert _counts is not None
    note = _note(job)
    number = make_shard(job, _counts.put, lambda position: note.write_text(str(position), "utf-8"))
    note.unlink(missing_ok=True)
    return number
