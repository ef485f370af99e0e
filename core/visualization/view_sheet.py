"""Drawings of a model's views: a sheet over time, or one picture per frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.models.backbones.prompts import Word
from core.models.capabilities import Maps, View
from core.pictures.colours import Picture, Scale, grey, heat, outlined, scaled, smooth
from core.pictures.sheet import (
    CELL_GAP,
    GAP,
    PALE,
    SMALL,
    TITLE,
    Strip,
    beside,
    blank,
    framed,
    legend,
    stack,
    strip,
    written,
)
from core.visualization.model_views import Seen

FEWEST_COLUMNS, MOST_WORDS = 5, 48
_WORD_GAP, _NO_CELL = 4, 232
_WHITE_LINE = "White line: the predicted silhouette."
_TEXTLESS = (
    "Without text: the same weights, and the fusion is given no text. The model was not trained "
    "so; the difference shows what the text does here, not what a model without text would do."
)


@dataclass(frozen=True, slots=True)
class Style:
    """Style of the cells: sizes (height, width), and heat maps in blocks or smooth."""

    size: tuple[int, int]
    words: tuple[int, int] = (132, 66)
    blocks: bool = False

    def heat(self, values: Maps, scale: Scale) -> Picture:
        """A heat map of values [h, w]."""
        if self.blocks:
            return scaled(heat(values, scale), self.size, blocks=True)
        return heat(smooth(values, self.size), scale)


SHEET, FILM, SMALL_FILM = Style((160, 80)), Style((236, 118)), Style((196, 98), (116, 58), True)


@dataclass(frozen=True, slots=True)
class Told:
    """Text of a figure: its title, the lines below it, and the name of the motion row."""

    title: str
    notes: tuple[str, ...]
    motion: str | None


def draw_sheet(views: Seen, words: Sequence[Word], caption: Told) -> Picture:
    """Draw a sheet: frames from left to right, the model's results from top to bottom.

    The attention to each word in the middle frame is below.
    """
    columns = range(len(views.numbers))
    pairs = _pairs(views, words, caption, SHEET)
    shared = [one for pair in pairs if len(pair) == 1 for one in pair]
    rows = [shared[:2], *(pair for pair in pairs if len(pair) == 2)]
    rows += [shared[at : at + 2] for at in range(2, len(shared), 2)]
    width = max(len(columns), FEWEST_COLUMNS) * (SHEET.size[1] + CELL_GAP)
    pictures = [[_wide(strip(one, columns), width) for one in row] for row in rows]
    notes = _notes(views, caption)
    if len(pictures[-1]) == 1:  # there is space for them next to an odd strip
        pictures[-1].append(stack([blank(3 * GAP, 1), _written(notes, width)]))
        notes = []
    middle = len(columns) // 2
    parts = [beside(line, gap=2 * GAP) for line in pictures]
    full_width = 2 * width + 2 * GAP
    which = f"frame {views.numbers[middle]}"
    parts += _word_part(views, words, middle, full_width, SHEET, which)
    return _finished(parts, caption.title, notes, full_width)


def draw_film(
    views: Seen, words: Sequence[Word], caption: Told, style: Style = FILM
) -> Iterator[Picture]:
    """Yield one picture per frame, all of one size: parts side by side, words below."""
    strips = [one for pair in _pairs(views, words, caption, style, heads=False) for one in pair]
    full_width = max(len(strips), FEWEST_COLUMNS) * (style.size[1] + GAP) - GAP
    strips_at = _aligned(strips)
    for at, number in enumerate(views.numbers):
        parts = [strips_at(at), *_word_part(views, words, at, full_width, style)]
        clock = written(f"Frame {number}", TITLE, width=full_width, ink=PALE)
        yield _finished([clock, *parts], caption.title, _notes(views, caption), full_width)


def strongest_word(views: Seen, words: Sequence[Word]) -> Maps | None:
    """Attention to the word that each patch attends to most, float32 [T, rows, columns].

    Begin and end of text are not words; None without text.
    """
    if views.attention is None:
        return None
    inner = [word for word in words if word.text not in ("[begin]", "[end]")] or words
    return np.asarray(np.max([_share(views.attention, word) for word in inner], axis=0), np.float32)


def _share(attention: Maps, word: Word) -> Maps:
    return np.asarray(attention[:, list(word.rows)].sum(1), np.float32)


def _pairs(
    views: Seen, words: Sequence[Word], caption: Told, style: Style, heads: bool = True
) -> list[list[Strip]]:
    """Strips: pairs for results with and without text, single ones otherwise."""
    numbers = ", ".join(map(str, views.numbers)) if heads else ""
    true = zip(views.silhouettes, views.valid, strict=True)
    pairs = [
        [Strip(f"Frame {numbers}".strip(), [scaled(rgb, style.size) for rgb in views.rgb])],
        [Strip("True silhouette", [_true(mask, valid, style.size) for mask, valid in true])],
        _both(views, "Predicted silhouette", lambda view: view.silhouettes, style, None),
    ]
    if caption.motion is not None:
        scale = _scale(views, lambda view: view.motion)
        pairs.append(_both(views, caption.motion, lambda view: view.motion, style, scale))
    scale = _scale(views, lambda view: view.first_layer)
    pairs.append(_both(views, "Gait network, first layer", lambda v: v.first_layer, style, scale))
    attention = strongest_word(views, words)
    if attention is not None:
        scale = Scale.over(attention, percent=True)
        cells = _heats(attention, views.model, style, scale)
        pairs.insert(2, [Strip("Attention to the strongest word", cells, scale)])
    return pairs


def _scale(views: Seen, part: Callable[[View], Maps]) -> Scale:
    variants = [view for view in (views.model, views.textless) if view is not None]
    return Scale.over(*(_inner(part(view)) for view in variants))


def _inner(maps: Maps) -> Maps:
    """Maps without the border pixels, which respond to the padding of convolutions."""
    inner = maps[:, 2:-2, 2:-2]
    return inner if inner.size else maps


def _both(
    views: Seen,
    label: str,
    part: Callable[[View], Maps],
    style: Style,
    scale: Scale | None,
) -> list[Strip]:
    if views.textless is None:
        return [Strip(label, _cells(views.model, part, style, scale), scale)]
    return [
        Strip(f"{label}, {variant}", _cells(view, part, style, scale), scale)
        for variant, view in (("with text", views.model), ("without text", views.textless))
    ]


def _cells(
    view: View, part: Callable[[View], Maps], style: Style, scale: Scale | None
) -> list[Picture]:
    if scale is None:
        return [grey(smooth(share, style.size)) for share in part(view)]
    return _heats(part(view), view, style, scale)


def _heats(values: Maps, view: View, style: Style, scale: Scale) -> list[Picture]:
    return [
        outlined(style.heat(value, scale), smooth(mask, style.size) > 0.5)
        for value, mask in zip(values, view.silhouettes, strict=True)
    ]


def _true(mask: NDArray[np.bool_], valid: np.bool_, size: tuple[int, int]) -> Picture:
    if valid:
        return scaled(grey(mask), size)
    return np.full((*size, 3), _NO_CELL, np.uint8)


def _word_part(
    views: Seen, words: Sequence[Word], at: int, width: int, style: Style, which: str = ""
) -> list[Picture]:
    """A titled grid of the attention to each word at one frame; empty without text."""
    if views.attention is None:
        return []
    per_row = max(1, (width + _WORD_GAP) // (style.words[1] + _WORD_GAP))
    style = replace(style, size=style.words)
    cells = [_word_cell(views, word, at, style) for word in words[:MOST_WORDS]]
    row_length = -(-len(cells) // -(-len(cells) // per_row))  # rows of equal length
    rows = (cells[i : i + row_length] for i in range(0, len(cells), row_length))
    lines = [beside(row, gap=_WORD_GAP, low=True) for row in rows]
    hidden = len(words) - MOST_WORDS
    hidden_note = f" ({hidden} more words are not shown)" if hidden > 0 else ""
    title = ", ".join(part for part in ("Attention to each word", which) if part)
    head = written(
        f"{title}{hidden_note}. Colours go from a word's smallest share to its largest in "
        "the frames shown:"
    )
    key = legend(Scale(0.0, 1.0), width=190, ends=("smallest", "largest"))
    return [stack([beside([head, blank(1, 8), key]), *lines], gap=6)]


def _word_cell(views: Seen, word: Word, at: int, style: Style) -> Picture:
    assert views.attention is not None
    share = _share(views.attention, word)
    scale = Scale.over(share, percent=True)
    low, high = (end.removesuffix(" %") for end in scale.ends())
    picture = _heats(share[at : at + 1], _only(views.model, at), style, scale)[0]
    width = style.size[1]
    name = written(word.text, SMALL, width=width)
    return stack([name, written(f"{low}-{high} %", SMALL - 1, width=width, ink=PALE), picture])


def _only(view: View, at: int) -> View:
    return View(*(getattr(view, name)[at : at + 1] for name in View.__slots__))


def _aligned(strips: Sequence[Strip]) -> Callable[[int], Picture]:
    """Cells of one frame side by side, aligned at their lower edges."""
    return lambda at: beside([strip(one, [at]) for one in strips], gap=GAP, low=True)


def _wide(picture: Picture, width: int) -> Picture:
    return stack([picture, blank(1, width)])


def _notes(views: Seen, caption: Told) -> list[str]:
    return [_WHITE_LINE, *([] if views.textless is None else [_TEXTLESS]), *caption.notes]


def _written(notes: Sequence[str], width: int) -> Picture:
    return stack([written(note, SMALL + 1, width=width, ink=PALE) for note in notes], gap=4)


def _finished(parts: Sequence[Picture], title: str, notes: Sequence[str], width: int) -> Picture:
    end = [_written(notes, width)] if notes else []
    return framed(stack([written(title, TITLE, width=width), *parts, *end], gap=GAP))
