"""Tracks of people in a video, and the selection of usable ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]  # [n, 4]: left, top, right, bottom in pixels, ends out

# About one cycle of walking, in seconds; and as frames of the rate that models learn from.
MIN_SECONDS, MIN_FRAMES = 1.0, 25
# Rates in frames a second below which walks are less informative: datasets have 25 to 30.
SLOW = 20.0
# Persons of CASIA-B fill 130 rows; the model sees 256. Below this there are no legs to tell apart.
MIN_HEIGHT = 48.0
# How far a walker gets at least, in heights of the own box: sideways, up or down, or by growing.
MIN_WAY = 0.25
# Boxes within this many pixels of the picture's edge show a part of somebody.
EDGE = 2.0
# A box that shares more than this of its area with somebody else's shows two people.
CROWDED = 0.2
# A track shows two people where more than this share of its whole boxes holds two.
TWO = 0.25


@dataclass(frozen=True, slots=True)
class Track:
    """Track of one person.

    Attributes:
        number: From 1, in order of appearance.
        frames: int64 [n], numbers of the video's frames, rising.
        boxes: float64 [n, 4], where the person is in each.
        two: bool [n], frames whose box holds two people; None for none.
        guessed: bool [n], frames whose box may be off: taken from those before and after, or wider
            than one person; None for none.
        doubtful: bool [n], frames that may show another person than most do, or a second one;
            None for none.
    """

    number: int
    frames: NDArray[np.int64]
    boxes: Boxes
    two: NDArray[np.bool_] | None = None
    guessed: NDArray[np.bool_] | None = None
    doubtful: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def only(self, mask: NDArray[np.bool_]) -> Track:
        """The same track with these of its frames."""
        return replace(
            self,
            frames=self.frames[mask],
            boxes=self.boxes[mask],
            two=None if self.two is None else self.two[mask],
            guessed=None if self.guessed is None else self.guessed[mask],
            doubtful=None if self.doubtful is None else self.doubtful[mask],
        )


@dataclass(frozen=True, slots=True)
class Unusable:
    """A skipped track and the reason, in words."""

    track: Track
    reason: str


def sort_out(
    tracks: Sequence[Track],
    size: tuple[int, int],
    *,
    moving: bool = True,
    rate: float = float(MIN_FRAMES),
) -> tuple[list[Track], list[Unusable]]:
    """Keep the frames that show one whole person, and the tracks with enough of them.

    Args:
        tracks: All tracks of a video.
        size: (height, width) of its picture.
        moving: Whether people who stand still are skipped.
        rate: Frames a second; of slower videos fewer frames are enough.

    Returns:
        Tracks to use, and skipped tracks with reasons.
    """
    usable: list[Track] = []
    left_out: list[Unusable] = []
    least = min(MIN_FRAMES, max(2, round(MIN_SECONDS * rate)))
    for track in tracks:
        whole = ~touches_edge(track.boxes, size)
        alone = ~_crowded(track, tracks)
        single = np.ones(len(track), np.bool_) if track.two is None else ~track.two
        exact = np.ones(len(track), np.bool_) if track.guessed is None else ~track.guessed
        certain = np.ones(len(track), np.bool_) if track.doubtful is None else ~track.doubtful
        usable_frames = whole & alone & single & certain
        if (usable_frames & exact).sum() >= least:  # else uncertain boxes are used too
            usable_frames &= exact
        usable_part = track.only(usable_frames)
        reason = _shows_two(whole, single) or _fault(
            track, usable_part, (whole, alone, certain), moving, least
        )
        if reason is None:
            usable.append(usable_part)
        else:
            left_out.append(Unusable(track, reason))
    return usable, left_out


def _shows_two(whole: NDArray[np.bool_], single: NDArray[np.bool_]) -> str | None:
    count, two = int(whole.sum()), int((whole & ~single).sum())
    if two <= TWO * count:
        return None
    return f"shows two people who cannot be separated, in {two} of {count} frames"


def _fault(
    track: Track,
    usable_part: Track,
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]],
    moving: bool,
    least: int,
) -> str | None:
    if len(usable_part) < least:
        whole, alone, certain = masks
        cut, crowded = int((~whole).sum()), int((whole & ~alone).sum())
        doubt = int((whole & alone & ~certain).sum())
        why = [f"{cut} more are cut by the picture's edge"] if cut else []
        why += [f"{crowded} more show another person too"] if crowded else []
        why += [f"{doubt} more may show the person they met"] if doubt else []
        return f"too short: {len(usable_part)} usable frames, {least} are needed" + "".join(
            f"; {part}" for part in why
        )
    heights = usable_part.boxes[:, 3] - usable_part.boxes[:, 1]
    tall = float(np.median(heights))
    if tall < MIN_HEIGHT:
        return f"too small: {tall:.0f} pixels high, {MIN_HEIGHT:.0f} are needed"
    if moving and way(usable_part) < MIN_WAY:
        return "stands still"
    return None


def way(track: Track) -> float:
    """Distance a person moves, or growth, in heights of the own box.

    Single boxes that are wrong do not count: the ends are those of the middle 90 % of the frames.
    """
    left, top, right, bottom = track.boxes.T
    tall = bottom - top
    traces = ((left + right) / 2, (top + bottom) / 2, tall)
    spans = (float(np.subtract(*np.percentile(trace, (95, 5)))) for trace in traces)
    return max(spans) / max(float(np.median(tall)), 1.0)


def touches_edge(boxes: Boxes, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Boxes [n, 4] that are cut by the edge of a picture of (height, width)."""
    height, width = size
    left, top, right, bottom = boxes.T
    return np.asarray(
        (left < EDGE) | (top < EDGE) | (right > width - EDGE) | (bottom > height - EDGE)
    )


def _crowded(track: Track, tracks: Sequence[Track]) -> NDArray[np.bool_]:
    crowded = np.zeros(len(track), np.bool_)
    for other in tracks:
        if other.number == track.number:
            continue
        _, mine, theirs = np.intersect1d(track.frames, other.frames, return_indices=True)
        shared = overlap(track.boxes[mine], other.boxes[theirs])
        crowded[mine] |= shared > CROWDED * area(track.boxes[mine])
    return crowded


def area(boxes: Boxes) -> NDArray[np.float64]:
    """Areas [..., 4] -> [...]; 0 for boxes that are turned inside out."""
    size = np.clip(boxes[..., 2:] - boxes[..., :2], 0, None)
    return np.asarray(size[..., 0] * size[..., 1])


def overlap(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Area that boxes [..., 4] share with boxes [..., 4]."""
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    return area(np.concatenate([low, high], axis=-1))


def iou(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Intersection over union of every box [n, 4] with every box [m, 4]: float64 [n, m]."""
    shared = overlap(first[:, None], second[None])
    union = area(first)[:, None] + area(second)[None] - shared
    return np.asarray(shared / np.maximum(union, 1e-9))
