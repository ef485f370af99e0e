"""Boxes of another detector or tracker, from a text file in the form of MOTChallenge.

A line is ``frame,track,left,top,width,height``; further columns are not read, nor is a first line
of names. Frames count from 1, pixels from the picture's upper left.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.errors import DataError
from core.tracking.tracks import Boxes, Track

MAX_BYTES = 256 * 2**20
_LISTED = 5
_FORM = "A line is frame,track,left,top,width,height; frames count from 1."

_Row = tuple[int, int, tuple[float, float, float, float]]


def read_boxes(path: Path, frames: int) -> list[Track]:
    """Read a file of boxes.

    Args:
        path: The file.
        frames: How many frames the video has.

    Returns:
        Tracks with the file's own numbers, those with the earliest frame first.

    Raises:
        DataError: it is missing, not text, or has faults; they are listed with their lines.
    """
    boxes_of: dict[int, dict[int, tuple[float, float, float, float]]] = {}
    faults = []
    for line, words in _lines(path):
        try:
            frame, track, box = _row(words, frames)
            if frame in boxes_of.setdefault(track, {}):
                raise ValueError(f"track {track} has frame {frame + 1} twice")
            boxes_of[track][frame] = box
        except ValueError as error:
            faults.append(f"line {line}: {error}")
    if faults:
        more = f"\n  and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
        listing = "".join(f"\n  {fault}" for fault in faults[:_LISTED])
        raise DataError(f"The boxes have faults:{listing}{more}", where=path, next_step=_FORM)
    if not boxes_of:
        raise DataError("The file has no boxes", where=path, next_step=_FORM)
    tracks = [_track(number, rows) for number, rows in boxes_of.items()]
    return sorted(tracks, key=lambda track: (int(track.frames[0]), track.number))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(
                f"The file is larger than {MAX_BYTES >> 20} MiB",
                where=path,
                next_step="Write frame,track,left,top,width,height a line, one for each box.",
            )
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError("No such file of boxes", where=path, next_step=_FORM) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The boxes cannot be read: {error}", where=path, next_step=_FORM) from None
    for number, line in enumerate(text.splitlines(), 1):
        words = next(csv.reader([line]), [])
        named = number == 1 and bool(words) and words[0].strip()[:1].isalpha()
        if line.strip() and not line.startswith("#") and not named:
            yield number, words


def _row(words: list[str], frames: int) -> _Row:
    if len(words) < 6:
        raise ValueError(f"{len(words)} columns, 6 are needed")
    try:
        values = [float(word) for word in words[:6]]
    except ValueError:
        raise ValueError(f"not a number in {','.join(words[:6])!r}") from None
    if not all(math.isfinite(value) for value in values):
        raise ValueError("a value is not finite")
    frame, track, left, top, width, height = values
    if frame != int(frame) or track != int(track):
        raise ValueError("frame and track are whole numbers")
    if not 1 <= frame <= frames:
        raise ValueError(f"frame {frame:.0f}, the video has 1 to {frames}")
    if width <= 0 or height <= 0:
        raise ValueError(f"a box of {width:g} x {height:g} pixels")
    return int(frame) - 1, int(track), (left, top, left + width, top + height)


def _track(number: int, rows: dict[int, tuple[float, float, float, float]]) -> Track:
    frames = sorted(rows)
    boxes: Boxes = np.array([rows[frame] for frame in frames], np.float64)
    return Track(number, np.array(frames, np.int64), boxes)
