"""Tables of scored runs with the published numbers and notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from core.ablations.paper_tables import SYSTEMS, PaperTable, Variant
from core.ablations.request import Request, partial_settings
from core.config import Config
from core.config.shipped import settings_source
from core.inference.model_inputs import silhouettes_in_words
from core.manifests.load import load_outline, shown_protocol
from core.manifests.schema import DatasetOutline
from core.models.families import FAMILIES
from core.storage.store import Store
from core.tables.ablations import MEAN, AblationRow, AblationTable, ScoredRun
from core.tables.build import published_notes

Runs = Mapping[tuple[Variant, str], Sequence[ScoredRun]]


def table_of_runs(
    table: PaperTable,
    runs: Runs,
    request: Request,
    store: Store,
    configs: Mapping[Variant, Config],
) -> AblationTable:
    """Fill a table with scores.

    Args:
        table: The requested table.
        runs: Scored runs by variant and test dataset.
        request: The request, for the notes.
        store: Store of the training dataset.
        configs: Settings of each variant, for any seed.
    """
    manifest = load_outline(table.tested_on)
    protocol = shown_protocol(manifest)
    systems = table.number in SYSTEMS
    rows = tuple(
        AblationRow(
            row.label,
            tuple(run for one in row.variants for run in runs[one, table.tested_on]),
            row.published,
            model=row.variants[0].family if row.variants else None,
            reason=row.reason,
        )
        for row in table.rows
        if row.variants or row.published
    )
    published = table.published
    return AblationTable(
        number=table.number,
        trained_on=table.trained_on,
        tested_on=manifest.name,
        protocol=protocol,
        columns=(*manifest.protocols[protocol].conditions, MEAN),
        rows=rows,
        paper_columns=() if published is None else published.columns,
        paper_dataset=None if published is None else published.dataset,
        notes=(
            *_settings_notes(table, request, store),
            *_silhouette_notes(table, configs),
            *_run_notes(rows, manifest),
            *(_system_notes(table, request) if systems else _ablation_notes(table, request)),
        ),
        systems=systems,
    )


def _settings_notes(table: PaperTable, request: Request, store: Store) -> list[str]:
    families = dict.fromkeys(one.family for one in table.variants)
    named = table.number not in SYSTEMS and request.model is not None
    what = f"{_titles(families)}, trained" if named else "trained"
    notes = [f"Preset {request.preset}; {what} on {store.describe()}"]
    dataset = load_outline(table.trained_on).name
    sources: dict[str, list[str]] = {}
    for family in families:
        source = settings_source(family, request.preset, dataset)
        sources.setdefault(source, []).append(family)
    notes += [
        f"Settings of {_titles(some)}: {source}." for source, some in sources.items() if source
    ]
    partial = partial_settings(request, families)
    return [*notes, *(f"{key} is set for {_titles(some)} alone." for key, some in partial.items())]


def _silhouette_notes(table: PaperTable, configs: Mapping[Variant, Config]) -> list[str]:
    """Notes on the silhouettes that the models read, if any do."""
    kinds: dict[str, dict[str, None]] = {}
    for variant in table.variants:
        if (kind := silhouettes_in_words(configs[variant])) is not None:
            kinds.setdefault(kind, {})[variant.family] = None
    return [f"Silhouettes of {_titles(families)}: {kind}." for kind, families in kinds.items()]


def _run_notes(rows: Iterable[AblationRow], manifest: DatasetOutline) -> list[str]:
    notes = []
    if any(len(row.runs) > 1 for row in rows):
        notes.append("± is the sample standard deviation over a row's runs.")
    return [*notes, manifest.note] if manifest.note else notes


def _system_notes(table: PaperTable, request: Request) -> list[str]:
    notes = []
    if table.published is not None:
        notes += published_notes(table.published)
        if request.preset != "paper":
            notes.append("Another model size than the published: not comparable with them.")
    reasons: dict[str, list[str]] = {}
    for row in table.rows:
        if row.reason:
            reasons.setdefault(row.reason, []).append(row.label.rstrip("†"))
    return [
        *notes,
        *(f"Not trained here: {', '.join(who)}: {why}." for why, who in reasons.items()),
    ]


def _ablation_notes(table: PaperTable, request: Request) -> list[str]:
    paper = table.published
    if paper is None:
        return []
    notes = [f"Paper: {paper.source}, on {load_outline(paper.dataset).title}."]
    if request.preset != "paper" or paper.dataset != table.tested_on:
        notes.append("Another model size or dataset than the paper's: not comparable with it.")
    return [*notes, paper.note] if paper.note else notes


def _titles(families: Iterable[str]) -> str:
    return ", ".join(FAMILIES[family].title for family in families)
