"""One raw sequence to fitted frames, a few at a time, with a report of faults.

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
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.manifests.forms import Form
from core.records import FRAME_HEIGHT, FRAME_WIDTH, SequenceFrames
from core.sources.joining import joined, silhouettes_alone
from core.sources.raw import RawSequence
from core.sources.report import SequenceReport
from core.video.faults import Effect, FrameFault, Reason
from core.video.geometry import (
    MIN_FOREGROUND,
    Box,
    fit_rgb,
    fit_silhouette,
    is_blank,
    person_box,
    whole,
)
from core.video.images import source_gone

BATCH = 32

Image = NDArray[np.uint8]


class Fit(NamedTuple):
    """What of a frame of the source was fitted into a frame of the store.

    Attributes:
        box: The person's box in a whole scene; None where the frame is a crop.
        shape: (H, W) of the frame, in whose pixels the box is.
        ratio: True width / height, where the frame was squashed.
    """

    box: Box | None
    shape: tuple[int, int]
    ratio: float | None


@dataclass(slots=True)
class FrameNames:
    """Names of a sequence's frames, and how they were fitted.

    Attributes:
        stems: Of those that were taken, in order.
        places: Where each of them is among all that the source has, from 0.
        total: Number of all that the source has.
        fits: How those that were taken were fitted; empty for names of rows without frames.
    """

    stems: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    total: int = 0
    fits: list[Fit] = field(default_factory=list)


class _Batch:
    def __init__(self, with_rgb: bool) -> None:
        shape = (FRAME_HEIGHT, FRAME_WIDTH, 3) if with_rgb else (0, 0, 3)
        self.rgb = np.zeros((BATCH, *shape), np.uint8)
        self.silhouettes = np.zeros((BATCH, FRAME_HEIGHT, FRAME_WIDTH), np.bool_)
        self.valid = np.zeros(BATCH, np.bool_)
        self.count = 0

    def frames(self) -> SequenceFrames:
        n = self.count
        return SequenceFrames(self.rgb[:n], self.silhouettes[:n], self.valid[:n])


def read_sequence(
    raw: RawSequence, form: Form, report: SequenceReport, names: FrameNames | None = None
) -> Iterator[SequenceFrames]:
    """Read, pair, crop and fit the frames of one sequence, or silhouettes of a source without them.

    Args:
        raw: The sequence.
        form: Its form.
        report: Told of everything left out.
        names: Gets the names of the frames that are yielded.

    Yields:
        Batches of at most 32 frames; nothing for a sequence of fewer than two usable frames.

    Raises:
        DataError: a part of it has gone since it was listed.
    """
    with_rgb = raw.rgb is not None
    join = joined if with_rgb else silhouettes_alone
    batch = _Batch(with_rgb)
    yielded = False
    for rgb, mask, ratio, stem in join(raw, form, report):
        if names is not None:
            names.total += 1
        fit = _fit(rgb, mask, ratio, form.framing == "scene", batch, report)
        if fit is None:
            continue
        batch.count += 1
        if names is not None:
            names.stems.append(stem)
            names.places.append(names.total - 1)
            names.fits.append(fit)
        if batch.count == BATCH:
            yield batch.frames()
            yielded, batch = True, _Batch(with_rgb)
    if batch.count and (yielded or batch.count > 1):
        yield batch.frames()
    elif not yielded and not report.left_out:
        reason = Reason.ONE_FRAME if batch.count else Reason.NO_FRAMES
        report.add(reason, Effect.SEQUENCE_LEFT_OUT, batch.count)
    _check_still_there(raw)


def _check_still_there(raw: RawSequence) -> None:
    """A source that goes away must not read as one full of damaged files."""
    for stream in (raw.rgb, raw.silhouettes, raw.ratios, *raw.beside.values()):
        if stream is not None and not os.path.lexists(stream.path):
            raise source_gone(stream.path)


def _fit(
    rgb: Image | FrameFault | None,
    mask: Image | FrameFault | None,
    ratio: float | None,
    scene: bool,
    batch: _Batch,
    report: SequenceReport,
) -> Fit | None:
    """Fit one frame into the batch's next place; None where it is skipped."""
    if isinstance(rgb, FrameFault):
        report.add(rgb.reason, Effect.FRAMES_LEFT_OUT, 1, rgb.file)
        return None
    place = batch.count
    usable = None
    try:
        usable = _usable_mask(mask)
        box = None if usable is None or not scene else person_box(usable)
    except FrameFault as fault:
        left_out = scene or rgb is None
        effect = Effect.FRAMES_LEFT_OUT if left_out else Effect.NOT_SUPERVISED
        report.add(fault.reason, effect, 1, fault.file)
        if left_out:
            return None
        usable = box = None
    if rgb is not None:
        fit_rgb(rgb, box or whole(rgb.shape), batch.rgb[place], ratio)
        if is_blank(batch.rgb[place]):
            # Nothing is seen on it; and a hole in a store reads as such a frame.
            report.add(Reason.BLANK, Effect.FRAMES_LEFT_OUT, 1)
            batch.rgb[place] = 0
            return None
    if usable is not None:
        mask_box = box or whole(usable.shape)
        fit_silhouette(usable, mask_box, batch.silhouettes[place], ratio)
        batch.valid[place] = True
    pixels = rgb if usable is None else usable
    assert pixels is not None, "a frame has pixels or a silhouette"
    return Fit(box, (pixels.shape[0], pixels.shape[1]), ratio)


def _usable_mask(mask: Image | FrameFault | None) -> Image | None:
    if mask is None:
        return None
    if isinstance(mask, FrameFault):
        raise mask
    if int(np.count_nonzero(mask)) < MIN_FOREGROUND:
        raise FrameFault(Reason.EMPTY_SILHOUETTE)
    return mask
