"""`lmgait ablate`: train and score the rows of the paper's tables, one after the other.

Every row is trained by the plan of `lmgait train` and scored by
:func:`core.workflows.evaluate.evaluate_run`, as those verbs do. What is finished is kept: a run of
the same settings is not trained again, and its scores on an unchanged store are read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from accelerate import Accelerator

from core.config import Config
from core.manifests.schema import DatasetManifest
from core.models.base import implementation_of
from core.progress import Progress
from core.storage.store import Store
from core.tables.ablations import AblationTable, ScoredRun
from core.workflows.ablation_request import Request, requested_tables, resolved
from core.workflows.ablation_scores import score_run
from core.workflows.ablation_tables import table_of_runs
from core.workflows.estimate import embedding_stage
from core.workflows.evaluate import used_sequences
from core.workflows.model_inputs import check_inputs
from core.workflows.models import LoadedModel
from core.workflows.paper_tables import PaperTable, Variant
from core.workflows.shared_store import open_shared_store
from core.workflows.stages import Estimate, Stage, finished
from core.workflows.stores import open_store
from core.workflows.train import plan_on_store
from core.workflows.training_plan import TrainingPlan
from core.workflows.warmup import training_notes
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
    """

    workspace: Workspace
    request: Request
    store: Store
    manifest: DatasetManifest
    tables: tuple[PaperTable, ...]
    jobs: tuple[tuple[Variant, Config], ...]
    tests: Mapping[str, tuple[Store, DatasetManifest]]

    def run(self, progress: Progress) -> list[AblationTable]:
        """Train and score what is left of it.

        Returns:
            One table for each of the paper's tables and test datasets, in order.

        Raises:
            LmgaitError: as :meth:`core.workflows.training_plan.TrainingPlan.run` and
                :func:`core.workflows.evaluate.evaluate_run`.
        """
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
        return finished(stages, self.workspace.root, notes)

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
        UsageError: what :func:`core.workflows.ablation_request.requested_tables` and
            :func:`core.workflows.ablation_request.resolved` refuse.
        StoreError: a dataset that is not prepared.
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
    for tested, _ in [(store, manifest), *tests.values()]:
        for config in configs.values():
            check_inputs(tested, config)
    jobs = tuple(
        (variant, config.model_copy(update={"seed": config.seed + offset}))
        for variant, config in configs.items()
        for offset in range(request.seeds)
    )
    return AblationPlan(workspace, request, store, manifest, tables, jobs, tests)


def ablate(workspace: Workspace, request: Request, *, progress: Progress) -> list[AblationTable]:
    """Train and score what ``request`` names; the same call resumes after a stop.

    Errors are those of :func:`plan_ablation` and :meth:`AblationPlan.run`.
    """
    return plan_ablation(workspace, request).run(progress)
