"""JPEG and PNG images to arrays, with their size known before anything is decoded."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.video.faults import FrameFault, Reason

# An 8K frame has 33 million pixels. A file that declares more is a bomb or no person's crop.
MAX_PIXELS = 40_000_000
MAX_FILE_BYTES = 128 * 2**20
# So many tell what kind of image it is.
SEEN_PIXELS = 1_000_000

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
# Some cameras pad their files; an end mark further away belongs to an embedded thumbnail.
_TAIL = 256
_NO_SIZE_MARKERS = frozenset({0xC4, 0xC8, 0xCC})


def read_bytes(path: str | Path) -> bytes:
    """Read a whole image file.

    Raises:
        FrameFault: the file cannot be read, or is larger than :data:`MAX_FILE_BYTES`.
        DataError: it has gone since it was listed.
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
    """Not a damaged file, which can be left out, but one that was there a moment ago."""
    return DataError(
        "A file of the source has gone while it was read",
        where=path,
        next_step="Bring it back and run the same command again: it goes on from here.",
    )


def declared_size(content: bytes) -> tuple[int, int]:
    """(height, width) as the file's header declares it, without decoding.

    Raises:
        FrameFault: not a JPEG or PNG, or cut off before its end.
    """
    if content.startswith(_PNG_SIGNATURE):
        if len(content) < 24 or _PNG_END not in content[-_TAIL:] or not _png_chunks_fit(content):
            raise FrameFault(Reason.TRUNCATED)
        width, height = struct.unpack(">II", content[16:24])
        return height, width
    if content.startswith(_JPEG_START):
        if _JPEG_END not in content[-_TAIL:]:
            raise FrameFault(Reason.TRUNCATED)
        return _jpeg_size(content)
    raise FrameFault(Reason.NOT_AN_IMAGE if content else Reason.TRUNCATED)


def _png_chunks_fit(content: bytes) -> bool:
    """Whether all parts lie inside the file: decoders reserve whatever a part declares."""
    position = len(_PNG_SIGNATURE)
    while position + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[position : position + 8])
        position += 12 + int(length)
        if kind == b"IEND":
            return position <= len(content)
    return False


def _jpeg_size(content: bytes) -> tuple[int, int]:
    position = 2
    while position + 9 < len(content):
        if content[position] != 0xFF:
            break
        marker = content[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE_MARKERS:
            height, width = struct.unpack(">HH", content[position + 5 : position + 9])
            return height, width
        (length,) = struct.unpack(">H", content[position + 2 : position + 4])
        position += 2 + length
    raise FrameFault(Reason.NOT_AN_IMAGE)


def decode_image(content: bytes, *, grey: bool) -> NDArray[np.uint8]:
    """Decode JPEG or PNG bytes.

    Args:
        content: The whole file.
        grey: One channel instead of three.

    Returns:
        uint8 [H, W, 3] in RGB order, or uint8 [H, W]; orientation marks are ignored, so that a
        frame keeps the geometry of its silhouette.

    Raises:
        FrameFault: not an image, truncated, or of more than :data:`MAX_PIXELS`.
    """
    height, width = declared_size(content)
    if height < 1 or width < 1:
        raise FrameFault(Reason.NOT_AN_IMAGE)
    if height * width > MAX_PIXELS:
        raise FrameFault(Reason.TOO_LARGE)
    colour = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB
    try:
        image = cv2.imdecode(
            np.frombuffer(content, np.uint8), colour | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error as error:
        raise FrameFault(Reason.TRUNCATED) from error
    if image is None:
        raise FrameFault(Reason.TRUNCATED)
    return np.asarray(image, np.uint8)


def read_image(path: str | Path, *, grey: bool) -> NDArray[np.uint8]:
    """Read and decode one image file (returns and raises as :func:`decode_image`)."""
    content = read_bytes(path)
    try:
        return decode_image(content, grey=grey)
    except FrameFault as fault:
        raise FrameFault(fault.reason, str(path)) from fault


def looks_like_silhouette(path: str | Path) -> bool:
    """Whether an image holds a mask: no colour, and (almost) only its two extreme values.

    Raises:
        FrameFault: the image cannot be read.
    """
    image = read_image(path, grey=False)
    step = max(1, math.isqrt(image.shape[0] * image.shape[1] // SEEN_PIXELS))
    image = image[::step, ::step]
    grey = image[..., 0]
    if np.abs(image.astype(np.int16) - grey[..., None]).max() > 8:
        return False
    top = int(grey.max())
    extreme = (grey <= top * 0.1) | (grey >= top * 0.9)
    return bool(extreme.mean() >= 0.9 and (top > 127 or top <= 1))
