"""Which ablations stand for which rows of the paper's tables, and what the paper has there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.config import ablation_names, load_ablation
from core.errors import UsageError
from core.manifests.published import PublishedTable, load_ablations, load_published
from core.tables.ablations import Scores

TABLES = (3, 4, 5, 6, 7)
# The published main tables name the paper's own rows by the model, its ablations as "Ours".
_OURS = "LMGait"


@dataclass(frozen=True, slots=True)
class PaperRow:
    """A row to be made: its label and the ablations whose runs it averages."""

    label: str
    ablations: tuple[str, ...]


def paper_rows(table: int) -> tuple[PaperRow, ...]:
    """Rows of one of the paper's tables in its order, each with its ablations.

    Raises:
        UsageError: there is no such table of ablations.
    """
    if table not in TABLES:
        raise UsageError(
            f"Table {table} has no ablations", where="--table",
            next_step=f"Choose from {', '.join(map(str, TABLES))}.",
        )  # fmt: skip
    by_label: dict[str, list[str]] = {}
    for name in ablation_names():
        for row in load_ablation(name).rows:
            if row.table == table:
                by_label.setdefault(row.label, []).append(name)
    order = [row.method for row in published_table(table, None).rows]
    labels = sorted(by_label, key=lambda label: order.index(_method(label, order)))
    return tuple(PaperRow(label, tuple(by_label[label])) for label in labels)


def published_table(table: int, dataset: str | None) -> PublishedTable:
    """The paper's table, on ``dataset`` where it has several."""
    found = [
        one
        for one in (*load_published(), *load_ablations())
        if one.id == f"table-{table}" or one.id.startswith(f"table-{table}-")
    ]
    return next((one for one in found if one.dataset == dataset), found[0])


def paper_scores(paper: PublishedTable, label: str) -> Scores:
    """The paper's numbers of the row that it prints as ``label``, by column."""
    methods = [row.method for row in paper.rows]
    row = paper.rows[methods.index(_method(label, methods))]
    return dict(zip(paper.columns, row.values, strict=True))


def _method(label: str, methods: Sequence[str]) -> str:
    return label if label in methods else _OURS
