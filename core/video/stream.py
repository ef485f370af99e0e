"""A user's own video: all pictures in one size, with the time at which each is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.video.decode import Size, Video, same_aspect
from core.video.faults import FrameFault, Reason
from core.video.images import MAX_PIXELS


class VideoStream:
    """One video file; its frames can be read as often as needed.

    Args:
        path: The file.

    Attributes:
        size: (height, width) of its first picture as it is shown.
        times: float64 [n], seconds at which its frames are shown, rising.
        lost: Numbers of frames that cannot be decoded, or have another shape than the first.

    Raises:
        FrameFault: not a video, of more pixels a frame than the limit, or nothing in it can be
            decoded.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self._video = Video(path)
        self.times, sizes = self._video.clock()
        self.size = next(size for size in sizes if size is not None)
        if self.size[0] * self.size[1] > MAX_PIXELS:
            raise FrameFault(Reason.TOO_LARGE, self._path)
        self.lost: tuple[int, ...] = tuple(
            number for number, size in enumerate(sizes) if not self._fits(size)
        )

    def __len__(self) -> int:
        return len(self.times)

    def frames(self, numbers: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Frames with these increasing numbers, counted from 0 in the order of being shown.

        Yields:
            The number and uint8 [H, W, 3] in RGB order, scaled where the picture's size changes. A
            frame that cannot be decoded, or of another shape than the first, is left out.
        """
        for number, frame in zip(numbers, self._video.frames(numbers), strict=False):
            if isinstance(frame, FrameFault):
                continue
            if frame.shape[:2] == self.size:
                yield number, frame
            elif self._fits((int(frame.shape[0]), int(frame.shape[1]))):
                scaled = cv2.resize(frame, self.size[::-1], interpolation=cv2.INTER_AREA)
                yield number, np.asarray(scaled, np.uint8)

    def _fits(self, size: Size | None) -> bool:
        """Whether a picture of this size matches the first one's shape, perhaps scaled."""
        return size is not None and same_aspect(size, self.size)
