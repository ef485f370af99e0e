"""What `lmgait ablate` is asked for, and the tables and configurations that it means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.config import Config, flatten, load_ablation, resolve_config
from core.errors import UsageError
from core.manifests.schema import DatasetManifest
from core.workflows.paper_tables import TABLES, PaperRow, paper_rows
from core.workflows.stores import with_frames

# Numbers of tables (None: of single ablations) with their rows.
Tables = list[tuple[int | None, tuple[PaperRow, ...]]]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be trained and scored.

    Attributes:
        dataset: prepared dataset to train on.
        tests: prepared datasets to test on; none tests on ``dataset``.
        tables: numbers of the paper's tables.
        ablations: names of further ablations, shown in a table of their own.
        seeds: how many seeds, from the configuration's own upwards.
        preset, file, overrides: as for :func:`core.config.resolve_config`.
    """

    dataset: str
    tests: tuple[str, ...] = ()
    tables: tuple[int, ...] = ()
    ablations: tuple[str, ...] = ()
    seeds: int = 1
    preset: str = "tiny"
    file: Path | None = None
    overrides: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Datasets to test on."""
        return self.tests or (self.dataset,)


def resolved(name: str, request: Request, manifest: DatasetManifest) -> Config:
    """The configuration of one ablation, checked to be what its name says.

    Raises:
        UsageError: a file or override sets again what the ablation has set.
        ConfigError: see :func:`core.config.resolve_config`.
    """
    config = resolve_config(
        request.preset, ablation=name, file=request.file, overrides=request.overrides
    )
    alone = flatten(resolve_config(request.preset, ablation=name))
    plain = flatten(resolve_config(request.preset))
    ours = flatten(config)
    undone = [key for key in plain if alone[key] != plain[key] and ours[key] != alone[key]]
    if undone:
        raise UsageError(
            f"The settings undo the ablation `{name}`: {', '.join(undone)}",
            next_step="Leave these keys out of --set and --config.",
        )
    return with_frames(config, manifest)


def requested_tables(request: Request) -> Tables:
    """Tables (None: of single ablations) with their rows.

    Raises:
        UsageError: an unknown table or ablation, or nothing to run.
    """
    if not (request.tables or request.ablations):
        raise UsageError(
            "Nothing to run: name a table or an ablation",
            next_step=f"Give --table with one of {', '.join(map(str, TABLES))}, or --ablation.",
        )
    if 3 in request.tables and set(request.targets) == {request.dataset}:
        raise UsageError(
            "Table 3 tests on other datasets than the one trained on",
            where="--table 3",
            next_step="Name prepared ones, for example --test casiab_star --test sustech1k.",
        )
    tables: Tables = [(number, paper_rows(number)) for number in dict.fromkeys(request.tables)]
    if request.ablations:
        chosen = tuple(dict.fromkeys(request.ablations))
        tables.append((None, tuple(PaperRow(load_ablation(n).title, (n,)) for n in chosen)))
    return tables
