"""Plan of a preparation: its content, its estimate and its execution."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from core.errors import DataError, UsageError
from core.estimates.stages import Estimate, Stage, counted, make_estimate, sample
from core.preparation.partitions import PartitionFile
from core.preparation.shard_jobs import ShardJob, make_shard
from core.preparation.shards import make_shards
from core.preparation.split import Comparison
from core.progress import Progress, SilentProgress
from core.runs.stores import make_newest
from core.storage.basics import ReasonCount
from core.storage.build import begin, finish, missing_shards, shard_done, summarise
from core.storage.layout import (
    LEFT_OUT_NAME,
    STORE_NAME,
    Finding,
    LeftOutFile,
    Plan,
    ShardFile,
    StoreFile,
    read_json,
    shard_report_name,
)
from core.storage.rows import stream_lines
from core.system.locks import writing
from core.system.workers import usable_cores


@dataclass(frozen=True, slots=True)
class PrepareResult:
    """Result of a preparation.

    Attributes:
        store: The store's folder.
        info: Facts on it.
        form: Detected form of the source.
        comparison: The source compared with the dataset's manifest.
        left_out: Skipped data, by reason.
        report: The file that lists them line by line.
        found_sequences: Number of sequences in the source.
        found_frames: Frames (estimated for videos and arrays) of the sequences not yet in the store
            at the start.
        seconds: Duration, including the listing of the source.
        already: Whether the store was already complete and nothing was done.
    """

    store: Path
    info: StoreFile
    form: str
    comparison: Comparison
    left_out: tuple[ReasonCount, ...]
    report: Path
    found_sequences: int
    found_frames: int
    seconds: float
    already: bool

    @property
    def streams(self) -> list[str]:
        """Descriptions of the store's streams other than frames."""
        return stream_lines(self.info)

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "store": str(self.store),
            "form": self.form,
            "already": self.already,
            "seconds": self.seconds,
            "found_sequences": self.found_sequences,
            "split": self.comparison.to_json(),
            "info": self.info.model_dump(mode="json"),
            "left_out": [count.model_dump(mode="json") for count in self.left_out],
        }


