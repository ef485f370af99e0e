"""A protocol's submission: the nearest subjects of probes whose own subject is hidden, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from core.errors import DataError
from core.evaluation.scoring_set import Indices, ScoringSet
from core.manifests.protocols import Protocol
from core.manifests.schema import DatasetManifest
from core.metrics.blocks import each_block
from core.metrics.distance import Metric
from core.metrics.ranking import ranked
from core.metrics.rerank import Reranking
from core.progress import Progress, SilentProgress
from core.records import EmbeddingSet
from core.system.files import write_text

PROBE = "videoId"
# Folder of a run, or the ending of one beside a file of embeddings.
SUBMISSIONS = "submissions"


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission that was written.

    Attributes:
        protocol: Its name.
        path: The file.
        probes: Number of its lines.
        gallery: Number of sequences that were searched.
    """

    protocol: str
    path: Path
    probes: int
    gallery: int


def write_submission(
    path: Path,
    embeddings: EmbeddingSet,
    manifest: DatasetManifest,
    protocol: str,
    *,
    metric: Metric = "euclidean",
    rerank: bool | Reranking = False,
    progress: Progress | None = None,
) -> Submission:
    """Write the CSV file that a server counts: a line a probe, its nearest subjects in order.

    A probe is called by its view, which the dataset makes unique. The subject at rank k is that of
    the k-th nearest gallery sequence, as Rank-k is counted everywhere else, so one may come again;
    equally near ones stand in the gallery's order. Where the gallery has fewer sequences than the
    protocol has ranks, the rest of a line is empty.

    Args:
        path: The file.
        embeddings: float32 [n, C, P] of hidden and of known test subjects.
        manifest: The dataset's.
        protocol: Name of a protocol that counts by submission.
        metric: ``euclidean`` or ``cosine``.
        rerank: k-reciprocal re-ranking.
        progress: Told of the search.

    Raises:
        DataError: there is no probe or no gallery, or two probes are called the same.
        OutputError: the file cannot be written.
    """
    rules = manifest.protocols[protocol]
    tested = ScoringSet.start(
        embeddings, manifest, metric, rerank, None, progress or SilentProgress(), hidden=True
    )
    probes, gallery = _sides(tested, manifest, rules)
    names = [tested.keys[probe].view for probe in probes]
    _check(manifest, names, gallery)
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    ranks = rules.ranks or 0
    writer.writerow([PROBE, *(f"rank{rank}" for rank in range(1, ranks + 1))])
    for name, nearest in zip(names, _nearest(tested, probes, gallery, ranks), strict=True):
        subjects = [tested.keys[entry].subject for entry in nearest]
        writer.writerow([name, *subjects, *[""] * (ranks - len(subjects))])
    write_text(path, lines.getvalue())
    return Submission(protocol, path, len(probes), len(gallery))


def write_submissions(
    folder: Path,
    embeddings: EmbeddingSet,
    manifest: DatasetManifest,
    protocols: Sequence[str] | None,
    *,
    metric: Metric,
    rerank: bool,
    progress: Progress,
) -> tuple[Submission, ...]:
    """Write each of ``protocols`` (None: all) that is a submission, as DATASET-PROTOCOL.csv.

    Arguments and errors are those of :func:`write_submission`.
    """
    return tuple(
        write_submission(
            folder / f"{manifest.name}-{name}.csv",
            embeddings,
            manifest,
            name,
            metric=metric,
            rerank=rerank,
            progress=progress,
        )
        for name in (protocols or manifest.protocols)
        if not manifest.protocols[name].counted
    )


def _sides(
    tested: ScoringSet, manifest: DatasetManifest, rules: Protocol
) -> tuple[Indices, Indices]:
    """Probes of hidden subjects and the gallery of known ones, over all conditions."""
    hidden = np.isin([key.subject for key in tested.keys], manifest.subjects.hidden)
    conditions = rules.conditions.values()
    probes = np.unique(np.concatenate([tested.of(one.probe) for one in conditions]))
    gallery = np.unique(np.concatenate([tested.of(one.gallery) for one in conditions]))
    return probes[hidden[probes]], gallery[~hidden[gallery]]


def _check(manifest: DatasetManifest, names: list[str], gallery: Indices) -> None:
    if not names or not len(gallery):
        what = "gallery sequence" if names else "probe of a hidden subject"
        raise DataError(
            f"There is no {what} of {manifest.title} among the embeddings",
            next_step="Prepare and embed the whole test part, probes and gallery.",
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(
            f"Two probes of {manifest.title} are called {twice}",
            next_step="Give each probe once, as the dataset names it.",
        )


def _nearest(
    tested: ScoringSet, probes: Indices, gallery: Indices, ranks: int
) -> Iterator[Indices]:
    """Yield each probe's nearest entries, int64 [at most ranks], nearest first."""
    block = tested.block(probes, gallery, "submission")

    def order(rows: slice) -> Indices:
        distance = block(torch.from_numpy(probes[rows]))
        entries: Indices = gallery[ranked(distance)[:, :ranks].cpu().numpy()]
        return entries

    with tested.progress.task("Search for the submission", len(probes), "probes") as task:
        for rows, entries in each_block(order, len(probes), len(gallery), tested.distances.device):
            yield from entries
            task.advance(rows.stop - rows.start)
