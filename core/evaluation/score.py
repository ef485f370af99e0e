"""Scores of embeddings under a dataset's protocols, for embeddings of any model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from core.errors import DataError, UsageError
from core.evaluation.scoring_set import ScoringSet
from core.manifests.protocols import Protocol
from core.manifests.schema import DatasetManifest
from core.metrics.coverage import coverage
from core.metrics.distance import Metric
from core.metrics.rerank import Reranking
from core.metrics.results import EvaluationResult
from core.metrics.summary import protocol_result, with_cells
from core.metrics.tally import resamples
from core.progress import Progress, SilentProgress
from core.records import EmbeddingSet, SequenceKey
from core.system.suggestions import known_names

MAX_RESAMPLES = 100_000


def score(
    embeddings: EmbeddingSet,
    manifest: DatasetManifest,
    *,
    metric: Metric = "euclidean",
    rerank: bool | Reranking = False,
    bootstrap: int = 0,
    seed: int = 0,
    protocols: Sequence[str] | None = None,
    progress: Progress | None = None,
    device: torch.device | str | None = None,
) -> EvaluationResult:
    """Score ``embeddings`` under the protocols of ``manifest``.

    Only sequences of test subjects are scored; the number of others is reported. Views that are not
    in the manifest are scored like the others and reported. Submissions have no numbers:
    :func:`core.evaluation.submission.write_submission` writes them.

    Args:
        embeddings: float32 [n, C, P] with labels, types and views.
        manifest: The dataset's manifest.
        metric: ``euclidean`` (per strip, mean over strips) or ``cosine``.
        rerank: k-reciprocal re-ranking, per condition; True for its paper's constants.
        bootstrap: Resamples for 95 % intervals; 0 for none. Subjects are drawn with replacement;
            the gallery is not resampled.
        seed: Seed of the resamples.
        protocols: Names; default all of the manifest's that have scores.
        progress: Reports the search.
        device: Device for distances; default the CPU.

    Raises:
        UsageError: an unknown metric or protocol, or numbers out of range.
        DataError: malformed embeddings, or none of them of a test subject.
    """
    rules = _scored_protocols(manifest, protocols)
    if not 0 <= bootstrap <= MAX_RESAMPLES or seed < 0:
        raise UsageError(
            f"{bootstrap} resamples with seed {seed} are not possible",
            where="bootstrap, seed",
            next_step=f"Use 0 to {MAX_RESAMPLES:,} resamples and a seed of 0 or more.",
        )
    keys = zip(embeddings.labels, embeddings.types, embeddings.views, strict=True)
    hidden = set(manifest.subjects.hidden)
    counts = coverage(
        (key for key in keys if key[0] not in hidden),
        manifest.subjects.test,
        manifest.structure.types,
        manifest.structure.views,
        open_types=manifest.structure.open_types,
        open_views=manifest.structure.open_views,
        group=manifest.structure.group,
        sequences=_listed(manifest),
    )
    if counts.left_out == counts.embeddings:
        raise DataError(
            f"None of the {counts.embeddings} embeddings is of a test subject of {manifest.title}",
            next_step=f"Test subjects have ids like {manifest.subjects.test[0]!r}.",
        )
    reporter = progress or SilentProgress()
    scoring_set = ScoringSet.start(embeddings, manifest, metric, rerank, device, reporter)
    weights = resamples(len(scoring_set.subjects), bootstrap, seed) if bootstrap else None
    tallies = scoring_set.tallies(rules)
    results = {
        name: protocol_result(
            protocol, tallies[name], scoring_set.views, scoring_set.known_views, weights
        )
        for name, protocol in rules.items()
    }
    return EvaluationResult(
        dataset=manifest.name,
        title=manifest.title,
        metric=metric,
        rerank=bool(rerank),
        coverage=with_cells(counts, results),
        protocols=results,
        provenance=embeddings.source,
        note=manifest.note,
        bootstrap=bootstrap,
        seed=seed,
    )


def _listed(manifest: DatasetManifest) -> dict[str, Callable[[SequenceKey], str]]:
    """The names in the lists, with the spelling of sequences in each list."""
    return {name: one.written for one in manifest.lists.values() for name in one.sequences}


def _scored_protocols(
    manifest: DatasetManifest, names: Sequence[str] | None
) -> dict[str, Protocol]:
    for name in names or ():
        if name not in manifest.protocols:
            raise UsageError(
                f"{manifest.title} has no protocol `{name}`",
                next_step=known_names(name, manifest.protocols),
            )
    rules = {name: manifest.protocols[name] for name in (names or manifest.protocols)}
    return {name: protocol for name, protocol in rules.items() if protocol.counted}
