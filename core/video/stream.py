"""A user's own video, frame by frame from its beginning, as a player shows it (PyAV decodes).

Datasets' clips are read by :mod:`core.video.decode`, which jumps to any frame. Here every frame is
wanted in its turn: that is faster, holds one frame at a time, and gives what phones write (turned
pictures, uneven clocks, any size).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from core.video.faults import FrameFault, Reason
from core.video.images import MAX_PIXELS

THREADS = 2


class VideoStream:
    """One video file; it may be gone through as often as wanted.

    Args:
        path: The file.

    Attributes:
        size: (height, width) of the picture as it is shown.
        times: float64 [n], seconds at which its frames are shown, rising.

    Raises:
        FrameFault: no video, of more pixels a frame than the limit, or broken from its beginning.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self.times = self._times()
        _, first = next(self._decoded(), (0, None))
        if first is None or not len(self.times):
            raise FrameFault(Reason.BROKEN_VIDEO, self._path)
        self.size = (int(first.shape[0]), int(first.shape[1]))

    def __len__(self) -> int:
        return len(self.times)

    def frames(self, wanted: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Frames with these increasing numbers, counted from 0 in the order of being shown.

        Yields:
            The number and uint8 [H, W, 3] in RGB order; a frame that cannot be decoded is left out.
        """
        asked = set(wanted)
        last = max(asked, default=-1)
        for number, frame in self._decoded(asked):
            if number > last:
                return
            if frame is not None and frame.shape[:2] == self.size:
                yield number, frame
            if number == last:
                return

    def _times(self) -> NDArray[np.float64]:
        try:
            with av.open(self._path) as container:
                stream = container.streams.video[0]
                if stream.height * stream.width > MAX_PIXELS:
                    raise FrameFault(Reason.TOO_LARGE, self._path)
                base, rate = stream.time_base, stream.average_rate
                stamps = [
                    packet.dts if packet.pts is None else packet.pts
                    for packet in container.demux(stream)
                    if packet.size and not packet.is_discard
                ]
        except (av.FFmpegError, OSError, IndexError, ValueError) as error:
            raise FrameFault(Reason.BROKEN_VIDEO, self._path) from error
        known = [stamp for stamp in stamps if stamp is not None]
        if len(known) < len(stamps) or base is None:  # no clock at all: count
            return np.arange(len(stamps)) / float(rate or 25)
        return np.sort(np.array(known, np.float64)) * float(base)

    def _decoded(
        self, asked: set[int] | None = None
    ) -> Iterator[tuple[int, NDArray[np.uint8] | None]]:
        """Numbers and frames; None for those not asked for, which are decoded but not converted."""
        number = 0
        try:
            with av.open(self._path) as container:
                stream = container.streams.video[0]
                stream.thread_count, stream.thread_type = THREADS, "AUTO"
                for packet in container.demux(stream):
                    for frame in _frames(packet):
                        here = asked is None or number in asked
                        yield number, _picture(frame) if here else None
                        number += 1
        except (av.FFmpegError, OSError, IndexError, ValueError) as error:
            if number == 0:
                raise FrameFault(Reason.BROKEN_VIDEO, self._path) from error
            # Cut off in its middle: what came before is good.


def _frames(packet: av.Packet[av.VideoStream]) -> list[av.VideoFrame]:
    try:
        return packet.decode()
    except av.InvalidDataError:
        return []


def _picture(frame: av.VideoFrame) -> NDArray[np.uint8]:
    picture = frame.to_ndarray(format="rgb24")
    # The mark counts counter-clockwise.
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, turns), np.uint8)
