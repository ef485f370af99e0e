"""Worker processes that make shards."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for_sentinel
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING

import cv2

from core.errors import OutputError
from core.files import PARTIAL_SUFFIX, output_error, whole_file
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
    with whole_file(path) as partial:
        try:
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
        except RuntimeError as error:
            # h5py tells a failed write that was put off as a RuntimeError.
            raise output_error(OSError(str(error)), path) from error
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
            files=line.files,
        )
        for line in lines
    )


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
    context = multiprocessing.get_context("spawn")
    counts: Queue[int] = context.Queue()
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(counts,)
    )
    waiting = iter(jobs)
    running: set[Future[int]] = set()
    try:
        while True:
            while len(running) < 2 * workers and (job := next(waiting, None)) is not None:
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
        for rest in jobs[0].folder.glob(f".shard-*{PARTIAL_SUFFIX}"):
            rest.unlink(missing_ok=True)


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
    # Ctrl-C reaches the whole group: the parent alone decides what happens.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Image libraries write of damaged files to stderr on their own: the report says it better.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A worker waits for jobs on a pipe that it holds itself, so it would outlive a killed parent.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_sentinel([parent.sentinel])
        os._exit(1)


def _work(job: ShardJob) -> int:
    assert _counts is not None
    return make_shard(job, _counts.put)
