"""Layout of pictures: lines of text, captions with a legend, strips of cells, grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from core.pictures.colours import Picture, Scale, ramp

PAPER, INK, PALE = (255, 255, 255), (28, 28, 30), (110, 110, 116)
TITLE, BODY, SMALL = 18, 13, 11
GAP, CELL_GAP = 14, 2
_LEGEND_WIDTH, _LEGEND_HEIGHT = 84, 9


@dataclass(frozen=True, slots=True)
class Strip:
    """One quantity over time.

    Attributes:
        label: Name of the quantity.
        cells: Pictures of one size, in time order.
        scale: Scale of the colours; None without a legend.
    """

    label: str
    cells: Sequence[Picture]
    scale: Scale | None = None


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


def written(
    text: str, size: int = BODY, *, width: int | None = None, ink: tuple[int, int, int] = INK
) -> Picture:
    """Draw text, wrapped at ``width`` between words, or within words that are too long."""
    font = _font(size)
    lines = [text] if width is None else _wrapped(text, font, width)
    height = size + size // 3 + 1
    wide = width or max(1, int(font.getlength(text)) + 1)
    image = Image.new("RGB", (wide, height * len(lines)), PAPER)
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        pen.text((0, number * height), line, ink, font)
    return np.asarray(image, np.uint8)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        joined = f"{line} {word}".strip()
        if font.getlength(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        while font.getlength(word) > width and len(word) > 1:
            fits = next(
                n
                for n in range(len(word) - 1, 0, -1)
                if n == 1 or font.getlength(word[:n]) <= width
            )
            lines.append(word[:fits])
            word = word[fits:]
        line = word
    return [*lines, line]


def legend(
    scale: Scale, width: int = _LEGEND_WIDTH, ends: tuple[str, str] | None = None
) -> Picture:
    """A colour bar with its end values (or the texts ``ends``) beside or below it."""
    low, high = (written(end, SMALL, ink=PALE) for end in ends or scale.ends())
    inner = width - low.shape[1] - high.shape[1] - 8
    if inner < 16:
        gap = max(4, width - low.shape[1] - high.shape[1])
        return stack([ramp(width, _LEGEND_HEIGHT - 2), beside([low, blank(1, gap), high])])
    bar = stack([blank(3, inner), ramp(inner, _LEGEND_HEIGHT)])
    return beside([low, blank(1, 4), bar, blank(1, 4), high])


def strip(content: Strip, columns: Sequence[int], *, size: int = BODY) -> Picture:
    """Draw a strip's cells at ``columns`` side by side, with label and legend above."""
    cells = beside([content.cells[at] for at in columns], gap=CELL_GAP)
    return stack([caption(content.label, content.scale, cells.shape[1], size), blank(2, 1), cells])


def caption(label: str, scale: Scale | None, width: int, size: int = BODY) -> Picture:
    """A label with its legend at the end of the line if it fits, otherwise below."""
    if scale is None:
        return written(label, size, width=width)
    name = written(label, size)
    key = legend(scale, min(width, 2 * _LEGEND_WIDTH))
    gap = width - name.shape[1] - key.shape[1]
    if gap >= GAP:
        return beside([name, blank(1, gap), key])
    return stack([written(label, size, width=width), legend(scale, width)])


def blank(height: int, width: int) -> Picture:
    """Empty paper."""
    return np.full((height, width, 3), PAPER, np.uint8)


def beside(pictures: Sequence[Picture], gap: int = 0, *, low: bool = False) -> Picture:
    """Join pictures from left to right, aligned at the top (at the bottom if ``low``)."""
    height = max(p.shape[0] for p in pictures)
    fitted = [_filled(p, height, p.shape[1], low) for p in pictures]
    return np.concatenate(_spaced(fitted, blank(height, gap)), axis=1)


def stack(pictures: Sequence[Picture], gap: int = 0) -> Picture:
    """Join pictures from top to bottom, aligned left."""
    width = max(p.shape[1] for p in pictures)
    fitted = [_filled(p, p.shape[0], width) for p in pictures]
    return np.concatenate(_spaced(fitted, blank(gap, width)), axis=0)


def framed(picture: Picture, margin: int = GAP) -> Picture:
    """Add a margin; height and width become even, as films require."""
    height, width = picture.shape[0] + 2 * margin, picture.shape[1] + 2 * margin
    paper = blank(height + height % 2, width + width % 2)
    paper[margin : margin + picture.shape[0], margin : margin + picture.shape[1]] = picture
    return paper


def _spaced(pictures: list[Picture], space: Picture) -> list[Picture]:
    return [part for picture in pictures for part in (picture, space)][:-1]


def _filled(picture: Picture, height: int, width: int, low: bool = False) -> Picture:
    if picture.shape[:2] == (height, width):
        return picture
    paper = blank(height, width)
    top = height - picture.shape[0] if low else 0
    paper[top : top + picture.shape[0], : picture.shape[1]] = picture
    return paper
