"""Score embeddings by a dataset's protocols: any model's, from a file or from memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import DataError, UsageError
from core.manifests.schema import Condition, DatasetManifest, Protocol, TypeRule
from core.metrics.coverage import coverage
from core.metrics.distance import Metric, StripDistances
from core.metrics.rerank import Reranking, rerank_block
from core.metrics.results import EvaluationResult
from core.metrics.search import Block, Codes, SearchScores, search
from core.metrics.summary import Counted, protocol_result, with_cells
from core.metrics.tally import GalleryTally, PairTally, resamples
from core.nearest import known_names
from core.progress import Progress, SilentProgress
from core.records import EmbeddingSet

Indices = NDArray[np.int64]
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
    """Score ``embeddings`` by the protocols of ``manifest``.

    Only sequences of test subjects count; others are left out and their number is reported. Views
    that the manifest does not know are scored like the others and reported.

    Args:
        embeddings: float32 [n, C, P] with labels, types and views.
        manifest: the dataset's.
        metric: ``euclidean`` (per strip, mean over strips) or ``cosine``.
        rerank: k-reciprocal re-ranking, per condition; True for its paper's constants.
        bootstrap: resamples for 95 % intervals; 0 for none. Subjects are drawn with replacement,
            the gallery stays whole.
        seed: of the resamples.
        protocols: names; default all of the manifest's.
        progress: where to report to.
        device: where distances are computed; default the processor.

    Raises:
        UsageError: an unknown metric or protocol, or numbers out of range.
        DataError: malformed embeddings, or none of them of a test subject.
    """
    wanted = _chosen(manifest, protocols)
    if not 0 <= bootstrap <= MAX_RESAMPLES or seed < 0:
        raise UsageError(
            f"There are no {bootstrap} resamples with the seed {seed}",
            where="bootstrap, seed",
            next_step=f"Give 0 to {MAX_RESAMPLES:,} resamples, and a seed of 0 or more.",
        )
    seen = coverage(
        zip(embeddings.labels, embeddings.types, embeddings.views, strict=True),
        manifest.subjects.test,
        manifest.structure.types,
        manifest.structure.views,
        open_types=manifest.structure.open_types,
        group=manifest.structure.group,
    )
    if seen.left_out == seen.embeddings:
        raise DataError(
            f"None of the {seen.embeddings} embeddings is of a test subject of {manifest.title}",
            next_step=f"Test subjects have ids like {manifest.subjects.test[0]!r}.",
        )
    told = progress or SilentProgress()
    run = TestSequences.start(embeddings, manifest, metric, rerank, device, told)
    weights = resamples(len(run.subjects), bootstrap, seed) if bootstrap else None
    tallies = run.tallies(wanted)
    results = {
        name: protocol_result(protocol, tallies[name], run.views, run.known_views, weights)
        for name, protocol in wanted.items()
    }
    return EvaluationResult(
        dataset=manifest.name,
        title=manifest.title,
        metric=metric,
        rerank=bool(rerank),
        coverage=with_cells(seen, results),
        protocols=results,
        provenance=embeddings.source,
        note=manifest.note,
        bootstrap=bootstrap,
        seed=seed,
    )


def _chosen(manifest: DatasetManifest, names: Sequence[str] | None) -> dict[str, Protocol]:
    for name in names or ():
        if name not in manifest.protocols:
            raise UsageError(
                f"{manifest.title} has no protocol `{name}`",
                next_step=known_names(name, manifest.protocols),
            )
    return {name: manifest.protocols[name] for name in (names or manifest.protocols)}


@dataclass(frozen=True, slots=True)
class TestSequences:
    """The sequences of the test subjects, coded, and how to get their distances.

    All indices are places among these sequences; ``places`` are theirs in the embedding set.
    """

    distances: StripDistances
    codes: Codes
    types: NDArray[np.str_]
    subjects: tuple[str, ...]
    views: tuple[str, ...]
    known_views: int
    rerank: Reranking | None
    progress: Progress
    places: Indices

    @classmethod
    def start(
        cls,
        embeddings: EmbeddingSet,
        manifest: DatasetManifest,
        metric: Metric,
        rerank: bool | Reranking,
        device: torch.device | str | None,
        progress: Progress,
    ) -> TestSequences:
        """Take the test subjects' sequences out of ``embeddings`` (arguments as of `score`)."""
        known = manifest.structure.views
        tested = np.isin(np.array(embeddings.labels), manifest.subjects.test)
        labels = np.array(embeddings.labels)[tested]
        grouped = np.array([manifest.structure.group(view) for view in embeddings.views])[tested]
        views = (*known, *sorted(set(grouped.tolist()) - set(known)))
        subjects, subject_codes = np.unique(labels, return_inverse=True)
        code = {view: index for index, view in enumerate(views)}
        chosen = embeddings.embeddings if tested.all() else embeddings.embeddings[tested]
        return cls(
            distances=StripDistances(chosen, metric, device),
            codes=Codes(
                subject_codes.astype(np.int64),
                np.array([code[view] for view in grouped.tolist()], dtype=np.int64),
            ),
            types=np.array(embeddings.types)[tested],
            subjects=tuple(subjects.tolist()),
            views=views,
            known_views=len(known),
            rerank=Reranking() if rerank is True else (rerank or None),
            progress=progress,
            places=np.nonzero(tested)[0].astype(np.int64),
        )

    def of(self, rule: TypeRule) -> Indices:
        """Return the indices of the sequences that ``rule`` takes, in their order."""
        taken = [kind for kind in set(self.types.tolist()) if rule.takes(kind)]
        return np.nonzero(np.isin(self.types, taken))[0].astype(np.int64)

    def tallies(self, protocols: Mapping[str, Protocol]) -> dict[str, dict[str, Counted]]:
        """Search every gallery once, for all conditions and protocols that share it."""
        jobs: dict[tuple[object, ...], list[tuple[str, str, Condition]]] = {}
        for name, protocol in protocols.items():
            for title, condition in protocol.conditions.items():
                key: tuple[object, ...] = (condition.gallery,)
                if self.rerank:  # neighbours are looked for among a condition's own probes
                    key = (condition.gallery, condition.probe)
                jobs.setdefault(key, []).append((name, title, condition))
        found: dict[str, dict[str, Counted]] = {name: {} for name in protocols}
        for parts in jobs.values():
            countings = {protocols[name].counting for name, _, _ in parts}
            self._search_all(parts, protocols, countings, found)
        return found

    def _search_all(
        self,
        parts: list[tuple[str, str, Condition]],
        protocols: Mapping[str, Protocol],
        countings: AbstractSet[str],
        found: dict[str, dict[str, Counted]],
    ) -> None:
        gallery = self.of(parts[0][2].gallery)
        sides = [self.of(condition.probe) for _, _, condition in parts]
        probes = np.unique(np.concatenate(sides))
        scores = self.search_gallery(
            probes, gallery, "view_pairs" in countings, "gallery" in countings, parts[0][1]
        )
        for (name, title, _), side in zip(parts, sides, strict=True):
            rows = np.searchsorted(probes, side)
            found[name][title] = self._count(protocols[name], scores, rows, side, gallery)

    def search_gallery(
        self, probes: Indices, gallery: Indices, pairs: bool, whole: bool, title: str
    ) -> SearchScores:
        """Search one gallery with all its probes (see :func:`core.metrics.search.search`)."""
        columns = torch.from_numpy(gallery)

        def block(rows: torch.Tensor) -> torch.Tensor:
            return self.distances.between(rows, columns)

        chosen: Block = block
        # Without either side there is nothing to rank, nor a neighbour.
        if self.rerank and len(probes) and len(gallery):
            with self.progress.task(f"Re-rank {title}", None, "rows") as task:
                chosen = rerank_block(self.distances, probes, gallery, self.rerank, task.advance)
        with self.progress.task(f"Search {title}", len(probes), "probes") as task:
            return search(
                chosen, self.codes, probes, gallery, len(self.views),
                pairs=pairs, whole=whole, device=self.distances.device, advance=task.advance,
            )  # fmt: skip

    def _count(
        self,
        protocol: Protocol,
        scores: SearchScores,
        rows: Indices,
        probes: Indices,
        gallery: Indices,
    ) -> Counted:
        subject = self.codes.subject[probes]
        tally: PairTally | GalleryTally
        if protocol.counting == "view_pairs":
            there = np.isin(np.arange(len(self.views)), self.codes.view[gallery])
            tally = PairTally(
                scores.rank[rows], scores.chance[rows], subject, self.codes.view[probes], there,
                len(self.subjects),
            )  # fmt: skip
        else:
            assert scores.whole is not None
            tally = GalleryTally(scores.whole.at(rows), subject, len(self.subjects))
        return Counted(tally, len(probes), len(gallery))
