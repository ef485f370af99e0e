"""Elements of inline SVG as escaped text, axes, and ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

NO_VALUE = "-"
WIDTH = 320  # of every chart, in its own units: what fits a phone at the size of its text


def number(value: float) -> str:
    """A coordinate with at most two decimals; the shortest form."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def tag(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """One element; children and values are escaped unless they are Markup.

    Attributes' names have ``-`` for ``_`` (``class_`` is ``class``); those with None are absent.
    """
    given = Markup("").join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-"), value if isinstance(value, str) else number(value)
        )
        for key, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(name, given, inner)


def text(
    x: float, y: float, words: str, anchor: str = "start", class_: str | None = None
) -> Markup:
    """Words at a point; ``anchor`` is start, middle or end."""
    return tag("text", words, x=x, y=y, text_anchor=anchor, class_=class_)


def path(points: Iterable[tuple[float, float]], class_: str) -> Markup:
    """A line through points."""
    moves = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    return tag("polyline", points=moves, class_=class_)


def short(words: str, length: int) -> str:
    """``words``, cut where they are longer than ``length``."""
    return words if len(words) <= length else words[: length - 1] + "…"


@dataclass(frozen=True, slots=True)
class Drawing:
    """What stands around a chart's marks.

    Attributes:
        key: Unique in the page; letters, digits and dashes.
        title: What it is, for those who do not see it, and for the mouse.
        description: What it says, in words.
        height: In units of which ``WIDTH`` are as wide as the chart.
    """

    key: str
    title: str
    description: str
    height: float

    def around(self, marks: Sequence[Markup]) -> Markup:
        """The whole ``svg`` element."""
        names = f"{self.key}-title", f"{self.key}-text"
        return tag(
            "svg",
            tag("title", self.title, id=names[0]),
            tag("desc", self.description, id=names[1]),
            *marks,
            role="img",
            viewBox=f"0 0 {WIDTH} {number(self.height)}",
            aria_labelledby=" ".join(names),
            class_="chart",
        )


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from ``low`` to ``high`` at places from ``start`` to ``end``, evenly or by powers."""

    low: float
    high: float
    start: float
    end: float
    powers: bool = False

    def at(self, value: float) -> float:
        """The place of a value."""
        low, high, here = self.low, self.high, value
        if self.powers:
            low, high, here = math.log10(low), math.log10(high), math.log10(value)
        share = (here - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values within the axis, about ``count`` of them."""
        if self.powers:
            return _powers(self.low, self.high)
        step = nice_step(self.high - self.low, count)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [n * step for n in range(first, last + 1)]


def nice_step(span: float, count: int) -> float:
    """1, 2 or 5 times a power of ten, so that about ``count`` steps cover ``span``."""
    rough = span / max(1, count) or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= rough * 0.999)


def nice_end(value: float, count: int = 5) -> float:
    """The end of an axis that begins at 0 and holds ``value``: a round number."""
    step = nice_step(value, count)
    return math.ceil(value / step - 1e-9) * step


def label(value: float) -> str:
    """A tick's value in few letters."""
    plain = f"{value:.4g}"
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e") if "e" in plain else plain


def _powers(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = [10.0**n for n in range(first, last + 1)]
    inside = [value for value in every if low * 0.999 <= value <= high * 1.001]
    if len(inside) >= 2:
        return inside
    finer = [n * 10.0**p for p in range(first, last + 1) for n in (1, 2, 5)]
    return [value for value in finer if low * 0.999 <= value <= high * 1.001] or [low, high]
