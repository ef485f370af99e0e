"""From a video to tracks, in whichever way its persons are found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError, UsageError
from core.progress import Progress
from core.tracking.background import SAMPLES, Background
from core.tracking.boxfile import read_boxes
from core.tracking.detector import Detector
from core.tracking.follow import RATE, Follower
from core.tracking.ground import Ground
from core.tracking.people import Finder
from core.tracking.tracks import Track
from core.video.faults import FrameFault, Reason
from core.video.stream import VideoStream

# Datasets have 25 to 30 frames a second; faster videos are thinned out to that.
LEAST_STEP = 0.032
# Two hours at 25 a second; tracks of more would not fit a terminal.
MAX_FRAMES = 180_000
# How many times as many examples have to agree on people's heights by what moves.
MOVING = 1.25


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


@dataclass(frozen=True, slots=True)
class Footage:
    """A video with the frames of it that are looked at.

    Attributes:
        path: The file.
        video: Opened.
        frames: Numbers of those frames, 31 a second at most.
    """

    path: Path
    video: VideoStream
    frames: list[int]

    @classmethod
    def open(cls, path: Path) -> Footage:
        """Open a video.

        Raises:
            DataError: there is none, it is broken, or larger or longer than the limits.
        """
        if not path.is_file():
            raise DataError("There is no such video", where=path, next_step="Check the path.")
        try:
            video = VideoStream(path)
        except FrameFault as fault:
            raise _unreadable(path, fault) from None
        if not 2 <= len(video) <= MAX_FRAMES:
            raise DataError(
                f"The video has {len(video)} frames, 2 to {MAX_FRAMES:,} are read",
                where=path,
                next_step="Cut the part out that shows the walk.",
            )
        return cls(path, video, thin_out(video.times))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture as it is shown."""
        return self.video.size

    def shown(self, wanted: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Numbers and frames uint8 [H, W, 3]; frames that cannot be decoded are left out."""
        return self.video.frames(wanted)


def thin_out(times: NDArray[np.float64]) -> list[int]:
    """Numbers of frames that are :data:`LEAST_STEP` apart at least: of 60 a second every other."""
    kept: list[int] = []
    last = -np.inf
    for number, time in enumerate(times.tolist()):
        if time - last >= LEAST_STEP or time < last:  # clocks of broken files may go back
            kept.append(number)
            last = time
    return kept if len(kept) > 1 else list(range(len(times)))


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
    return _followed(footage, finding.detector, progress)


def _followed(footage: Footage, detector: Path | None, progress: Progress) -> list[Track]:
    rate = frame_rate(footage)
    follower = Follower(rate)
    beat = {number: place for place, number in enumerate(footage.frames)}
    frames = footage.shown(footage.frames)
    with progress.task(f"Looking at {footage.path.name}", len(footage.frames), "frames") as task:
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
    return [replace(track, frames=numbers[track.frames]) for track in follower.tracks()]


def _learnt(background: Background) -> Finder:
    """A finder that knows how high people are, as far as the background's examples tell.

    Somebody who comes straight towards the camera is part of the empty scene; then what moves says
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
    """Frames a second of those that are looked at."""
    times = footage.video.times[footage.frames]
    length = float(times[-1] - times[0])
    return (len(times) - 1) / length if length > 0 else RATE


def _background(footage: Footage) -> Background:
    count = min(SAMPLES, len(footage.frames))
    places = np.linspace(0, len(footage.frames) - 1, count).round().astype(int)
    samples = (frame for _, frame in footage.shown([footage.frames[place] for place in places]))
    try:
        return Background(samples)
    except DataError as error:
        raise DataError(error.what, where=footage.path, next_step=error.next_step) from None


def _unreadable(path: Path, fault: FrameFault) -> DataError:
    what = {
        Reason.BROKEN_VIDEO: "This is no video, or a broken one",
        Reason.TOO_LARGE: "The video's picture is larger than the limit",
    }.get(fault.reason, str(fault.reason))
    return DataError(
        what, where=path, next_step="Any format that FFmpeg reads will do, such as .mp4."
    )
