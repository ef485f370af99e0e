"""Missing rows of MPEG-2 pictures, which the decoder fills from other pictures."""

from __future__ import annotations

import re
from itertools import pairwise

# ISO 13818-2, 6.2.4: a slice's start code ends in its row of macroblocks, counted from 1; each row
# has a slice at least (6.1.2.2).
_SLICE = re.compile(rb"\x00\x00\x01([\x01-\xaf])")
_ROW = 16
_PICTURE = b"\0\0\1\0"
# Above it rows have further bits elsewhere.
_MOST_HEIGHT = 2800


def lacks_rows(content: bytes, codec: str, height: int) -> bool:
    """Whether a packet holds a picture of which rows are missing, or another's behind its own.

    Args:
        content: The packet.
        codec: The decoder's name; others than MPEG-2 lack nothing.
        height: Of the picture, in pixels.
    """
    if codec != "mpeg2video" or height > _MOST_HEIGHT:
        return False
    # The pictures of two fields have half of the rows each.
    least = -(-height // (2 * _ROW))
    pictures = content.split(_PICTURE)[1:]
    return any(not _follow([row[0] for row in _SLICE.findall(p)], least) for p in pictures)


def _follow(rows: list[int], least: int) -> bool:
    """Whether rows follow each other from the first one on; several slices may share one."""
    steps = [late - early for early, late in pairwise([0, *rows])]
    return bool(rows) and set(steps) <= {0, 1} and rows[-1] >= least
