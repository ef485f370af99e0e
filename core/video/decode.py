"""Videos to frames, a few at a time (decord does the decoding)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import decord
import numpy as np
from numpy.typing import NDArray

from core.video.faults import FrameFault, Reason
from core.video.images import MAX_PIXELS

# What a video lacks is told in our report; FFmpeg's own words would only disturb the progress bar.
decord.logging.set_level(decord.logging.QUIET)

# Decoded frames in memory at once, whatever the video's size.
CHUNK_BYTES = 24 * 2**20
MAX_CHUNK = 64


class Video:
    """One video file, decoded in chunks.

    Args:
        path: The file.

    Raises:
        FrameFault: no video, of more pixels a frame than the limit, or broken.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self.height, self.width = declared_video_size(path)
        try:
            self._reader = decord.VideoReader(self._path, ctx=decord.cpu(0), num_threads=1)
            self._count = len(self._reader)
        except (decord.DECORDError, RuntimeError, OSError) as error:
            raise FrameFault(Reason.BROKEN_VIDEO, self._path) from error

    def __len__(self) -> int:
        return self._count

    def frames(self, wanted: Sequence[int]) -> Iterator[NDArray[np.uint8] | FrameFault]:
        """Decode the frames with these increasing numbers, counted from 0.

        Yields:
            uint8 [H, W, 3] in RGB order, or the fault of a frame that cannot be decoded.
        """
        room = CHUNK_BYTES // max(1, self.height * self.width * 3)
        step = int(np.clip(room, 1, MAX_CHUNK))
        for start in range(0, len(wanted), step):
            chunk = list(wanted[start : start + step])
            block = self._decoded(chunk)
            if block is not None:
                yield from block
                continue
            for number in chunk:
                one = self._decoded([number])
                yield FrameFault(Reason.BROKEN_VIDEO, self._path) if one is None else one[0]

    def _decoded(self, numbers: list[int]) -> NDArray[np.uint8] | None:
        try:
            return np.asarray(self._reader.get_batch(numbers).asnumpy(), np.uint8)
        except (decord.DECORDError, RuntimeError, IndexError):
            return None


def declared_video_size(path: str | Path) -> tuple[int, int]:
    """(height, width) that a video declares.

    Raises:
        FrameFault: no video stream, or of more pixels than :data:`MAX_PIXELS`.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            height, width = int(stream.height), int(stream.width)
    except (av.FFmpegError, OSError, IndexError, ValueError, AttributeError) as error:
        raise FrameFault(Reason.BROKEN_VIDEO, str(path)) from error
    if height < 1 or width < 1:
        raise FrameFault(Reason.BROKEN_VIDEO, str(path))
    if height * width > MAX_PIXELS:
        raise FrameFault(Reason.TOO_LARGE, str(path))
    return height, width
