"""One raw sequence to fitted frames, a few at a time, with a report of what was wrong.

What is done about each fault:

- a frame whose RGB cannot be read, or is black or white all over, is left out;
- where frames are crops already, a frame without a usable silhouette is kept and marked as not
  valid, for a model needs no silhouette to look at it; in whole scenes the silhouette's box is the
  crop, so the frame is left out;
- a sequence whose RGB cannot be read at all, or with fewer than two usable frames, is left out;
- nothing in one sequence stops the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from core.manifests.forms import Form
from core.records import FRAME_HEIGHT, FRAME_WIDTH, SequenceFrames
from core.sources.arrays import read_array, true_ratios
from core.sources.matching import Matching, spread
from core.sources.packed import assumed_ratios
from core.sources.pairing import pair
from core.sources.report import SequenceReport
from core.sources.sequences import RawSequence
from core.sources.streams import ArrayFile, FrameStream, open_stream
from core.video.faults import Effect, FrameFault, Reason
from core.video.geometry import (
    MIN_FOREGROUND,
    fit_rgb,
    fit_silhouette,
    is_blank,
    person_box,
    whole,
)
from core.video.images import source_gone
from core.video.pictures import Picture

BATCH = 32
MAX_FRAMES = 20_000
# Silhouettes up to this size are decoded once, though looked at before the sequence is read.
KNOWN_BYTES = 2**20

Image = NDArray[np.uint8]


class _Batch:
    def __init__(self) -> None:
        self.rgb = np.zeros((BATCH, FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
        self.silhouettes = np.zeros((BATCH, FRAME_HEIGHT, FRAME_WIDTH), np.bool_)
        self.valid = np.zeros(BATCH, np.bool_)
        self.count = 0

    def frames(self) -> SequenceFrames:
        n = self.count
        return SequenceFrames(self.rgb[:n], self.silhouettes[:n], self.valid[:n])


def read_sequence(raw: RawSequence, form: Form, report: SequenceReport) -> Iterator[SequenceFrames]:
    """Read, pair, crop and fit the frames of one sequence.

    Args:
        raw: The sequence.
        form: Its form.
        report: Told of everything left out.

    Yields:
        Batches of at most 32 frames; nothing for a sequence of fewer than two usable frames.

    Raises:
        DataError: a part of it has gone since it was listed.
    """
    batch = _Batch()
    yielded = False
    for rgb, mask, ratio in _joined(raw, form, report):
        if not _fit(rgb, mask, ratio, form.framing == "scene", batch, report):
            continue
        batch.count += 1
        if batch.count == BATCH:
            yield batch.frames()
            yielded, batch = True, _Batch()
    if batch.count and (yielded or batch.count > 1):
        yield batch.frames()
    elif not yielded and not report.left_out:
        reason = Reason.ONE_FRAME if batch.count else Reason.NO_FRAMES
        report.add(reason, Effect.SEQUENCE_LEFT_OUT, batch.count)
    _check_still_there(raw)


def _check_still_there(raw: RawSequence) -> None:
    """A source that goes away must not read as one full of damaged files."""
    for stream in (raw.rgb, raw.silhouettes, raw.ratios):
        if stream is not None and not os.path.lexists(stream.path):
            raise source_gone(stream.path)


def _joined(
    raw: RawSequence, form: Form, report: SequenceReport
) -> Iterator[tuple[Image | FrameFault, Image | FrameFault | None, float | None]]:
    try:
        rgb = open_stream(raw.rgb, grey=False, first=form.first_frame)
        if raw.rgb.media == "frames" and len(rgb.stems) < raw.weight:
            raise source_gone(raw.rgb.path)
        if len(rgb.stems) > MAX_FRAMES:
            raise FrameFault(Reason.TOO_LONG, raw.rgb.path)
        ratios = _ratios(raw, form, len(rgb.stems), report)
    except FrameFault as fault:
        report.add(fault.reason, Effect.SEQUENCE_LEFT_OUT, 0, fault.file)
        return
    masks = _masks(raw, form, report)
    matched = pair(rgb.stems, masks.stems if masks is not None else [])
    if isinstance(rgb, ArrayFile) and isinstance(masks, ArrayFile):
        difference = abs(len(rgb.stems) - len(masks.stems))
        if difference:  # nothing says which is missing
            report.add(Reason.MASK_COUNT, Effect.NOTED, difference, raw.rgb.path)
    scene = form.framing == "scene"
    # Decoding a scene without its silhouette would be for nothing.
    pairs = [p for p in matched.pairs if p[1] is not None] if scene else matched.pairs
    both = [(index, mask) for index, mask in pairs if mask is not None]
    some = [both[place] for place in spread(len(both))]
    samples = dict(zip((m for _, m in some), _read(masks, [m for _, m in some]), strict=True))

    def sampled() -> Iterator[tuple[Picture | FrameFault, Picture | FrameFault]]:
        return zip(rgb.read([i for i, _ in some]), _read(masks, [m for _, m in some]), strict=False)

    matching = Matching(samples.values(), sampled, str(raw.key), scene=scene, report=report)
    silhouettes = _read(masks, [m for _, m in both], _small(samples))
    count = 0
    for (index, mask), image in zip(pairs, rgb.read([index for index, _ in pairs]), strict=False):
        count += 1
        ratio = None if ratios is None else float(ratios[index])
        silhouette = None if mask is None else next(silhouettes)
        if isinstance(image, FrameFault):
            yield image, None, ratio
            continue
        if isinstance(silhouette, Picture):
            silhouette = rgb.fit_mask(silhouette, image.pixels.shape)
        yield *matching.match(image, silhouette, rgb.stems[index]), ratio
    # A video may end before its last number.
    end = pairs[count][0] if count < len(pairs) else len(rgb.stems)
    for index in [*matched.lonely_silhouettes, *(m for _, m in pairs[count:] if m is not None)]:
        stem = masks.stems[index] if masks is not None else ""
        report.add(Reason.NO_RGB, Effect.FRAMES_LEFT_OUT, 1, f"{raw.key} frame {stem}")
    for index in (index for index, mask in matched.pairs if mask is None and index < end):
        effect = Effect.FRAMES_LEFT_OUT if scene else Effect.NOT_SUPERVISED
        report.add(Reason.NO_SILHOUETTE, effect, 1, f"{raw.key} frame {rgb.stems[index]}")


def _read(
    stream: FrameStream | None, indices: list[int], known: Mapping[int, Picture] | None = None
) -> Iterator[Picture | FrameFault]:
    """Read what is not known yet, in order; a video may end before its last number."""
    known = known or {}
    if stream is None:
        return
    rest = stream.read([index for index in indices if index not in known])
    for index in indices:
        missing = FrameFault(Reason.NO_SILHOUETTE)
        yield known[index] if index in known else next(rest, missing)


def _small(pictures: dict[int, Picture | FrameFault]) -> dict[int, Picture]:
    """Those that need not be decoded again."""
    return {
        index: picture
        for index, picture in pictures.items()
        if isinstance(picture, Picture) and picture.pixels.nbytes <= KNOWN_BYTES
    }


def _ratios(
    raw: RawSequence, form: Form, count: int, report: SequenceReport
) -> NDArray[np.float64] | None:
    if form.ratios is None:
        return assumed_ratios(form.assumed_ratio, raw.rgb.path, count, report)
    if raw.ratios is None:
        raise FrameFault(Reason.RATIO_COUNT, raw.rgb.path)
    ratios, turned = true_ratios(read_array(raw.ratios.path), form.ratio_order, raw.ratios.path)
    if len(ratios) != count:
        raise FrameFault(Reason.RATIO_COUNT, raw.ratios.path)
    if turned:
        report.add(Reason.RATIO_TURNED, Effect.NOTED, count, raw.ratios.path)
    return ratios


def _masks(raw: RawSequence, form: Form, report: SequenceReport) -> FrameStream | None:
    if raw.silhouettes is None:
        return None
    try:
        return open_stream(raw.silhouettes, grey=True, first=form.first_frame)
    except FrameFault as fault:
        report.add(fault.reason, Effect.NOTED, 0, fault.file)
        return None


def _fit(
    rgb: Image | FrameFault,
    mask: Image | FrameFault | None,
    ratio: float | None,
    scene: bool,
    batch: _Batch,
    report: SequenceReport,
) -> bool:
    """Fit one frame into the batch's next place; say whether it is to be kept."""
    if isinstance(rgb, FrameFault):
        report.add(rgb.reason, Effect.FRAMES_LEFT_OUT, 1, rgb.file)
        return False
    place = batch.count
    try:
        usable = _usable_mask(mask)
        box = person_box(usable) if scene and usable is not None else whole(rgb.shape)
    except FrameFault as fault:
        effect = Effect.FRAMES_LEFT_OUT if scene else Effect.NOT_SUPERVISED
        report.add(fault.reason, effect, 1, fault.file)
        if scene:
            return False
        usable, box = None, whole(rgb.shape)
    fit_rgb(rgb, box, batch.rgb[place], ratio)
    if is_blank(batch.rgb[place]):
        # Nothing is seen on it; and a hole in a store reads as such a frame.
        report.add(Reason.BLANK, Effect.FRAMES_LEFT_OUT, 1)
        batch.rgb[place] = 0
        return False
    if usable is not None:
        mask_box = box if scene else whole(usable.shape)
        fit_silhouette(usable, mask_box, batch.silhouettes[place], ratio)
        batch.valid[place] = True
    return True


def _usable_mask(mask: Image | FrameFault | None) -> Image | None:
    if mask is None:
        return None
    if isinstance(mask, FrameFault):
        raise mask
    if int(np.count_nonzero(mask)) < MIN_FOREGROUND:
        raise FrameFault(Reason.EMPTY_SILHOUETTE)
    return mask
