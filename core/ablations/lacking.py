"""Rows of models that a store has nothing for: they do not run, and say why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.ablations.paper_tables import PaperRow, PaperTable, Variant
from core.config import Config
from core.errors import StoreError
from core.inference.model_inputs import check_inputs
from core.manifests.schema import DatasetManifest
from core.storage.store import Store

Stores = Mapping[str, tuple[Store, DatasetManifest]]


def rows_that_run(
    tables: Sequence[PaperTable], configs: Mapping[Variant, Config], stores: Stores
) -> tuple[PaperTable, ...]:
    """Tables in which rows whose models read what a store lacks do not run.

    Args:
        tables: What was asked for.
        configs: Settings of each variant.
        stores: Those that are trained and tested on, as they were named.

    Raises:
        StoreError: no row of a table is left.
        UsageError: what a store has is of another size than a model's settings say.
    """
    return tuple(_checked(table, configs, stores) for table in tables)


def lacking_rows(requested: Sequence[PaperTable], running: Sequence[PaperTable]) -> tuple[str, ...]:
    """A line for each row that was asked for and does not run, such as ``BigGait: the store ...``.

    Args:
        requested: Tables before :func:`rows_that_run`.
        running: Tables behind it.
    """
    pairs = (
        pair
        for before, after in zip(requested, running, strict=True)
        for pair in zip(before.rows, after.rows, strict=True)
    )
    lines = (
        f"{row.label}: {row.reason}" for one, row in pairs if one.variants and not row.variants
    )
    return tuple(dict.fromkeys(lines))


def _checked(table: PaperTable, configs: Mapping[Variant, Config], stores: Stores) -> PaperTable:
    faults: list[StoreError] = []
    rows: list[PaperRow] = []
    for row in table.rows:
        fault = _fault(row, table, configs, stores)
        if fault is None:
            rows.append(row)
            continue
        error, title = fault
        faults.append(error)
        reason = error.what.replace("The store", f"the store of {title}", 1)
        rows.append(replace(row, variants=(), reason=reason))
    if faults and not any(row.variants for row in rows):
        raise faults[0]
    return replace(table, rows=tuple(rows))


def _fault(
    row: PaperRow, table: PaperTable, configs: Mapping[Variant, Config], stores: Stores
) -> tuple[StoreError, str] | None:
    """What a store lacks of a row's inputs, and the dataset's title; None where it has all."""
    for name in dict.fromkeys((table.trained_on, table.tested_on)):
        store, manifest = stores[name]
        for variant in row.variants:
            try:
                check_inputs(store, configs[variant])
            except StoreError as error:
                return error, manifest.title
    return None
