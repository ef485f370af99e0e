"""Decoded pictures as stored: pixels and their interpretation."""

from __future__ import annotations

import io
import math
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from core.video.faults import FrameFault, Reason

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
Kind = TypeVar("Kind", np.uint8, np.uint16)
# Number of pixels that decide the kind of a picture.
SEEN_PIXELS = 1_000_000
_ALPHA_RANGE = 32


class Picture(NamedTuple):
    """A decoded picture.

    Attributes:
        pixels: RGB frames: uint8 [H, W, 3]. Silhouettes: uint8 or uint16, [H, W] grey or labels,
            [H, W, 3] RGB, [H, W, 4] RGB and alpha.
        mark: EXIF's orientation 1 to 8, not applied.
        lossy: Whether compression changed the values.
        ground: Value or colour of palette entry 0, by convention the background's, where a palette
            is used that has it.
    """

    pixels: Pixels
    mark: int = 1
    lossy: bool = False
    ground: tuple[int, ...] | None = None


def thinned(pixels: Pixels) -> Pixels:
    """At most about a million of the pixels, evenly."""
    step = max(1, math.isqrt(pixels.shape[0] * pixels.shape[1] // SEEN_PIXELS))
    return pixels[::step, ::step]


def edge_pixels(image: NDArray[Kind]) -> NDArray[Kind]:
    """The outermost pixels of an image [H, W, ...] as [n, ...]."""
    return np.concatenate((image[0], image[-1], image[1:-1, 0], image[1:-1, -1]))


def alpha_varies(alpha: Pixels) -> bool:
    """Whether an alpha channel [H, W] shows something, and not only noise."""
    low, high = int(alpha.min()), int(alpha.max())
    return low < high and (low == 0 or high - low >= _ALPHA_RANGE)


def palette_picture(content: bytes) -> tuple[NDArray[np.uint8], tuple[int, ...] | None]:
    """Decode a PNG with a palette so that its parts remain distinct.

    Returns:
        uint8 [H, W, 4] where the palette has transparent entries, [H, W] where all entries used
        are grey, else [H, W, 3]; the entries' numbers [H, W] where two entries used look the same.
        And the first entry's colour, where it is used.

    Raises:
        FrameFault: it cannot be decoded.
    """
    try:
        with PillowImage.open(io.BytesIO(content), formats=("PNG",)) as image:
            numbers = np.asarray(image, np.uint8)
            transparent = "transparency" in image.info
            image.apply_transparency()
            table = np.asarray(image.getpalette("RGBA"), np.uint8).reshape(-1, 4)
    except Exception as error:
        # Broken chunks end in nearly any exception of the decoder's.
        raise FrameFault(Reason.TRUNCATED) from error
    if numbers.ndim != 2:
        raise FrameFault(Reason.NOT_AN_IMAGE)
    entries = np.zeros((256, 4), np.uint8)
    entries[: len(table)] = table
    used_entries = np.flatnonzero(np.bincount(numbers.ravel(), minlength=256))
    if len(np.unique(entries[used_entries], axis=0)) < len(used_entries):
        return numbers, None
    if not transparent:
        grey = (entries[used_entries, :3] == entries[used_entries, :1]).all()
        entries = entries[:, 0] if grey else entries[:, :3]
    ground = (
        tuple(int(value) for value in np.atleast_1d(entries[0])) if used_entries[0] == 0 else None
    )
    return entries[numbers], ground
