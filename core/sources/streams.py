"""One way to read frames from folders of images, videos and array files."""

# ruff: noqa: PTH118 - plain strings: millions of names pass here
from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from core.sources.arrays import read_array, rgb_frames, silhouette_frames
from core.sources.patterns import frame_names
from core.sources.raw import RawStream
from core.video.decode import Video
from core.video.faults import FrameFault
from core.video.images import read_picture
from core.video.pictures import Picture, Pixels


class FrameStream(Protocol):
    """Frames of one stream of one sequence."""

    stems: Sequence[str]

    def read(self, indices: Sequence[int]) -> Iterator[Picture | FrameFault]:
        """Yield the frames with these indices into ``stems``, or the fault of each.

        It ends early where the stream holds fewer frames than it has stems.
        """
        ...

    def fit_mask(self, mask: Picture, shape: tuple[int, ...]) -> Picture:
        """Fit a stored silhouette of a frame to the frame that :meth:`read` returns.

        Args:
            mask: The silhouette.
            shape: The frame's [H, W, ...].
        """
        ...


class ImageFolder:
    """A folder of images, decoded as silhouettes when ``grey``."""

    def __init__(self, raw: RawStream, *, grey: bool) -> None:
        frames, _ = frame_names(raw.path, raw.frame_regex)
        self.stems: Sequence[str] = list(frames)
        self._names = list(frames.values())
        self._folder, self._grey = raw.path, grey

    def read(self, indices: Sequence[int]) -> Iterator[Picture | FrameFault]:
        """Decode one image after the other."""
        for index in indices:
            try:
                yield read_picture(os.path.join(self._folder, self._names[index]), grey=self._grey)
            except FrameFault as fault:
                yield fault

    def fit_mask(self, mask: Picture, shape: tuple[int, ...]) -> Picture:
        """Leave it as it is."""
        return mask


class VideoFile:
    """A video, its frames numbered from ``first``; it may hold fewer than it has stems."""

    def __init__(self, raw: RawStream, *, first: int) -> None:
        self._video = Video(raw.path)
        self.stems: Sequence[str] = [str(first + index) for index in range(len(self._video))]

    def read(self, indices: Sequence[int]) -> Iterator[Picture | FrameFault]:
        """Decode one frame after the other; fastest where ``indices`` increases."""
        for frame in self._video.frames(indices):
            yield frame if isinstance(frame, FrameFault) else Picture(frame, lossy=True)

    def fit_mask(self, mask: Picture, shape: tuple[int, ...]) -> Picture:
        """As :meth:`core.video.decode.Video.fit_mask`."""
        return mask._replace(pixels=self._video.fit_mask(mask.pixels, (shape[0], shape[1])))


class ArrayFile:
    """An array file, its frames numbered from ``first``."""

    def __init__(self, raw: RawStream, *, grey: bool, first: int) -> None:
        content: Any = read_array(raw.path)
        read = silhouette_frames if grey else rgb_frames
        self._frames: Sequence[Pixels] = read(content, raw.path)
        self.stems: Sequence[str] = [str(first + index) for index in range(len(self._frames))]

    def read(self, indices: Sequence[int]) -> Iterator[Picture | FrameFault]:
        """Hand out the frames."""
        for index in indices:
            yield Picture(np.ascontiguousarray(self._frames[index]))  # type: ignore[arg-type]

    def fit_mask(self, mask: Picture, shape: tuple[int, ...]) -> Picture:
        """Leave it as it is."""
        return mask


def open_stream(raw: RawStream, *, grey: bool, first: int) -> FrameStream:
    """Open a stream.

    Args:
        raw: Where it is.
        grey: Silhouettes as they are stored, instead of RGB.
        first: Number of the first frame of videos and arrays.

    Raises:
        FrameFault: the whole stream cannot be read.
    """
    if raw.media == "frames":
        return ImageFolder(raw, grey=grey)
    if raw.media == "video":
        return VideoFile(raw, first=first)
    return ArrayFile(raw, grey=grey, first=first)
