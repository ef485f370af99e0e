"""Submissions: the nearest subjects of probes with hidden labels, as CSV."""

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
# Name of a folder in a run, or suffix of one next to a file of embeddings.
SUBMISSIONS = "submissions"


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission that was written.

    Attributes:
        protocol: Name of the protocol.
        path: The file.
        probes: Number of its lines.
        gallery: Number of gallery sequences.
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
    """Write the CSV file for a scoring server: one line per probe with its nearest subjects.

    A probe is identified by its view, which is unique in the dataset. The subject at rank k is that
    of the k-th nearest gallery sequence, as for Rank-k elsewhere, so subjects may repeat; ties are
    in the gallery's order. If the gallery has fewer sequences than the protocol has ranks, the rest
    of a line is empty.

    Args:
        path: The file.
        embeddings: float32 [n, C, P] of hidden and of known test subjects.
        manifest: The dataset's manifest.
        protocol: Name of a protocol scored by submission.
        metric: ``euclidean`` or ``cosine``.
        rerank: k-reciprocal re-ranking.
        progress: Reports the search.

    Raises:
        DataError: no probe, no gallery, or two probes with the same name.
        OutputError: the file cannot be written.
    """
    rules = manifest.protocols[protocol]
    scoring_set = ScoringSet.start(
        embeddings, manifest, metric, rerank, None, progress or SilentProgress(), hidden=True
    )
    probes, gallery = _sides(scoring_set, manifest, rules)
    names = [scoring_set.keys[probe].view for probe in probes]
    _check(manifest, names, gallery)
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    ranks = rules.ranks or 0
    writer.writerow([PROBE, *(f"rank{rank}" for rank in range(1, ranks + 1))])
    for name, nearest in zip(names, _nearest(scoring_set, probes, gallery, ranks), strict=True):
        subjects = [scoring_set.keys[entry].subject for entry in nearest]
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
    """Write every submission among ``protocols`` (None: all) as DATASET-PROTOCOL.csv.

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
    scoring_set: ScoringSet, manifest: DatasetManifest, rules: Protocol
) -> tuple[Indices, Indices]:
    """Probes of hidden subjects and the gallery of known ones, over all conditions."""
    hidden = np.isin([key.subject for key in scoring_set.keys], manifest.subjects.hidden)
    conditions = rules.conditions.values()
    probes = np.unique(np.concatenate([scoring_set.of(one.probe) for one in conditions]))
    gallery = np.unique(np.concatenate([scoring_set.of(one.gallery) for one in conditions]))
    return probes[hidden[probes]], gallery[~hidden[gallery]]


def _check(manifest: DatasetManifest, names: list[str], gallery: Indices) -> None:
    if not names or not len(gallery):
        what = "gallery sequence" if names else "probe of a hidden subject"
        raise DataError(
            f"There is no {what} of {manifest.title} among the embeddings",
            next_step="Prepare and embed the whole test part, probes and gallery.",
        )
    if len(set(names)) < len(names):
        duplicate = next(name for name in names if names.count(name) > 1)
        raise DataError(
            f"Two probes of {manifest.title} are called {duplicate}",
            next_step="Give each probe once, as the dataset names it.",
        )


def _nearest(
    scoring_set: ScoringSet, probes: Indices, gallery: Indices, ranks: int
) -> Iterator[Indices]:
    """Yield each probe's nearest entries, int64 [at most ranks], nearest first."""
    block = scoring_set.block(probes, gallery, "submission")

    def order(rows: slice) -> Indices:
        distance = block(torch.from_numpy(probes[rows]))
        entries: Indices = gallery[ranked(distance)[:, :ranks].cpu().numpy()]
        return entries

    with scoring_set.progress.task("Search for the submission", len(probes), "probes") as task:
        for rows, entries in each_block(
            order, len(probes), len(gallery), scoring_set.distances.device
        ):
            yield from entries
            task.advance(rows.stop - rows.start)
