"""From whole shards to a complete store: resuming, finishing, joining parts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from core.errors import StoreError
from core.records import STREAM_WORDS, StreamName
from core.storage.basics import ReasonCount
from core.storage.codecs import FRAME_BYTES
from core.storage.layout import (
    FORGET_AGAIN,
    FORGETTING_NAME,
    INDEX_NAME,
    LEFT_OUT_NAME,
    PLAN_NAME,
    STORE_NAME,
    Finding,
    IndexFile,
    IndexShard,
    LeftOutFile,
    Plan,
    ShardFile,
    StoreFile,
    read_json,
    shard_name,
    shard_report_name,
    write_json,
)
from core.storage.rows import row_counts, row_totals
from core.system.files import output_error, remove, remove_leftovers

SEQUENCE_LEFT_OUT = "sequence left out"
FRAMES_LEFT_OUT = "frames left out"
NOT_SUPERVISED = "frames kept without silhouette"
REPLACE = "Add --replace to delete it and start anew, or choose another --workspace."


def begin(folder: Path, plan: Plan, *, replace: bool) -> bool:
    """Prepare a folder for the shards of a plan; the caller holds its lock.

    Args:
        folder: The store's folder.
        plan: What is going to be written.
        replace: Delete what is there, unless it is the same work not yet complete.

    Returns:
        True where the same work is complete already, and all its shards are there.

    Raises:
        StoreError: the folder holds other work and ``replace`` was not given.
        OutputError: the folder cannot be written to.
    """
    try:
        remove_leftovers(folder)
        if folder.exists() and any(folder.iterdir()):
            existing = _plan_of(folder, replace)
            complete = _all_there(folder, plan)
            is_same = existing is not None and existing.same_work(plan)
            if not replace and not is_same:
                raise _other_work(folder, existing or plan, plan)
            if is_same and complete and not replace:
                return True
            if replace and (complete or not is_same):
                _delete(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / PLAN_NAME).is_file():
            write_json(folder / PLAN_NAME, plan)
        # Files were deleted to be made anew: until then the store is not complete.
        (folder / STORE_NAME).unlink(missing_ok=True)
    except OSError as error:
        raise output_error(error, folder) from error
    return False


def _delete(folder: Path) -> None:
    # The mark of completeness first, and last the plan: a folder without is taken for something
    # else than a store, and never deleted. The folder itself may be a link or a disk, and stays.
    (folder / STORE_NAME).unlink(missing_ok=True)
    for entry in folder.iterdir():
        if entry.name != PLAN_NAME:
            remove(entry)
    (folder / PLAN_NAME).unlink()


def _plan_of(folder: Path, replace: bool) -> Plan | None:
    """The plan in a folder that is not empty; None where it is damaged and may be replaced."""
    path = folder / PLAN_NAME
    if not path.is_file() and (folder / STORE_NAME).is_file():
        return read_json(folder / STORE_NAME, StoreFile, REPLACE).plan
    if not path.is_file():
        # Never ours to delete, whatever was asked for.
        raise StoreError(
            "The folder does not hold a store",
            where=folder,
            next_step="Choose another --workspace.",
        )
    if (folder / FORGETTING_NAME).is_file() and not replace:
        raise StoreError("A subject is being forgotten here", where=folder, next_step=FORGET_AGAIN)
    try:
        return read_json(path, Plan, REPLACE)
    except StoreError:
        if replace:
            return None
        raise


def _other_work(folder: Path, existing: Plan, plan: Plan) -> StoreError:
    if existing.reduced:
        return StoreError(
            "Subjects were forgotten here, and the source may still hold them",
            where=folder,
            next_step="Train and test on the store as it is; or take them out of the source and "
            "add --replace.",
        )
    if existing.model_copy(update={"reading": plan.reading}).same_work(plan):
        return StoreError(
            f"The store here was read by an earlier version (rules {existing.reading}, now "
            f"{plan.reading}), which may have taken other frames",
            where=folder,
            next_step="It can still be used. Add --replace to make it anew.",
        )
    what = "another source or a changed one"
    for name in ("dataset", "form", "codec", "part"):
        old, new = getattr(existing, name), getattr(plan, name)
        if old != new:
            old_name, new_name = ("without RGB" if one == "none" else one for one in (old, new))
            what = f"another {name} ({old_name}, not {new_name})"
            break
    else:
        if lacking := [name for name in plan.shapes if name not in existing.shapes]:
            return _lacking(folder, lacking)
        for name, stream in plan.streams.items():
            old_maker = existing.streams[name].maker
            if old_maker != stream.maker:
                what = f"another {STREAM_WORDS[name]} ({old_maker}; not {stream.maker})"
    return StoreError(f"The store here was made from {what}", where=folder, next_step=REPLACE)


def _lacking(folder: Path, lacking: Sequence[StreamName]) -> StoreError:
    """Error for a store made without some streams; no source contains flow."""
    delivered = [name for name in lacking if name != "flow"]
    options = [f"--without {','.join(delivered)}"] if delivered else []
    options += ["without --flow"] if "flow" in lacking else []
    what = " and ".join(STREAM_WORDS[name] for name in lacking)
    rest = "" if "flow" in lacking else " that the source holds"
    return StoreError(
        f"The store here was made without {'the ' if delivered else ''}{what}{rest}",
        where=folder,
        next_step=f"It can still be used ({', '.join(options)}). Add --replace to make it anew "
        f"with {'it' if lacking == ['flow'] else 'them'}.",
    )


def _all_there(folder: Path, plan: Plan) -> bool:
    names = (STORE_NAME, PLAN_NAME, INDEX_NAME, LEFT_OUT_NAME)
    return all((folder / name).is_file() for name in names) and not missing_shards(folder, plan)


def missing_shards(folder: Path, plan: Plan) -> list[int]:
    """Numbers of the plan's shards that are not there, whole."""
    return [number for number in plan.shard_numbers() if shard_done(folder, number) is None]


