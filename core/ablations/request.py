"""A request of `lmgait ablate`, and the tables and configurations it stands for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.ablations.paper_tables import (
    ABLATIONS,
    ACROSS,
    SYSTEMS,
    TABLES,
    PaperTable,
    Variant,
    ablations_by_name,
    paper_table,
)
from core.config import Config, flatten, load_ablation, resolve_config
from core.config.resolve import family_keys, given_settings
from core.errors import UsageError
from core.manifests.schema import DatasetManifest
from core.runs.stores import with_frames


@dataclass(frozen=True, slots=True)
class Request:
    """The tables and ablations to train and score.

    Attributes:
        dataset: Prepared dataset to train on.
        tests: Prepared datasets to test on; empty for ``dataset``. Tables 1 and 2 are always tested
            on ``dataset``.
        tables: Numbers of the paper's tables.
        ablations: Names of further ablations, shown in a separate table.
        model: Name of the family to train; None trains LMGait, and for Tables 1 to 3 every family
            with a row.
        seeds: Number of seeds, counting up from the configuration's own.
        preset, file, overrides: As for :func:`core.config.resolve_config`.
    """

    dataset: str
    tests: tuple[str, ...] = ()
    tables: tuple[int, ...] = ()
    ablations: tuple[str, ...] = ()
    model: str | None = None
    seeds: int = 1
    preset: str = "tiny"
    file: Path | None = None
    overrides: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Datasets to test ablations on."""
        return tuple(dict.fromkeys(self.tests)) or (self.dataset,)


def resolved(
    variant: Variant, request: Request, manifest: DatasetManifest, families: Iterable[str] = ()
) -> Config:
    """Resolve the configuration of one training and check that it matches the variant.

    Args:
        variant: The variant to train.
        request: The request.
        manifest: Manifest of the training dataset, which selects settings of the preset.
        families: All families trained along with it; settings that only others of them have are
            ignored here.

    Raises:
        UsageError: an ablation that the family cannot have; a file with another family's settings;
            a file or override that undoes the ablation.
        ConfigError: see :func:`core.config.resolve_config`.
    """
    name, dataset = variant.family, manifest.name
    other = str(given_settings(request.file, request.overrides).get("model.family", name))[:100]
    if other != name:
        raise UsageError(
            f"The settings are for the model `{other}`, but `{name}` is to be trained",
            where="model.family",
            next_step="Remove model.family from --set and --config, or pass that --model.",
        )
    plain = resolve_config(request.preset, model=name, dataset=dataset)
    alone = resolve_config(
        request.preset,
        model=name,
        dataset=dataset,
        ablation=variant.ablation,
        asked=_option(variant.ablation, request),
    )
    config = resolve_config(
        request.preset,
        model=name,
        dataset=dataset,
        ablation=variant.ablation,
        file=request.file,
        overrides=request.overrides,
        elsewhere=frozenset().union(*map(family_keys, families)) - family_keys(name),
    )
    values, ablation, default = flatten(config), flatten(alone), flatten(plain)
    undone = [key for key in default if default[key] != ablation[key] != values[key]]
    if undone:
        raise UsageError(
            f"The settings undo the ablation `{variant.ablation}`: {', '.join(undone)}",
            next_step="Remove these keys from --set and --config.",
        )
    return with_frames(config, manifest)


def _option(ablation: str, request: Request) -> str:
    """The option that requested an ablation: --ablation, or --table with a row of it."""
    rows = load_ablation(ablation).rows
    number = next((n for n in request.tables if any(row.table == n for row in rows)), None)
    return "--ablation" if ablation in request.ablations or number is None else f"--table {number}"


def partial_settings(request: Request, families: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Keys in the request that only some of these families have, with those families."""
    names = tuple(dict.fromkeys(families))
    known = {name: family_keys(name) for name in names}
    families_by_key = {
        key: tuple(name for name in names if key in known[name])
        for key in given_settings(request.file, request.overrides)
    }
    return {key: owners for key, owners in families_by_key.items() if len(owners) < len(names)}


def requested_tables(request: Request) -> tuple[PaperTable, ...]:
    """The requested tables, one per test dataset.

    Raises:
        UsageError: an unknown table or ablation; nothing to run; a table without a row of
            the family; Table 3 without another dataset to test on, or one that no table uses.
    """
    if not (request.tables or request.ablations):
        raise UsageError(
            "Nothing to run: name a table or an ablation",
            next_step=f"Give --table with one of {', '.join(map(str, TABLES))}, or --ablation.",
        )
    numbers = tuple(dict.fromkeys(request.tables))
    if request.tests and not request.ablations and set(numbers) <= set(SYSTEMS) - {ACROSS}:
        raise UsageError(
            "Tables 1 and 2 test on the dataset that they train on",
            where="--test",
            next_step=f"Remove --test, or add --table {ACROSS}.",
        )
    tables = [
        paper_table(number, trained_on=request.dataset, tested_on=target, model=request.model)
        for number in numbers
        for target in _targets(number, request)
    ]
    if request.ablations:
        tables += [
            ablations_by_name(
                request.ablations,
                trained_on=request.dataset,
                tested_on=target,
                model=request.model,
            )
            for target in request.targets
        ]
    return tuple(tables)


def _targets(number: int, request: Request) -> tuple[str, ...]:
    if number in ABLATIONS:
        return request.targets
    if number != ACROSS:
        return (request.dataset,)
    others = tuple(target for target in request.targets if target != request.dataset)
    if not others:
        raise UsageError(
            "Table 3 tests on datasets other than the training dataset",
            where="--table 3",
            next_step="Name prepared ones, for example --test casiab_star --test sustech1k.",
        )
    return others
