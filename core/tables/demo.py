"""The results table of `lmgait demo`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.metrics.results import EvaluationResult
from core.tables.build import NO_VALUE, Table

PROTOCOL = "single_view"
_CONDITIONS = {
    "NM": "a normal walk",
    "BG": "with a bag",
    "CL": "in other clothes",
}


def demo_table(results: Mapping[str, EvaluationResult]) -> Table:
    """Rank-1 by condition of several models on the same people, with chance in the last row.

    Args:
        results: Results by model name, in CASIA-B's layout.
    """
    first = next(iter(results.values())).protocols[PROTOCOL].conditions
    rows = [
        (name, *(_percent(result.protocols[PROTOCOL].conditions[c].values["rank1"]) for c in first))
        for name, result in results.items()
    ]
    rows.append(("chance", *(_percent(part.chance) for part in first.values())))
    people = next(iter(results.values())).coverage.subjects[1]
    conditions = ", ".join(f"{name} {_CONDITIONS[name]}" for name in first if name in _CONDITIONS)
    return Table(
        f"Rank-1 (%): of {people} people whom no training saw, the right one is nearest",
        ("", *first),
        tuple(rows),
        (f"{conditions}; each probe is compared with a normal walk from another view.",),
    )


def overall_rank1(result: EvaluationResult) -> str:
    """Mean Rank-1 and chance of a result's first protocol, over the conditions with values."""
    protocol = next(iter(result.protocols.values()))
    both = [
        (part.values["rank1"], part.chance)
        for part in protocol.conditions.values()
        if part.values["rank1"] is not None and part.chance is not None
    ]
    if not both:
        return NO_VALUE
    rank1, chance = (_mean(column) for column in zip(*both, strict=True))
    return f"{rank1:.1f} % (chance {chance:.1f} %)"


def times_more(share: float) -> str:
    """Ratio of a share to the rest, such as ``2.0 times``."""
    return f"{share / (1 - share):.1f} times" if share < 1 else "all"


def _mean(values: Sequence[float | None]) -> float:
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers)


def _percent(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.1f}"
