"""Frames of a video by number: frame k is the k-th picture of a decode from the start.

PyAV decodes from the start and never seeks: the result of FFmpeg's seeking depends on codec,
container and index, and with B-frames it is often another frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, cast

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from core.video.container import (
    ERRORS,
    is_key,
    may_be_shown_early,
    numbered_packets,
    open_video,
    packet_of,
    read_packets,
)
from core.video.faults import FrameFault, Reason
from core.video.images import MAX_PIXELS
from core.video.numbering import Numbering
from core.video.pictures import Pixels
from core.video.slices import lacks_rows

Image = NDArray[np.uint8]
Size = tuple[int, int]  # (height, width)

# Pixels that declare to be wider or narrower than this are a fault of the file.
MAX_PIXEL_ASPECT = 8.0
# Sizes whose aspect ratios agree within this share show the same picture, scaled.
ASPECT_TOLERANCE = 0.02
# Most pictures, decoded after it, that any codec shows before a picture.
MAX_REORDERED = 16
# Frames a second without any clock.
USUAL_RATE = 25.0


class Clock(NamedTuple):
    """The pictures of a video.

    Attributes:
        times: float64 [n], seconds at which each is shown, rising.
        sizes: (height, width) of each as it is shown; None where it cannot be decoded.
    """

    times: NDArray[np.float64]
    sizes: list[Size | None]


class Video:
    """One video file, its pictures as a player shows them: upright, with square pixels.

    Args:
        path: The file.

    Raises:
        FrameFault: not a video, or pictures of more pixels than the limit.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self._packets = read_packets(path)
        self._pixel_aspect = 1.0
        # Display size and quarter turns of the pictures so far, by the size they are coded in.
        self._display: dict[Size, tuple[Size, int]] = {}

    def __len__(self) -> int:
        """Numbers that pictures may have; where packets hold none, the last have no picture."""
        return len(self._packets)

    def frames(self, numbers: Sequence[int]) -> Iterator[Image | FrameFault]:
        """Decode frames by their numbers, counted from 0; increasing numbers are fastest.

        Yields:
            For each number uint8 [H, W, 3] in RGB order, or the fault of a picture that is lost or
            damaged; pictures may differ in size. It ends at the first number without a picture.
        """
        steps = [place for place, (a, b) in enumerate(pairwise(numbers), 1) if b <= a]
        for start, end in pairwise([0, *steps, len(numbers)]):
            next_number = yield from self._increasing(numbers[start:end])
            if next_number < end - start:
                return

    def _increasing(self, numbers: Sequence[int]) -> Generator[Image | FrameFault, None, int]:
        convert = VideoReformatter()
        place = 0
        if not numbers:
            return 0
        for number, picture in enumerate(self.pictures()):
            if number != numbers[place]:
                continue
            place += 1
            yield self._picture(picture, convert)
            if place == len(numbers):
                break
        return place

    def pictures(self) -> Iterator[av.VideoFrame | None]:
        """Decode all pictures in the order of being shown, unconverted.

        Yields:
            Picture k at place k; None where it is lost or damaged.
        """
        expected = 0
        numbering = Numbering(self._packets)
        for number, picture in self._usable(numbering):
            yield from (None for _ in range(expected, number))
            if number >= expected:
                yield picture
                expected = number + 1
        yield from (None for _ in range(expected, numbering.count()))

    def _usable(self, numbering: Numbering) -> Iterator[tuple[int, av.VideoFrame]]:
        pending: deque[tuple[int, int, av.VideoFrame]] = deque()
        for number, source, frame in self._numbered(numbering):
            pending.append((number, source, frame))
            # A picture may need a later one, whose damage shows once that is decoded.
            while pending and (numbering.is_known(pending[0][1]) or len(pending) > MAX_REORDERED):
                number, source, frame = pending.popleft()
                if numbering.is_usable(source):
                    yield number, frame
        for number, source, frame in pending:
            if numbering.is_usable(source):
                yield number, frame

    def _numbered(self, numbering: Numbering) -> Iterator[tuple[int, int, av.VideoFrame]]:
        with open_video(self._path, strict=self._packets.has_holes) as (container, stream):
            self._pixel_aspect = _pixel_aspect(stream)
            codec, packets = stream.codec_context.name, self._packets
            last = len(packets) - 1
            for number, packet in numbered_packets(container, stream):
                if number > last:
                    return  # the file has grown meanwhile
                if number >= 0 and packets.doubtful[number]:
                    numbering.doubt(number)
                for frame in _decoded(stream, packet, number, numbering):
                    source = min(max(packet_of(frame, number), 0), last)
                    place = numbering.place(
                        source,
                        key=is_key(frame, codec, marked=bool(packets.marked[source]))
                        and not packets.doubtful[source],
                        corrupt=frame.is_corrupt,
                        field=frame.interlaced_frame,
                    )
                    yield place, source, frame

    def clock(self) -> Clock:
        """Presentation time of each picture.

        Decodes everything, so that pictures are counted instead of declared packets.

        Raises:
            FrameFault: not one picture can be decoded.
        """
        packets = self._packets
        timestamps = packets.stamps if packets.timed else np.sort(packets.order)
        stamps: list[float] = []
        sizes: list[Size | None] = []
        for number, picture in enumerate(self.pictures()):
            sizes.append(None if picture is None else self._display_size(picture))
            source = min(number, len(timestamps) - 1)
            if packets.timed and picture is not None:
                source = packet_of(picture, source)
            stamps.append(
                np.nan if packets.timed and picture is None else float(timestamps[source])
            )
        if not any(sizes):
            raise FrameFault(Reason.BROKEN_VIDEO, self._path)
        return Clock(_filled(np.array(stamps)), sizes)

    def fit_mask(self, mask: Pixels, size: Size) -> Pixels:
        """Bring a mask of a picture's coded geometry to the shown one.

        Programs that ignore a video's turn or pixel aspect write masks of the coded size.

        Args:
            mask: uint8 or uint16 [H, W, ...].
            size: (height, width) of the picture as shown.

        Returns:
            The mask turned and scaled where only that makes it fit; else the same.
        """
        own = (int(mask.shape[0]), int(mask.shape[1]))
        if own == size:
            return mask
        display_size, turns = self._display.get(own, (own, 0))
        sizes = {display for display, _ in self._display.values()}
        if display_size != size and not (own in sizes and size in sizes and same_aspect(own, size)):
            return mask
        fitted = np.ascontiguousarray(np.rot90(mask, turns if display_size == size else 0))
        if fitted.shape[:2] != size:
            fitted = cv2.resize(fitted, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
        return cast("Pixels", fitted)

    def _picture(
        self, frame: av.VideoFrame | None, convert: VideoReformatter
    ) -> Image | FrameFault:
        if frame is None:
            return FrameFault(Reason.DAMAGED_VIDEO, self._path)
        display_size = self._display_size(frame)
        if display_size[0] * display_size[1] > MAX_PIXELS:
            return FrameFault(Reason.TOO_LARGE, self._path)
        try:
            picture = convert.reformat(frame, format="rgb24").to_ndarray()
        except ERRORS:
            return FrameFault(Reason.DAMAGED_VIDEO, self._path)
        turns = _turns(frame)
        height, width = display_size if turns % 2 == 0 else display_size[::-1]
        if picture.shape[:2] != (height, width):
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        self._display[(frame.height, frame.width)] = (display_size, turns)
        return np.ascontiguousarray(np.rot90(picture, turns), np.uint8)

    def _display_size(self, frame: av.VideoFrame) -> Size:
        size = frame.height, max(1, round(frame.width * self._pixel_aspect))
        return size if _turns(frame) % 2 == 0 else size[::-1]


def _turns(frame: av.VideoFrame) -> int:
    """Quarter turns counter-clockwise that bring a picture upright."""
    return round(frame.rotation / 90) % 4


def _decoded(
    stream: av.VideoStream,
    packet: av.Packet[av.VideoStream],
    number: int,
    numbering: Numbering,
) -> list[av.VideoFrame]:
    context = stream.codec_context
    if number >= 0:
        # PyAV distinguishes such notes by identity, and equal small numbers are one object.
        packet.opaque = (number,)
    elif not packet.size:
        numbering.end(displaces=context.has_b_frames)
    try:
        # A sign of a truncated file; in a transport stream, perhaps of joined streams only.
        joined = not packet.is_corrupt or stream.container.format.name == "mpegts"
        if joined and not lacks_rows(bytes(packet), context.name, context.height):
            frames = packet.decode()
            if packet.size and number < 0:
                numbering.hide(key=packet.is_keyframe)
            return frames
    except ERRORS:
        pass
    if number >= 0:
        displaces = context.has_b_frames and may_be_shown_early(packet, context.name)
        numbering.lose(number, displaces=displaces)
    return []


def _pixel_aspect(stream: av.VideoStream) -> float:
    """Width over height of a pixel."""
    aspect = stream.sample_aspect_ratio
    value = float(aspect) if aspect else 1.0
    return value if 1 / MAX_PIXEL_ASPECT <= value <= MAX_PIXEL_ASPECT else 1.0


def same_aspect(first: Size, second: Size) -> bool:
    """Whether two sizes show the same picture, scaled."""
    return abs(first[1] * second[0] / (first[0] * second[1]) - 1) <= ASPECT_TOLERANCE


def _filled(stamps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times with those of lost pictures set between their neighbours', at the usual step."""
    places = np.arange(len(stamps), dtype=np.float64)
    finite = ~np.isnan(stamps)
    if not finite.any():
        return places / USUAL_RATE
    if finite.all():
        return np.sort(stamps)
    steps = np.diff(stamps[finite]) / np.diff(places[finite])
    step = float(np.median(steps)) if len(steps) else 1 / USUAL_RATE
    first, last = np.flatnonzero(finite)[[0, -1]]
    filled = np.interp(places, places[finite], stamps[finite])
    filled[:first] = stamps[first] - step * (first - places[:first])
    filled[last:] = stamps[last] + step * (places[last:] - last)
    return np.sort(filled)
