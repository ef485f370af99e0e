"""A report's figures: a chart, its legend, and the same numbers as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from core.metrics.results import EvaluationResult, Matrix, ProtocolResult
from core.report.charts import (
    SHAPES,
    Cloud,
    Line,
    Measured,
    heat_map,
    interval_chart,
    line_chart,
    scatter,
    swatch,
)
from core.report.content import Log, Plane
from core.report.svg import Drawing, label, nice_end
from core.tables.build import Table, view_table

# More points than this along a curve are drawn as means and bands.
MOST_POINTS = 200
SHOWN_ROWS = 20
_IN_WORDS = {"lr": "learning rate"}


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart on the page.

    Attributes:
        key: Unique in the page.
        title: Above the chart.
        chart: The ``svg``.
        legend: Samples with their names.
        note: Below the chart.
        numbers: The same as a table, collapsed.
    """

    key: str
    title: str
    chart: Markup
    legend: tuple[tuple[Markup, str], ...] = ()
    note: str = ""
    numbers: Table | None = None


def interval_figures(result: EvaluationResult) -> list[Figure]:
    """Rank-1 of each condition with its interval and chance, one chart per protocol."""
    figures = []
    for place, protocol in enumerate(result.protocols.values()):
        rows = [
            Measured(name, value, part.intervals.get("rank1"), part.chance)
            for name, part in protocol.conditions.items()
            if (value := part.values["rank1"]) is not None
        ]
        mean = protocol.mean["rank1"]
        if mean is not None:
            ends = protocol.mean_intervals.get("rank1")
            rows.append(Measured("Mean", mean, ends, protocol.mean_chance, strong=True))
        if rows:
            title = f"Rank-1, {protocol.title}"
            chart = interval_chart(f"rank1-{place}", title, rows, "Rank-1 (%)")
            bar = "bar: 95 % interval; " if result.bootstrap else ""
            note = f"Dot: value; {bar}upright dashes: chance."
            figures.append(Figure(f"rank1-{place}-figure", title, chart, note=note))
    return figures


