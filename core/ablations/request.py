"""What `lmgait ablate` is asked for, and the tables and configurations that it means."""

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
    """What is to be trained and scored.

    Attributes:
        dataset: Prepared dataset to train on.
        tests: Prepared datasets to test on; none tests on ``dataset``. Tables 1 and 2 are tested on
            ``dataset`` whatever is here.
        tables: Numbers of the paper's tables.
        ablations: Names of further ablations, shown in a table of their own.
        model: Name of the family that is trained; None trains LMGait, and in Tables 1 to 3 every
            family that has a row.
        seeds: How many seeds, from the configuration's own upwards.
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
    """The configuration of one training, checked to be what its name says.

    Args:
        variant: What is trained.
        request: What was asked for.
        manifest: Of the dataset to train on, whose settings the family's preset takes.
        families: All that are trained along with it: settings that one of them has and this one
            lacks are left out here.

    Raises:
        UsageError: an ablation that the family cannot have; a file of another family's settings; a
            file or override that sets again what the ablation has set.
        ConfigError: see :func:`core.config.resolve_config`.
    """
    name, dataset = variant.family, manifest.name
    other = str(given_settings(request.file, request.overrides).get("model.family", name))[:100]
    if other != name:
        raise UsageError(
            f"The settings are of the model `{other}`, and `{name}` is to be trained",
            where="model.family",
            next_step="Leave model.family out of --set and --config, or name that --model.",
        )
    plain = resolve_config(request.preset, model=name, dataset=dataset)
    alone = resolve_config(
        request.preset,
        model=name,
        dataset=dataset,
        ablation=variant.ablation,
        asked=_asked(variant.ablation, request),
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
            next_step="Leave these keys out of --set and --config.",
        )
    return with_frames(config, manifest)


def _asked(ablation: str, request: Request) -> str:
    """The option that asks for an ablation: by its name, or with a table that has a row of it."""
    rows = load_ablation(ablation).rows
    number = next((n for n in request.tables if any(row.table == n for row in rows)), None)
    return "--ablation" if ablation in request.ablations or number is None else f"--table {number}"


def partial_settings(request: Request, families: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Keys that were set and that not all of these families have, with the families that do."""
    names = tuple(dict.fromkeys(families))
    known = {name: family_keys(name) for name in names}
    having = {
        key: tuple(name for name in names if key in known[name])
        for key in given_settings(request.file, request.overrides)
    }
    return {key: able for key, able in having.items() if len(able) < len(names)}


def requested_tables(request: Request) -> tuple[PaperTable, ...]:
    """The tables that are asked for, one for each test dataset.

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
            next_step=f"Leave --test out, or ask for --table {ACROSS} as well.",
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
            "Table 3 tests on other datasets than the one trained on",
            where="--table 3",
            next_step="Name prepared ones, for example --test casiab_star --test sustech1k.",
        )
    return others
