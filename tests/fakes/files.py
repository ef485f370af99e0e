"""Image files as other programs and cameras write them, in memory (Pillow writes them)."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

Mask = NDArray[np.uint8]


def png(pixels: NDArray[Any], mode: str | None = None, **options: Any) -> bytes:
    """A PNG of bytes, 16 bits or truth values; ``mode`` as Pillow names it, where it is open."""
    return _saved(_image(pixels, mode), "PNG", **options)


def jpeg(pixels: NDArray[Any], quality: int = 95, **options: Any) -> bytes:
    """A JPEG."""
    return _saved(PillowImage.fromarray(pixels), "JPEG", quality=quality, **options)


def palette_png(numbers: Mask, colours: list[int], **options: Any) -> bytes:
    """A PNG whose pixels are numbers of ``colours``, given as r, g, b, r, g, b, ..."""
    image = _image(numbers, "P")
    image.putpalette(colours)
    return _saved(image, "PNG", **options)


def exif(orientation: int) -> PillowImage.Exif:
    """A block with nothing but an orientation, for the option ``exif``."""
    block = PillowImage.Exif()
    block[0x0112] = orientation
    return block


def _image(pixels: NDArray[Any], mode: str | None) -> PillowImage.Image:
    if mode is None:
        return PillowImage.fromarray(pixels)
    size = (pixels.shape[1], pixels.shape[0])
    return PillowImage.frombytes(mode, size, np.ascontiguousarray(pixels).tobytes())


def _saved(image: PillowImage.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def ones(mask: Mask) -> Mask:
    """0 and 1."""
    return (mask > 127).astype(np.uint8)


def coloured(
    mask: Mask, person: tuple[int, int, int], ground: tuple[int, int, int] = (0, 0, 0)
) -> NDArray[np.uint8]:
    """RGB of two colours."""
    colours = np.array([ground, person], np.uint8)
    return colours[ones(mask)]


def parts(mask: Mask, count: int, step: int = 1) -> Mask:
    """Labels of body parts from the head down: ``step``, 2 ``step``, ..."""
    rows = np.flatnonzero((mask > 127).any(axis=1))
    label = (np.arange(len(mask)) - rows[0]) * count // (rows[-1] - rows[0] + 1)
    labels = (np.clip(label, 0, count - 1) + 1)[:, None] * step
    return np.where(mask > 127, labels, 0).astype(np.uint8)


def alpha(colours: NDArray[np.uint8], channel: Mask) -> NDArray[np.uint8]:
    """Colours [H, W] or [H, W, 3] with an alpha channel."""
    return np.dstack([colours, channel])


def photograph(mask: Mask) -> NDArray[np.uint8]:
    """Noise in the size of a mask."""
    return np.random.default_rng(0).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)


def voc_colours() -> list[int]:
    """The palette of PASCAL VOC and of tools that follow it."""
    table = np.zeros((256, 3), np.int64)
    for bit in range(8):
        for channel in range(3):
            table[:, channel] |= ((np.arange(256) >> (3 * bit + channel)) & 1) << (7 - bit)
    return [int(value) for value in table.ravel()]


Writer = Callable[[Mask], bytes]
_VOC = voc_colours()
_TABLE = np.array(_VOC, np.uint8).reshape(-1, 3)

# One silhouette as programs write it; exactly the same foreground, if it is read right.
SILHOUETTES: dict[str, Writer] = {
    "bytes": png,
    "jpeg": jpeg,
    "ones": lambda m: png(ones(m)),
    "truth": lambda m: png(m > 127),
    "label 7": lambda m: png(ones(m) * 7),
    "label 100": lambda m: png(ones(m) * 100),
    "label 100 in JPEG": lambda m: jpeg(ones(m) * 100, 85),
    "16 bit of 1": lambda m: png(ones(m).astype(np.uint16)),
    "16 bit of 255": lambda m: png(m.astype(np.uint16)),
    "16 bit of 7": lambda m: png(ones(m).astype(np.uint16) * 7),
    "16 bit of 256": lambda m: png(ones(m).astype(np.uint16) * 256),
    "16 bit of 65535": lambda m: png(ones(m).astype(np.uint16) * 65535),
    "16 bit of parts": lambda m: png(parts(m, 6).astype(np.uint16) * 300),
    "parts": lambda m: png(parts(m, 6)),
    "many parts": lambda m: png(parts(m, 19)),
    "parts far apart": lambda m: png(parts(m, 6, 40)),
    "parts in colours": lambda m: png(_TABLE[parts(m, 6)]),
    "red": lambda m: png(coloured(m, (255, 0, 0))),
    "blue": lambda m: png(coloured(m, (0, 0, 255))),
    "green in JPEG": lambda m: jpeg(coloured(m, (0, 255, 0)), subsampling=0),
    "dark red": lambda m: png(coloured(m, (128, 0, 0))),
    "colour of 1": lambda m: png(coloured(m, (1, 1, 1))),
    "alpha": lambda m: png(alpha(np.full((*m.shape, 3), 40, np.uint8), m)),
    "alpha of a cut-out": lambda m: png(alpha(photograph(m), m)),
    "alpha of 128": lambda m: png(alpha(coloured(m, (255, 0, 0)), ones(m) * 128)),
    "grey and alpha": lambda m: png(alpha(np.full_like(m, 255), m), "LA"),
    "constant alpha": lambda m: png(alpha(np.dstack([m] * 3), np.full_like(m, 255))),
    "grey, constant alpha": lambda m: png(alpha(m, np.full_like(m, 255)), "LA"),
    "VOC": lambda m: palette_png(ones(m), _VOC),
    "VOC person": lambda m: palette_png(ones(m) * 15, _VOC),
    "VOC parts": lambda m: palette_png(parts(m, 6), _VOC),
    "palette of blacks": lambda m: palette_png(ones(m), [0, 0, 0] * 2),
    "palette of near blacks": lambda m: palette_png(ones(m), [0, 0, 0, 1, 1, 1]),
    "palette, person black": lambda m: palette_png(ones(m), [128, 128, 128, 0, 0, 0]),
    "palette, person black on white": lambda m: palette_png(ones(m), [255, 255, 255, 0, 0, 0]),
    "palette, ground in colour": lambda m: palette_png(
        ones(m) * 3, [120, 120, 120, 9, 9, 9, 8, 8, 8, 150, 5, 61]
    ),
    "palette, person first": lambda m: palette_png(1 - ones(m), [255, 0, 0, 0, 0, 0]),
    "palette, white first": lambda m: palette_png((1 - ones(m)) * 5, [255] * 15 + [0] * 3),
    "palette, transparent": lambda m: palette_png(ones(m), [0] * 6, transparency=0),
    "palette of greys": lambda m: palette_png(m, [g for g in range(256) for _ in range(3)]),
}

# The same with foreground and background exchanged.
INVERTED: dict[str, Writer] = {
    "bytes": lambda m: png(255 - m),
    "jpeg": lambda m: jpeg(255 - m),
    "ones": lambda m: png(1 - ones(m)),
    "truth": lambda m: png(m <= 127),
    "label 7": lambda m: png((1 - ones(m)) * 7),
    "16 bit": lambda m: png((1 - ones(m)).astype(np.uint16) * 65535),
    "red": lambda m: png(coloured(m, (0, 0, 0), (255, 0, 0))),
    "red on white": lambda m: png(coloured(m, (255, 0, 0), (255, 255, 255))),
    "alpha": lambda m: png(alpha(photograph(m), 255 - m)),
    "VOC": lambda m: palette_png(1 - ones(m), _VOC),
    "palette without black": lambda m: palette_png(1 - ones(m), [255, 0, 0, 0, 0, 255]),
    "parts on 255": lambda m: png(np.where(m > 127, parts(m, 6), np.uint8(255))),
}
