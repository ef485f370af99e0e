"""Silhouettes as a dataset's authors cut them: read as they are, never cut again.

What is done about each fault: a silhouette that cannot be read, is empty, or has another size than
the form says, is left out; a stream that cannot be read leaves its sequence without. Frames and
other silhouettes of the sequence stay.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.manifests.forms import Form
from core.records import FRAME_HEIGHT, FRAME_WIDTH, SequenceFrames
from core.sources.arrays import read_array, silhouette_frames
from core.sources.joining import MAX_FRAMES
from core.sources.pairing import in_time_order, pair
from core.sources.reading import FrameNames
from core.sources.report import SequenceReport
from core.sources.roots import FoundForm, samples
from core.sources.sequences import RawSequence, RawStream
from core.sources.streams import open_stream
from core.video.faults import Effect, FrameFault, Reason
from core.video.images import read_picture, source_gone
from core.video.pictures import Picture

BATCH = 32
NO_FRAME = -1
# Samples of 16 bits are brought to 8.
_SHORT_STEP = 257


class AlignedSilhouettes(NamedTuple):
    """Delivered silhouettes of one sequence that can be used.

    Attributes:
        images: uint8 [M, rows, columns], grey levels 0 to 255, in time order.
        stems: Their names.
        total: Number of all that the source has.
    """

    images: NDArray[np.uint8]
    stems: list[str]
    total: int


def read_aligned(raw: RawSequence, form: Form, report: SequenceReport) -> AlignedSilhouettes | None:
    """Read the delivered silhouettes of one sequence.

    Values are kept; where a sequence has none but 0 and 1, these become 0 and 255.

    Args:
        raw: The sequence.
        form: Its form, which says how large they are.
        report: Told of what is left out.

    Returns:
        None where none can be used.

    Raises:
        DataError: they have gone since they were listed.
    """
    if raw.aligned is None:
        report.add(Reason.NO_ALIGNED, Effect.NOTED, 0)
        return None
    only = raw.first is raw.aligned
    silhouettes = _read(raw, raw.aligned, form, report, only=only)
    if not os.path.lexists(raw.aligned.path):
        raise source_gone(raw.aligned.path)
    count = 0 if silhouettes is None else len(silhouettes.stems)
    if only and count < 2 and not report.left_out:
        reason = Reason.ONE_FRAME if count else Reason.NO_FRAMES
        report.add(reason, Effect.SEQUENCE_LEFT_OUT, count)
    return silhouettes if count >= (2 if only else 1) else None


def has_aligned_size(found: FoundForm) -> bool:
    """Whether a form's delivered silhouettes are as large as it says, by the first of them.

    True where it has none, or none that can be read.
    """
    aligned, form = found.streams.get("aligned"), found.form
    if aligned is None or form.aligned is None:
        return True
    for root in aligned.roots:
        for path in samples(root, aligned.at(root), form):
            with suppress(FrameFault):
                if aligned.stream.media == "frames":
                    picture = read_picture(path, grey=True)
                else:
                    content = read_array(path)
                    picture = Picture(silhouette_frames(content, path)[0])
                return picture.pixels.shape[:2] == form.aligned.size
    return True


def _read(
    raw: RawSequence, files: RawStream, form: Form, report: SequenceReport, *, only: bool
) -> AlignedSilhouettes | None:
    """The silhouettes of one stream; None where it cannot be read at all."""
    assert form.aligned is not None
    size = form.aligned.size
    stream_effect, effect = Effect.ALIGNED_LEFT_OUT, Effect.ALIGNED_LEFT_OUT
    if only:
        stream_effect, effect = Effect.SEQUENCE_LEFT_OUT, Effect.FRAMES_LEFT_OUT
    try:
        stream = open_stream(files, grey=True, first=form.first_frame)
        if only and files.media == "frames" and len(stream.stems) < raw.weight:
            raise source_gone(files.path)
        if len(stream.stems) > MAX_FRAMES:
            raise FrameFault(Reason.TOO_LONG, files.path)
    except FrameFault as fault:
        report.add(fault.reason, stream_effect, 0, fault.file)
        return None
    order = in_time_order(stream.stems)
    images = np.empty((len(order), *size), np.uint8)
    stems: list[str] = []
    for index, picture in zip(order, stream.read(order), strict=False):
        name = f"{raw.key} aligned {stream.stems[index]}"
        try:
            images[len(stems)] = _image(picture, size, name)
        except FrameFault as fault:
            report.add(fault.reason, effect, 1, fault.file)
        else:
            stems.append(stream.stems[index])
    images = images[: len(stems)]
    if images.max(initial=0) == 1:
        images *= np.uint8(255)
    return AlignedSilhouettes(images, stems, len(order))


def _image(picture: Picture | FrameFault, size: tuple[int, int], name: str) -> NDArray[np.uint8]:
    """Grey levels uint8 [rows, columns] of one silhouette; an alpha channel does not count."""
    if isinstance(picture, FrameFault):
        raise picture
    pixels = picture.pixels
    if pixels.ndim == 3:
        if (pixels[..., :3] != pixels[..., :1]).any():
            raise FrameFault(Reason.ARRAY_SHAPE, name)
        pixels = pixels[..., 0]
    if pixels.shape != size:
        raise FrameFault(Reason.ALIGNED_SIZE, name)
    if pixels.dtype == np.uint16:
        pixels = np.asarray(np.rint(pixels / _SHORT_STEP), np.uint8)
    if not pixels.any():
        raise FrameFault(Reason.EMPTY_SILHOUETTE, name)
    return np.asarray(pixels, np.uint8)


def frame_numbers(
    silhouettes: AlignedSilhouettes, names: FrameNames, raw: RawSequence, report: SequenceReport
) -> NDArray[np.int32]:
    """Which frame of the sequence shows the moment of each delivered silhouette.

    They are paired by name or time, as frames and their silhouettes are.

    Args:
        silhouettes: The silhouettes.
        names: Those of the frames.
        raw: The sequence.
        report: Told where array files have other numbers of frames.

    Returns:
        int32 [M], rising; -1 where there is no such frame.
    """
    numbers = np.full(len(silhouettes.stems), NO_FRAME, np.int32)
    matched = pair(names.stems, silhouettes.stems).pairs
    partners = sorted((row, frame) for frame, row in matched if row is not None)
    latest = NO_FRAME
    for row, frame in partners:
        if frame > latest:
            numbers[row] = latest = frame
    media = {raw.first.media, None if raw.aligned is None else raw.aligned.media}
    difference = abs(names.total - silhouettes.total)
    if media == {"arrays"} and difference:
        report.add(Reason.ALIGNED_COUNT, Effect.NOTED, difference, raw.first.path)
    return numbers


def blank_frames(count: int) -> Iterator[SequenceFrames]:
    """Frames of a sequence that has delivered silhouettes alone: no RGB, no valid silhouette."""
    for first in range(0, count, BATCH):
        each = min(BATCH, count - first)
        yield SequenceFrames(
            np.zeros((each, 0, 0, 3), np.uint8),
            np.zeros((each, FRAME_HEIGHT, FRAME_WIDTH), np.bool_),
            np.zeros(each, np.bool_),
        )
