"""The structure of JPEG and PNG files: size, end and EXIF, without decoding."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from core.video.faults import FrameFault, Reason

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8"
# More parts than any encoder writes: a file made to cost time.
MAX_PARTS = 200_000

_PNG_PALETTE = 3
_PNG_END = b"\xaeB`\x82"
_PNG_KIND = re.compile(rb"[A-Za-z]{4}")
_EXIF = b"Exif\0\0"
# The next marker: in coded data 0xFF stands before a zero or a restart mark, and fill bytes repeat.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_SOI, _EOI, _SOS, _APP1 = 0xD8, 0xD9, 0xDA, 0xE1
_ALONE = frozenset({0x01, _SOI, _EOI})
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Between the scans of one image: tables, the number of lines, intervals, applications, comments.
_BETWEEN_SCANS = frozenset({0xC4, 0xCC, _SOS, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)})


# Most segments before the scan, which are not needed here: tables, comments, other applications.
_PLAIN = frozenset(bytes([0xFF, kind]) for kind in (0xC4, 0xDB, 0xDD, 0xE0, 0xE2, 0xED, 0xEE, 0xFE))


class Header(NamedTuple):
    """Structure of an image file.

    Attributes:
        height: Pixels.
        width: Pixels.
        end: Bytes up to the image's own end mark; what follows it belongs to something else.
        exif: The EXIF block, empty where there is none.
        palette: Whether pixels are numbers of palette entries.
        lossy: Whether pixels are changed by compression.
    """

    height: int
    width: int
    end: int
    exif: bytes = b""
    palette: bool = False
    lossy: bool = False


def read_header(content: bytes) -> Header:
    """Walk through a file's parts to its end mark.

    Raises:
        FrameFault: not a JPEG or PNG, or cut off before its end.
    """
    if content.startswith(PNG_SIGNATURE):
        return _png(content)
    if content.startswith(JPEG_START):
        return _jpeg(content)
    raise FrameFault(Reason.NOT_AN_IMAGE if content else Reason.TRUNCATED)


def _png(content: bytes) -> Header:
    """All parts must lie inside the file: decoders allocate the declared size."""
    position, exif = len(PNG_SIGNATURE), b""
    for _ in range(MAX_PARTS):
        if position + 12 > len(content):
            break
        length, kind = struct.unpack_from(">I4s", content, position)
        start, position = position + 8, position + 12 + length
        if position > len(content) or not _PNG_KIND.match(kind):
            break
        if kind == b"eXIf":
            exif = content[start : start + length]
        elif kind == b"IEND":
            if len(content) < 26 or content[position - 4 : position] != _PNG_END:
                break
            width, height = struct.unpack_from(">II", content, 16)
            return Header(height, width, position, exif, palette=content[25] == _PNG_PALETTE)
    raise FrameFault(Reason.TRUNCATED)


def _jpeg(content: bytes) -> Header:
    size: tuple[int, int] | None = None
    exif, position, scanned = b"", 2, False
    for _ in range(MAX_PARTS):
        if not scanned and content[position : position + 2] in _PLAIN:
            position += 2 + max(2, int.from_bytes(content[position + 2 : position + 4]))
            continue
        match = _MARKER.search(content, position)
        if match is None:
            break
        start = match.end()
        marker = content[start - 1]
        if marker in _ALONE:
            if marker == _EOI and size is not None and scanned:
                return Header(*size, start, exif, lossy=True)
            if scanned:
                break
            if marker == _EOI:
                raise FrameFault(Reason.NOT_AN_IMAGE)
            position = start
            continue
        position = start + int.from_bytes(content[start : start + 2])
        if position < start + 2 or position > len(content):
            break
        if marker == _APP1:
            if not exif and content.startswith(_EXIF, start + 2):
                exif = content[start + 2 : position]
        elif marker == _SOS:
            scanned = True
        elif marker in _FRAME_HEADERS:
            if scanned:
                break
            if position < start + 7:
                raise FrameFault(Reason.NOT_AN_IMAGE)
            size = size or struct.unpack_from(">HH", content, start + 3)
        elif scanned and marker not in _BETWEEN_SCANS:
            break
    # Cut off; or the coded data stop early, and something else follows.
    raise FrameFault(Reason.TRUNCATED)
