"""Charts of numbers: lines, intervals, matrices and points, each as one ``svg`` element.

Colours come from the page's style sheet (classes ``s0`` to ``s9``); lines differ in their dashes
and points in their shapes as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from core.report.colours import shade, text_colour
from core.report.svg import (
    NO_VALUE,
    WIDTH,
    Axis,
    Drawing,
    label,
    nice_end,
    number,
    path,
    short,
    tag,
    text,
)

LINES, SHAPES = 10, 8  # dashes in the style sheet, shapes below
LEFT, RIGHT, TOP, BOTTOM = 46.0, 10.0, 10.0, 40.0


@dataclass(frozen=True, slots=True)
class Line:
    """A curve: ``y`` over ``x``, with an optional band from ``low`` to ``high``."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def line_chart(
    drawing: Drawing,
    lines: Sequence[Line],
    x_name: str,
    y_name: str,
    *,
    y_range: tuple[float, float],
    powers: bool = False,
    marks: bool = False,
) -> Markup:
    """Draw curves over one axis.

    Args:
        drawing: Title, description and size of the chart.
        lines: The curves, at least one, each of at least one value.
        x_name: Name of the x axis.
        y_name: Name of the y axis; "" for none.
        y_range: Ends of the y axis.
        powers: Whether the y axis is logarithmic.
        marks: Whether every value has a dot.
    """
    xs = [x for line in lines for x in line.x]
    across = Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    up = Axis(*y_range, drawing.height - BOTTOM, TOP, powers)
    parts = [*_grid(across, up, drawing.height, x_name, y_name)]
    for place, line in enumerate(lines):
        style = f"line s{place % LINES}"
        if line.low:
            upper = [(across.at(x), up.at(y)) for x, y in zip(line.x, line.high, strict=True)]
            lower = [(across.at(x), up.at(y)) for x, y in zip(line.x, line.low, strict=True)]
            corners = " ".join(f"{number(x)},{number(y)}" for x, y in upper + lower[::-1])
            parts.append(tag("polygon", points=corners, class_=f"band s{place % LINES}"))
        points = [(across.at(x), up.at(y)) for x, y in zip(line.x, line.y, strict=True)]
        parts.append(path(points, style))
        if marks or len(points) == 1:
            parts += [
                tag("circle", cx=x, cy=y, r=2, class_=f"dot s{place % LINES}") for x, y in points
            ]
    return drawing.around(parts)


@dataclass(frozen=True, slots=True)
class Measured:
    """A row of an interval chart: a value in percent, its interval, and the value of chance."""

    name: str
    value: float
    interval: tuple[float, float] | None
    chance: float | None
    strong: bool = False


ROW, NAMES_WIDTH, VALUE_WIDTH = 26.0, 84.0, 42.0


def interval_chart(key: str, title: str, rows: Sequence[Measured], x_name: str) -> Markup:
    """Draw one row per value: a dot, a bar over its interval, a tick at chance."""
    height = TOP + ROW * len(rows) + BOTTOM
    highest = max(max(r.value, r.chance or 0.0, *(r.interval or (0.0,))) for r in rows)
    across = Axis(0, min(100.0, nice_end(max(highest, 1.0))), NAMES_WIDTH, WIDTH - VALUE_WIDTH)
    bottom = TOP + ROW * len(rows)
    parts = _bottom_axis(across, bottom, x_name)
    for place, row in enumerate(rows):
        parts += _measured(row, across, TOP + ROW * (place + 0.5))
    descriptions = "; ".join(_in_words(row) for row in rows)
    return Drawing(key, title, f"{descriptions}.", height).around(parts)


def _measured(row: Measured, across: Axis, y: float) -> list[Markup]:
    style = "strong" if row.strong else None
    parts = [text(NAMES_WIDTH - 8, y + 4, short(row.name, 12), "end", style)]
    if row.interval is not None:
        low, high = (across.at(min(end, across.high)) for end in row.interval)
        parts.append(tag("line", x1=low, x2=high, y1=y, y2=y, class_="whisker"))
    if row.chance is not None:
        x = across.at(row.chance)
        parts.append(tag("line", x1=x, x2=x, y1=y - 7, y2=y + 7, class_="chance"))
    dot = tag("circle", cx=across.at(row.value), cy=y, r=4.5, class_="dot s0")
    return [*parts, dot, text(WIDTH - 2, y + 4, f"{row.value:.1f}", "end", style)]


