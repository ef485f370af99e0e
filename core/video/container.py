"""Open a video: selected stream, limits, and declared packets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from av.video.frame import PictureType
from numpy.typing import NDArray

from core.video.faults import FrameFault, Reason
from core.video.images import MAX_PIXELS

# Errors that PyAV raises on files that are damaged, hostile, or not videos.
ERRORS = (av.FFmpegError, OSError, IndexError, ValueError, AttributeError, EOFError)

_COVER = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
# Containers with decode timestamps only, without presentation timestamps.
_ONLY_ORDER = frozenset({"avi"})
# Decoders that return damaged pictures silently unless they run in strict mode.
_SILENT = frozenset({"hevc", "mjpeg"})
# Decoders that may show an earlier picture again, still marked as a key frame.
_SHOWN_AGAIN = frozenset({"vp9", "libvpx-vp9", "av1", "libdav1d", "libaom-av1"})
# Decoders that call every picture an I-frame, though it depends on earlier ones.
_ALL_INTRA = frozenset({"ffv1"})
# A gap may lie behind one more packet than the one that is marked.
_GAP_LAG = 2
# Larger shares of gaps than this are not informative.
_MOST_GAPS = 0.25
# Number of packets that decide whether pictures are reordered.
_PROBED = 100
# A packet without a picture (a repeated one, in MPEG-4 Part 2) is at most this long.
_TINY_BYTES = 16
# In an even clock this share of the steps is equal; one step of more than this many is a hole.
_EVEN_SHARE, HOLE = 0.9, 1.5


@dataclass(frozen=True, slots=True)
class Packets:
    """Declared properties of a stream's packets, in decode order; nothing is decoded.

    Attributes:
        stamps: float64 [n], seconds at which each packet's picture is shown; NaN where the
            container has no such clock (AVI).
        order: float64 [n], seconds at which each is decoded; NaN where unknown.
        plain: bool [n], whether a packet should give a picture of its own: not hidden, not a
            repetition.
        marked: bool [n], whether the container says that decoding can begin there.
        doubtful: bool [n], where a transport stream lacks something, so that no picture is sure
            from there to the next from which decoding can begin.
        step: Seconds from one picture to the next where the clock is even, else None.
        cut_off: Whether the file declares more pictures than it holds, shown or not.
    """

    stamps: NDArray[np.float64]
    order: NDArray[np.float64]
    plain: NDArray[np.bool_]
    marked: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]
    step: float | None
    cut_off: bool

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def has_holes(self) -> bool:
        """Whether an even clock leaves a step out: packets are missing."""
        steps = np.diff(np.sort(self.stamps))
        return self.step is not None and bool((steps > HOLE * self.step).any())

    @property
    def timed(self) -> bool:
        """Whether every packet has a time of its own at which it is shown."""
        return not np.isnan(self.stamps).any() and len(np.unique(self.stamps)) == len(self.stamps)


def url_of(path: str | Path) -> str:
    """The name under which FFmpeg opens a file, and nothing but a file (``12:30.mp4`` too)."""
    return f"file:{os.path.abspath(path)}"  # noqa: PTH100 - keeps names that are not UTF-8


@contextmanager
def open_video(
    path: str | Path, *, strict: bool = False
) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Open a video file at the largest of its video streams that is not a cover picture.

    One thread decodes: with several it depends on their timing what a damaged packet spoils.

    Args:
        path: The file.
        strict: Refuse pictures with any sign of damage, such as a reference that is missing.

    Raises:
        FrameFault: not a video, or pictures of more than :data:`MAX_PIXELS`.
    """
    try:
        # A playlist would name other files and servers.
        container = av.open(url_of(path), options={"protocol_whitelist": "file"})
    except ERRORS as error:
        raise FrameFault(Reason.BROKEN_VIDEO, str(path)) from error
    with container:
        yield container, _main_stream(container, str(path), strict)


def _main_stream(container: av.container.InputContainer, path: str, strict: bool) -> av.VideoStream:
    try:
        streams = [s for s in container.streams.video if not s.disposition & _COVER]
        if not streams:
            raise FrameFault(Reason.BROKEN_VIDEO, path)
        stream = max(streams, key=lambda s: s.codec_context.height * s.codec_context.width)
        context = stream.codec_context
        height, width = int(context.height), int(context.width)
        if height < 1 or width < 1:
            raise FrameFault(Reason.BROKEN_VIDEO, path)
        if height * width > MAX_PIXELS:
            raise FrameFault(Reason.TOO_LARGE, path)
        # The pictures themselves may be larger than the file declares.
        options = {"max_pixels": str(MAX_PIXELS)}
        if strict or context.name in _SILENT:
            options["err_detect"] = "explode"
        context.options = options
        context.thread_count = 1
        context.copy_opaque = True
    except ERRORS as error:
        raise FrameFault(Reason.BROKEN_VIDEO, path) from error
    return stream


