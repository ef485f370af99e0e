"""JPEG and PNG images to arrays, with their size known before anything is decoded."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from core.errors import DataError
from core.video.faults import FrameFault, Reason
from core.video.headers import read_header
from core.video.looks import Look, look_at
from core.video.orientation import orientation_mark
from core.video.pictures import Picture, Pixels, palette_picture

# An 8K frame has 33 million pixels. A file that declares more is a bomb or not a person's crop.
MAX_PIXELS = 40_000_000
MAX_FILE_BYTES = 128 * 2**20

_TO_RGB = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}


def read_bytes(path: str | Path) -> bytes:
    """Read a whole image file.

    Raises:
        FrameFault: the file cannot be read, or is larger than :data:`MAX_FILE_BYTES`.
        DataError: it was deleted after it was listed.
    """
    try:
        with open(path, "rb", buffering=0) as handle:  # noqa: PTH123 - the hot path of preparation
            content = handle.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        if not os.path.lexists(path):
            raise source_gone(path) from error
        raise FrameFault(Reason.UNREADABLE, str(path)) from error
    if len(content) > MAX_FILE_BYTES:
        raise FrameFault(Reason.TOO_LARGE, str(path))
    return content


def source_gone(path: str | Path) -> DataError:
    """Error for a file that disappeared: unlike a damaged one, it cannot be skipped."""
    return DataError(
        "A file of the source disappeared while it was read",
        where=path,
        next_step="Bring it back and run the same command again: it resumes.",
    )


def declared_size(content: bytes) -> tuple[int, int]:
    """(height, width) as the file's header declares it, without decoding.

    Raises:
        FrameFault: not a JPEG or PNG, or cut off before its end.
    """
    header = read_header(content)
    return header.height, header.width


def decode_picture(content: bytes, *, grey: bool) -> Picture:
    """Decode JPEG or PNG bytes; bytes behind the image's end mark are ignored.

    Args:
        content: The whole file.
        grey: A silhouette, given as it is stored, instead of RGB.

    Returns:
        The picture with its orientation mark, not turned.

    Raises:
        FrameFault: not an image, truncated, or of more than :data:`MAX_PIXELS`.
    """
    header = read_header(content)
    if header.height < 1 or header.width < 1:
        raise FrameFault(Reason.NOT_AN_IMAGE)
    if header.height * header.width > MAX_PIXELS:
        raise FrameFault(Reason.TOO_LARGE)
    mark = orientation_mark(header.exif)
    if grey and header.palette:
        pixels, ground = palette_picture(content[: header.end])
        return Picture(pixels, mark, ground=ground)
    flags = cv2.IMREAD_UNCHANGED if grey else cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8, header.end), flags)
    except cv2.error as error:
        raise FrameFault(Reason.TRUNCATED) from error
    if image is None:
        raise FrameFault(Reason.TRUNCATED)
    if grey and image.ndim == 3:
        image = cv2.cvtColor(image, _TO_RGB[image.shape[2]])
    return Picture(np.asarray(image), mark, header.lossy)


def decode_image(content: bytes, *, grey: bool) -> Pixels:
    """Return the pixels of :func:`decode_picture` alone."""
    return decode_picture(content, grey=grey).pixels


def read_picture(path: str | Path, *, grey: bool) -> Picture:
    """Read and decode one image file (returns and raises as :func:`decode_picture`)."""
    content = read_bytes(path)
    try:
        return decode_picture(content, grey=grey)
    except FrameFault as fault:
        raise FrameFault(fault.reason, str(path)) from fault


def read_image(path: str | Path, *, grey: bool) -> Pixels:
    """Return the pixels of :func:`read_picture` alone."""
    return read_picture(path, grey=grey).pixels


def looks_like_silhouette(path: str | Path) -> bool:
    """Whether an image file holds a silhouette.

    Raises:
        FrameFault: the image cannot be read.
    """
    return look_at(read_picture(path, grey=True)) >= Look.FLAT
