"""`lmgait ablate`: train and score the rows of the paper's ablation tables, one after the other.

Every row is trained by :func:`core.workflows.train.train` and scored by
:func:`core.workflows.evaluate.evaluate_run`, as those verbs do. What is finished is kept: a run of
exactly these settings is not trained again, and its scores on an unchanged store are read back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import Config, flatten, load_ablation, resolve_config
from core.config.machine import deciding
from core.errors import UsageError
from core.files import read_plain_json, write_text
from core.manifests.load import load_manifest
from core.manifests.published import PublishedTable
from core.manifests.schema import DatasetManifest
from core.progress import Progress
from core.storage.store import Store
from core.tables.ablations import MEAN, METRIC, AblationRow, AblationTable, ScoredRun
from core.training.engine import decide, joined, make_engine
from core.version import __version__
from core.workflows.evaluate import Scoring, evaluate_run
from core.workflows.paper_tables import (
    TABLES,
    PaperRow,
    paper_rows,
    paper_scores,
    published_table,
)
from core.workflows.runs import Run, list_runs
from core.workflows.shared_store import open_shared_store
from core.workflows.stores import open_store, with_frames
from core.workflows.train import train
from core.workspace import Workspace


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


def ablate(workspace: Workspace, request: Request, *, progress: Progress) -> list[AblationTable]:
    """Train and score what ``request`` names; the same call goes on after a stop.

    Returns:
        One table for each of the paper's tables and test datasets, in order.

    Raises:
        UsageError: an unknown table or ablation, Table 3 without other test datasets, or settings
            that undo what an ablation names.
        StoreError, DataError, WeightsError, ConfigError, TrainingError: see their texts.
        Interrupted: a signal; what is done is kept.
    """
    tables = wanted(request)
    store, manifest = open_shared_store(workspace, request.dataset)
    for target in request.targets:
        open_store(workspace, target)  # before hours of training, not after
    names = list(dict.fromkeys(n for _, rows in tables for row in rows for n in row.ablations))
    configs = {name: resolved(name, request, manifest) for name in names}
    jobs = [(name, seed) for name in names for seed in range(request.seeds)]
    scored: dict[tuple[str, str], list[ScoredRun]] = {}
    for number, (name, offset) in enumerate(jobs, start=1):
        config = configs[name].model_copy(update={"seed": configs[name].seed + offset})
        progress.say(f"Ablation {number} of {len(jobs)}: {name}, seed {config.seed}")
        run = _trained(workspace, name, config, store, request, progress)
        for target in request.targets:
            found = _scored(workspace, name, config.seed, run, target, progress)
            scored.setdefault((name, target), []).append(found)
    return [
        _table(number, rows, target, scored, request, store)
        for number, rows in tables
        for target in request.targets
    ]


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


def wanted(request: Request) -> list[tuple[int | None, tuple[PaperRow, ...]]]:
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
            "Table 3 tests on other datasets than the one trained on", where="--table 3",
            next_step="Name prepared ones, for example --test casiab_star --test sustech1k.",
        )  # fmt: skip
    tables: list[tuple[int | None, tuple[PaperRow, ...]]] = [
        (number, paper_rows(number)) for number in dict.fromkeys(request.tables)
    ]
    if request.ablations:
        chosen = tuple(dict.fromkeys(request.ablations))
        tables.append((None, tuple(PaperRow(load_ablation(n).title, (n,)) for n in chosen)))
    return tables


def _trained(
    workspace: Workspace,
    ablation: str,
    config: Config,
    store: Store,
    request: Request,
    progress: Progress,
) -> Run:
    """The finished run of exactly this configuration on this store, trained where need be."""

    def choose() -> tuple[Run | None, str]:
        runs = list_runs(workspace.runs, progress)
        same = [run for run in runs if same_training(run, config, store)]
        done = next((run for run in same if run.done(config.train.iterations)), None)
        return done, same[-1].name if same else _free_name(ablation, config.seed, runs)

    done, name = decide(joined(), choose)
    if done is not None:
        progress.say(f"Run {done.name} is trained already.")
        return done
    return train(
        workspace, request.dataset, config, preset=request.preset, name=name, progress=progress
    ).run


def same_training(run: Run, config: Config, store: Store) -> bool:
    """Whether a run is of this configuration and store, and is scored by the same distance."""
    return (
        run.facts.get("store") == store.fingerprint
        and deciding(run.config) == deciding(config)
        and run.config.evaluate.distance == config.evaluate.distance
    )


def _free_name(ablation: str, seed: int, runs: Sequence[Run]) -> str:
    """``ablate-NAME-s0``, with a number behind it where other settings have taken the name."""
    base, taken = f"ablate-{ablation}-s{seed}", {run.name for run in runs}
    candidates = (base, *(f"{base}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in candidates if name not in taken)


def _scored(
    workspace: Workspace, ablation: str, seed: int, run: Run, target: str, progress: Progress
) -> ScoredRun:
    """Score a run on a test dataset, or read back what was scored from the same checkpoint."""
    store, manifest = open_store(workspace, target)
    path = run.folder / "scores" / f"{manifest.name}.json"

    def choose() -> tuple[dict[str, Any], dict[str, Any] | None]:
        made_from = {
            "version": __version__,
            "step": max(run.checkpoints().steps()),
            "store": store.fingerprint,
            "manifest": manifest.model_dump(mode="json", include={"subjects", "protocols"}),
        }
        return made_from, _read_back(path, made_from)

    made_from, result = decide(joined(), choose)
    if result is None:
        done = evaluate_run(
            workspace, run_name=run.name, train_dataset=None, test_dataset=target,
            scoring=Scoring(), progress=progress,
        )  # fmt: skip
        result = done.result.to_json()
        text = json.dumps({"made_from": made_from, "result": result}) + "\n"
        decide(make_engine(), lambda: write_text(path, text))
    protocol = result["protocols"][_protocol(manifest)]
    parts: Mapping[str, Any] = {**protocol["conditions"], MEAN: protocol["mean"]}
    scores = {name: part[METRIC] for name, part in parts.items()}
    chance = {name: part["chance"][METRIC] for name, part in parts.items()}
    return ScoredRun(ablation, seed, run.name, scores, chance)


def _read_back(path: Path, made_from: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        found = read_plain_json(path)
        return dict(found["result"]) if found["made_from"] == made_from else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent or damaged: it is only a copy


def _protocol(manifest: DatasetManifest) -> str:
    """The protocol shown: the dataset's first, which is the one the paper's tables use."""
    return next(iter(manifest.protocols))


def _table(
    number: int | None,
    rows: Sequence[PaperRow],
    target: str,
    scored: Mapping[tuple[str, str], list[ScoredRun]],
    request: Request,
    store: Store,
) -> AblationTable:
    manifest = load_manifest(target)
    protocol = _protocol(manifest)
    paper = None if number is None else published_table(number, manifest.name)
    made = [
        AblationRow(
            row.label,
            tuple(run for name in row.ablations for run in scored[name, target]),
            {} if paper is None else paper_scores(paper, row.label),
        )
        for row in rows
    ]
    return AblationTable(
        number=number,
        trained_on=request.dataset,
        tested_on=manifest.name,
        protocol=protocol,
        columns=(*manifest.protocols[protocol].conditions, MEAN),
        rows=tuple(made),
        paper_columns=() if paper is None else paper.columns,
        paper_dataset=None if paper is None else paper.dataset,
        notes=tuple(_notes(paper, manifest, request, store, made)),
    )


def _notes(
    paper: PublishedTable | None,
    manifest: DatasetManifest,
    request: Request,
    store: Store,
    rows: Iterable[AblationRow],
) -> list[str]:
    notes = [f"Preset {request.preset}; trained on {store.describe()}"]
    if any(len(row.runs) > 1 for row in rows):
        notes.append("± is the sample standard deviation over a row's runs.")
    if manifest.note:
        notes.append(manifest.note)
    if paper is not None:
        notes.append(f"Paper: {paper.source}, on {load_manifest(paper.dataset).title}.")
        if request.preset != "paper" or paper.dataset != manifest.name:
            notes.append("Another model size or dataset than the paper's: not comparable with it.")
        if paper.note:
            notes.append(paper.note)
    return notes
