"""Remove a subject from a store's folder, whatever is unfinished in it.

The order makes a kill harmless: ``forgetting.json`` names the subject and ``store.json`` goes
first, so that nothing opens the store; then each shard is replaced, its description after it; then
:func:`core.storage.build.finish` makes the store complete again, and ``forgetting.json`` goes. A
second run finds what is left to do in the files themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from core.errors import StoreError
from core.storage.build import finish, shard_done
from core.storage.layout import (
    FORGETTING_NAME,
    INDEX_NAME,
    LEFT_OUT_NAME,
    PLAN_NAME,
    STORE_NAME,
    Entry,
    Finding,
    ForgettingFile,
    LeftOutFile,
    Plan,
    ShardFile,
    read_json,
    shard_name,
    shard_report_name,
    write_json,
)
from core.storage.rows import row_counts, row_starts, row_totals, with_shapes
from core.storage.shard import ShardReader, ShardWriter, file_hash
from core.system.files import output_error, remove_leftovers, sync_folder, whole_file

ANEW = "Prepare the store anew with --replace, from a source without the subject."


@dataclass(frozen=True, slots=True)
class HeldInStore:
    """Data of a subject in a store's folder.

    Attributes:
        folder: The folder.
        pending: Whether taking the subject out was begun.
        sequences: Sequences of the subject.
        frames: Their frames.
        shards: Shards with such sequences.
        findings: Lines of the report of what was left out.
        subjects: All subjects of the folder.
    """

    folder: Path
    pending: bool
    sequences: int
    frames: int
    shards: int
    findings: int
    subjects: frozenset[str]

    def __bool__(self) -> bool:
        return self.pending or bool(self.sequences or self.findings)


def held_in_store(folder: Path, subject: str) -> HeldInStore:
    """Look for a subject in a store's folder, complete or not; nothing is changed.

    Raises:
        StoreError: a file of the folder is damaged, or of another format.
    """
    reports = [read_json(path, ShardFile, ANEW) for path in sorted(folder.glob("shard-*.json"))]
    whole = [entry for report in reports for entry in report.sequences]
    entries = [entry for entry in whole if entry.subject == subject]
    findings = [line for report in reports for line in report.left_out]
    if (folder / LEFT_OUT_NAME).is_file():
        findings += read_json(folder / LEFT_OUT_NAME, LeftOutFile, ANEW).listing
    return HeldInStore(
        folder=folder,
        pending=_pending(folder) == subject,
        sequences=len(entries),
        frames=sum(entry.frames for entry in entries),
        shards=sum(any(e.subject == subject for e in report.sequences) for report in reports),
        findings=sum(_subject_of(line) == subject for line in findings),
        subjects=frozenset(entry.subject for entry in whole),
    )


def close_store(folder: Path, subject: str) -> None:
    """Begin to remove a subject: the store does not open until that is complete.

    Raises:
        StoreError: the plan is damaged, or another subject is being taken out.
        OutputError: the folder cannot be written.
    """
    plan = read_json(folder / PLAN_NAME, Plan, ANEW)
    other = _pending(folder)
    if other not in (None, subject):
        raise StoreError(
            f"Forgetting {other} was stopped here",
            where=folder,
            next_step=f"First finish it: lmgait forget {folder} {other}",
        )
    write_json(folder / FORGETTING_NAME, ForgettingFile(subject=subject))
    _remove(folder / STORE_NAME)
    write_json(folder / PLAN_NAME, plan.without_source())


def purge_store(folder: Path, subject: str, count: Callable[[], None]) -> bool:
    """Remove a subject; the caller holds the folder's lock, and has called :func:`close_store`.

    Args:
        folder: The folder.
        subject: The subject.
        count: Told of each shard that is done.

    Returns:
        Whether the store is complete again; not, where its preparation had not been finished.

    Raises:
        StoreError: a shard with the subject is damaged, or a description.
        OutputError: the folder cannot be written; a second run resumes.
    """
    plan = read_json(folder / PLAN_NAME, Plan, ANEW)
    remove_leftovers(folder)
    for number in plan.shard_numbers():
        try:
            _purge_shard(folder, number, plan, subject)
        except StoreError as error:
            raise StoreError(error.what, where=error.where, next_step=ANEW) from error
        count()
    complete = _finish(folder, plan, subject)
    _remove(folder / FORGETTING_NAME)
    return complete


def _purge_shard(folder: Path, number: int, plan: Plan, subject: str) -> None:
    report, shard = folder / shard_report_name(number), folder / shard_name(number)
    if not (report.is_file() and shard.is_file()):
        # Half a shard of a killed preparation: whose frames are in it, nothing says.
        _remove(report)
        _remove(shard)
        return
    old = read_json(report, ShardFile, ANEW)
    lines = tuple(_others(old.left_out, subject))
    remaining = _moved_up(entry for entry in old.sequences if entry.subject != subject)
    if len(remaining) == len(old.sequences):
        if len(lines) < len(old.left_out):
            write_json(report, old.model_copy(update={"left_out": lines}))
        return
    frames = sum(entry.frames for entry in remaining)
    valid = _rewrite(shard, old, remaining, plan, subject)
    new = ShardFile(
        format=old.format,
        number=number,
        sha256=file_hash(shard),
        bytes=shard.stat().st_size,
        frames=frames,
        valid=valid,
        fidelity=old.fidelity,
        sequences=remaining,
        left_out=lines,
    )
    write_json(report, new)


def _rewrite(
    path: Path, old: ShardFile, remaining: tuple[Entry, ...], plan: Plan, subject: str
) -> int:
    """Replace a shard by one without the subject; returns its frames with silhouette."""
    try:
        source = _opened(path, plan, old.sequences)
    except StoreError:
        # A run before this one was killed after the shard and before its description.
        return _valid_of(path, plan, remaining)
    try:
        with whole_file(path) as partial:
            try:
                with ShardWriter(partial, plan.codec, plan.shapes) as writer:
                    counts = row_counts(old.sequences)
                    places = {name: row_starts(counts, name) for name in plan.shapes}
                    for number, entry in enumerate(old.sequences):
                        if entry.subject != subject:
                            starts = {name: of[number] for name, of in places.items()}
                            writer.copy(source, entry, starts)
                source.close()  # an open file cannot be replaced everywhere
            except RuntimeError as error:
                # h5py tells a failed write that was put off as a RuntimeError.
                raise output_error(OSError(str(error)), path) from error
            assert writer.entries == remaining
    finally:
        source.close()
    return writer.valid


def _opened(path: Path, plan: Plan, entries: tuple[Entry, ...]) -> ShardReader:
    frames = sum(entry.frames for entry in entries)
    streams = with_shapes(row_totals(row_counts(entries)), plan.shapes)
    return ShardReader(path, plan.codec, frames, streams)


def _valid_of(path: Path, plan: Plan, entries: tuple[Entry, ...]) -> int:
    reader = _opened(path, plan, entries)
    reader.close()
    return int(reader.valid().sum())


def _finish(folder: Path, plan: Plan, subject: str) -> bool:
    known = (folder / LEFT_OUT_NAME).is_file()
    if known:
        left_out = read_json(folder / LEFT_OUT_NAME, LeftOutFile, ANEW)
        listing = tuple(_others(left_out.listing, subject))
        if all(shard_done(folder, number) is not None for number in plan.shard_numbers()):
            finish(folder, plan, listing)
            return True
        _remove(folder / LEFT_OUT_NAME)
    _remove(folder / INDEX_NAME)
    return False


def _moved_up(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    moved, start = [], 0
    for entry in entries:
        moved.append(entry.model_copy(update={"start": start}))
        start += entry.frames
    return tuple(moved)


def _others(lines: Iterable[Finding], subject: str) -> Iterable[Finding]:
    return (line for line in lines if _subject_of(line) != subject)


def _subject_of(line: Finding) -> str:
    return line.sequence.split("/", 1)[0]


def _pending(folder: Path) -> str | None:
    path = folder / FORGETTING_NAME
    return read_json(path, ForgettingFile, ANEW).subject if path.is_file() else None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise output_error(error, path) from error
