"""Tables of results, with published numbers.

Numbers are rounded to one decimal only here (JSON has all digits). Every table has its protocol's
name and a line on model, store and coverage, because numbers without them are not comparable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import UsageError
from core.manifests.published import PublishedRow, PublishedTable
from core.metrics.results import VALUES, ConditionResult, EvaluationResult, ProtocolResult

NAMES = {
    "rank1": "Rank-1",
    "rank5": "Rank-5",
    "rank10": "Rank-10",
    "mAP": "mAP",
    "mINP": "mINP",
}
NO_VALUE = "-"
HOLES = "*"


@dataclass(frozen=True, slots=True)
class Table:
    """A text table: names in the first column, numbers in the others.

    Attributes:
        title: Dataset, protocol and metric.
        headers: One per column.
        rows: Text, as many cells as headers.
        notes: Lines below the table.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def result_tables(
    result: EvaluationResult,
    published: Sequence[PublishedTable] = (),
    trained_on: str | None = None,
) -> list[Table]:
    """Return one table per protocol: a row per condition, and the mean.

    With ``published``, published tables of the same dataset and protocol follow, with our row last:
    those of models trained on the dataset itself or on ``trained_on``.
    """
    tables = []
    for name, protocol in result.protocols.items():
        tables.append(_protocol_table(result, protocol))
        tables += [
            compare_table(table, {result.dataset: result})
            for table in published
            if table.dataset == result.dataset
            and table.protocol == name
            and (table.trained_on or result.dataset) == (trained_on or result.dataset)
        ]
    return tables


def view_table(result: EvaluationResult, protocol: str, condition: str, metric: str) -> Table:
    """Return the matrix of one condition: one row per probe view, one column per gallery view.

    Raises:
        UsageError: the protocol has no such condition, or no matrix of that metric.
    """
    entry = result.protocols.get(protocol)
    part = entry.conditions.get(condition) if entry else None
    if entry is None or part is None or metric not in part.matrices:
        raise UsageError(
            f"No matrix of {metric} for {condition} under protocol {protocol}",
            next_step="Name a condition and a metric that the protocol has per view.",
        )
    rows = [
        (view, *(_number(value) for value in row))
        for view, row in zip(part.views, part.matrices[metric], strict=True)
    ]
    return Table(
        f"{result.title}, {entry.title}, {condition}: {NAMES[metric]} (%), probe view by row",
        ("probe", *part.views),
        tuple(rows),
        ("Cells of one view are shown, and are no part of the mean.", *_notes(result)),
    )


def compare_table(published: PublishedTable, results: Mapping[str, EvaluationResult]) -> Table:
    """Return a published table with our numbers as its last row.

    Args:
        published: The table.
        results: Our results by dataset; a dataset without a result has no row.
    """
    rows = [(row_label(row), *(_number(value) for value in row.values)) for row in published.rows]
    notes = published_notes(published)
    result = results.get(published.dataset)
    title = published.dataset
    if result is not None:
        title = result.title
        ours, has_holes = _our_row(published, result)
        rows.append(("this run", *ours))
        notes += _notes(result, has_holes)
    trained = f", trained on {published.trained_on}" if published.trained_on else ""
    return Table(
        f"{title}, protocol {published.protocol}, {NAMES[published.metric]} (%), beside "
        f"published results{trained}",
        ("method", *published.columns),
        tuple(rows),
        tuple(notes),
    )


def published_notes(published: PublishedTable) -> list[str]:
    """Notes on a published table: its source, and remarks on single rows."""
    notes = [f"Published: {published.source}."]
    notes += [published.note] if published.note else []
    for source in dict.fromkeys(row.source for row in published.rows if row.source):
        methods = ", ".join(row.method for row in published.rows if row.source == source)
        notes.append(f"From elsewhere: {methods}: {source}.")
    for row in published.rows:
        differences = [f"{row.protocol}, not {published.protocol}"] if row.protocol else []
        differences += [f"{row.dataset}, not {published.dataset}"] if row.dataset else []
        what = [f"numbers of {' and '.join(differences)}."] if differences else []
        if words := " ".join([*what, row.note] if row.note else what):
            notes.append(f"{'† ' if differences else ''}{row.method}: {words}")
    return notes


def row_label(row: PublishedRow) -> str:
    """A published row's method, marked if its numbers are not comparable with the others."""
    return row.method if row.comparable else f"{row.method}†"


