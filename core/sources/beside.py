"""Streams beside the frames of a sequence: delivered silhouettes, poses, labels of body parts.

What is done about each fault: a row that cannot be read, is empty, or of another shape than the
form says, is left out; a stream that cannot be read leaves its sequence without. Frames and other
streams of the sequence stay. Where a source has no frames, the first of its streams beside them
counts the frames, and a sequence without it is left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from core.manifests.forms import Form
from core.records import FRAME_HEIGHT, FRAME_WIDTH, NO_FRAME, SequenceFrames, StreamName
from core.sources.cut_images import read_cut_images
from core.sources.delivered import Delivered
from core.sources.joining import MAX_FRAMES
from core.sources.pairing import in_time_order, pair
from core.sources.poses import read_poses
from core.sources.raw import RawSequence, RawStream
from core.sources.reading import FrameNames
from core.sources.report import SequenceReport
from core.video.faults import Effect, FrameFault, Reason
from core.video.images import source_gone

BATCH = 32
_ABSENT: dict[StreamName, Reason] = {
    "aligned": Reason.NO_ALIGNED,
    "pose": Reason.NO_POSE,
    "parsing": Reason.NO_PARSING,
}
_LEFT_OUT: dict[StreamName, Effect] = {
    "aligned": Effect.ALIGNED_LEFT_OUT,
    "pose": Effect.POSES_LEFT_OUT,
    "parsing": Effect.PARSING_LEFT_OUT,
}
_OTHER_COUNT: dict[StreamName, Reason] = {
    "aligned": Reason.ALIGNED_COUNT,
    "pose": Reason.POSE_COUNT,
    "parsing": Reason.PARSING_COUNT,
}


def read_beside(
    name: StreamName, raw: RawSequence, form: Form, report: SequenceReport
) -> Delivered | None:
    """Read one stream of one sequence.

    Args:
        name: The stream.
        raw: The sequence.
        form: Its form.
        report: Told of what is left out.

    Returns:
        None where nothing of it can be used.

    Raises:
        DataError: it has gone since it was listed.
    """
    files = raw.beside.get(name)
    if files is None:
        report.add(_ABSENT[name], Effect.NOTED, 0)
        return None
    only = raw.first is files
    content = _read(name, raw, files, form, report, only=only)
    if not os.path.lexists(files.path):
        raise source_gone(files.path)
    count = 0 if content is None else len(content.stems)
    if only and count < 2 and not report.left_out:
        reason = Reason.ONE_FRAME if count else Reason.NO_FRAMES
        report.add(reason, Effect.SEQUENCE_LEFT_OUT, count)
    return content if count >= (2 if only else 1) else None


def _read(
    name: StreamName,
    raw: RawSequence,
    files: RawStream,
    form: Form,
    report: SequenceReport,
    *,
    only: bool,
) -> Delivered | None:
    """The rows of one stream in time order; None where it cannot be read at all."""
    stream_effect = Effect.SEQUENCE_LEFT_OUT if only else _LEFT_OUT[name]
    effect = Effect.FRAMES_LEFT_OUT if only else _LEFT_OUT[name]
    try:
        if name == "pose":
            content = read_poses(files, form, report, effect)
        else:
            label = f"{raw.key} {name}"
            content = read_cut_images(name, files, form, report, effect, label)
        if only and files.media == "frames" and content.total < raw.weight:
            raise source_gone(files.path)
        if content.total > MAX_FRAMES:
            raise FrameFault(Reason.TOO_LONG, files.path)
    except FrameFault as fault:
        report.add(fault.reason, stream_effect, 0, fault.file)
        return None
    order = in_time_order(content.stems)
    return content._replace(
        rows=content.rows[order], stems=[content.stems[place] for place in order]
    )


def frame_numbers(
    name: StreamName,
    content: Delivered,
    names: FrameNames,
    raw: RawSequence,
    form: Form,
    report: SequenceReport,
) -> NDArray[np.int32]:
    """Which frame of the sequence shows the moment of each row of a stream.

    They are paired by name or time, as frames and their silhouettes are. Poses in an array file
    beside frames with names of their own are paired in order where they are as many, and with no
    frame where they are not: then nothing says which one is missing.

    Args:
        name: The stream.
        content: Its rows.
        names: Names of the frames.
        raw: The sequence.
        form: Its form.
        report: Told where array files have other numbers of frames.

    Returns:
        int32 [M], rising; -1 where there is no such frame.
    """
    numbers = np.full(len(content.stems), NO_FRAME, np.int32)
    files = raw.beside[name]
    if raw.first is files:
        return np.arange(len(numbers), dtype=np.int32)
    difference = abs(names.total - content.total)
    if name == "pose" and form.pose is not None and form.pose.own_frames:
        return numbers
    stems = names.stems
    if name == "pose" and files.media == "arrays" and raw.first.media == "frames":
        if difference:
            report.add(Reason.POSE_COUNT, Effect.NOTED, difference, files.path)
            return numbers
        stems = [str(form.first_frame + place) for place in names.places]
    elif {raw.first.media, files.media} == {"arrays"} and difference:
        report.add(_OTHER_COUNT[name], Effect.NOTED, difference, raw.first.path)
    matched = pair(stems, content.stems).pairs
    latest = NO_FRAME
    for row, frame in sorted((row, frame) for frame, row in matched if row is not None):
        if frame > latest:
            numbers[row] = latest = frame
    return numbers


def blank_frames(count: int) -> Iterator[SequenceFrames]:
    """Frames of a sequence that has none: no RGB, no valid silhouette."""
    for first in range(0, count, BATCH):
        each = min(BATCH, count - first)
        yield SequenceFrames(
            np.zeros((each, 0, 0, 3), np.uint8),
            np.zeros((each, FRAME_HEIGHT, FRAME_WIDTH), np.bool_),
            np.zeros(each, np.bool_),
        )
