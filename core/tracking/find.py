"""From a video to tracks, in whichever way its persons are found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import DataError, UsageError
from core.progress import Progress
from core.tracking.background import SAMPLES, Background
from core.tracking.boxfile import read_boxes
from core.tracking.detector import Detector
from core.tracking.follow import Follower
from core.tracking.footage import Footage, thin_out
from core.tracking.tracks import Boxes, Track

__all__ = ["Finding", "Footage", "find_tracks", "thin_out"]


@dataclass(frozen=True, slots=True)
class Finding:
    """How persons are found; at most one of these, else by what differs from the background.

    Attributes:
        crop: The whole picture is one person.
        boxes: File of boxes.
        detector: ONNX file of a person detector.
    """

    crop: bool = False
    boxes: Path | None = None
    detector: Path | None = None

    def __post_init__(self) -> None:
        if sum((self.crop, self.boxes is not None, self.detector is not None)) > 1:
            raise UsageError(
                "Only one of --crop, --boxes and --detector can be given",
                next_step="Leave the others out.",
            )


def find_tracks(footage: Footage, finding: Finding, progress: Progress) -> list[Track]:
    """Everybody in a video, followed.

    Raises:
        DataError: boxes or detector are not usable, or the camera moves.
        UsageError: the detector's package is missing.
    """
    if finding.crop:
        boxes = np.tile([0.0, 0.0, footage.size[1], footage.size[0]], (len(footage.frames), 1))
        return [Track(1, np.array(footage.frames, np.int64), boxes)]
    if finding.boxes is not None:
        looked_at = np.array(footage.frames)
        tracks = read_boxes(finding.boxes, len(footage.video))
        return [track.only(np.isin(track.frames, looked_at)) for track in tracks]
    follower = Follower()
    beat = {number: place for place, number in enumerate(footage.frames)}
    with progress.task(f"Looking at {footage.path.name}", len(footage.frames), "frames") as task:
        for number, boxes in _people(footage, finding.detector):
            follower.add(beat[number], boxes)
            task.advance()
    numbers = np.array(footage.frames, np.int64)
    return [Track(t.number, numbers[t.frames], t.boxes) for t in follower.tracks()]


def _people(footage: Footage, detector: Path | None) -> Iterator[tuple[int, Boxes]]:
    frames = footage.shown(footage.frames)
    if detector is not None:
        finder = Detector(detector)
        yield from ((number, finder.people(frame)) for number, frame in frames)
        return
    count = min(SAMPLES, len(footage.frames))
    places = np.linspace(0, len(footage.frames) - 1, count).round().astype(int)
    samples = (frame for _, frame in footage.shown([footage.frames[place] for place in places]))
    try:
        yield from Background(samples).people(frames)
    except DataError as error:
        raise DataError(error.what, where=footage.path, next_step=error.next_step) from None