def _in_words(row: Measured) -> str:
    description = f"{row.name} {row.value:.1f}"
    if row.interval is not None:
        description += f", 95 % interval {row.interval[0]:.1f} to {row.interval[1]:.1f}"
    return description if row.chance is None else f"{description}, chance {row.chance:.1f}"


def heat_map(
    key: str,
    title: str,
    names: Sequence[str],
    values: Sequence[Sequence[float | None]],
    highest: float,
) -> Markup:
    """Draw a square matrix in percent, darker for higher values; empty cells have a dash.

    Args:
        key: Key of the drawing.
        title: Title of the drawing.
        names: Names of rows and columns.
        values: [row][column] in percent; None without a value.
        highest: Upper end of the scale.
    """
    left, top, count = 66.0, 70.0, len(names)
    cell = min(48.0, (WIDTH - left - 2) / count)
    middle = cell * count / 2
    parts = [
        text(left + middle, 12, "gallery view", "middle", "axis-name"),
        _upright("probe view", top + middle),
    ]
    for place, name in enumerate(names):
        x, short_name = left + cell * (place + 0.5) + 4, short(name, 8)
        rotation = f"rotate(-90 {number(x)} {number(top - 5)})"
        parts.append(tag("text", short_name, x=x, y=top - 5, transform=rotation, class_="tick"))
        parts.append(text(left - 4, top + cell * (place + 0.5) + 4, short_name, "end", "tick"))
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            parts.append(
                _cell(
                    left + cell * column, top + cell * row, cell, value, highest, own=row == column
                )
            )
    return Drawing(key, title, _matrix_words(names, values), top + cell * count + 2).around(parts)


def _cell(
    x: float, y: float, size: float, value: float | None, highest: float, own: bool
) -> Markup:
    box = {"x": x + 0.5, "y": y + 0.5, "width": size - 1, "height": size - 1}
    middle = x + size / 2, y + size / 2 + min(4.0, size / 5)
    if value is None:
        return tag("rect", **box, class_="hole") + text(*middle, NO_VALUE, "middle", "tick")
    colour = shade(value / highest if highest else 0.0)
    # Three digits fit into a cell of any size.
    style = f"fill:{text_colour(colour)};font-size:{number(min(12.0, size * 0.48))}px"
    letters = tag(
        "text", f"{value:.0f}", x=middle[0], y=middle[1], text_anchor="middle", style=style
    )
    marked = tag("rect", **box, class_="own") if own else Markup("")
    return tag("rect", **box, style=f"fill:{colour}") + letters + marked


def _matrix_words(names: Sequence[str], values: Sequence[Sequence[float | None]]) -> str:
    others = [
        (value, names[row], names[column])
        for row, line in enumerate(values)
        for column, value in enumerate(line)
        if value is not None and row != column
    ]
    if not others:
        return "No cell of two different views has a value."
    high, low = max(others, key=lambda cell: cell[0]), min(others, key=lambda cell: cell[0])
    return (
        f"Between different views, highest {high[0]:.1f} % (probe {high[1]}, gallery {high[2]}), "
        f"lowest {low[0]:.1f} % (probe {low[1]}, gallery {low[2]}). All numbers are in the table."
    )


@dataclass(frozen=True, slots=True)
class Cloud:
    """Points of one kind: (x, y, label); the kind without a style is background."""

    name: str
    points: Sequence[tuple[float, float, str]]
    style: int | None


