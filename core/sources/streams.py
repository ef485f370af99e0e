"""One way to read frames from folders of images, videos and array files."""

# ruff: noqa: PTH118 - plain strings: millions of names pass here
from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from core.sources.arrays import read_array, rgb_frames, silhouette_frames
from core.sources.patterns import frame_names
from core.sources.sequences import RawStream
from core.video.decode import Video
from core.video.faults import FrameFault
from core.video.images import read_image

Image = NDArray[np.uint8]


class FrameStream(Protocol):
    """Frames of one stream of one sequence."""

    stems: Sequence[str]

    def read(self, wanted: Sequence[int]) -> Iterator[Image | FrameFault]:
        """Give the frames with these indices into ``stems``, or what is wrong with each.

        It ends early where the stream holds fewer frames than it has stems.
        """
        ...

    def fit_mask(self, mask: Image, size: tuple[int, int]) -> Image:
        """Bring a silhouette of a frame as it is stored to the frame as :meth:`read` gives it.

        Args:
            mask: uint8 [H, W].
            size: (height, width) of the frame.
        """
        ...


class ImageFolder:
    """A folder of images: uint8 [H, W, 3], or [H, W] when ``grey``."""

    def __init__(self, raw: RawStream, *, grey: bool) -> None:
        frames, _ = frame_names(raw.path, raw.frame_regex)
        self.stems: Sequence[str] = list(frames)
        self._names = list(frames.values())
        self._folder, self._grey = raw.path, grey

    def read(self, wanted: Sequence[int]) -> Iterator[Image | FrameFault]:
        """Decode one image after the other."""
        for index in wanted:
            try:
                yield read_image(os.path.join(self._folder, self._names[index]), grey=self._grey)
            except FrameFault as fault:
                yield fault

    def fit_mask(self, mask: Image, size: tuple[int, int]) -> Image:
        """Leave it as it is."""
        return mask


class VideoFile:
    """A video, its frames numbered from ``first``; it may hold fewer than it has stems."""

    def __init__(self, raw: RawStream, *, grey: bool, first: int) -> None:
        self._video, self._grey = Video(raw.path), grey
        self.stems: Sequence[str] = [str(first + index) for index in range(len(self._video))]

    def read(self, wanted: Sequence[int]) -> Iterator[Image | FrameFault]:
        """Decode one frame after the other; fastest where ``wanted`` increases."""
        for frame in self._video.frames(wanted):
            if self._grey and not isinstance(frame, FrameFault):
                yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)
            else:
                yield frame

    def fit_mask(self, mask: Image, size: tuple[int, int]) -> Image:
        """As :meth:`core.video.decode.Video.fit_mask`."""
        return self._video.fit_mask(mask, size)


class ArrayFile:
    """An array file, its frames numbered from ``first``."""

    def __init__(self, raw: RawStream, *, grey: bool, first: int) -> None:
        content: Any = read_array(raw.path)
        self._frames = (silhouette_frames if grey else rgb_frames)(content, raw.path)
        self.stems: Sequence[str] = [str(first + index) for index in range(len(self._frames))]

    def read(self, wanted: Sequence[int]) -> Iterator[Image | FrameFault]:
        """Hand out the frames."""
        for index in wanted:
            yield np.ascontiguousarray(self._frames[index])

    def fit_mask(self, mask: Image, size: tuple[int, int]) -> Image:
        """Leave it as it is."""
        return mask


def open_stream(raw: RawStream, *, grey: bool, first: int) -> FrameStream:
    """Open a stream.

    Args:
        raw: Where it is.
        grey: One channel (silhouettes) instead of RGB.
        first: Number of the first frame of videos and arrays.

    Raises:
        FrameFault: the whole stream cannot be read.
    """
    if raw.media == "frames":
        return ImageFolder(raw, grey=grey)
    if raw.media == "video":
        return VideoFile(raw, grey=grey, first=first)
    return ArrayFile(raw, grey=grey, first=first)