def numbered_packets(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[tuple[int, av.Packet[av.VideoStream]]]:
    """Number and packet of all that may give a picture, then (-1, the end mark for the decoder).

    A file that is cut off ends early; packets that an edit list hides have the number -1.
    """
    number = 0
    try:
        for packet in container.demux(stream):
            counts = bool(packet.size) and not packet.is_discard
            yield (number if counts else -1), packet
            number += counts
    except ERRORS:
        return


def read_packets(path: str | Path) -> Packets:
    """Read the packets of a file without decoding them.

    Raises:
        FrameFault: as :func:`open_video`, or no packet can be read.
    """
    with open_video(path) as (container, stream):
        base, declared = float(stream.time_base or 1), _declared(container, stream)
        codec = stream.codec_context.name
        shows = container.format.name not in _ONLY_ORDER
        stamps: list[float] = []
        order: list[float] = []
        plain: list[bool] = []
        marked: list[bool] = []
        gaps: list[bool] = []
        hidden, packed = 0, False
        for number, packet in numbered_packets(container, stream):
            if number < 0:
                hidden += bool(packet.size)
                continue
            no_stamp = packet.pts is None or not shows
            stamps.append(np.nan if no_stamp else float(packet.pts or 0) * base)
            order.append(np.nan if packet.dts is None else packet.dts * base)
            plain.append(_gives_picture(packet, codec))
            packed = packed or _holds_two(packet, codec)
            marked.append(packet.is_keyframe)
            gaps.append(packet.is_corrupt and container.format.name == "mpegts")
    if not stamps:
        raise FrameFault(Reason.BROKEN_VIDEO, str(path))
    presentation = np.array(stamps)
    if (np.diff(presentation) > 0).all() and _reorders(path):
        # Copied out of a container that has no such clock: when each is decoded, once more.
        order, presentation = stamps, np.full(len(presentation), np.nan)
    cut_off = declared > len(presentation) + hidden
    pictures = np.array(plain)
    if packed:  # a tiny packet stands for the second picture of the one before it
        pictures[1:] |= pictures[:-1]
    keys = np.array(marked)
    every = (presentation, np.array(order), pictures, keys, _doubtful(np.array(gaps), keys))
    return Packets(*every, _even_step(presentation), cut_off)


def _doubtful(gaps: NDArray[np.bool_], marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Packets with uncertain pictures: data is missing in or before them."""
    doubtful = np.zeros(len(gaps), np.bool_)
    if gaps.mean() > _MOST_GAPS:
        return doubtful  # its writer does not count packets
    for number in np.flatnonzero(gaps).tolist():
        # Before a picture that decoding can begin from, two streams may have been joined.
        behind = marked[number + 1 : number + 1 + _GAP_LAG]
        if len(behind) and not behind.any():
            doubtful[number] = True
    return doubtful


def _declared(container: av.container.InputContainer, stream: av.VideoStream) -> int:
    """Number of packets that the file declares; 0 where it declares none."""
    if container.format.name.startswith("mov"):
        # The number in the header counts what an edit list takes out, too. Early PyAV lacks these.
        return len(getattr(stream, "index_entries", ()))
    return int(stream.frames)


def _reorders(path: str | Path) -> bool:
    """Whether pictures are shown in another order than that of their packets."""
    with open_video(path) as (container, stream):
        context = stream.codec_context
        if not context.has_b_frames:
            return False
        last = -1
        for number, packet in numbered_packets(container, stream):
            if number > _PROBED:
                return False
            if number >= 0:
                packet.opaque = (number,)
            try:
                frames = packet.decode()
            except ERRORS:
                return False  # the order of damaged pictures says nothing
            for frame in frames:
                source = packet_of(frame, last)
                if frame.is_corrupt or source < last:
                    return not frame.is_corrupt
                last = source
    return False


def _gives_picture(packet: av.Packet[av.VideoStream], codec: str) -> bool:
    if codec == "vp8":  # RFC 6386, 9.1: a bit says whether the frame is shown
        return bool(bytes(packet)[0] & 16)
    return codec not in ("mpeg4", "msmpeg4v3", "msmpeg4v2") or packet.size > _TINY_BYTES


def _holds_two(packet: av.Packet[av.VideoStream], codec: str) -> bool:
    """Whether a packet holds a second picture (DivX and XviD in AVI)."""
    return codec == "mpeg4" and bytes(packet).count(b"\0\0\1\xb6") > 1


def is_key(frame: av.VideoFrame, codec: str, *, marked: bool) -> bool:
    """Whether a picture was decoded without any other one.

    Args:
        frame: The picture.
        codec: The decoder's name.
        marked: Whether the container says so of its packet.
    """
    if codec in _SHOWN_AGAIN:
        return frame.key_frame and marked
    return frame.key_frame or (frame.pict_type == PictureType.I and codec not in _ALL_INTRA)


def may_be_shown_early(packet: av.Packet[av.VideoStream], codec: str) -> bool:
    """Whether a packet's picture may be shown before one of an earlier packet (a B-frame)."""
    content = bytes(packet)
    if codec == "mpeg4":  # ISO 14496-2: two bits after the start code of a plane
        at = content.find(b"\0\0\1\xb6")
        return not 0 <= at < len(content) - 4 or content[at + 4] >> 6 == 2
    if codec in ("mpeg1video", "mpeg2video"):  # ISO 13818-2: three bits after ten of a number
        at = content.find(b"\0\0\1\0")
        return not 0 <= at < len(content) - 5 or content[at + 5] >> 3 & 7 == 3
    return True


def _even_step(stamps: NDArray[np.float64]) -> float | None:
    steps = np.diff(np.sort(stamps))
    if len(steps) < 3 or np.isnan(steps).any():
        return None
    usual = float(np.median(steps))
    even = np.abs(steps - usual) < 0.1 * usual
    return usual if even.mean() >= _EVEN_SHARE else None


def packet_of(frame: av.VideoFrame, otherwise: int) -> int:
    """Number of the packet that a picture came from, where the decoder kept that note."""
    note = frame.opaque
    return int(note[0]) if isinstance(note, tuple) else otherwise
