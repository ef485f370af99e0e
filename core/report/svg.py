"""Elements of inline SVG as escaped text, axes, and ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

NO_VALUE = "-"
WIDTH = 320  # of every chart, in its own units; fits a phone at normal text size


def number(value: float) -> str:
    """A coordinate with at most two decimals; the shortest form."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def tag(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """Build one element; children and values are escaped unless they are Markup.

    In attribute names ``_`` becomes ``-`` (``class_`` is ``class``); None values are omitted.
    """
    rendered = Markup("").join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-"), value if isinstance(value, str) else number(value)
        )
        for key, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(name, rendered, inner)


def text(
    x: float, y: float, words: str, anchor: str = "start", class_: str | None = None
) -> Markup:
    """Text at a point; ``anchor`` is start, middle or end."""
    return tag("text", words, x=x, y=y, text_anchor=anchor, class_=class_)


def path(points: Iterable[tuple[float, float]], class_: str) -> Markup:
    """A line through points."""
    moves = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    return tag("polyline", points=moves, class_=class_)


def short(words: str, length: int) -> str:
    """``words``, shortened to at most ``length`` characters."""
    return words if len(words) <= length else words[: length - 1] + "…"


@dataclass(frozen=True, slots=True)
class Drawing:
    """The frame of a chart.

    Attributes:
        key: Unique in the page; letters, digits and dashes.
        title: Title, for screen readers and tooltips.
        description: The content in words.
        height: In units in which the chart is ``WIDTH`` wide.
    """

    key: str
    title: str
    description: str
    height: float

    def around(self, marks: Sequence[Markup]) -> Markup:
        """Return the complete ``svg`` element."""
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
    """A linear or logarithmic axis from ``low`` to ``high`` at positions ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    powers: bool = False

    def at(self, value: float) -> float:
        """Position of a value."""
        low, high, x = self.low, self.high, value
        if self.powers:
            low, high, x = math.log10(low), math.log10(high), math.log10(value)
        share = (x - low) / (high - low) if high > low else 0.5
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
    """A round end for an axis that begins at 0 and contains ``value``."""
    step = nice_step(value, count)
    return math.ceil(value / step - 1e-9) * step


def label(value: float) -> str:
    """A tick's value as short text."""
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