@dataclass(frozen=True, slots=True)
class PreparationPlan:
    """A preparation to run or resume.

    Created by :func:`core.workflows.prepare.plan_preparation`.

    Attributes:
        store: The store's folder.
        form: Detected form of the source.
        comparison: The source compared with the dataset's manifest.
        skipped: Unusable data found while listing the source.
        sequences: Number of sequences in the source.
        content: The store's recorded plan.
        jobs: The shards of this part, in order; some may exist already.
        seconds: Time spent listing the source.
        partition: The partition file in the source, if any.
    """

    store: Path
    form: str
    comparison: Comparison
    skipped: tuple[Finding, ...]
    sequences: int
    content: Plan
    jobs: tuple[ShardJob, ...]
    seconds: float
    partition: PartitionFile | None = None

    @property
    def frames(self) -> int:
        """Frames of all jobs; estimated for videos and arrays."""
        return _frames(self.jobs)

    def left_out(self) -> tuple[ReasonCount, ...]:
        """Data known to be skipped before any frame is read, by reason."""
        return summarise(self.skipped)

    def to_json(self) -> dict[str, Any]:
        """The keys of :meth:`PrepareResult.to_json`, before any work."""
        return {
            "store": str(self.store),
            "form": self.form,
            "already": False,
            "seconds": self.seconds,
            "found_sequences": self.sequences,
            "split": self.comparison.to_json(),
            "info": None,
            "left_out": [count.model_dump(mode="json") for count in self.left_out()],
        }

    def estimate(self, workers: int | None = None) -> Estimate:
        """Estimate :meth:`run` from a few sequences; nothing is written.

        Args:
            workers: Processes; None for one per core.

        Raises:
            UsageError: a negative number of workers.
        """
        # Imported here because preparing itself does not need torch.
        from core.training.pace import measure

        remaining = [job for job in self.jobs if shard_done(job.folder, job.number) is None]
        shards: list[ShardFile] = []
        with tempfile.TemporaryDirectory(prefix="lmgait-") as folder:
            single = [
                replace(job, sequences=(raw,)) for job in remaining for raw in sample(job.sequences)
            ]

            def steps() -> Iterator[float]:
                for number, job in enumerate(sample(single)):
                    make_shard(replace(job, number=number, folder=Path(folder)), lambda _: None)
                    report = Path(folder) / shard_report_name(number)
                    shards.append(read_json(report, ShardFile, "Free some space."))
                    yield job.sequences[0].weight

            pace = measure(steps())
        frames = _frames(remaining)
        size = sum(shard.bytes for shard in shards) / max(1, sum(shard.frames for shard in shards))
        processes = max(1, workers_for(workers, len(remaining)))
        stage = Stage(
            "Preparing",
            frames,
            "frames",
            frames * pace.seconds / processes,
            round(frames * size),
            f"{counted(pace.steps, 'sequences')}, made by one process; processes: {processes}",
        )
        notes = ("Frames of videos and arrays are estimated before they are read.",)
        return make_estimate([stage] if remaining else [], self.store, notes)

    def run(
        self,
        *,
        workers: int | None = None,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> PrepareResult:
        """Make the missing shards and the store.

        Args:
            workers: Worker processes; one per usable core by default. With 0, files are read in
                this process, which ends if a file crashes a library.
            replace: Delete a store with other contents.
            progress: Reports the work.

        Raises:
            DataError: nothing in the source is usable.
            StoreError: a store with other contents or another split exists.
            OutputError: the store cannot be written, or another process is writing it.
        """
        start = monotonic()
        progress = progress or SilentProgress()
        for line in self.comparison.warnings():
            progress.say(line)
        folder, content = self.store, self.content
        with writing(folder, what="store"):
            if self.partition is not None:
                self.partition.bring(replace=replace)
            if begin(folder, content, replace=replace):
                info = read_json(folder / STORE_NAME, StoreFile, "Prepare it again with --replace.")
                return self._result(info, [], start, already=True)
            missing = set(missing_shards(folder, content))
            pending = [job for job in self.jobs if job.number in missing]
            if len(pending) < len(self.jobs):
                existing = len(self.jobs) - len(pending)
                progress.say(f"Resuming: {existing} of {len(self.jobs)} shards exist.")
            make_shards(pending, workers_for(workers, len(pending)), progress)
            info = finish(folder, content, self.skipped)
            make_newest(folder)
        if info.sequences == 0 and content.part is None:
            raise DataError(
                "No sequence of the source is usable",
                where=folder / LEFT_OUT_NAME,
                next_step="The file lists the reason for each sequence.",
            )
        return self._result(info, pending, start, already=False)

    def _result(
        self, info: StoreFile, jobs: Sequence[ShardJob], start: float, *, already: bool
    ) -> PrepareResult:
        report = self.store / LEFT_OUT_NAME
        left_out = read_json(report, LeftOutFile, "Prepare again with --replace.").summary
        return PrepareResult(
            self.store,
            info,
            self.form,
            self.comparison,
            left_out,
            report,
            self.sequences,
            _frames(jobs),
            self.seconds + monotonic() - start,
            already,
        )


def workers_for(requested: int | None, jobs: int) -> int:
    """Number of processes for ``jobs`` shards: as requested (None: one per core), at most ``jobs``.

    0 means this process.
    """
    if requested is not None and requested < 0:
        raise UsageError(
            f"{requested} workers are not possible", where="--workers", next_step="Use 1 or more."
        )
    return min(usable_cores() if requested is None else requested, jobs)


def _frames(jobs: Iterable[ShardJob]) -> int:
    return sum(sequence.weight for job in jobs for sequence in job.sequences)
