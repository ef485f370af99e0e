"""Crops packed into array files: squashing, and agreement with their declared content."""

# ruff: noqa: ANN401 - contents of unknown files
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.sources.arrays import read_array
from core.sources.report import SequenceReport
from core.video.faults import Effect, FrameFault, Reason

# A crop that was padded to a square has bars of one colour at its sides, each at least this share
# of its width: a walker is narrower than three quarters of their height.
BAR = 1 / 8
# So many frames of a file, or one more, tell what it holds.
LOOKED_AT = 8
LOOKED_AT_PIXELS = 1_000_000
# Shares of the brightest value. A silhouette has two values and, resized, greys at its edges; a
# photograph has many greys over much of the picture.
DARK, BRIGHT = 0.1, 0.9
EDGE_SHARE = 0.3
GREYS = 24
# The most by which the channels of a grey picture differ, or the pixels of a bar.
COLOUR = 0.03


def assumed_ratios(
    assumed: float | None, rgb: str, count: int, report: SequenceReport, *, padding: bool = True
) -> NDArray[np.float64] | None:
    """Width / height of frames without ratios, where they were squashed to squares.

    Square frames were, unless most have bars of one colour at both sides.

    Args:
        assumed: The form's ratio for such frames.
        rgb: File of the sequence's frames.
        count: Number of its frames.
        report: Told where the ratio is assumed.
        padding: Whether bars can tell: silhouettes are black at their sides, padded or not.

    Returns:
        float64 [count], or None where the frames have their own shape.

    Raises:
        FrameFault: the file cannot be read.
    """
    if assumed is None:
        return None
    frames = list(_spread(read_array(rgb)))
    square = bool(frames) and all(frame.shape[0] == frame.shape[1] for frame in frames)
    if not square or (padding and sum(map(_is_padded, frames)) * 2 > len(frames)):
        return None
    report.add(Reason.RATIO_ASSUMED, Effect.NOTED, count, rgb)
    return np.full(count, assumed)


def _is_padded(frame: NDArray[Any]) -> bool:
    levels = _levels(frame)
    width = max(1, round(levels.shape[1] * BAR))
    bars = (levels[:, :width], levels[:, -width:])
    return all(float(np.ptp(bar, axis=(0, 1)).max()) <= COLOUR for bar in bars)


def check_packed(source: Path, rgb: Iterable[str], silhouettes: Iterable[str]) -> None:
    """Refuse array files of RGB frames that hold silhouettes, and the other way round.

    Args:
        source: The dataset's folder, for messages.
        rgb: Paths of some array files of RGB frames.
        silhouettes: Paths of some array files of silhouettes.

    Raises:
        DataError: most of them hold the other.
    """
    for paths, is_other, stream, kind in (
        (rgb, _is_silhouette, "RGB frames", "silhouettes"),
        (silhouettes, _is_photo, "silhouettes", "photographs"),
    ):
        first, votes = "", []
        for path in paths:
            first = first or path
            votes.append(_all_frames(path, is_other))
        if sum(votes) * 2 > len(votes):
            raise DataError(
                f"The array files of {stream} hold {kind}",
                where=first,
                next_step="Perhaps the archives were given the wrong way round when they were "
                f"packed. Pack them again, or give the folder of the archives, not {source}.",
            )


def _all_frames(path: str, check: Callable[[NDArray[Any]], bool]) -> bool:
    try:
        frames = list(_spread(read_array(path)))
    except FrameFault:
        return False
    return bool(frames) and all(check(frame) for frame in frames)


def _spread(content: Any) -> Iterator[NDArray[Any]]:
    """Some frames [H, W, C] of an array file's content, spread over it; of large ones, a part."""
    if isinstance(content, np.ndarray) and content.ndim < 3:
        return
    if not isinstance(content, list | np.ndarray):
        return
    for index in range(0, len(content), max(1, len(content) // LOOKED_AT)):
        frame = content[index]
        if isinstance(frame, np.ndarray) and frame.ndim in (2, 3) and frame.dtype.kind in "biuf":
            step = max(1, math.isqrt(frame.size // LOOKED_AT_PIXELS))
            pixels = _channels_last(frame)[::step, ::step]
            if pixels.size and np.isfinite(pixels).all():
                yield pixels


def _channels_last(frame: NDArray[Any]) -> NDArray[Any]:
    """A frame [H, W, C] of whichever axis order; C is 1 for a plain picture."""
    if frame.ndim == 2:
        return frame[..., None]
    return frame if frame.shape[-1] in (1, 3) else np.moveaxis(frame, 0, -1)


def _levels(frame: NDArray[Any]) -> NDArray[np.float32]:
    """Values of a frame [H, W, C] as shares of the largest one, 0 to 1."""
    top = max(float(frame.max()), 1e-6)
    return np.asarray(np.clip(frame, 0, top) / top, np.float32)


def _is_photo(frame: NDArray[Any]) -> bool:
    levels = _levels(frame).mean(-1)
    between = levels[(levels > DARK) & (levels < BRIGHT)]
    greys = np.unique(np.rint(between * 255)).size
    return between.size > EDGE_SHARE * levels.size and greys >= GREYS


def _is_silhouette(frame: NDArray[Any]) -> bool:
    levels = _levels(frame)
    if np.ptp(levels, axis=-1).max() > COLOUR or _is_photo(frame):
        return False
    return bool((levels <= DARK).any() and (levels >= BRIGHT).any())
