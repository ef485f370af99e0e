"""`lmgait report --dry-run`: estimate of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.estimates.stages import Estimate, Stage, counted, make_estimate, sample
from core.inference.cache import cached_embeddings
from core.inference.embed_run import used_sequences
from core.inference.embedding_stage import embedding_stage
from core.models.families import family_of
from core.progress import Progress
from core.report.limits import MOST_SILHOUETTES
from core.runs.load import LoadedModel, load_model
from core.runs.run import find_run
from core.runs.stores import open_store
from core.storage.store import Store
from core.training.engine import make_engine
from core.training.pace import Pace, measure
from core.visualization.contact_sheet import silhouette_iou
from core.workspace import Workspace


def estimate_report(
    workspace: Workspace, *, run_name: str | None, dataset: str | None, progress: Progress
) -> Estimate:
    """Estimate :func:`core.workflows.report.report_run`; stored embeddings cost nothing.

    Raises:
        UsageError, StoreError, CheckpointError, WeightsError: as a report does.
    """
    run = find_run(workspace.runs, name=run_name, dataset=dataset, or_any=True)
    store, manifest = open_store(workspace, dataset or run.dataset)
    engine = make_engine()
    loaded = load_model(run, device=engine.device)
    progress.say(f"Run {run.name}, sequences of {manifest.title}.")
    indices = used_sequences(store, manifest)
    stages = []
    if "views" in family_of(run.config.model).capabilities:
        stages.append(_silhouettes(loaded, store, indices))
    if cached_embeddings(run, int(loaded.header["step"]), store, manifest, progress) is None:
        stages.insert(0, embedding_stage(loaded, store, manifest, indices, engine))
    return make_estimate(stages, workspace.root, ("Scoring and drawing are not included.",))


def _silhouettes(loaded: LoadedModel, store: Store, indices: Sequence[int]) -> Stage:
    count = min(MOST_SILHOUETTES, len(indices))

    def steps() -> Iterator[float]:
        for index in sample(indices):
            silhouette_iou(loaded, store, [index], each=1)
            yield 1

    pace = measure(steps()) if indices else Pace(0.0, 0)
    basis = f"silhouettes of {counted(pace.steps, 'frames')}"
    return Stage("Silhouettes", count, "frames", count * pace.seconds, 0, basis)