def scatter(drawing: Drawing, clouds: Sequence[Cloud], x_name: str, y_name: str) -> Markup:
    """Draw points on a plane with the same scale for both axes."""
    xs = [point[0] for cloud in clouds for point in cloud.points]
    ys = [point[1] for cloud in clouds for point in cloud.points]
    width, height = WIDTH - LEFT - RIGHT, drawing.height - TOP - BOTTOM
    unit = max((max(xs) - min(xs)) / width, (max(ys) - min(ys)) / height) * 1.06 or 1.0
    middle = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    across = Axis(middle[0] - unit * width / 2, middle[0] + unit * width / 2, LEFT, WIDTH - RIGHT)
    up = Axis(
        middle[1] - unit * height / 2, middle[1] + unit * height / 2, drawing.height - BOTTOM, TOP
    )
    parts = [*_grid(across, up, drawing.height, x_name, y_name)]
    for cloud in clouds:
        for x, y, words in cloud.points:
            parts.append(_point(across.at(x), up.at(y), words, cloud.style))
    return drawing.around(parts)


def swatch(place: int, kind: str) -> Markup:
    """A sample of a line or point style for a legend."""
    inner = (
        path([(1, 7), (27, 7)], f"line s{place % LINES}")
        if kind == "line"
        else _point(14, 7, "", place % SHAPES)
    )
    return tag("svg", inner, viewBox="0 0 28 14", class_="swatch", aria_hidden="true")


# Corners of a point's shape around its middle, one for each style; the first is a circle.
_CORNERS: tuple[tuple[tuple[float, float], ...], ...] = (
    (),
    ((-3, -3), (3, -3), (3, 3), (-3, 3)),
    ((0, -4), (4, 3), (-4, 3)),
    ((0, -4.4), (4.4, 0), (0, 4.4), (-4.4, 0)),
    ((0, 4), (4, -3), (-4, -3)),
    (
        (-1.2, -4),
        (1.2, -4),
        (1.2, -1.2),
        (4, -1.2),
        (4, 1.2),
        (1.2, 1.2),
        (1.2, 4),
        (-1.2, 4),
        (-1.2, 1.2),
        (-4, 1.2),
        (-4, -1.2),
        (-1.2, -1.2),
    ),
    ((-4.4, -1.8), (4.4, -1.8), (4.4, 1.8), (-4.4, 1.8)),
    ((0, -5), (1.3, -1.3), (5, 0), (1.3, 1.3), (0, 5), (-1.3, 1.3), (-5, 0), (-1.3, -1.3)),
)


def _point(x: float, y: float, words: str, style: int | None) -> Markup:
    titles = [tag("title", words)] if words else []
    if style is None:
        return tag("circle", *titles, cx=x, cy=y, r=1.5, class_="background")
    corners = _CORNERS[style]
    if not corners:
        return tag("circle", *titles, cx=x, cy=y, r=3.4, class_=f"shape s{style}")
    places = " ".join(f"{number(x + a)},{number(y + b)}" for a, b in corners)
    return tag("polygon", *titles, points=places, class_=f"shape s{style}")


def _grid(across: Axis, up: Axis, height: float, x_name: str, y_name: str) -> list[Markup]:
    parts = _bottom_axis(across, height - BOTTOM, x_name)
    for value in up.ticks(5):
        y = up.at(value)
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="rule"))
        parts.append(text(LEFT - 5, y + 4, label(value), "end", "tick"))
    return [*parts, *([_upright(y_name, (TOP + height - BOTTOM) / 2)] if y_name else [])]


def _upright(name: str, middle: float) -> Markup:
    turn = f"rotate(-90 11 {number(middle)})"
    return tag(
        "text", name, x=11, y=middle, text_anchor="middle", transform=turn, class_="axis-name"
    )


def _bottom_axis(across: Axis, bottom: float, name: str) -> list[Markup]:
    parts = []
    for value in across.ticks(5):
        x = across.at(value)
        parts.append(tag("line", x1=x, x2=x, y1=TOP, y2=bottom, class_="rule"))
        parts.append(text(x, bottom + 15, label(value), "middle", "tick"))
    parts.append(text((across.start + across.end) / 2, bottom + 33, name, "middle", "axis-name"))
    return parts
