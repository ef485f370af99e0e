"""From a video to tracks, with any of the detection methods."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.errors import DataError, UsageError
from core.progress import Progress
from core.tracking.background import SAMPLES, Background
from core.tracking.boxfile import read_boxes
from core.tracking.company import with_company
from core.tracking.detector import Detector
from core.tracking.follow import RATE, Follower
from core.tracking.footage import Footage, thin_out
from core.tracking.ground import Ground
from core.tracking.people import Finder
from core.tracking.tracks import Track

__all__ = ["Finding", "Footage", "find_tracks", "thin_out"]

# Factor on the number of examples that must agree on heights estimated from motion.
MOVING = 1.25


@dataclass(frozen=True, slots=True)
class Finding:
    """Detection method; at most one of these, else background subtraction.

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
                "Only one of --crop, --boxes and --detector can be used",
                next_step="Remove the others.",
            )


def find_tracks(footage: Footage, finding: Finding, progress: Progress) -> list[Track]:
    """Track all people in a video.

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
    return _followed(footage, finding.detector, progress)


def _followed(footage: Footage, detector: Path | None, progress: Progress) -> list[Track]:
    rate = frame_rate(footage)
    follower = Follower(rate)
    beat = {number: place for place, number in enumerate(footage.frames)}
    frames = footage.images(footage.frames)
    with progress.task(f"Analysing {footage.path.name}", len(footage.frames), "frames") as task:
        if detector is not None:
            finder = Detector(detector)
            for number, frame in frames:
                follower.add(beat[number], finder.people(frame))
                task.advance()
        else:
            background = _background(footage)
            people = _learnt(background)
            try:
                for scene in background.scenes(frames, rate):
                    place = beat[scene.number]
                    sightings = people.people(scene, follower.expected(place))
                    boxes = np.array([one.box for one in sightings]).reshape(-1, 4)
                    follower.add(place, boxes, sightings)
                    task.advance()
            except DataError as error:
                raise DataError(error.what, where=footage.path, next_step=error.next_step) from None
    numbers = np.array(footage.frames, np.int64)
    tracks = with_company(follower.tracks(), footage.size, rate)
    return [replace(track, frames=numbers[track.frames]) for track in tracks]


def _learnt(background: Background) -> Finder:
    """Finder with the heights of people estimated from the background's examples.

    A person who walks straight towards the camera is part of the empty scene; then what moves says
    more.
    """
    still, moving = Ground(), Ground()
    for ground, moves in ((still, False), (moving, True)):
        finder = Finder(ground)
        for scene in background.examples(moving=moves):
            finder.learn(scene)
    background.forget_examples()
    return Finder(moving if moving.support > MOVING * still.support else still)


def frame_rate(footage: Footage) -> float:
    """Rate of the analysed frames, in frames a second."""
    times = footage.video.times[footage.frames]
    length = float(times[-1] - times[0])
    return (len(times) - 1) / length if length > 0 else RATE


def _background(footage: Footage) -> Background:
    count = min(SAMPLES, len(footage.frames))
    places = np.linspace(0, len(footage.frames) - 1, count).round().astype(int)
    samples = (frame for _, frame in footage.images([footage.frames[place] for place in places]))
    try:
        return Background(samples)
    except DataError as error:
        raise DataError(error.what, where=footage.path, next_step=error.next_step) from None
