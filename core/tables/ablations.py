"""Tables of systems and ablations: our means and spread over runs, and published numbers."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from core.tables.build import NAMES, NO_VALUE, Table

METRIC = "rank1"
MEAN = "Mean"

Scores = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """One trained model on one test dataset.

    Attributes:
        run: The run's name.
        scores: Rank-1 in percent by condition, and ``Mean``; None without a value.
        chance: The same for a random order.
    """

    ablation: str
    seed: int
    run: str
    scores: Scores
    chance: Scores


@dataclass(frozen=True, slots=True)
class AblationRow:
    """One row.

    Attributes:
        label: As printed.
        runs: All its runs; empty if it cannot run here.
        paper: The published numbers by column, if any.
        model: Name of the family of its runs.
        reason: Why it has no runs.
    """

    label: str
    runs: tuple[ScoredRun, ...]
    paper: Scores
    model: str | None = None
    reason: str = ""

    def mean(self, column: str) -> float | None:
        """Mean over the runs; None if a run has no value."""
        values = self._values(column)
        return fmean(values) if values else None

    def spread(self, column: str) -> float | None:
        """Sample standard deviation over the runs; None for fewer than two."""
        values = self._values(column)
        return stdev(values) if len(values) > 1 else None

    def _values(self, column: str) -> list[float]:
        scores = [run.scores[column] for run in self.runs]
        return [value for value in scores if value is not None] if None not in scores else []


@dataclass(frozen=True, slots=True)
class AblationTable:
    """One of the paper's tables (or ablations by name) on one test dataset.

    Attributes:
        number: Number of the paper's table; None for ablations by name.
        columns: Conditions of ``protocol``, and ``Mean``.
        rows: At least one of them has runs.
        paper_columns: Columns of the published numbers; empty without any.
        paper_dataset: Test dataset of the published numbers.
        notes: Lines below the table.
        systems: Whether it compares systems, whose published numbers have several sources.
    """

    number: int | None
    trained_on: str
    tested_on: str
    protocol: str
    columns: tuple[str, ...]
    rows: tuple[AblationRow, ...]
    paper_columns: tuple[str, ...]
    paper_dataset: str | None
    notes: tuple[str, ...]
    systems: bool = False


def ablation_table(table: AblationTable) -> Table:
    """Return a text table: its rows, one row for chance, and the published columns last."""
    rows = [
        (
            row.label + (f" ({len(row.runs)} runs)" if len(row.runs) > 1 else ""),
            *(_ours(row, column) for column in table.columns),
            *(_number(row.paper.get(column)) for column in table.paper_columns),
        )
        for row in table.rows
    ]
    # Chance depends only on the protocol and the data, so any run has it.
    chance = next(run.chance for row in table.rows for run in row.runs)
    empty = (NO_VALUE,) * len(table.paper_columns)
    rows.append(("chance", *(_number(chance[c]) for c in table.columns), *empty))
    name = "Ablations" if table.number is None else f"Ablations of Table {table.number}"
    source = "paper"
    if table.systems:
        name, source = f"Table {table.number}", "published"
    where = "" if table.trained_on == table.tested_on else f"{table.trained_on} -> "
    return Table(
        f"{name}, {where}{table.tested_on}, protocol {table.protocol}, {NAMES[METRIC]} (%)",
        ("method", *table.columns, *(f"{source} {c}" for c in table.paper_columns)),
        tuple(rows),
        table.notes,
    )


def ablation_json(table: AblationTable) -> dict[str, Any]:
    """Return plain values, unrounded, with every run."""
    return {
        "table": table.number,
        "trained_on": table.trained_on,
        "tested_on": table.tested_on,
        "protocol": table.protocol,
        "metric": METRIC,
        "paper_dataset": table.paper_dataset,
        "rows": [
            {
                "label": row.label,
                "model": row.model,
                "reason": row.reason,
                "mean": {column: row.mean(column) for column in table.columns},
                "spread": {column: row.spread(column) for column in table.columns},
                "paper": row.paper,
                "runs": [
                    {
                        "run": run.run,
                        "ablation": run.ablation,
                        "seed": run.seed,
                        "scores": run.scores,
                        "chance": run.chance,
                    }
                    for run in row.runs
                ],
            }
            for row in table.rows
        ],
        "notes": list(table.notes),
    }


def _ours(row: AblationRow, column: str) -> str:
    spread = row.spread(column)
    return _number(row.mean(column)) + ("" if spread is None else f" ± {spread:.1f}")


def _number(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.1f}"
