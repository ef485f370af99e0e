"""A user's own video, decoded in a process of its own.

A damaged file may crash the library that decodes it. Here it ends a child process
only. The child reads requests from standard input and writes frames to standard output.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.video.faults import FrameFault, Reason
from core.video.stream import VideoStream

_CHILD = "import sys; from core.video.isolated import serve; serve(sys.argv[1])"


class IsolatedVideo:
    """A :class:`core.video.stream.VideoStream` whose file cannot crash this process.

    Args:
        path: The file.

    Attributes:
        size: (height, width) of its first picture as it is shown.
        times: float64 [n], seconds at which its frames are shown, rising.
        lost: Numbers of frames that cannot be decoded, or have another shape than the first.

    Raises:
        FrameFault: as :class:`core.video.stream.VideoStream`.
        DataError: the decoder crashed.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, os.path.abspath(path)],  # noqa: PTH100 - any bytes
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._close = weakref.finalize(self, _end, self._process)
        self._request = 0
        header = self._header()
        if "fault" in header:
            self._close()
            raise FrameFault(Reason(header["fault"]), str(path))
        self.size: tuple[int, int] = (header["height"], header["width"])
        self.times: NDArray[np.float64] = np.array(header["times"], np.float64)
        self.lost: tuple[int, ...] = tuple(header["lost"])

    def __len__(self) -> int:
        return len(self.times)

    def frames(self, numbers: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """As :meth:`core.video.stream.VideoStream.frames`; a new call ends the one before.

        Raises:
            DataError: the decoder crashed.
        """
        self._request += 1
        request = self._request
        line = json.dumps({"request": request, "numbers": [int(number) for number in numbers]})
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._crashed() from None
        while True:
            header = self._header()
            frame = self._body(header)
            if header["request"] != request:
                continue  # of a call that was abandoned before its end
            if frame is None:
                return
            yield header["number"], frame

    def close(self) -> None:
        """End the child process."""
        self._close()

    def _header(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._crashed()
        header: dict[str, Any] = json.loads(line)
        return header

    def _body(self, header: dict[str, Any]) -> NDArray[np.uint8] | None:
        if "number" not in header:
            return None
        assert self._process.stdout is not None
        length = self.size[0] * self.size[1] * 3
        content = self._process.stdout.read(length)
        if len(content) < length:
            raise self._crashed()
        return np.frombuffer(bytearray(content), np.uint8).reshape(*self.size, 3)

    def _crashed(self) -> DataError:
        code = self._process.wait()
        self._close()
        if -code == getattr(signal, "SIGKILL", None):
            return DataError(
                "The process that decodes the video was killed, perhaps because memory ran out",
                where=self._path,
                next_step="Close other programs, or make the video's picture smaller.",
            )
        return DataError(
            "The video crashes the library that decodes it",
            where=self._path,
            next_step="It may be damaged. Convert it with another program, or cut that part out.",
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):
            assert stream is not None
            stream.close()
    process.wait()


def serve(path: str) -> None:
    """Answer requests for frames until standard input ends; runs in the child process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries print what they like
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    try:
        video = VideoStream(path)
    except FrameFault as fault:
        _write(output, {"fault": fault.reason.value})
        return
    height, width = video.size
    _write(
        output,
        {"height": height, "width": width, "times": video.times.tolist(), "lost": video.lost},
    )
    while True:
        request = requests.get()
        for number, frame in video.frames(request["numbers"]):
            _write(output, {"request": request["request"], "number": number}, frame)
            if not requests.empty():
                break
        _write(output, {"request": request["request"]})


def _read_requests(requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    os._exit(0)  # the parent is gone, or needs no more


def _write(
    output: BinaryIO, header: dict[str, Any], frame: NDArray[np.uint8] | None = None
) -> None:
    output.write(json.dumps(header).encode() + b"\n")
    if frame is not None:
        output.write(np.ascontiguousarray(frame).data)
    output.flush()
