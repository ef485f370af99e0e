"""A preparation as a plan: what is to be made, what that will take, and making it."""

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
    """What was prepared.

    Attributes:
        store: The store's folder.
        info: Facts on it.
        form: The form of the source that was found.
        comparison: The whole source beside the dataset's manifest.
        left_out: What was left out, by reason.
        report: The file that says it line by line.
        found_sequences: Sequences that the source holds.
        found_frames: Frames (estimated for videos and arrays) of the sequences not yet in the store
            when the work began.
        seconds: How long it took, the listing of the source included.
        already: Whether the store was complete already, and nothing was done.
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
        """What the store holds beside frames, a phrase for each stream."""
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
    """A preparation that is to be done or resumed.

    Made by :func:`core.workflows.prepare.plan_preparation`.

    Attributes:
        store: The store's folder.
        form: The form of the source that was found.
        comparison: The whole source beside the dataset's manifest.
        skipped: What cannot be used, as far as listing the source tells.
        sequences: Number of the sequences that the source holds.
        content: What the store is made from, as it notes it.
        jobs: The shards of this part, in order; some may be there already.
        seconds: How long listing the source took.
        partition: The partition file that lies in the source, where it does.
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
        """What is known to be left out before any frame is read, by reason."""
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
        """What :meth:`run` will take, from a few sequences; nothing is written.

        Args:
            workers: Processes; None for one a core.

        Raises:
            UsageError: a negative number of workers.
        """
        # Only here: preparing itself has no use for torch.
        from core.training.pace import measure

        left = [job for job in self.jobs if shard_done(job.folder, job.number) is None]
        made: list[ShardFile] = []
        with tempfile.TemporaryDirectory(prefix="lmgait-") as folder:
            some = [replace(job, sequences=(raw,)) for job in left for raw in sample(job.sequences)]

            def steps() -> Iterator[float]:
                for number, job in enumerate(sample(some)):
                    make_shard(replace(job, number=number, folder=Path(folder)), lambda _: None)
                    report = Path(folder) / shard_report_name(number)
                    made.append(read_json(report, ShardFile, "Free some space."))
                    yield job.sequences[0].weight

            pace = measure(steps())
        frames = _frames(left)
        size = sum(shard.bytes for shard in made) / max(1, sum(shard.frames for shard in made))
        processes = max(1, workers_for(workers, len(left)))
        stage = Stage(
            "Preparing",
            frames,
            "frames",
            frames * pace.seconds / processes,
            round(frames * size),
            f"{counted(pace.steps, 'sequences')}, made by one process; processes: {processes}",
        )
        notes = ("Frames of videos and arrays are estimated before they are read.",)
        return make_estimate([stage] if left else [], self.store, notes)

    def run(
        self,
        *,
        workers: int | None = None,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> PrepareResult:
        """Make the shards that are missing, and the store.

        Args:
            workers: Worker processes; one for each usable core by default. 0 reads in this process,
                which a file that crashes a library then ends.
            replace: Delete a store that was made from something else.
            progress: Told of the work.

        Raises:
            DataError: nothing in the source can be used.
            StoreError: there is a store made from something else, or another split.
            OutputError: the store cannot be written, or another process writes it.
        """
        begun = monotonic()
        progress = progress or SilentProgress()
        for line in self.comparison.warnings():
            progress.say(line)
        folder, content = self.store, self.content
        with writing(folder, what="store"):
            if self.partition is not None:
                self.partition.bring(replace=replace)
            if begin(folder, content, replace=replace):
                info = read_json(folder / STORE_NAME, StoreFile, "Prepare it again with --replace.")
                return self._result(info, [], begun, already=True)
            missing = set(missing_shards(folder, content))
            todo = [job for job in self.jobs if job.number in missing]
            if len(todo) < len(self.jobs):
                there = len(self.jobs) - len(todo)
                progress.say(f"Going on: {there} of {len(self.jobs)} shards are there.")
            make_shards(todo, workers_for(workers, len(todo)), progress)
            info = finish(folder, content, self.skipped)
            make_newest(folder)
        if info.sequences == 0 and content.part is None:
            raise DataError(
                "No sequence of the source can be used",
                where=folder / LEFT_OUT_NAME,
                next_step="The file says why, sequence by sequence.",
            )
        return self._result(info, todo, begun, already=False)

    def _result(
        self, info: StoreFile, made: Sequence[ShardJob], begun: float, *, already: bool
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
            _frames(made),
            self.seconds + monotonic() - begun,
            already,
        )


def workers_for(wanted: int | None, jobs: int) -> int:
    """Processes that make ``jobs`` shards: as many as wanted (None: one a core), none idle.

    0 is this process alone.
    """
    if wanted is not None and wanted < 0:
        raise UsageError(
            f"There are no {wanted} workers", where="--workers", next_step="Give 1 or more."
        )
    return min(usable_cores() if wanted is None else wanted, jobs)


def _frames(jobs: Iterable[ShardJob]) -> int:
    return sum(sequence.weight for job in jobs for sequence in job.sequences)
