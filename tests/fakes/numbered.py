"""Videos whose pictures show their own number, in codecs and containers as people have them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

COUNT = 40
HEIGHT, WIDTH = 96, 160
_BITS = 6
_QUIET: dict[str, dict[str, str]] = {
    "libx265": {"x265-params": "log-level=none", "preset": "ultrafast"},
    # Without cpu-independent, x264 gives other bytes from run to run.
    "libx264": {"preset": "veryfast", "x264-params": "cpu-independent=1"},
    "libsvtav1": {"preset": "10", "svtav1-params": "lookahead=0"},
    "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime"},
    "libvpx": {"cpu-used": "8", "deadline": "realtime"},
}


def numbered(number: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> NDArray[np.uint8]:
    """Picture uint8 [H, W, 3] with its number in six black or white bars, and something that moves.

    It can be read where the picture was scaled.
    """
    height, width = size
    frame = np.full((height, width, 3), 90, np.uint8)
    frame[: height // 8] = np.linspace(0, 255, width, dtype=np.uint8)[None, :, None]
    for bit in range(_BITS):
        left, right = (width * (2 * bit + step) // (2 * _BITS) for step in (0.2, 1.8))
        frame[height // 2 :, int(left) : int(right)] = 255 if number >> bit & 1 else 0
    x = number * 3 * width // WIDTH % (width - width // 8)
    frame[height // 4 : height // 2 - 4, x : x + width // 8] = (200, 40, 40)
    return frame


def number_of(frame: NDArray[np.uint8]) -> int:
    """Read a picture's number."""
    height, width = frame.shape[:2]
    rows = frame[height * 5 // 8 : height * 7 // 8]
    places = [int(width * (2 * bit + 1) / (2 * _BITS)) for bit in range(_BITS)]
    return sum(int(rows[:, x - 2 : x + 3].mean() > 128) << bit for bit, x in enumerate(places))


@contextmanager
def _usual_priority() -> Iterator[None]:
    """Restore this thread's scheduling: SVT-AV1 makes the caller a real-time thread under root.

    Every process that it starts later would be one, too, and take the processors from all others.
    """
    try:
        yield
    finally:
        if hasattr(os, "sched_setscheduler"):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def write_numbered(
    path: Path,
    codec: str = "libx264",
    *,
    b_frames: int = 2,
    group: int = 12,
    count: int = COUNT,
    rate: int = 25,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    options: dict[str, str] | None = None,
    first_time: int = 0,
    container: dict[str, str] | None = None,
) -> Path:
    """A video of :func:`numbered` pictures 0 to ``count`` - 1.

    The first one is shown at place ``first_time`` of the clock; ``container`` are its options.
    """
    with _usual_priority(), av.open(str(path), "w", options=container or {}) as file:
        settings = _QUIET.get(codec, {"qscale": "3"}) | (options or {})
        stream = file.add_stream(codec, rate=rate, options=settings)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if codec != "mjpeg":
            stream.codec_context.gop_size = group
            stream.codec_context.max_b_frames = b_frames
        for number in range(count):
            picture = av.VideoFrame.from_ndarray(numbered(number, size), format="rgb24")
            picture.pts, picture.time_base = first_time + number, Fraction(1, rate)
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    return path


@cache
def numbered_bytes(codec: str, ending: str, b_frames: int = 2, group: int = 12) -> bytes:
    """The bytes of such a video, made once."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"made.{ending}"
        return write_numbered(path, codec, b_frames=b_frames, group=group).read_bytes()


def packet_places(path: Path) -> list[tuple[int, int]]:
    """Where in the file each packet's content lies, in decode order: (position, size)."""
    content = path.read_bytes()
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(container.streams.video[0])]
    return [(content.index(packet), len(packet)) for packet in packets if packet]


def without_packets(source: Path, target: Path, left_out: Collection[int]) -> Path:
    """The same video without some of its packets, numbered in decode order."""
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        stream: Any = after.add_stream_from_template(before.streams.video[0])
        for number, packet in enumerate(before.demux(before.streams.video[0])):
            if packet.dts is not None and number not in left_out:
                packet.stream = stream
                after.mux(packet)
    return target


def retimed(source: Path, target: Path) -> Path:
    """The same packets, each with the time of its place in decode order, 25 a second."""
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        stream: Any = after.add_stream_from_template(before.streams.video[0])
        packets = [packet for packet in before.demux(before.streams.video[0]) if packet.size]
        for number, packet in enumerate(packets):
            packet.pts = packet.dts = number
            packet.time_base = Fraction(1, 25)
            packet.stream = stream
            after.mux(packet)
    return target


def packed(source: Path, target: Path) -> Path:
    """The same MPEG-4 video, packed as DivX does: a B-frame is in the packet before it.

    A tiny packet stands where it was.
    """
    start, placeholder = b"\0\0\1\xb6", b"\0\0\1\xb6\x50\x5f\x7f"
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        stream: Any = after.add_stream_from_template(before.streams.video[0])
        contents = [bytes(p) for p in before.demux(before.streams.video[0]) if p.size]
        kinds = [content[content.index(start) + 4] >> 6 for content in contents]
        for number in range(1, len(contents)):
            if kinds[number] == 2 != kinds[number - 1]:
                contents[number - 1] += contents[number]
                contents[number] = placeholder
        at = contents[0].index(start)
        contents[0] = contents[0][:at] + b"\0\0\1\xb2DivX503b1393p" + contents[0][at:]
        for number, content in enumerate(contents):
            packet: Any = av.Packet(content)
            packet.pts = packet.dts = number
            packet.time_base, packet.is_keyframe = Fraction(1, 25), kinds[number] == 0
            packet.stream = stream
            after.mux(packet)
    return target
