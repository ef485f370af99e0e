"""``lmgait prepare``: a raw dataset to a store.

The source is listed, its sequences are sorted by key and cut into shards, and worker processes make
a shard each. A shard appears whole or not at all, so a run that was stopped goes on with the first
shard that is missing, and the result is the same, byte for byte.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from dataclasses import replace as changed
from functools import partial
from pathlib import Path
from time import monotonic

from core.errors import DataError, UsageError
from core.locks import writing
from core.manifests.load import load_manifest
from core.progress import Progress, SilentProgress
from core.sources.recognise import find_or_name
from core.sources.roots import FoundForm
from core.sources.sequences import RawSequence, scan
from core.storage.build import begin, finish, missing_shards, summarise
from core.storage.layout import (
    LEFT_OUT_NAME,
    READING,
    SHARD_FRAMES,
    STORE_NAME,
    CodecName,
    LeftOutFile,
    Plan,
    ReasonCount,
    StoreFile,
    read_json,
)
from core.version import __version__
from core.workers import usable_cores
from core.workflows.shards import ShardJob, findings, make_shards
from core.workflows.split import Comparison, compare, known_names
from core.workflows.stores import make_newest
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class PrepareResult:
    """What was prepared.

    Attributes:
        store: The store's folder.
        info: Facts on it; None for a rehearsal.
        form: The form of the source that was found.
        comparison: The whole source beside the dataset's manifest.
        left_out: What was left out, by reason; of a rehearsal, what is known from listing alone.
        report: The file that says it line by line.
        found_sequences: Sequences that the source holds.
        found_frames: Frames (estimated for videos and arrays) of the sequences not yet in the store
            when the work began.
        seconds: How long it took.
        already: Whether the store was complete already, and nothing was done.
        jobs: Of a rehearsal, the shards that would be made.
    """

    store: Path
    info: StoreFile | None
    form: str
    comparison: Comparison
    left_out: tuple[ReasonCount, ...]
    report: Path
    found_sequences: int
    found_frames: int
    seconds: float
    already: bool
    jobs: tuple[ShardJob, ...] = ()


def prepare(
    dataset: str,
    source: Path,
    workspace: Workspace,
    *,
    codec: CodecName = "lossless",
    workers: int | None = None,
    part: tuple[int, int] | None = None,
    form: str | None = None,
    replace: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> PrepareResult:
    """Prepare a dataset, or go on with it.

    Args:
        dataset: Name of a dataset, or the path of your own manifest (``.yaml``).
        source: Folder that holds it as it was delivered.
        workspace: Where the store goes.
        codec: ``lossless``, ``compact`` (exact too) or ``jpeg``.
        workers: Worker processes; one for each usable core by default. 0 reads in this process,
            which a file that crashes a library then ends.
        part: ``(i, n)``: only the i-th of n parts, to be joined by :func:`core.workflows.merge`.
        form: Name of the form, where the source could be read in several.
        replace: Delete a store that was made from something else.
        dry_run: Find and count only.
        progress: Told of the work.

    Raises:
        UsageError: an unknown dataset or form, or a part that is none.
        DataError: the source is missing, empty, holds none of the dataset's forms, or nothing in it
            can be used.
        StoreError: there is a store made from something else.
        OutputError: the store cannot be written, or another process writes it.
    """
    begun = monotonic()
    progress = progress or SilentProgress()
    source = Path(source).expanduser().absolute()
    _check_part(part)
    manifest = load_manifest(dataset)
    found = find_or_name(manifest.name, source, manifest.forms, form)
    for note in found.notes:
        progress.say(note)
    with progress.task(f"Listing {manifest.name}", None, "sequences") as task:
        sequences, beside = scan(source, found, known_names(manifest))
        task.advance(len(sequences))
    if not sequences:
        raise DataError(
            "No sequence can be used",
            where=source,
            next_step="Look at the folder: every sequence in it lacks its frames.",
        )
    comparison = compare((sequence.key for sequence in sequences), manifest)
    if not dry_run:  # it takes no time, and the summary follows at once
        for line in comparison.warnings():
            progress.say(line)
    shards = plan_shards(sequences)
    plan = _plan(manifest.name, found, codec, sequences, len(shards), part)
    folder = part_folder(workspace, manifest.name, part)
    jobs = [
        ShardJob(number, folder, source, found.form, codec, tuple(shards[number]))
        for number in plan.shard_numbers()
    ]
    result = partial(_result, folder, found, comparison, sequences, begun)
    if dry_run:
        listing = summarise(findings(beside))
        rehearsed = result(None, listing, jobs, already=False)
        return changed(rehearsed, jobs=tuple(jobs))
    with writing(folder, what="store"):
        if begin(folder, plan, replace=replace):
            info = read_json(folder / STORE_NAME, StoreFile, "Prepare it again with --replace.")
            return result(info, _summary(folder), [], already=True)
        missing = set(missing_shards(folder, plan))
        todo = [job for job in jobs if job.number in missing]
        if len(todo) < len(jobs):
            progress.say(f"Going on: {len(jobs) - len(todo)} of {len(jobs)} shards are there.")
        make_shards(todo, workers_for(workers, len(todo)), progress)
        info = finish(folder, plan, findings(beside))
        make_newest(folder)
    if info.sequences == 0 and part is None:
        raise DataError(
            "No sequence of the source can be used", where=folder / LEFT_OUT_NAME,
            next_step="The file says why, sequence by sequence.",
        )  # fmt: skip
    return result(info, _summary(folder), todo, already=False)


def plan_shards(sequences: list[RawSequence]) -> list[list[RawSequence]]:
    """Cut sorted sequences into shards of about :data:`SHARD_FRAMES` frames, in order."""
    shards: list[list[RawSequence]] = []
    room = 0
    for sequence in sequences:
        if not shards or sequence.weight > room:
            shards.append([])
            room = SHARD_FRAMES
        shards[-1].append(sequence)
        room -= sequence.weight
    return shards


def part_folder(workspace: Workspace, dataset: str, part: tuple[int, int] | None) -> Path:
    """Folder of a store, or of one part of it."""
    whole = workspace.store(dataset)
    return whole if part is None else whole.with_name(f"{whole.name}.part-{part[0]}-of-{part[1]}")


def _check_part(part: tuple[int, int] | None) -> None:
    if part is not None and not 1 <= part[0] <= part[1] <= 100_000:
        raise UsageError(
            f"There is no part {part[0]} of {part[1]}", where="--part",
            next_step="Parts are counted from 1: --part 1/16 to --part 16/16.",
        )  # fmt: skip


def _plan(
    dataset: str, found: FoundForm, codec: CodecName, sequences: list[RawSequence], shards: int,
    part: tuple[int, int] | None,
) -> Plan:  # fmt: skip
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(f"{sequence.key} {sequence.weight} {sequence.digest}\n".encode())
    return Plan(
        dataset=dataset, form=found.form.name, label=found.form.label, framing=found.form.framing,
        codec=codec, source=digest.hexdigest(), shards=shards, part=part, tool=__version__,
        reading=READING,
    )  # fmt: skip


def workers_for(wanted: int | None, jobs: int) -> int:
    """Processes that make ``jobs`` shards: as many as wanted (None: one a core), none idle.

    0 is this process alone.
    """
    if wanted is not None and wanted < 0:
        raise UsageError(
            f"There are no {wanted} workers", where="--workers", next_step="Give 1 or more."
        )
    return min(usable_cores() if wanted is None else wanted, jobs)


def _summary(folder: Path) -> tuple[ReasonCount, ...]:
    return read_json(folder / LEFT_OUT_NAME, LeftOutFile, "Prepare again with --replace.").summary


def _result(
    folder: Path, found: FoundForm, comparison: Comparison, sequences: list[RawSequence],
    begun: float, info: StoreFile | None, left_out: tuple[ReasonCount, ...], jobs: list[ShardJob],
    *, already: bool,
) -> PrepareResult:  # fmt: skip
    frames = sum(sequence.weight for job in jobs for sequence in job.sequences)
    return PrepareResult(
        folder, info, found.form.name, comparison, left_out, folder / LEFT_OUT_NAME,
        len(sequences), frames, monotonic() - begun, already,
    )  # fmt: skip
