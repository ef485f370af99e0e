"""Labels of body parts that come whole, cut where the silhouettes of their frames are cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.manifests.forms import Form
from core.manifests.schema import SilhouetteCut
from core.records import FRAME_HEIGHT, FRAME_WIDTH, SequenceFrames
from core.sources.beside import frame_numbers
from core.sources.cut_images import label_pixels
from core.sources.delivered import Delivered
from core.sources.joining import MAX_FRAMES
from core.sources.pairing import in_time_order
from core.sources.raw import RawSequence, RawStream
from core.sources.reading import Fit, FrameNames
from core.sources.report import SequenceReport
from core.sources.streams import FrameStream, open_stream
from core.video.cut import CutSize, Window, cut_there, cut_window
from core.video.faults import Effect, FrameFault, Reason
from core.video.geometry import fit_labels, whole

Labels = NDArray[np.uint8]
_EFFECT = Effect.PARSING_LEFT_OUT


class SilhouetteWindows:
    """Where the silhouettes of a sequence are cut, frame by frame.

    Args:
        size: Rows and columns of the cuts.
        cut: How the dataset's silhouettes are cut.

    Attributes:
        windows: Of each frame so far, in the store's frame of 256x128 pixels; None of one without a
            usable silhouette.
    """

    def __init__(self, size: CutSize, cut: SilhouetteCut) -> None:
        self.size, self._cut = size, cut
        self.windows: list[Window | None] = []

    def add(self, frames: SequenceFrames) -> None:
        """Take the next frames, in time order."""
        for mask, valid in zip(frames.silhouettes, frames.valid, strict=True):
            grey = mask.view(np.uint8) * np.uint8(255)
            window = cut_window(grey, self.size, self._cut.interpolation, self._cut.drop_sum)
            self.windows.append(window if valid else None)


class CutParsing(NamedTuple):
    """Labels of one sequence.

    Attributes:
        rows: uint8 [M, size, size], in time order.
        numbers: int32 [M], rising: the frame of each.
    """

    rows: Labels
    numbers: NDArray[np.int32]


def read_parsing(
    raw: RawSequence,
    form: Form,
    names: FrameNames,
    windows: SilhouetteWindows,
    report: SequenceReport,
) -> CutParsing | None:
    """Read the labels of one sequence whose frames have been read, and cut them.

    Args:
        raw: The sequence.
        form: Its form.
        names: Names of its frames, and how they were fitted.
        windows: Where their silhouettes are cut.
        report: Told of what is left out.

    Returns:
        None where none can be used.
    """
    files = raw.beside.get("parsing")
    if files is None:
        report.add(Reason.NO_PARSING, Effect.NOTED, 0)
        return None
    try:
        opened = open_stream(files, grey=True, first=form.first_frame)
        if len(opened.stems) > MAX_FRAMES:
            raise FrameFault(Reason.TOO_LONG, files.path)
    except FrameFault as fault:
        report.add(fault.reason, _EFFECT, 0, fault.file)
        return None
    order = in_time_order(opened.stems)
    stems = [opened.stems[place] for place in order]
    content = Delivered(np.zeros((0, windows.size, windows.size), np.uint8), stems, len(stems))
    numbers = frame_numbers("parsing", content, names, raw, form, report)
    return _cut_all(opened, files, order, numbers, names.fits, windows, report)


def _cut_all(
    opened: FrameStream,
    files: RawStream,
    order: Sequence[int],
    numbers: NDArray[np.int32],
    fits: Sequence[Fit],
    windows: SilhouetteWindows,
    report: SequenceReport,
) -> CutParsing | None:
    rows, frames = list[Labels](), list[int]()
    for place, number in zip(order, numbers.tolist(), strict=True):
        try:
            window = windows.windows[number] if number >= 0 else None
            if window is None:
                raise FrameFault(Reason.PARSING_ALONE, files.path)
            (picture,) = opened.read([place])
            labels = label_pixels(picture, f"{files.path} {opened.stems[place]}")
            rows.append(_cut(labels, fits[number], window, windows.size, files.path))
            frames.append(number)
        except FrameFault as fault:
            report.add(fault.reason, _EFFECT, 1, fault.file)
    return CutParsing(np.stack(rows), np.array(frames, np.int32)) if rows else None


def _cut(labels: Labels, fit: Fit, window: Window, size: CutSize, path: str) -> Labels:
    """Labels fitted as their frame was, and cut (raises ``FrameFault``)."""
    if fit.box is not None and labels.shape != fit.shape:
        raise FrameFault(Reason.PARSING_FRAME, path)
    fitted = np.zeros((FRAME_HEIGHT, FRAME_WIDTH), np.uint8)
    fit_labels(labels, fit.box or whole(labels.shape), fitted, fit.ratio)
    cut = cut_there(fitted, window, size, "nearest centre")
    if not cut.any():
        raise FrameFault(Reason.EMPTY_PARSING, path)
    return cut
