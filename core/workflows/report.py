"""`lmgait report`: everything about a trained run on one page."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import WeightsError
from core.evaluation.retrieval import (
    EACH,
    ConditionRetrievals,
    Found,
    Retrieval,
    default_protocol,
    evenly_spaced,
    retrievals,
)
from core.evaluation.score import score
from core.inference.cache import cached_or_new_embeddings
from core.inference.embed_run import used_sequences
from core.manifests.published import load_published
from core.manifests.schema import DatasetManifest
from core.metrics.distance import Metric
from core.metrics.projection import principal_plane
from core.metrics.results import EvaluationResult
from core.models.families import family_of
from core.pictures.colours import grey
from core.progress import Progress
from core.records import EmbeddingSet, SequenceKey
from core.report import Report, render
from core.report.content import ConditionProbes, Hit, Picture, Plane, Probe, Retrievals, Sight
from core.report.facts import cautions, logs, provenance, provenance_tables, settings, summary
from core.report.limits import MOST_SILHOUETTES
from core.report.thumbnails import jpeg_uri
from core.runs.load import LoadedModel, load_model, newest_weights
from core.runs.run import Run, find_run
from core.runs.stores import open_store
from core.storage.store import Store
from core.system.files import write_text
from core.tables.build import result_tables
from core.training.engine import make_engine
from core.visualization.contact_sheet import middle_views, silhouette_iou
from core.workspace import Workspace

# Points of the map; sequences that are shown; sequences whose silhouettes are measured.
MOST_POINTS, SIGHTS = 1500, 6


@dataclass(frozen=True, slots=True)
class ReportResult:
    """A written report.

    Attributes:
        path: The HTML file.
        bytes: Its size.
        run: What it is about.
        result: The scores in it.
    """

    path: Path
    bytes: int
    run: Run
    result: EvaluationResult

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "file": str(self.path),
            "bytes": self.bytes,
            "run": self.run.name,
            "result": self.result.to_json(),
        }


def report_run(
    workspace: Workspace,
    path: Path | None,
    *,
    run_name: str | None,
    dataset: str | None,
    bootstrap: int,
    pictures: bool,
    progress: Progress,
) -> ReportResult:
    """Test a run on a store and write what there is to say about it as one HTML file.

    Embeddings in the run's folder are used where they belong to its newest checkpoint and to the
    store; else they are computed. The same run and store give the same file.

    Args:
        workspace: Where stores and runs live.
        path: The file; None takes ``report.html`` in the run's folder, or
            ``report-<dataset>.html`` for a dataset that is not the run's own.
        run_name: Which run; None takes the newest of ``dataset``, else the newest of all.
        dataset: Whose store is tested; None takes the run's own.
        bootstrap: Resamples of subjects for 95 % intervals; 0 for none.
        pictures: Whether frames of the store are shown.
        progress: Told of the run and of long work.

    Raises:
        UsageError: no such run or dataset.
        StoreError, DataError, CheckpointError, WeightsError, OutputError: see their texts.
    """
    run = find_run(workspace.runs, name=run_name, dataset=dataset, or_any=True)
    store, manifest = open_store(workspace, dataset or run.dataset)
    progress.say(f"Run {run.name} (trained on {run.dataset}), tested on {manifest.title}.")
    header, engine = newest_weights(run)[1].header, make_engine()
    step = int(header["step"])

    @cache
    def load() -> LoadedModel:
        return load_model(run, device=engine.device)

    embeddings = cached_or_new_embeddings(run, step, store, manifest, engine, load, progress)
    metric: Metric = run.config.evaluate.distance
    result = score(embeddings, manifest, metric=metric, bootstrap=bootstrap, progress=progress)
    content = _content(
        workspace, run, header, store, manifest, embeddings, result, pictures, load, progress
    )
    own = manifest.name == run.dataset
    target = path or run.folder / ("report.html" if own else f"report-{manifest.name}.html")
    text = render(content)
    write_text(target, text)
    return ReportResult(target, len(text.encode()), run, result)


def _content(
    workspace: Workspace,
    run: Run,
    header: dict[str, Any],
    store: Store,
    manifest: DatasetManifest,
    embeddings: EmbeddingSet,
    result: EvaluationResult,
    pictures: bool,
    load: Callable[[], LoadedModel],
    progress: Progress,
) -> Report:
    published = load_published(result.dataset)
    tables = result_tables(result, published, run.dataset)
    silhouettes, sights = _seen(run, store, manifest, pictures, load, progress)
    return Report(
        run=run.name,
        dataset=manifest.title,
        summary=summary(run, header, manifest, result),
        cautions=cautions(run, header, store, manifest, result),
        result=result,
        tables=tuple(tables),
        compared=len(tables) > len(result.protocols),
        retrievals=_retrievals(embeddings, store, manifest, run, pictures),
        plane=_plane(embeddings),
        logs=logs(workspace, run),
        silhouettes=silhouettes,
        sights=sights,
        settings=settings(run),
        provenance=provenance(run, header, store),
        details=provenance_tables(run, header, store),
    )


class _Album:
    """Pictures of sequences, by their place in the embedding set; each is read once."""

    def __init__(self, embeddings: EmbeddingSet, store: Store, pictures: bool) -> None:
        self._keys, self._store = _keys(embeddings), store
        self._numbers = {info.key: n for n, info in enumerate(store.sequences)}
        self._wanted = pictures
        self._made: dict[int, Picture] = {}

    def picture(self, place: int) -> Picture:
        """The middle frame of a sequence."""
        if place not in self._made:
            key = self._keys[place]
            self._made[place] = Picture(key, self._uri(self._numbers[key]) if self._wanted else "")
        return self._made[place]

    def _uri(self, number: int) -> str:
        return jpeg_uri(_middle(self._store, number))


def _middle(store: Store, number: int) -> NDArray[np.uint8]:
    """The middle frame of a sequence uint8 [H, W, 3]; its silhouette in a store without RGB."""
    middle = store.sequences[number].frames // 2
    if store.has_rgb:
        return np.asarray(store.read_rgb(number, [middle])[0], np.uint8)
    masks, valid = store.read_silhouettes(number, [middle])
    if valid[0] or not store.stream_count("aligned", number):
        return grey(masks[0])
    images = np.asarray(store.read_stream("aligned", number).rows, np.uint8)
    rows, columns = images.shape[1:]
    side = (columns - rows // 2) // 2
    image: NDArray[np.uint8] = images[len(images) // 2, :, side : columns - side]
    return np.asarray(np.repeat(image[..., None], 3, axis=2), np.uint8)


def _retrievals(
    embeddings: EmbeddingSet, store: Store, manifest: DatasetManifest, run: Run, pictures: bool
) -> Retrievals:
    album = _Album(embeddings, store, pictures)

    def hit(found: Found) -> Hit:
        return Hit(album.picture(found.place), found.rank, found.distance, found.right)

    def probe(one: Retrieval) -> Probe:
        nearest = tuple(hit(found) for found in one.nearest)
        return Probe(album.picture(one.place), nearest, hit(one.first_right), one.gallery)

    def condition(one: ConditionRetrievals) -> ConditionProbes:
        shown = tuple(probe(retrieval) for retrieval in one.shown)
        return ConditionProbes(one.condition, one.probes, one.right, shown)

    name = default_protocol(manifest)
    found = retrievals(embeddings, manifest, name, run.config.evaluate.distance)
    title = manifest.protocols[name].title
    return Retrievals(title, EACH, tuple(condition(one) for one in found), pictures)


def _plane(embeddings: EmbeddingSet) -> Plane:
    chosen = evenly_spaced(range(len(embeddings)), MOST_POINTS)
    points, kept = principal_plane(embeddings.embeddings[chosen])
    keys = _keys(embeddings)
    return Plane(
        tuple(keys[place] for place in chosen),
        tuple((float(x), float(y)) for x, y in points),
        kept,
        len(embeddings),
    )


def _seen(
    run: Run,
    store: Store,
    manifest: DatasetManifest,
    pictures: bool,
    load: Callable[[], LoadedModel],
    progress: Progress,
) -> tuple[str, tuple[Sight, ...]]:
    """How near predicted silhouettes come to the true ones, in a sentence, and some of them."""
    family = family_of(run.config.model)
    if "views" not in family.capabilities:
        return f"{family.title} has no silhouettes of its own to compare.", ()
    used = used_sequences(store, manifest)
    chosen = evenly_spaced(used, MOST_SILHOUETTES)
    try:
        loaded = load()
        iou = silhouette_iou(loaded, store, chosen, each=1)
        views = {
            n: middle_views(loaded, store, n)
            for n in evenly_spaced(used, SIGHTS if pictures else 0)
        }
    except WeightsError as error:
        progress.say(f"Silhouettes are not predicted: {error}")
        return f"Silhouettes were not predicted: {error.what}.", ()
    sights = tuple(
        Sight(store.sequences[n].key, {name: jpeg_uri(rgb) for name, rgb in found.items()})
        for n, found in views.items()
    )
    if math.isnan(iou):
        return "Silhouettes were not measured: no frame has a true one.", sights
    return (
        f"Predicted silhouettes: mean intersection over union {iou:.3f} (middle frames of "
        f"{len(chosen)} test sequences, evenly spread).",
        sights,
    )


def _keys(embeddings: EmbeddingSet) -> list[SequenceKey]:
    named = zip(embeddings.labels, embeddings.types, embeddings.views, strict=True)
    return [SequenceKey(*key) for key in named]
