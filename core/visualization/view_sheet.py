"""Views of a model, drawn: a sheet over time, or a picture for each frame."""

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
    """How cells are drawn: sizes (height, width), and heat in blocks or smooth."""

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
    """What is written on a figure: its title, lines below it, and the name of the motion row."""

    title: str
    notes: tuple[str, ...]
    motion: str | None


def draw_sheet(seen: Seen, words: Sequence[Word], told: Told) -> Picture:
    """A sheet: frames from left to right, what the model makes of them from top to bottom.

    Below: the attention to each word in the middle frame.
    """
    columns = range(len(seen.numbers))
    pairs = _pairs(seen, words, told, SHEET)
    shared = [one for pair in pairs if len(pair) == 1 for one in pair]
    rows = [shared[:2], *(pair for pair in pairs if len(pair) == 2)]
    rows += [shared[at : at + 2] for at in range(2, len(shared), 2)]
    width = max(len(columns), FEWEST_COLUMNS) * (SHEET.size[1] + CELL_GAP)
    lines = [[_wide(strip(one, columns), width) for one in row] for row in rows]
    notes = _notes(seen, told)
    if len(lines[-1]) == 1:  # room for them beside an odd strip
        lines[-1].append(stack([blank(3 * GAP, 1), _written(notes, width)]))
        notes = []
    middle = len(columns) // 2
    parts = [beside(line, gap=2 * GAP) for line in lines]
    whole = 2 * width + 2 * GAP
    which = f"frame {seen.numbers[middle]}"
    parts += _word_part(seen, words, middle, whole, SHEET, which)
    return _finished(parts, told.title, notes, whole)


def draw_film(
    seen: Seen, words: Sequence[Word], told: Told, style: Style = FILM
) -> Iterator[Picture]:
    """One picture a frame, all of one size: the parts side by side, the words below."""
    strips = [one for pair in _pairs(seen, words, told, style, heads=False) for one in pair]
    whole = max(len(strips), FEWEST_COLUMNS) * (style.size[1] + GAP) - GAP
    captioned = _aligned(strips)
    for at, number in enumerate(seen.numbers):
        parts = [captioned(at), *_word_part(seen, words, at, whole, style)]
        clock = written(f"Frame {number}", TITLE, width=whole, ink=PALE)
        yield _finished([clock, *parts], told.title, _notes(seen, told), whole)


def strongest_word(seen: Seen, words: Sequence[Word]) -> Maps | None:
    """Attention to the word that each patch attends to most, float32 [T, rows, columns].

    Begin and end of text are no words; None without text.
    """
    if seen.attention is None:
        return None
    inner = [word for word in words if word.text not in ("[begin]", "[end]")] or words
    return np.asarray(np.max([_share(seen.attention, word) for word in inner], axis=0), np.float32)


def _share(attention: Maps, word: Word) -> Maps:
    return np.asarray(attention[:, list(word.rows)].sum(1), np.float32)


def _pairs(
    seen: Seen, words: Sequence[Word], told: Told, style: Style, heads: bool = True
) -> list[list[Strip]]:
    """Strips; those that come with and without text are two in a list, the others alone."""
    shown = ", ".join(map(str, seen.numbers)) if heads else ""
    true = zip(seen.silhouettes, seen.valid, strict=True)
    found = [
        [Strip(f"Frame {shown}".strip(), [scaled(rgb, style.size) for rgb in seen.rgb])],
        [Strip("True silhouette", [_true(mask, valid, style.size) for mask, valid in true])],
        _both(seen, "Predicted silhouette", lambda view: view.silhouettes, style, None),
    ]
    if told.motion is not None:
        scale = _scale(seen, lambda view: view.motion)
        found.append(_both(seen, told.motion, lambda view: view.motion, style, scale))
    scale = _scale(seen, lambda view: view.first_layer)
    found.append(_both(seen, "Gait network, first layer", lambda v: v.first_layer, style, scale))
    looked = strongest_word(seen, words)
    if looked is not None:
        scale = Scale.over(looked, percent=True)
        cells = _heats(looked, seen.model, style, scale)
        found.insert(2, [Strip("Attention to the strongest word", cells, scale)])
    return found


