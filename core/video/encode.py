"""Frames to a video file, one at a time: H.264 in .mp4 (PyAV does the encoding)."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from numpy.typing import NDArray

from core.errors import OutputError
from core.video.container import url_of

# Without cpu-independent, x264 gives other bytes from run to run.
ENCODERS = {
    "libx264": {"preset": "veryfast", "crf": "20", "x264-params": "cpu-independent=1"},
    "mpeg4": {"qmin": "2", "qmax": "4"},
}
_BITEXACT: int = int(av.container.Flags.bitexact.value)  # type: ignore[call-overload]


class VideoWriter:
    """An .mp4 file that frames are added to; a context manager.

    One thread and no version strings: the same frames give the same bytes.

    Args:
        path: The file; it should be a partial one of :func:`core.system.files.whole_file`.
        size: (height, width) of the frames; an odd last row or column is left out.
        rate: Frames a second.

    Raises:
        OutputError: no encoder is available.
    """

    def __init__(self, path: Path, size: tuple[int, int], rate: float = 25.0) -> None:
        self._height, self._width = (length - length % 2 for length in size)
        codec = next((name for name in ENCODERS if name in av.codec.codecs_available), None)
        if codec is None:
            raise OutputError(
                "This PyAV has no encoder for .mp4",
                where=path,
                next_step="Install PyAV from its own wheels.",
            )
        self._container = av.open(
            url_of(path), "w", format="mp4", options={"movflags": "faststart"}
        )
        self._container.flags = int(self._container.flags) | _BITEXACT
        frequency = Fraction(rate).limit_denominator(1000)
        stream = self._container.add_stream(codec, rate=frequency, options=ENCODERS[codec])
        assert isinstance(stream, av.VideoStream), "both are encoders of video"
        self._stream = stream
        self._stream.width, self._stream.height = self._width, self._height
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = 1

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Append one frame, uint8 [H, W, 3] in RGB order."""
        part = np.ascontiguousarray(frame[: self._height, : self._width])
        picture = av.VideoFrame.from_ndarray(part, format="rgb24")
        self._container.mux(self._stream.encode(picture))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode())
        finally:
            self._container.close()
