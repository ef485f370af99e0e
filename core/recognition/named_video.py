"""A video with boxes and names of the identified people."""

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


def write_named_video(path: Path, identified: Identified, progress: Progress) -> None:
    """Write the analysed frames with boxes and names, as .mp4.

    Names that are not ASCII are replaced by the track's number, because OpenCV cannot draw them.

    Raises:
        UsageError: the file does not end in .mp4.
        OutputError: it cannot be written.
    """
    check_video_name(path)
    footage = identified.found.footage
    labels: dict[int, list[tuple[NDArray[np.float64], str, tuple[int, int, int]]]] = {}
    for walk, answer in zip(identified.found.walks, identified.answers, strict=True):
        name = answer.name if answer.name is not None else "unknown"
        label = name if name.isascii() else f"track {walk.track.number}"
        colour = _UNKNOWN if answer.name is None else _NAMED
        for frame, box in zip(walk.track.frames.tolist(), walk.track.boxes, strict=True):
            labels.setdefault(frame, []).append((box, label, colour))
    times = footage.video.times[footage.frames]
    rate = (len(times) - 1) / max(float(times[-1] - times[0]), 1e-3)
    with (
        whole_file(path) as partial,
        VideoWriter(partial, footage.size, float(np.clip(rate, 1, 60))) as writer,
        progress.task(f"Writing {path.name}", len(footage.frames), "frames") as task,
    ):
        for number, frame in footage.images(footage.frames):
            picture = frame.copy()
            for box, label, colour in labels.get(number, []):
                _draw(picture, box, label, colour)
            writer.add(picture)
            task.advance()


def check_video_name(path: Path) -> None:
    """Reject a file that does not end in .mp4 (``UsageError``)."""
    if path.suffix.lower() != ".mp4":
        raise UsageError(
            "The video's file name must end in .mp4", where=path, next_step="Change the extension."
        )


def _draw(
    picture: NDArray[np.uint8], box: NDArray[np.float64], label: str, colour: tuple[int, int, int]
) -> None:
    left, top, right, bottom = (round(float(edge)) for edge in box)
    thickness = max(1, picture.shape[0] // 300)
    cv2.rectangle(picture, (left, top), (right, bottom), colour, thickness)
    scale = picture.shape[0] / 700
    position = (left, max(top - 4 * thickness, round(24 * scale)))
    cv2.putText(picture, label, position, _FONT, scale, colour, thickness, cv2.LINE_AA)
