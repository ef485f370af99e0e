"""`lmgait ablate`: train and score the rows of the paper's tables, one after the other.

Every row is trained by the plan of `lmgait train` and scored by
:func:`core.workflows.evaluate.evaluate_run`, as those verbs do. What is finished is kept: a run of
the same settings is not trained again, and its scores on an unchanged store are read back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from core.ablations.lacking import lacking_rows, rows_that_run
from core.ablations.paper_tables import PaperTable, Variant
from core.ablations.request import Request, requested_tables, resolved
from core.ablations.tables import table_of_runs
from core.config import Config
from core.estimates.stages import Estimate, Stage, make_estimate
from core.inference.embed_run import used_sequences
from core.inference.embedding_stage import embedding_stage
from core.manifests.load import shown_protocol
from core.manifests.schema import DatasetManifest
from core.models.base import implementation_of
from core.plans.choose import plan_on_store
from core.plans.training import TrainingPlan
from core.plans.warmup import training_notes
from core.progress import Progress
from core.runs.load import LoadedModel
from core.runs.run import Run
from core.runs.shared_store import open_shared_store
from core.runs.stores import open_store
from core.storage.store import Store
from core.system.files import read_plain_json, write_text
from core.tables.ablations import MEAN, METRIC, AblationTable, ScoredRun
from core.training.engine import make_engine, process_state, run_on_main
from core.version import __version__
from core.workflows.evaluate import Scoring, evaluate_run
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class AblationPlan:
    """What is to be trained and scored; made by :func:`plan_ablation`.

    Attributes:
        workspace: Where stores and runs live.
        request: What was asked for.
        store: Of the dataset to train on.
        manifest: Of the dataset to train on.
        tables: The tables that are to be made.
        jobs: The trainings: what is trained and its configuration, seed by seed.
        tests: Stores and manifests of the datasets to test on, as they were named.
        lacking: Rows that do not run because a store lacks what they read, a line for each.
    """

    workspace: Workspace
    request: Request
    store: Store
    manifest: DatasetManifest
    tables: tuple[PaperTable, ...]
    jobs: tuple[tuple[Variant, Config], ...]
    tests: Mapping[str, tuple[Store, DatasetManifest]]
    lacking: tuple[str, ...] = ()

    def run(self, progress: Progress) -> list[AblationTable]:
        """Train and score what is left of it.

        Returns:
            One table for each of the paper's tables and test datasets, in order.

        Raises:
            LmgaitError: as :meth:`core.plans.training.TrainingPlan.run` and
                :func:`core.workflows.evaluate.evaluate_run`.
        """
        self._say_lacking(progress)
        runs: dict[tuple[Variant, str], list[ScoredRun]] = {}
        engine: Accelerator | None = None
        for number, (variant, config) in enumerate(self.jobs, start=1):
            progress.say(
                f"Training {number} of {len(self.jobs)}: {variant.name}, seed {config.seed}"
            )
            plan = self._training(variant, config, engine, progress)
            run, engine = plan.run(progress).run, plan.engine
            for target in self._targets(variant):
                scores = score_run(
                    self.workspace,
                    run,
                    config,
                    target,
                    *self.tests[target],
                    ablation=variant.ablation,
                    progress=progress,
                )
                runs.setdefault((variant, target), []).append(scores)
        configs = dict(self.jobs)
        return [
            table_of_runs(table, runs, self.request, self.store, configs) for table in self.tables
        ]

    def estimate(self, progress: Progress) -> Estimate:
        """What :meth:`run` will take; what is finished counts no more, and nothing is written."""
        self._say_lacking(progress)
        stages: list[Stage] = []
        counted: set[str] = set()
        engine: Accelerator | None = None
        last: Variant | None = None
        for variant, config in self.jobs:
            if variant != last:
                progress.say(f"Measuring {variant.name}.")
                last = variant
            plan = self._training(variant, config, engine, progress)
            engine = plan.engine
            training = [one for one in plan.stages(progress) if one.shared not in counted]
            counted |= {one.shared for one in training if one.shared}
            embedding = [
                self._embedding(config, target, engine) for target in self._targets(variant)
            ]
            stages += [
                replace(stage, name=f"{variant.name}, seed {config.seed}: {stage.name}")
                for stage in (*training, *embedding)
            ]
        notes = (*training_notes(self.jobs[-1][1]), "Scoring itself is not in it.")
        return make_estimate(stages, self.workspace.root, notes)

    def _say_lacking(self, progress: Progress) -> None:
        for line in self.lacking:
            progress.say(f"Not trained: {line}.")

    def _targets(self, variant: Variant) -> tuple[str, ...]:
        """Names of the datasets that it is tested on."""
        tables = (table for table in self.tables if variant in table.variants)
        return tuple(dict.fromkeys(table.tested_on for table in tables))

    def _training(
        self, variant: Variant, config: Config, engine: Accelerator | None, progress: Progress
    ) -> TrainingPlan:
        return plan_on_store(
            self.workspace,
            self.store,
            self.manifest,
            config,
            preset=self.request.preset,
            stem=f"ablate-{variant.name}-s{config.seed}",
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


def plan_ablation(workspace: Workspace, request: Request) -> AblationPlan:
    """Decide what ``request`` trains and scores; reads only.

    Raises:
        UsageError: what :func:`core.ablations.request.requested_tables` and
            :func:`core.ablations.request.resolved` refuse.
        StoreError: a dataset that is not prepared, or a table of which no row can run on it.
        ConfigError: settings with faults.
    """
    tables = requested_tables(request)
    store, manifest = open_shared_store(workspace, request.dataset)
    # Before hours of training, not after.
    targets = dict.fromkeys(table.tested_on for table in tables)
    tests = {
        name: (store, manifest) if name == request.dataset else open_store(workspace, name)
        for name in targets
    }
    variants = tuple(dict.fromkeys(one for table in tables for one in table.variants))
    families = tuple(dict.fromkeys(one.family for one in variants))
    configs = {one: resolved(one, request, manifest, families) for one in variants}
    stores = {**tests, request.dataset: (store, manifest)}
    requested, tables = tables, rows_that_run(tables, configs, stores)
    running = {one for table in tables for one in table.variants}
    jobs = tuple(
        (variant, config.model_copy(update={"seed": config.seed + offset}))
        for variant, config in configs.items()
        if variant in running
        for offset in range(request.seeds)
    )
    lacking = lacking_rows(requested, tables)
    return AblationPlan(workspace, request, store, manifest, tables, jobs, tests, lacking)


def ablate(workspace: Workspace, request: Request, *, progress: Progress) -> list[AblationTable]:
    """Train and score what ``request`` names; the same call resumes after a stop.

    Errors are those of :func:`plan_ablation` and :meth:`AblationPlan.run`.
    """
    return plan_ablation(workspace, request).run(progress)


def score_run(
    workspace: Workspace,
    run: Run,
    config: Config,
    target: str,
    store: Store,
    manifest: DatasetManifest,
    *,
    ablation: str,
    progress: Progress,
) -> ScoredRun:
    """Score a run on a test dataset, or read back what was scored from the same checkpoint.

    Args:
        workspace: Where stores and runs live.
        run: A trained run.
        config: What was asked for; its distance is the metric.
        target: The test dataset, as it was named.
        store: Of the test dataset.
        manifest: Of the test dataset.
        ablation: What the run stands for.
        progress: Told of the sequences.

    Raises:
        LmgaitError: as :func:`core.workflows.evaluate.evaluate_run`.
    """
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

    made_from, result = run_on_main(process_state(), choose)
    if result is None:
        evaluation = evaluate_run(
            workspace,
            run_name=run.name,
            train_dataset=None,
            test_dataset=target,
            scoring=Scoring(metric=config.evaluate.distance),
            progress=progress,
        )
        result = evaluation.result.to_json()
        text = json.dumps({"made_from": made_from, "result": result}) + "\n"
        run_on_main(make_engine(), lambda: write_text(path, text))
    protocol = result["protocols"][shown_protocol(manifest)]
    parts: Mapping[str, Any] = {**protocol["conditions"], MEAN: protocol["mean"]}
    scores = {name: part[METRIC] for name, part in parts.items()}
    chance = {name: part["chance"][METRIC] for name, part in parts.items()}
    return ScoredRun(ablation, config.seed, run.name, scores, chance)


def _read_back(path: Path, made_from: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        content = read_plain_json(path)
        return dict(content["result"]) if content["made_from"] == made_from else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent or damaged: it is only a copy
