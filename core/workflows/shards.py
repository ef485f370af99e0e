"""Worker processes that make shards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING

import cv2

from core.errors import OutputError
from core.files import remove_rests, whole_file
from core.manifests.forms import Form
from core.progress import Progress, Task
from core.records import SequenceFrames
from core.sources.reading import read_sequence
from core.sources.report import SequenceReport
from core.sources.sequences import RawSequence
from core.storage.layout import (
    CodecName,
    Finding,
    ShardFile,
    shard_name,
    shard_report_name,
    write_json,
)
from core.storage.shard import ShardWriter, file_hash
from core.video.faults import LeftOut
from core.workers import serve_parent, undisturbed, worker_context

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class ShardJob:
    """One shard to make.

    Attributes:
        number: Its number.
        folder: The store's folder.
        source: Folder that the report names files relative to.
        form: Form of the source.
        codec: Codec of the store.
        sequences: What goes into it.
    """

    number: int
    folder: Path
    source: Path
    form: Form
    codec: CodecName
    sequences: tuple[RawSequence, ...]


def make_shard(job: ShardJob, count: Callable[[int], None]) -> int:
    """Make one shard and, once it is whole, its description.

    Args:
        job: What to make.
        count: Told of frames as they are done.

    Returns:
        The shard's number.

    Raises:
        OutputError: the shard cannot be written.
    """
    cv2.setNumThreads(1)
    path = job.folder / shard_name(job.number)
    lines: list[Finding] = []
    with whole_file(path, parents=False) as partial:
        with ShardWriter(partial, job.codec) as writer:
            for raw in job.sequences:
                report = SequenceReport(raw.key, job.source)
                batches = _counted(read_sequence(raw, job.form, report), count)
                writer.add(raw.key, batches)
                lines += findings(report.lines())
        found = ShardFile(
            number=job.number, sha256=file_hash(partial), bytes=partial.stat().st_size,
            frames=writer.frames, valid=writer.valid, fidelity=writer.fidelity(),
            sequences=writer.entries, left_out=tuple(lines),
        )  # fmt: skip
    write_json(job.folder / shard_report_name(job.number), found)
    return job.number


def findings(lines: Iterable[LeftOut]) -> tuple[Finding, ...]:
    """The report's lines as the store writes them."""
    return tuple(
        Finding(
            sequence=line.sequence,
            reason=str(line.reason),
            effect=str(line.effect),
            frames=line.frames,
            files=tuple(_writable(name) for name in line.files),
        )
        for line in lines
    )


def _writable(name: str) -> str:
    """A file's name with its bytes that are no UTF-8 as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _counted(
    batches: Iterator[SequenceFrames], count: Callable[[int], None]
) -> Iterator[SequenceFrames]:
    for batch in batches:
        yield batch
        count(len(batch.valid))


def make_shards(jobs: Sequence[ShardJob], workers: int, progress: Progress) -> None:
    """Make shards in worker processes (or in this one, if one is enough).

    Raises:
        OutputError: a shard cannot be written, or a worker was killed.
    """
    if not jobs:
        return
    frames = sum(raw.weight for job in jobs for raw in job.sequences)
    with progress.task("Preparing", frames, "frames") as task:
        if workers == 1:
            for job in jobs:
                make_shard(job, task.advance)
            return
        _in_processes(jobs, workers, task)


def _in_processes(jobs: Sequence[ShardJob], workers: int, task: Task) -> None:
    context = worker_context()
    with undisturbed():
        counts: Queue[int] = context.Queue()
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(counts,)
    )
    waiting = iter(jobs)
    running: set[Future[int]] = set()
    try:
        while True:
            with undisturbed():  # the first call starts all the processes
                for job in islice(waiting, 2 * workers - len(running)):
                    running.add(pool.submit(_work, job))
            if not running:
                return
            done, running = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            _count(counts, task)
            for future in done:
                future.result()
    except BrokenProcessPool as error:
        raise OutputError(
            "A worker process was killed, perhaps for want of memory",
            next_step="Run the same command again, with fewer --workers.",
        ) from error
    finally:
        _stop(pool)
        _count(counts, task)
        with suppress(OSError):
            remove_rests(jobs[0].folder)


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
    # Image libraries write of damaged files to stderr on their own: the report says it better.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _work(job: ShardJob) -> int:
    assert _counts is not None
    return make_shard(job, _counts.put)
