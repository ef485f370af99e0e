"""A video with a box and a name around everybody who was identified."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.progress import Progress
from core.recognition.identified import Identified
from core.system.files import whole_file
from core.video.encode import VideoWriter

_NAMED, _UNKNOWN = (60, 200, 60), (200, 120, 40)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def write_named_video(path: Path, done: Identified, progress: Progress) -> None:
    """Write the frames that were looked at with boxes and names, as .mp4.

    Letters outside ASCII are written as the track's number: OpenCV has no others.

    Raises:
        UsageError: the file does not end in .mp4.
        OutputError: it cannot be written.
    """
    check_video_name(path)
    footage = done.found.footage
    drawn: dict[int, list[tuple[NDArray[np.float64], str, tuple[int, int, int]]]] = {}
    for walk, answer in zip(done.found.walks, done.answers, strict=True):
        name = answer.name if answer.name is not None else "unknown"
        label = name if name.isascii() else f"track {walk.track.number}"
        colour = _UNKNOWN if answer.name is None else _NAMED
        for frame, box in zip(walk.track.frames.tolist(), walk.track.boxes, strict=True):
            drawn.setdefault(frame, []).append((box, label, colour))
    shown = footage.video.times[footage.frames]
    rate = (len(shown) - 1) / max(float(shown[-1] - shown[0]), 1e-3)
    with (
        whole_file(path) as partial,
        VideoWriter(partial, footage.size, float(np.clip(rate, 1, 60))) as writer,
        progress.task(f"Writing {path.name}", len(footage.frames), "frames") as task,
    ):
        for number, frame in footage.images(footage.frames):
            picture = frame.copy()
            for box, label, colour in drawn.get(number, []):
                _draw(picture, box, label, colour)
            writer.add(picture)
            task.advance()


def check_video_name(path: Path) -> None:
    """Refuse an ending that is written by nobody (``UsageError``)."""
    if path.suffix.lower() != ".mp4":
        raise UsageError(
            "The video's file has to end in .mp4", where=path, next_step="Change the ending."
        )


def _draw(
    picture: NDArray[np.uint8], box: NDArray[np.float64], label: str, colour: tuple[int, int, int]
) -> None:
    left, top, right, bottom = (round(float(edge)) for edge in box)
    thick = max(1, picture.shape[0] // 300)
    cv2.rectangle(picture, (left, top), (right, bottom), colour, thick)
    scale = picture.shape[0] / 700
    place = (left, max(top - 4 * thick, round(24 * scale)))
    cv2.putText(picture, label, place, _FONT, scale, colour, thick, cv2.LINE_AA)
