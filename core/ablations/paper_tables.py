"""The paper's tables as rows: the trainings and the published numbers of each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from core.config import ablation_names, load_ablation
from core.errors import UsageError
from core.manifests.published import PublishedRow, PublishedTable, load_ablations, load_published
from core.models.families import DEFAULT_FAMILY, FAMILIES
from core.tables.ablations import Scores
from core.tables.build import row_label

SYSTEMS = (1, 2, 3)
"""Tables that compare systems; each row is a model family with its own settings."""
ABLATIONS = (4, 5, 6, 7)
"""Tables of ablations of one family."""
ACROSS = 3
"""The table that tests on datasets other than the training dataset."""
TABLES = (*SYSTEMS, *ABLATIONS)
FULL = "full"
"""The ablation that changes nothing."""

NOT_A_FAMILY = "not a family of lmgait yet"
NO_DESCRIPTION = "no public description that suffices"
ANOTHER_ROW = "further numbers of a system that has a row of its own"
NOT_ASKED_FOR = "left out by --model"
_NOT_DESCRIBED = ("gaitgci", "vpnet")


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant to train: a model family with an ablation."""

    family: str
    ablation: str = FULL

    @property
    def name(self) -> str:
        """Its name in runs and messages, such as ``no-text``, ``gaitbase``, ``gaitbase-no-text``.

        LMGait's variants, and its row in a table of systems, have the name of the ablation.
        """
        if self.family == DEFAULT_FAMILY:
            return self.ablation
        return self.family if self.ablation == FULL else f"{self.family}-{self.ablation}"


@dataclass(frozen=True, slots=True)
class PaperRow:
    """A row of a table.

    Attributes:
        label: As printed.
        variants: Variants that are trained and averaged; empty if it cannot run here.
        published: The published numbers by column; empty without any.
        reason: Why it cannot run here.
    """

    label: str
    variants: tuple[Variant, ...]
    published: Scores
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A table to make, on one test dataset.

    Attributes:
        number: Number of the paper's table; None for ablations by name.
        trained_on: The dataset to train on, as given (a path for the user's own manifest).
        tested_on: The dataset to test on, likewise.
        rows: In the order of the paper.
        published: The published table to compare with; None without one.
    """

    number: int | None
    trained_on: str
    tested_on: str
    rows: tuple[PaperRow, ...]
    published: PublishedTable | None = None

    @property
    def variants(self) -> tuple[Variant, ...]:
        """All variants of its rows, once each."""
        return tuple(dict.fromkeys(one for row in self.rows for one in row.variants))


def paper_table(
    number: int, *, trained_on: str, tested_on: str, model: str | None = None
) -> PaperTable:
    """One of the paper's tables.

    Args:
        number: 1 to 7.
        trained_on: The dataset to train on.
        tested_on: The dataset to test on.
        model: Name of a family: only its rows of Tables 1 to 3 are trained, and ablations are of
            this family. None trains every family, and ablations of LMGait.

    Raises:
        UsageError: there is no such table, or it has no row of that family.
    """
    if number in SYSTEMS:
        return _systems(number, trained_on, tested_on, model)
    if number in ABLATIONS:
        return _ablations(number, trained_on, tested_on, model)
    raise UsageError(
        f"The paper has no Table {number}",
        where="--table",
        next_step=f"Choose from {', '.join(map(str, TABLES))}.",
    )


def ablations_by_name(
    names: Iterable[str], *, trained_on: str, tested_on: str, model: str | None = None
) -> PaperTable:
    """Return the named ablations as a table (``UsageError`` for an unknown name)."""
    family = model or DEFAULT_FAMILY
    rows = tuple(
        PaperRow(load_ablation(name).title, (Variant(family, name),), {})
        for name in dict.fromkeys(names)
    )
    return PaperTable(None, trained_on, tested_on, rows)


def _ablations(number: int, trained_on: str, tested_on: str, model: str | None) -> PaperTable:
    (published,) = _of(number, load_ablations())
    family = model or DEFAULT_FAMILY
    ours = family == DEFAULT_FAMILY
    by_label: dict[str, list[Variant]] = {}
    for name in ablation_names():
        for row in load_ablation(name).rows:
            if row.table == number:
                by_label.setdefault(row.label, []).append(Variant(family, name))
    rows = tuple(
        # The paper's numbers are LMGait's.
        PaperRow(row.method, tuple(by_label[row.method]), _scores(published, row) if ours else {})
        for row in published.rows
    )
    return PaperTable(number, trained_on, tested_on, rows, published if ours else None)


def _systems(number: int, trained_on: str, tested_on: str, model: str | None) -> PaperTable:
    tables = _of(number, load_published())
    published_table = _published(tables, trained_on, tested_on)
    numbers = {} if published_table is None else {row.method: row for row in published_table.rows}
    if published_table is not None and published_table in tables:
        sources = published_table.rows
    else:
        # Without a published table of these datasets, a row for each system of the others.
        first_rows = {
            _system(row.method): row for one in reversed(tables) for row in reversed(one.rows)
        }
        order = dict.fromkeys(_system(row.method) for one in tables for row in one.rows)
        sources = tuple(first_rows[system] for system in order)
    families = {_system(family.title): name for name, family in FAMILIES.items()}
    rows: list[PaperRow] = []
    previous: set[str] = set()
    for row in sources:
        system, entry = _system(row.method), numbers.get(row.method)
        family = families.get(system)
        reason = _reason(system, family, system in previous, model)
        previous.add(system)
        if published_table is None or entry is None:
            label, published = FAMILIES[family].title if family else row.method, {}
        else:
            label, published = row_label(entry), _scores(published_table, entry)
        variants = () if family is None or reason else (Variant(family),)
        rows.append(PaperRow(label, variants, published, reason))
    if not any(row.variants for row in rows):
        raise UsageError(
            f"Table {number} has no row of the model `{model}`",
            where="--model",
            next_step="Remove --model to train every row that can run.",
        )
    return PaperTable(number, trained_on, tested_on, tuple(rows), published_table)


def _reason(system: str, family: str | None, again: bool, model: str | None) -> str:
    """Reason why a row cannot run here; "" if it can."""
    if family is None:
        return NO_DESCRIPTION if system in _NOT_DESCRIBED else NOT_A_FAMILY
    if again:
        return ANOTHER_ROW
    return NOT_ASKED_FOR if model not in (None, family) else ""


def _system(method: str) -> str:
    """Identifying form of a system's name: no remarks, lower case, no signs except ``+``."""
    plain = re.sub(r"\(.*?\)", "", method).lower()
    return re.sub(r"[^a-z0-9+]", "", plain)


def _published(
    tables: tuple[PublishedTable, ...], trained_on: str, tested_on: str
) -> PublishedTable | None:
    """The published numbers for these datasets: a whole table, or rows of another dataset's."""
    for table in tables:
        if (table.trained_on or table.dataset, table.dataset) == (trained_on, tested_on):
            return table
    for table in tables:
        rows = tuple(
            row.model_copy(update={"dataset": None})
            for row in table.rows
            if row.dataset == trained_on == tested_on and table.trained_on is None
        )
        if rows:
            return table.model_copy(update={"dataset": tested_on, "rows": rows, "note": ""})
    return None


def _of(number: int, tables: Iterable[PublishedTable]) -> tuple[PublishedTable, ...]:
    """The published tables with this number, one per dataset."""
    return tuple(one for one in tables if f"{one.id}-".startswith(f"table-{number}-"))


def _scores(table: PublishedTable, row: PublishedRow) -> Scores:
    return dict(zip(table.columns, row.values, strict=True))
