"""Making of one shard: reading, writing and describing its sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from core.manifests.forms import Form
from core.manifests.schema import SilhouetteCut
from core.manifests.streams import BESIDE
from core.records import SequenceFrames
from core.sources.beside import blank_frames, frame_numbers, read_beside
from core.sources.cut_images import cut_size
from core.sources.parsing import SilhouetteWindows, read_parsing
from core.sources.raw import RawSequence
from core.sources.reading import FrameNames, read_sequence
from core.sources.report import SequenceReport
from core.storage.layout import Finding, Plan, ShardFile, shard_name, shard_report_name, write_json
from core.storage.shard import ShardWriter, file_hash
from core.storage.streams import StreamFrames
from core.system.files import whole_file
from core.video.faults import Effect, LeftOut, Reason, writable
from core.video.flow import FlowMaker


@dataclass(frozen=True, slots=True)
class ShardJob:
    """One shard to make.

    Attributes:
        number: Its number.
        folder: The store's folder.
        source: Folder that file names in the report are relative to.
        form: Form of the source.
        content: Plan of the store.
        sequences: What goes into it.
        cut: How the dataset's silhouettes are cut.
        flow: Whether optical flow is computed.
        crashed: Positions of sequences that ended a process that read them: left out.
    """

    number: int
    folder: Path
    source: Path
    form: Form
    content: Plan
    sequences: tuple[RawSequence, ...]
    cut: SilhouetteCut
    flow: bool = False
    crashed: frozenset[int] = frozenset()


def make_shard(
    job: ShardJob, count: Callable[[int], None], begins: Callable[[int], object] = lambda _: None
) -> int:
    """Make one shard and, once it is complete, its description.

    Args:
        job: The shard.
        count: Called with the number of frames written.
        begins: Called with the position of each sequence before it is read.

    Returns:
        The shard's number.

    Raises:
        OutputError: the shard cannot be written.
    """
    cv2.setNumThreads(1)
    path = job.folder / shard_name(job.number)
    lines: list[Finding] = []
    with whole_file(path, parents=False) as partial:
        with ShardWriter(partial, job.content.codec, job.content.shapes) as writer:
            for position, raw in enumerate(job.sequences):
                report = SequenceReport(raw.key, job.source)
                if position in job.crashed:
                    report.add(Reason.CRASHED, Effect.SEQUENCE_LEFT_OUT, 0, raw.first.path)
                else:
                    begins(position)
                    _write(writer, raw, job, report, count)
                lines += findings(report.lines())
        description = ShardFile(
            format=job.content.format,
            number=job.number,
            sha256=file_hash(partial),
            bytes=partial.stat().st_size,
            frames=writer.frames,
            valid=writer.valid,
            fidelity=writer.fidelity(),
            sequences=writer.entries,
            left_out=tuple(lines),
        )
    write_json(job.folder / shard_report_name(job.number), description)
    return job.number


def _write(
    writer: ShardWriter,
    raw: RawSequence,
    job: ShardJob,
    report: SequenceReport,
    count: Callable[[int], None],
) -> None:
    """Write one sequence: its frames, and what lies beside them."""
    parsing = job.form.parsing if "parsing" in job.content.shapes else None
    if parsing is not None and parsing.cut != "silhouettes":
        parsing = None
    content = {
        name: rows
        for name in BESIDE
        if name in job.content.shapes
        and not (name == "parsing" and parsing)
        and (rows := read_beside(name, raw, job.form, report)) is not None
    }
    names = FrameNames()
    if raw.rgb is not None or raw.silhouettes is not None:
        batches = read_sequence(raw, job.form, report, names)
    else:
        base = next((rows for name, rows in content.items() if raw.first is raw.beside[name]), None)
        if base is not None:
            names = FrameNames(base.stems, total=base.total)
        batches = blank_frames(len(names.stems))
    flow = FlowMaker(job.cut.interpolation, job.cut.drop_sum) if job.flow else None
    windows = None if parsing is None else SilhouetteWindows(cut_size(parsing), job.cut)
    for listener in (flow, windows):
        if listener is not None:
            batches = _observed(batches, listener.add)
    frames = writer.add(raw.key, _observed(batches, lambda batch: count(len(batch.valid))))
    if not frames:
        return
    if flow is not None:
        writer.add_stream("flow", StreamFrames(*flow.result()))
    if windows is not None:
        labels = read_parsing(raw, job.form, names, windows, report)
        if labels is not None:
            writer.add_stream("parsing", StreamFrames(*labels))
    for name, rows in content.items():
        numbers = frame_numbers(name, rows, names, raw, job.form, report)
        joints = rows.joints if name == "pose" else None
        writer.add_stream(name, StreamFrames(rows.rows, numbers), joints)


def findings(lines: Iterable[LeftOut]) -> tuple[Finding, ...]:
    """Convert the report's lines to the store's format."""
    return tuple(
        Finding(
            sequence=line.sequence,
            reason=str(line.reason),
            effect=str(line.effect),
            frames=line.frames,
            files=tuple(writable(name) for name in line.files),
        )
        for line in lines
    )


def _observed(
    batches: Iterator[SequenceFrames], listener: Callable[[SequenceFrames], object]
) -> Iterator[SequenceFrames]:
    """Yield the same batches, passing each to ``listener`` first."""
    for batch in batches:
        listener(batch)
        yield batch
