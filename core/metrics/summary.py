"""From tallies to results: values in percent, means, matrices, intervals, cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from core.metrics.results import (
    VALUES,
    CellCoverage,
    ConditionResult,
    Coverage,
    Interval,
    Matrix,
    ProtocolResult,
    Values,
)
from core.metrics.tally import RANKS, Floats, GalleryTally, PairTally, interval, mean_of


class Counting(Protocol):
    """Protocol attributes that a result needs; a manifest's protocol has them."""

    @property
    def title(self) -> str:
        """Title above the numbers in tables."""

    @property
    def counting(self) -> str:
        """``view_pairs`` or ``gallery``."""

    @property
    def unmatched(self) -> str:
        """Treatment of a probe without a match under ``view_pairs``: ``error`` or ``left_out``."""

    @property
    def official(self) -> bool:
        """Whether the protocol is the dataset's own."""

    @property
    def averaged(self) -> Sequence[str]:
        """Conditions that are averaged."""

    @property
    def defined(self) -> Sequence[str]:
        """Metrics that the protocol reports."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A condition's tally with the sizes that belong to it."""

    tally: PairTally | GalleryTally
    probes: int
    gallery: int


def protocol_result(
    protocol: Counting,
    counted: Mapping[str, Counted],
    views: tuple[str, ...],
    expected_views: int,
    weights: Floats | None,
) -> ProtocolResult:
    """Sum up one protocol.

    Args:
        protocol: its names and what it reports.
        counted: tallies of its conditions, in the order of the table.
        views: views of the tallies' cells; the first ``expected_views`` are the dataset's own.
        expected_views: number of views that are expected.
        weights: resamples float64 [B, S] for intervals, or None.
    """
    points = {name: part.tally.values() for name, part in counted.items()}
    resampled = {} if weights is None else {n: p.tally.values(weights) for n, p in counted.items()}
    means = mean_of([points[name] for name in protocol.averaged])
    drawn_means = mean_of([resampled[name] for name in protocol.averaged]) if resampled else {}
    return ProtocolResult(
        title=protocol.title,
        counting=protocol.counting,
        official=protocol.official,
        conditions={
            name: _condition_result(
                protocol,
                counted[name],
                views,
                expected_views,
                points[name],
                resampled.get(name, {}),
            )
            for name in counted
        },
        mean_over=tuple(protocol.averaged),
        mean=_values(protocol, means),
        mean_chance=_percent(means["chance"][0]),
        unmatched=protocol.unmatched if protocol.counting == "view_pairs" else "left_out",
        mean_intervals=_intervals(protocol, drawn_means),
    )


def _condition_result(
    protocol: Counting,
    counted: Counted,
    views: tuple[str, ...],
    expected_views: int,
    point: Mapping[str, Floats],
    resampled: Mapping[str, Floats],
) -> ConditionResult:
    tally = counted.tally
    result = ConditionResult(
        values=_values(protocol, point),
        chance=_percent(point["chance"][0]),
        probes=counted.probes,
        gallery=counted.gallery,
        without_match=tally.unmatched,
        searches=tally.searches,
        intervals=_intervals(protocol, resampled),
        cmc=tuple(float(share) * 100 for share in tally.cmc if np.isfinite(share)),
    )
    if isinstance(tally, GalleryTally):
        return result
    matrices: dict[str, Matrix] = {
        name: _matrix(tally.matrix(name)) for name in RANKS if name in protocol.defined
    }
    return replace(
        result, cells=_cells(tally, views, expected_views), views=views, matrices=matrices
    )


def _cells(tally: PairTally, views: tuple[str, ...], expected_views: int) -> CellCoverage:
    filled = tally.filled
    pairs = [(a, b) for a in range(len(views)) for b in range(len(views)) if a != b]
    expected = [(a, b) for a, b in pairs if max(a, b) < expected_views]
    empty = tuple((views[a], views[b]) for a, b in expected if not filled[a, b])
    extra = sum(bool(filled[cell]) for cell in pairs if max(cell) >= expected_views)
    return CellCoverage(len(expected), len(expected) - len(empty), empty, extra)


def with_cells(coverage: Coverage, results: Mapping[str, ProtocolResult]) -> Coverage:
    """Add the cells of all protocols that count per pair of views."""
    cells = [
        part.cells
        for result in results.values()
        for part in result.conditions.values()
        if part.cells is not None
    ]
    return replace(
        coverage, cells=(sum(part.expected for part in cells), sum(part.filled for part in cells))
    )


def _values(protocol: Counting, shares: Mapping[str, Floats]) -> Values:
    return {
        name: _percent(shares[name][0]) if name in protocol.defined else None for name in VALUES
    }


def _intervals(protocol: Counting, resampled: Mapping[str, Floats]) -> dict[str, Interval]:
    intervals = {name: interval(resampled[name]) for name in VALUES if name in resampled}
    return {name: ends for name, ends in intervals.items() if ends and name in protocol.defined}


def _matrix(shares: Floats) -> Matrix:
    return [[_percent(value) for value in row] for row in shares]


def _percent(share: float) -> float | None:
    return float(share) * 100 if np.isfinite(share) else None
