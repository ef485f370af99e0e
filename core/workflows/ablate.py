"""`lmgait ablate`: train and score the rows of the paper's ablation tables, one after the other.

Every row is trained by the plan of `lmgait train` and scored by
:func:`core.workflows.evaluate.evaluate_run`, as those verbs do. What is finished is kept: a run of
the same settings is not trained again, and its scores on an unchanged store are read back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from core.config import Config
from core.files import read_plain_json, write_text
from core.manifests.load import load_manifest
from core.manifests.published import PublishedTable
from core.manifests.schema import DatasetManifest
from core.models.base import implementation_of
from core.progress import Progress
from core.storage.store import Store
from core.tables.ablations import MEAN, METRIC, AblationRow, AblationTable, ScoredRun
from core.training.engine import decide, joined, make_engine
from core.version import __version__
from core.workflows.ablation_request import Request, Tables, requested_tables, resolved
from core.workflows.estimate import embedding_stage
from core.workflows.evaluate import Scoring, evaluate_run, used_sequences
from core.workflows.model_inputs import check_inputs
from core.workflows.models import LoadedModel
from core.workflows.paper_tables import PaperRow, paper_scores, published_table
from core.workflows.runs import Run
from core.workflows.shared_store import open_shared_store
from core.workflows.stages import Estimate, Stage, finished
from core.workflows.stores import open_store
from core.workflows.train import plan_on_store
from core.workflows.training_plan import TrainingPlan
from core.workflows.warmup import WARMUP, training_notes
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class AblationPlan:
    """What is to be trained and scored; made by :func:`plan_ablation`.

    Attributes:
        workspace: Where stores and runs live.
        request: What was asked for.
        store: Of the dataset to train on.
        manifest: Of the dataset to train on.
        tables: Numbers of tables (None: of single ablations) with their rows.
        jobs: The trainings: names of ablations and their configurations, seed by seed.
        tests: Stores and manifests of the datasets to test on, by name.
    """

    workspace: Workspace
    request: Request
    store: Store
    manifest: DatasetManifest
    tables: Tables
    jobs: tuple[tuple[str, Config], ...]
    tests: Mapping[str, tuple[Store, DatasetManifest]]

    def run(self, progress: Progress) -> list[AblationTable]:
        """Train and score what is left of it.

        Returns:
            One table for each of the paper's tables and test datasets, in order.

        Raises:
            LmgaitError: as :meth:`core.workflows.training_plan.TrainingPlan.run` and
                :func:`core.workflows.evaluate.evaluate_run`.
        """
        scored: dict[tuple[str, str], list[ScoredRun]] = {}
        engine: Accelerator | None = None
        for number, (name, config) in enumerate(self.jobs, start=1):
            progress.say(f"Ablation {number} of {len(self.jobs)}: {name}, seed {config.seed}")
            plan = self._training(name, config, engine, progress)
            run, engine = plan.run(progress).run, plan.engine
            for target in self.tests:
                scores = self._scored(name, config, run, target, progress)
                scored.setdefault((name, target), []).append(scores)
        return [
            _table(number, rows, target, scored, self.request, self.store)
            for number, rows in self.tables
            for target in self.tests
        ]

    def estimate(self, progress: Progress) -> Estimate:
        """What :meth:`run` will take; what is finished counts no more, and nothing is written."""
        stages: list[Stage] = []
        warmups: set[str] = set()
        engine: Accelerator | None = None
        measured = ""
        for name, config in self.jobs:
            if name != measured:
                progress.say(f"Measuring {name}.")
                measured = name
            plan = self._training(name, config, engine, progress)
            engine = plan.engine
            training = plan.stages(progress)
            if plan.warmup is not None:
                shared = plan.warmup.key in warmups
                training = [one for one in training if one.name != WARMUP or not shared]
                warmups.add(plan.warmup.key)
            embedding = [self._embedding(config, target, engine) for target in self.tests]
            stages += [
                replace(stage, name=f"{name}, seed {config.seed}: {stage.name}")
                for stage in (*training, *embedding)
            ]
        notes = (*training_notes(self.jobs[-1][1]), "Scoring itself is not in it.")
        return finished(stages, self.workspace.root, notes)

    def _training(
        self, name: str, config: Config, engine: Accelerator | None, progress: Progress
    ) -> TrainingPlan:
        return plan_on_store(
            self.workspace,
            self.store,
            self.manifest,
            config,
            preset=self.request.preset,
            stem=f"ablate-{name}-s{config.seed}",
            engine=engine,
            progress=progress,
        )

    def _embedding(self, config: Config, target: str, engine: Accelerator) -> Stage:
        """Embedding a test dataset by a model of these sizes: weights do not change the time."""
        store, manifest = self.tests[target]
        family = implementation_of(config.model)
        model = family.build(config.model, classes=None, seed=config.seed).eval()
        model = model.to(engine.device).requires_grad_(False)
        loaded = LoadedModel(model, config, {}, engine.device, False)
        return embedding_stage(loaded, store, manifest, used_sequences(store, manifest), engine)

    def _scored(
        self, ablation: str, config: Config, run: Run, target: str, progress: Progress
    ) -> ScoredRun:
        """Score a run on a test dataset, or read back what was scored from the same checkpoint."""
        store, manifest = self.tests[target]
        path = run.folder / "scores" / f"{manifest.name}.json"

        def choose() -> tuple[dict[str, Any], dict[str, Any] | None]:
            made_from = {
                "version": __version__,
                "step": max(run.checkpoints().steps()),
                "store": store.fingerprint,
                "metric": config.evaluate.distance,
                "manifest": manifest.model_dump(mode="json", include={"subjects", "protocols"}),
            }
            return made_from, _read_back(path, made_from)

        made_from, result = decide(joined(), choose)
        if result is None:
            evaluation = evaluate_run(
                self.workspace,
                run_name=run.name,
                train_dataset=None,
                test_dataset=target,
                scoring=Scoring(metric=config.evaluate.distance),
                progress=progress,
            )
            result = evaluation.result.to_json()
            text = json.dumps({"made_from": made_from, "result": result}) + "\n"
            decide(make_engine(), lambda: write_text(path, text))
        protocol = result["protocols"][_protocol(manifest)]
        parts: Mapping[str, Any] = {**protocol["conditions"], MEAN: protocol["mean"]}
        scores = {name: part[METRIC] for name, part in parts.items()}
        chance = {name: part["chance"][METRIC] for name, part in parts.items()}
        return ScoredRun(ablation, config.seed, run.name, scores, chance)


def plan_ablation(workspace: Workspace, request: Request) -> AblationPlan:
    """Decide what ``request`` trains and scores; reads only.

    Raises:
        UsageError: an unknown table or ablation, Table 3 without other test datasets, or settings
            that undo what an ablation names.
        StoreError: a dataset that is not prepared.
        ConfigError: settings with faults.
    """
    tables = requested_tables(request)
    store, manifest = open_shared_store(workspace, request.dataset)
    # Before hours of training, not after.
    tests = {
        name: (store, manifest) if name == request.dataset else open_store(workspace, name)
        for name in request.targets
    }
    names = list(dict.fromkeys(n for _, rows in tables for row in rows for n in row.ablations))
    configs = {name: resolved(name, request, manifest) for name in names}
    for tested, _ in [(store, manifest), *tests.values()]:
        check_inputs(tested, next(iter(configs.values())))
    jobs = tuple(
        (name, config.model_copy(update={"seed": config.seed + offset}))
        for name, config in configs.items()
        for offset in range(request.seeds)
    )
    return AblationPlan(workspace, request, store, manifest, tables, jobs, tests)


def ablate(workspace: Workspace, request: Request, *, progress: Progress) -> list[AblationTable]:
    """Train and score what ``request`` names; the same call resumes after a stop.

    Errors are those of :func:`plan_ablation` and :meth:`AblationPlan.run`.
    """
    return plan_ablation(workspace, request).run(progress)


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