def shard_done(folder: Path, number: int) -> ShardFile | None:
    """The description of a shard that is whole, else None.

    The description is written after the shard, so it vouches for it; a shard that was taken away or
    cut since then does not count.
    """
    path, shard = folder / shard_report_name(number), folder / shard_name(number)
    if not path.is_file() or not shard.is_file():
        return None
    try:
        description = read_json(path, ShardFile, REPLACE)
    except StoreError:
        return None
    return description if shard.stat().st_size == description.bytes else None


def finish(folder: Path, plan: Plan, listing: Sequence[Finding]) -> StoreFile:
    """Write index, report and, last, the mark of completeness.

    Args:
        folder: The folder with all shards of the plan.
        plan: The plan.
        listing: Findings of listing the source, which belong to no shard.

    Raises:
        StoreError: shards are missing.
    """
    index, findings, facts = _gather(folder, plan)
    all_findings = [*listing, *findings]
    report = LeftOutFile(
        summary=summarise(all_findings), listing=tuple(listing), findings=tuple(findings)
    )
    write_json(folder / LEFT_OUT_NAME, report)
    write_json(folder / INDEX_NAME, index)
    digest = hashlib.sha256((folder / INDEX_NAME).read_bytes()).hexdigest()
    sequences, valid, measured, error = facts
    frames = sum(shard.frames for shard in index.shards)
    entries = (entry for shard in index.shards for entry in shard.sequences)
    totals = row_totals(row_counts(entries))
    info = StoreFile(
        format=plan.format,
        plan=plan,
        sequences=sequences,
        frames=frames,
        valid=valid,
        bytes=sum(shard.bytes for shard in index.shards),
        raw_bytes=0 if plan.codec == "none" else frames * FRAME_BYTES,
        psnr=_psnr(error / measured) if measured else None,
        index=digest,
        left_out_sequences=len(
            {finding.sequence for finding in all_findings if finding.effect == SEQUENCE_LEFT_OUT}
        ),
        left_out_frames=_frames_of(all_findings, FRAMES_LEFT_OUT),
        unsupervised_frames=_frames_of(all_findings, NOT_SUPERVISED),
        aligned=totals.pop("aligned", 0),
        streams={name: count for name, count in totals.items() if name != "aligned"},
    )
    write_json(folder / STORE_NAME, info)
    return info


def _gather(
    folder: Path, plan: Plan
) -> tuple[IndexFile, list[Finding], tuple[int, int, int, float]]:
    shards: list[IndexShard] = []
    findings: list[Finding] = []
    sequences, valid, measured, error = 0, 0, 0, 0.0
    for number in plan.shard_numbers():
        description = shard_done(folder, number)
        if description is None:
            raise StoreError(
                f"Shard {number} is missing",
                where=folder,
                next_step="Run the same `lmgait prepare` again.",
            )
        shards.append(
            IndexShard(
                number=number,
                sha256=description.sha256,
                bytes=description.bytes,
                frames=description.frames,
                sequences=description.sequences,
            )
        )
        findings += description.left_out
        sequences += len(description.sequences)
        valid += description.valid
        measured += description.fidelity.frames
        error += description.fidelity.squared_error
    return (
        IndexFile(format=plan.format, shards=tuple(shards)),
        findings,
        (sequences, valid, measured, error),
    )


def _psnr(error: float) -> float:
    return round(10 * math.log10(255**2 / max(error, 1e-6)), 3)


def _frames_of(findings: Iterable[Finding], effect: str) -> int:
    return sum(finding.frames for finding in findings if finding.effect == effect)


def summarise(findings: Iterable[Finding]) -> tuple[ReasonCount, ...]:
    """Count findings by effect and reason, the gravest effect first."""
    order = (SEQUENCE_LEFT_OUT, FRAMES_LEFT_OUT, NOT_SUPERVISED)
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for finding in findings:
        sequences, frames = counts.get((finding.effect, finding.reason), (0, 0))
        counts[(finding.effect, finding.reason)] = (sequences + 1, frames + finding.frames)
    ranked = sorted(
        counts, key=lambda key: (order.index(key[0]) if key[0] in order else len(order), *key)
    )
    return tuple(
        ReasonCount(
            effect=effect,
            reason=reason,
            sequences=counts[(effect, reason)][0],
            frames=counts[(effect, reason)][1],
        )
        for effect, reason in ranked
    )
