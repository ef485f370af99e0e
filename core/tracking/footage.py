"""A video and the frames of it that are analysed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.video.faults import FrameFault, Reason
from core.video.isolated import IsolatedVideo

# Datasets have 25 to 30 frames a second; faster videos are thinned out to between these.
LEAST_RATE, MOST_RATE, USUAL_RATE = 25.0, 31.0, 30.0
# Clocks are rounded to their ticks.
ROUNDING = 0.002
# Steps of more seconds than this are pauses of the recording, and are ignored in its rate.
PAUSE = 1.0
# Two hours at 25 a second; tracks of more would not fit a terminal.
MAX_FRAMES = 180_000


@dataclass(frozen=True, slots=True)
class Footage:
    """A video and the frames of it that are analysed.

    Attributes:
        path: The file.
        video: Opened.
        frames: Numbers of those frames, 31 a second at most.
    """

    path: Path
    video: IsolatedVideo
    frames: list[int]

    @classmethod
    def open(cls, path: Path) -> Footage:
        """Open a video.

        Raises:
            DataError: it is missing, broken, crashes its decoder, or is larger or longer
                than the limits.
        """
        if not path.is_file():
            raise DataError("No such video", where=path, next_step="Check the path.")
        try:
            video = IsolatedVideo(path)
        except FrameFault as fault:
            raise _unreadable(path, fault) from None
        if not 2 <= len(video) <= MAX_FRAMES:
            raise DataError(
                f"The video has {len(video)} frames, 2 to {MAX_FRAMES:,} are read",
                where=path,
                next_step="Cut the part out that shows the walk.",
            )
        lost_frames = set(video.lost)
        frames = [number for number in thin_out(video.times) if number not in lost_frames]
        return cls(path, video, frames)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture as it is shown."""
        return self.video.size

    def images(self, numbers: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Numbers and frames uint8 [H, W, 3]; frames that cannot be decoded are skipped."""
        return self.video.frames(numbers)


def thin_out(times: NDArray[np.float64]) -> list[int]:
    """Numbers of the frames to analyse: all of them up to 31 a second, else 25 to 31 a second.

    The rate is the mean over the video, so that a jittering clock has no effect. Where every
    n-th frame gives such a rate (of 60 or 50 a second every other), it is that; else (of 36 or 48)
    the frames nearest to 30 a second.

    Args:
        times: float64 [n], seconds at which the frames are shown, rising.
    """
    all_numbers = list(range(len(times)))
    steps = np.diff(times)
    usual = steps[(steps >= 0) & (steps <= PAUSE)]
    length = float(usual.sum())
    rate = len(usual) / length if length > 0 else 0.0
    if rate <= MOST_RATE * (1 + ROUNDING):
        return all_numbers
    target = rate / np.ceil(rate / MOST_RATE)
    if target < LEAST_RATE:
        target = USUAL_RATE
    # A frame that comes up to half a step early is the next one.
    early, due, last = 0.5 / rate, -np.inf, -np.inf
    numbers: list[int] = []
    for number, time in enumerate(times.tolist()):
        # Clocks of broken files may go back.
        if last <= time < due - early:
            continue
        numbers.append(number)
        steady = last <= time < due + 1 / target
        due, last = (due if steady else time) + 1 / target, time
    return numbers if len(numbers) > 1 else all_numbers


def _unreadable(path: Path, fault: FrameFault) -> DataError:
    messages = {
        Reason.BROKEN_VIDEO: "This is not a video, or a broken one",
        Reason.TOO_LARGE: "The video's picture is larger than the limit",
    }.get(fault.reason, str(fault.reason))
    return DataError(
        messages, where=path, next_step="Any format that FFmpeg reads will do, such as .mp4."
    )