def cross_table(
    results: Sequence[tuple[str, EvaluationResult]],
    protocol: str = "single_view",
    conditions: Mapping[str, Sequence[str]] | None = None,
    metric: str = "rank1",
) -> Table:
    """Return one row per model, target datasets side by side, as the paper's Table 3.

    Args:
        results: (name of the model, its result on one target); a model may have several targets.
        protocol: Protocol for targets that have it; otherwise the target's first, named in the
            header.
        conditions: Columns per target; default all, for the official datasets those of Table 3.
        metric: One of rank1, rank5, rank10, mAP, mINP.
    """
    selected = conditions or {"sustech1k": ("Clothing", "Night", "Overall")}
    targets: dict[str, tuple[str, str, tuple[str, ...]]] = {}
    for _, result in results:
        name = protocol if protocol in result.protocols else next(iter(result.protocols))
        columns = tuple(selected.get(result.dataset, tuple(result.protocols[name].conditions)))
        targets[result.dataset] = (result.title, name, columns)
    headers = [
        f"{title} {column} ({name})"
        for title, name, columns in targets.values()
        for column in columns
    ]
    rows = []
    for model in dict.fromkeys(name for name, _ in results):
        results_by_dataset = {result.dataset: result for name, result in results if name == model}
        row = [model]
        for dataset, (_, name, columns) in targets.items():
            parts = (
                results_by_dataset[dataset].protocols[name].conditions
                if dataset in results_by_dataset
                else {}
            )
            row += [_condition_number(parts.get(column), metric) for column in columns]
        rows.append(tuple(row))
    notes = [note for _, result in results for note in _notes(result, _has_holes(result))]
    return Table(
        f"Cross-dataset evaluation, {NAMES[metric]} (%)",
        ("model", *headers),
        tuple(rows),
        tuple(dict.fromkeys(notes)),
    )


def _protocol_table(result: EvaluationResult, protocol: ProtocolResult) -> Table:
    metrics = [
        name
        for name in VALUES
        if any(part.values[name] is not None for part in protocol.conditions.values())
    ]
    rows = [_row(name, part, metrics) for name, part in protocol.conditions.items()]
    mean = [
        _with_interval(protocol.mean[name], protocol.mean_intervals.get(name)) for name in metrics
    ]
    rows.append(("Mean", *mean, _number(protocol.mean_chance)))
    holes = any(_incomplete(part) for part in protocol.conditions.values())
    notes = []
    if tuple(protocol.conditions) != protocol.mean_over:
        notes.append(f"Mean over {', '.join(protocol.mean_over)}.")
    unmatched = sum(part.without_match for part in protocol.conditions.values())
    if unmatched:
        kind = "counted as errors" if protocol.unmatched == "error" else "left out"
        notes.append(f"{unmatched} probes without a match {kind}.")
    if not protocol.official:
        notes.append("This protocol is not one of the dataset's own.")
    reranked = ", re-ranked" if result.rerank else ""
    return Table(
        f"{result.title}, {protocol.title}, {result.metric}{reranked}",
        ("condition", *(f"{NAMES[name]} (%)" for name in metrics), "chance Rank-1"),
        tuple(rows),
        (*notes, *_notes(result, holes)),
    )


def _row(name: str, part: ConditionResult, shown: Sequence[str]) -> tuple[str, ...]:
    mark = HOLES if _incomplete(part) else ""
    numbers = [_with_interval(part.values[key], part.intervals.get(key)) for key in shown]
    return (name + mark, *numbers, _number(part.chance))


def _our_row(table: PublishedTable, result: EvaluationResult) -> tuple[list[str], bool]:
    protocol = result.protocols.get(table.protocol)
    row, holes = [], False
    for column in table.columns:
        part = protocol.conditions.get(column) if protocol else None
        if column == "Mean" and protocol is not None:
            row.append(_number(protocol.mean[table.metric]))
        else:
            row.append(_condition_number(part, table.metric))
        holes = holes or (part is not None and _incomplete(part))
    return row, holes


def _condition_number(part: ConditionResult | None, metric: str) -> str:
    if part is None:
        return NO_VALUE
    return _number(part.values[metric]) + (HOLES if _incomplete(part) else "")


def _incomplete(part: ConditionResult) -> bool:
    """Whether there is a mean, over fewer cells than the protocol has."""
    return part.cells is not None and 0 < part.cells.filled < part.cells.expected


def _has_holes(result: EvaluationResult) -> bool:
    parts = [part for one in result.protocols.values() for part in one.conditions.values()]
    return any(map(_incomplete, parts))


def _notes(result: EvaluationResult, holes: bool = False) -> list[str]:
    coverage = result.coverage
    notes = []
    if holes:
        notes.append(f"{HOLES} Mean over fewer cells than the protocol has: the others are empty.")
    if not coverage.complete:
        present, expected = coverage.sequences[1], coverage.sequences[0]
        sequences = f"{present:,} of {expected:,} sequences and " if expected else ""
        subjects = f"{coverage.subjects[1]:,} of {coverage.subjects[0]:,} test subjects"
        notes.append(f"Incomplete: {sequences}{subjects} found.")
    if coverage.unexpected_views:
        notes.append(
            f"Views that the dataset does not have: {', '.join(coverage.unexpected_views)}."
        )
    if coverage.left_out:
        notes.append(f"{coverage.left_out:,} sequences of other subjects left out.")
    if result.bootstrap:
        notes.append(
            f"[ ] 95 % interval over subjects, {result.bootstrap:,} resamples, seed {result.seed}."
        )
    notes += [result.note] if result.note else []
    return [*notes, f"{result.title}: {result.provenance or 'source of the embeddings not told'}"]


def _number(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.1f}"


def _with_interval(value: float | None, ends: tuple[float, float] | None) -> str:
    if ends is None:
        return _number(value)
    return f"{_number(value)} [{ends[0]:.1f}, {ends[1]:.1f}]"