def _scale(seen: Seen, part: Callable[[View], Maps]) -> Scale:
    views = [view for view in (seen.model, seen.textless) if view is not None]
    return Scale.over(*(_inner(part(view)) for view in views))


def _inner(maps: Maps) -> Maps:
    """Maps without the outermost pixels, which answer to the padding of convolutions."""
    inner = maps[:, 2:-2, 2:-2]
    return inner if inner.size else maps


def _both(
    seen: Seen,
    label: str,
    part: Callable[[View], Maps],
    style: Style,
    scale: Scale | None,
) -> list[Strip]:
    if seen.textless is None:
        return [Strip(label, _cells(seen.model, part, style, scale), scale)]
    return [
        Strip(f"{label}, {how}", _cells(view, part, style, scale), scale)
        for how, view in (("with text", seen.model), ("without text", seen.textless))
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
    seen: Seen, words: Sequence[Word], at: int, width: int, style: Style, which: str = ""
) -> list[Picture]:
    """Attention to each word at one frame, a grid with a title; nothing without text."""
    if seen.attention is None:
        return []
    most = max(1, (width + _WORD_GAP) // (style.words[1] + _WORD_GAP))
    style = replace(style, size=style.words)
    cells = [_word_cell(seen, word, at, style) for word in words[:MOST_WORDS]]
    each = -(-len(cells) // -(-len(cells) // most))  # rows of equal length
    rows = (cells[i : i + each] for i in range(0, len(cells), each))
    lines = [beside(row, gap=_WORD_GAP, low=True) for row in rows]
    more = len(words) - MOST_WORDS
    beyond = f" ({more} more words are not shown)" if more > 0 else ""
    title = ", ".join(part for part in ("Attention to each word", which) if part)
    head = written(
        f"{title}{beyond}. Colours go from a word's smallest share to its largest in "
        "the frames shown:"
    )
    key = legend(Scale(0.0, 1.0), width=190, ends=("smallest", "largest"))
    return [stack([beside([head, blank(1, 8), key]), *lines], gap=6)]


def _word_cell(seen: Seen, word: Word, at: int, style: Style) -> Picture:
    assert seen.attention is not None
    share = _share(seen.attention, word)
    scale = Scale.over(share, percent=True)
    low, high = (end.removesuffix(" %") for end in scale.ends())
    drawn = _heats(share[at : at + 1], _only(seen.model, at), style, scale)[0]
    width = style.size[1]
    name = written(word.text, SMALL, width=width)
    return stack([name, written(f"{low}-{high} %", SMALL - 1, width=width, ink=PALE), drawn])


def _only(view: View, at: int) -> View:
    return View(*(getattr(view, name)[at : at + 1] for name in View.__slots__))


def _aligned(strips: Sequence[Strip]) -> Callable[[int], Picture]:
    """Cells of one moment side by side, their lower edges in line."""
    return lambda at: beside([strip(one, [at]) for one in strips], gap=GAP, low=True)


def _wide(picture: Picture, width: int) -> Picture:
    return stack([picture, blank(1, width)])


def _notes(seen: Seen, told: Told) -> list[str]:
    return [_WHITE_LINE, *([] if seen.textless is None else [_TEXTLESS]), *told.notes]


def _written(notes: Sequence[str], width: int) -> Picture:
    return stack([written(note, SMALL + 1, width=width, ink=PALE) for note in notes], gap=4)


def _finished(parts: Sequence[Picture], title: str, notes: Sequence[str], width: int) -> Picture:
    end = [_written(notes, width)] if notes else []
    return framed(stack([written(title, TITLE, width=width), *parts, *end], gap=GAP))
