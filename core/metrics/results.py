"""The result of an evaluation, and its form as JSON.

All values are in percent and unrounded; ``None`` (JSON ``null``) where a metric is not defined for
the protocol, or where nothing was counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Format of the JSON of a whole result.
FORMAT = 1
VALUES = ("rank1", "rank5", "rank10", "mAP", "mINP")

Values = Mapping[str, float | None]
Matrix = Sequence[Sequence[float | None]]
# Ends of a 95 % interval, in percent.
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class CellCoverage:
    """Cells of two different views: how many the protocol has, how many could be scored.

    Attributes:
        expected: cells between the views that the dataset has.
        filled: of these, cells with a probe and a gallery.
        empty: of these, the others, as (probe view, gallery view).
        extra: cells with a view that the manifest does not know; they are in the mean as well.
    """

    expected: int
    filled: int
    empty: tuple[tuple[str, str], ...]
    extra: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return counts, and the empty cells as (probe view, gallery view)."""
        return {
            "expected": self.expected,
            "found": self.filled,
            "empty": [list(cell) for cell in self.empty],
            "extra": self.extra,
        }


@dataclass(frozen=True, slots=True)
class Coverage:
    """Coverage of the complete dataset's test part.

    Attributes:
        subjects: (expected, present) test subjects.
        sequences: (expected, present) combinations of test subject, type, and view or camera.
        missing: expected combinations that are absent, as ``subject/type/view``.
        embeddings: number of embeddings scored or skipped.
        left_out: number of these that do not belong to test subjects and were not scored.
        unexpected_views: views that the manifest does not know; they were scored like the others.
        cells: cells over all conditions of the protocols that count per pair of views.
    """

    subjects: tuple[int, int]
    sequences: tuple[int, int]
    missing: tuple[str, ...]
    embeddings: int
    left_out: int
    unexpected_views: tuple[str, ...]
    cells: tuple[int, int] = (0, 0)

    def to_json(self) -> dict[str, Any]:
        """Return the counts by name, with every missing combination."""
        return {
            "subjects": _counts(self.subjects),
            "sequences": _counts(self.sequences),
            "cells": _counts(self.cells),
            "embeddings": self.embeddings,
            "left_out": self.left_out,
            "unexpected_views": list(self.unexpected_views),
            "missing": list(self.missing),
        }

    @property
    def complete(self) -> bool:
        """Whether every expected item is present."""
        pairs = (self.subjects, self.sequences, self.cells)
        return all(present >= expected for expected, present in pairs)


@dataclass(frozen=True, slots=True)
class ConditionResult:
    """One condition under one protocol.

    Attributes:
        values: by name (rank1, rank5, rank10, mAP, mINP). Under ``view_pairs`` the mean over the
            cells that ``cells`` counts as filled: an empty cell has no value, is listed, and the
            table marks the mean.
        chance: Rank-1 expected of a random order, same way of counting.
        probes: number of probes of the condition.
        gallery: number of gallery sequences.
        without_match: ``gallery`` counting: probes skipped because nothing could match them.
            ``view_pairs``: searches in a cell that nothing could match.
        searches: number of (probe, gallery) searches that the values are made of.
        cells: None under ``gallery`` counting.
        matrices: by name of a Rank-k, [probe view][gallery view], the diagonal included (it is not
            part of the mean); None in an empty cell.
        intervals: by name, 95 % bootstrap intervals over subjects.
        cmc: Rank-1, Rank-2, ... in percent (see ``core.metrics.cmc``), counted as ``values`` are;
            empty where nothing was counted.
    """

    values: Values
    chance: float | None
    probes: int
    gallery: int
    without_match: int
    searches: int
    cells: CellCoverage | None = None
    views: tuple[str, ...] = ()
    matrices: Mapping[str, Matrix] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    cmc: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the four values, then the numbers that explain them."""
        content: dict[str, Any] = {**self.values}
        content["chance"] = {"rank1": self.chance}
        content["probes"] = self.probes
        content["gallery"] = self.gallery
        content["searches"] = self.searches
        content["without_match"] = self.without_match
        if self.cells is not None:
            content["cells"] = self.cells.to_json()
            content["per_view"] = {"views": list(self.views), **self.matrices}
        if self.cmc:
            content["cmc"] = list(self.cmc)
        if self.intervals:
            content["interval95"] = {name: list(ends) for name, ends in self.intervals.items()}
        return content


@dataclass(frozen=True, slots=True)
class ProtocolResult:
    """All conditions of one protocol, and their mean.

    Attributes:
        mean: mean over ``mean_over``; None if one of these conditions has no value.
        unmatched: what a probe without a match is: ``error`` or ``left_out``.
    """

    title: str
    counting: str
    official: bool
    conditions: Mapping[str, ConditionResult]
    mean_over: tuple[str, ...]
    mean: Values
    mean_chance: float | None
    mean_intervals: Mapping[str, Interval] = field(default_factory=dict)
    unmatched: str = "error"

    def to_json(self) -> dict[str, Any]:
        """Return ``conditions`` by name and ``mean`` beside them."""
        mean: dict[str, Any] = {**self.mean, "chance": {"rank1": self.mean_chance}}
        if self.mean_intervals:
            mean["interval95"] = {name: list(ends) for name, ends in self.mean_intervals.items()}
        return {
            "title": self.title,
            "counting": self.counting,
            "official": self.official,
            "unmatched": self.unmatched,
            "conditions": {name: part.to_json() for name, part in self.conditions.items()},
            "mean": mean,
            "mean_over": list(self.mean_over),
        }


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """One model's embeddings of one dataset, scored by its protocols.

    Attributes:
        dataset: the manifest's name; ``title`` is its name in tables.
        metric: euclidean or cosine.
        rerank: whether distances were re-ranked (k-reciprocal).
        provenance: one line on model and store, printed under every table.
        note: the manifest's own line, printed under every table.
        bootstrap: number of resamples behind the intervals; 0 without intervals.
    """

    dataset: str
    title: str
    metric: str
    rerank: bool
    coverage: Coverage
    protocols: Mapping[str, ProtocolResult]
    provenance: str = ""
    note: str = ""
    bootstrap: int = 0
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values for ``json.dumps``."""
        return {
            "format": FORMAT,
            "dataset": self.dataset,
            "metric": self.metric,
            "rerank": self.rerank,
            "provenance": self.provenance,
            "note": self.note,
            "bootstrap": {"resamples": self.bootstrap, "seed": self.seed},
            "coverage": self.coverage.to_json(),
            "protocols": {name: part.to_json() for name, part in self.protocols.items()},
        }


def _counts(pair: tuple[int, int]) -> dict[str, int]:
    return {"expected": pair[0], "found": pair[1]}