def cmc_figures(result: EvaluationResult) -> list[Figure]:
    """Rank-k over k: one curve per condition, one chart per protocol."""
    figures = []
    for place, protocol in enumerate(result.protocols.values()):
        curves = {name: part.cmc for name, part in protocol.conditions.items() if part.cmc}
        if not curves:
            continue
        key, title = f"cmc-{place}", f"CMC, {protocol.title}"
        lines = [Line(name, range(1, len(curve) + 1), curve) for name, curve in curves.items()]
        low = min(min(curve) for curve in curves.values())
        start = 0.0 if low < 60 else 10.0 * (low // 10)
        description = "; ".join(
            f"{name} {curve[0]:.1f} % at rank 1, {curve[-1]:.1f} % at rank {len(curve)}"
            for name, curve in curves.items()
        )
        chart = line_chart(
            Drawing(key, title, f"{description}.", 240),
            lines,
            "rank k",
            "found (%)",
            y_range=(start, 100.0),
            marks=True,
        )
        legend = tuple((swatch(at, "line"), name) for at, name in enumerate(curves))
        figures.append(
            Figure(f"{key}-figure", title, chart, legend, numbers=_cmc_table(title, curves))
        )
    return figures


def _cmc_table(title: str, curves: dict[str, tuple[float, ...]]) -> Table:
    depth = max(len(curve) for curve in curves.values())
    rows = [(str(k + 1), *(f"{curve[k]:.1f}" for curve in curves.values())) for k in range(depth)]
    headers = ("rank k", *(f"{name} (%)" for name in curves))
    return Table(f"{title}: probes with a match among the first k", headers, tuple(rows))


def view_figures(result: EvaluationResult) -> list[tuple[str, list[Figure]]]:
    """Rank-1 by probe view and gallery view: one map per condition of protocols with view pairs.

    A condition without numbers has no map.
    """
    groups = []
    for place, (name, protocol) in enumerate(result.protocols.items()):
        figures = list(_heat_maps(result, name, protocol, place))
        if figures:
            groups.append((protocol.title, figures))
    return groups


def _heat_maps(
    result: EvaluationResult, name: str, protocol: ProtocolResult, place: int
) -> Iterator[Figure]:
    maps = {
        condition: part
        for condition, part in protocol.conditions.items()
        if any(value is not None for line in part.matrices.get("rank1", ()) for value in line)
    }
    known = [
        value
        for part in maps.values()
        for line in part.matrices["rank1"]
        for value in line
        if value is not None
    ]
    highest = min(100.0, nice_end(max(known, default=100.0) or 100.0))
    for at, (condition, part) in enumerate(maps.items()):
        key, title = f"views-{place}-{at}", f"{condition}: Rank-1 by views"
        views, values = _filled(part.views, part.matrices["rank1"])
        chart = heat_map(key, title, views, values, highest)
        table = view_table(result, name, condition, "rank1")
        note = f"In percent; darkest at {label(highest)}."
        if len(views) < len(part.views):
            note += f" Views without any number: {len(part.views) - len(views)}, left out."
        numbers = Table(table.title, table.headers, table.rows)
        yield Figure(f"{key}-figure", title, chart, note=note, numbers=numbers)


def _filled(views: Sequence[str], matrix: Matrix) -> tuple[list[str], list[list[float | None]]]:
    """Views that have a number as probe or gallery, and their cells."""
    indices = [
        at
        for at, line in enumerate(matrix)
        if any(value is not None for value in (*line, *(other[at] for other in matrix)))
    ]
    return [views[at] for at in indices], [
        [matrix[row][column] for column in indices] for row in indices
    ]


def plane_figure(plane: Plane) -> Figure:
    """The embeddings as points, with some subjects highlighted."""
    subjects = sorted({key.subject for key in plane.keys})
    count = min(SHAPES, len(subjects))
    highlighted = [subjects[int((at + 0.5) * len(subjects) / count)] for at in range(count)]
    words = [f"{'/'.join(key)}" for key in plane.keys]
    labelled = list(zip(plane.keys, plane.points, words, strict=True))
    clouds = [
        Cloud(
            "others", [(*at, w) for key, at, w in labelled if key.subject not in highlighted], None
        )
    ]
    clouds += [
        Cloud(name, [(*at, w) for key, at, w in labelled if key.subject == name], style)
        for style, name in enumerate(highlighted)
    ]
    title = "Embeddings, principal components 1 and 2"
    first, second = (f"{share:.1%}".replace("%", " %") for share in plane.kept)
    description = (
        f"{len(plane.points)} embeddings of {len(subjects)} subjects; the first axis keeps {first} "
        f"and the second {second} of the variance."
    )
    chart = scatter(
        Drawing("plane", title, description, 300),
        clouds,
        f"component 1 ({first})",
        f"component 2 ({second})",
    )
    legend = tuple((swatch(style, "point"), name) for style, name in enumerate(highlighted))
    return Figure("plane-figure", title, chart, legend, numbers=_plane_table(plane, highlighted))


def _plane_table(plane: Plane, highlighted: Sequence[str]) -> Table:
    rows = []
    for name in highlighted:
        subject_points = [
            at for key, at in zip(plane.keys, plane.points, strict=True) if key.subject == name
        ]
        centre = [sum(axis) / len(subject_points) for axis in zip(*subject_points, strict=True)]
        radius = (
            max(sum((a - m) ** 2 for a, m in zip(at, centre, strict=True)) for at in subject_points)
            ** 0.5
        )
        rows.append(
            (name, str(len(subject_points)), *(f"{value:.2f}" for value in (*centre, radius)))
        )
    headers = (
        "subject",
        "sequences",
        "mean of component 1",
        "mean of component 2",
        "farthest from there",
    )
    return Table("Subjects that stand out in the map", headers, tuple(rows))


def training_figures(log: Log, place: int) -> list[Figure]:
    """Figures of every logged number of a training over its iterations."""
    figures = []
    for at, (name, points) in enumerate(log.curves.items()):
        key, title = f"log-{place}-{at}", _IN_WORDS.get(name, name.replace("_", " "))
        line = condensed(name, points)
        low, high = min(line.low or line.y), max(line.high or line.y)
        powers = name == "lr" and low > 0 and high > low
        span = (low, high) if powers else (_low_end(low), _high_end(high))
        first, last = points[0], points[-1]
        description = (
            f"{label(first[1])} at iteration {first[0]}, {label(last[1])} at iteration {last[0]}; "
            f"lowest {label(low)}, highest {label(high)}."
        )
        drawing = Drawing(key, f"{log.title}: {title}", description, 180)
        chart = line_chart(drawing, [line], "iteration", "", y_range=span, powers=powers)
        sampled = points[:: max(1, -(-len(points) // SHOWN_ROWS))]
        rows = tuple((f"{step:,}", f"{value:.4g}") for step, value in sampled)
        table = Table(f"{log.title}: {title}", ("iteration", title), rows)
        figures.append(Figure(f"{key}-figure", title, chart, numbers=table))
    return figures


def _low_end(low: float) -> float:
    return 0.0 if low >= 0 else -nice_end(-low, 4)


def _high_end(high: float) -> float:
    return nice_end(high, 4) if high > 0 else (0.0 if high < 0 else 1.0)


def condensed(name: str, points: Sequence[tuple[int, float]], most: int = MOST_POINTS) -> Line:
    """A curve of at most ``most`` points; longer ones become means of neighbours with a band."""
    if len(points) <= most:
        return Line(name, [step for step, _ in points], [value for _, value in points])
    edges = [at * len(points) // most for at in range(most + 1)]
    parts = [points[a:b] for a, b in pairwise(edges)]
    values = [[value for _, value in part] for part in parts]
    return Line(
        name,
        [sum(step for step, _ in part) / len(part) for part in parts],
        [sum(some) / len(some) for some in values],
        [min(some) for some in values],
        [max(some) for some in values],
    )
