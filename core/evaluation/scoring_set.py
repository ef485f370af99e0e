"""The sequences of a dataset's test subjects, indexed for protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from core.manifests.protocols import Condition, Protocol, SideRule
from core.manifests.schema import DatasetManifest
from core.metrics.distance import Metric, StripDistances
from core.metrics.rerank import Reranking, rerank_block
from core.metrics.search import Block, Codes, SearchScores, search
from core.metrics.summary import Counted
from core.metrics.tally import GalleryTally, PairTally
from core.progress import Progress
from core.records import EmbeddingSet, SequenceKey

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ScoringSet:
    """The sequences of the test subjects with integer codes, and their distances.

    All indices refer to these sequences; ``places`` are their indices in the embedding set, and
    ``keys`` their names.
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
    manifest: DatasetManifest
    keys: Sequence[SequenceKey]

    @classmethod
    def start(
        cls,
        embeddings: EmbeddingSet,
        manifest: DatasetManifest,
        metric: Metric,
        rerank: bool | Reranking,
        device: torch.device | str | None,
        progress: Progress,
        *,
        hidden: bool = False,
    ) -> ScoringSet:
        """Select the test subjects' sequences of ``embeddings`` (arguments as of `score`).

        With ``hidden``, sequences of hidden subjects are included.
        """
        known = manifest.structure.views
        people = manifest.subjects.tested if hidden else manifest.subjects.test
        is_tested = np.isin(np.array(embeddings.labels), people)
        labels = np.array(embeddings.labels)[is_tested]
        grouped = np.array([manifest.structure.group(view) for view in embeddings.views])[is_tested]
        views = (*known, *sorted(set(grouped.tolist()) - set(known)))
        subjects, subject_codes = np.unique(labels, return_inverse=True)
        code = {view: index for index, view in enumerate(views)}
        values = embeddings.embeddings if is_tested.all() else embeddings.embeddings[is_tested]
        return cls(
            distances=StripDistances(values, metric, device),
            codes=Codes(
                subject_codes.astype(np.int64),
                np.array([code[view] for view in grouped.tolist()], dtype=np.int64),
            ),
            types=np.array(embeddings.types)[is_tested],
            subjects=tuple(subjects.tolist()),
            views=views,
            known_views=len(known),
            rerank=Reranking() if rerank is True else (rerank or None),
            progress=progress,
            places=np.nonzero(is_tested)[0].astype(np.int64),
            manifest=manifest,
            keys=[
                SequenceKey(embeddings.labels[at], embeddings.types[at], embeddings.views[at])
                for at in np.nonzero(is_tested)[0]
            ],
        )

    def of(self, rule: SideRule) -> Indices:
        """Return the indices of the sequences that ``rule`` selects, in their order."""
        selected_types = [kind for kind in set(self.types.tolist()) if rule.takes_type(kind)]
        indices = np.nonzero(np.isin(self.types, selected_types))[0]
        if rule.lists:
            keys = [self.keys[index] for index in indices.tolist()]
            indices = indices[[self.manifest.takes(rule, key) for key in keys]]
        return indices.astype(np.int64)

    def tallies(self, protocols: Mapping[str, Protocol]) -> dict[str, dict[str, Counted]]:
        """Search every gallery once, for all conditions and protocols that share it."""
        jobs: dict[tuple[object, ...], list[tuple[str, str, Condition]]] = {}
        for name, protocol in protocols.items():
            for title, condition in protocol.conditions.items():
                key: tuple[object, ...] = (condition.gallery, protocol.exclude)
                if self.rerank:  # neighbours are searched among a condition's own probes
                    key = (*key, condition.probe)
                jobs.setdefault(key, []).append((name, title, condition))
        counted: dict[str, dict[str, Counted]] = {name: {} for name in protocols}
        for parts in jobs.values():
            countings = {protocols[name].counting for name, _, _ in parts}
            self._search_all(parts, protocols, countings, counted)
        return counted

    def _search_all(
        self,
        parts: list[tuple[str, str, Condition]],
        protocols: Mapping[str, Protocol],
        countings: AbstractSet[str],
        counted: dict[str, dict[str, Counted]],
    ) -> None:
        gallery = self.of(parts[0][2].gallery)
        sides = [self.of(condition.probe) for _, _, condition in parts]
        probes = np.unique(np.concatenate(sides))
        scores = self.search_gallery(
            probes,
            gallery,
            "view_pairs" in countings,
            "gallery" in countings,
            parts[0][1],
            same_view=protocols[parts[0][0]].exclude == "itself",
        )
        for (name, title, _), side in zip(parts, sides, strict=True):
            rows = np.searchsorted(probes, side)
            counted[name][title] = self._count(protocols[name], scores, rows, side, gallery)

    def block(self, probes: Indices, gallery: Indices, title: str) -> Block:
        """Return the function that gives the distances of some of ``probes`` to ``gallery``."""
        columns = torch.from_numpy(gallery)

        def plain(rows: torch.Tensor) -> torch.Tensor:
            return self.distances.between(rows, columns)

        # With an empty side there is nothing to rank.
        if self.rerank is None or not len(probes) or not len(gallery):
            return plain
        with self.progress.task(f"Re-rank {title}", None, "rows") as task:
            return rerank_block(self.distances, probes, gallery, self.rerank, task.advance)

    def search_gallery(
        self,
        probes: Indices,
        gallery: Indices,
        pairs: bool,
        whole: bool,
        title: str,
        *,
        same_view: bool = False,
    ) -> SearchScores:
        """Search one gallery with all its probes (see :func:`core.metrics.search.search`)."""
        block = self.block(probes, gallery, title)
        with self.progress.task(f"Search {title}", len(probes), "probes") as task:
            return search(
                block,
                self.codes,
                probes,
                gallery,
                len(self.views),
                pairs=pairs,
                whole=whole,
                same_view=same_view,
                device=self.distances.device,
                advance=task.advance,
            )

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
            in_gallery = np.isin(np.arange(len(self.views)), self.codes.view[gallery])
            tally = PairTally(
                scores.rank[rows],
                scores.chance[rows],
                subject,
                self.codes.view[probes],
                in_gallery,
                len(self.subjects),
                protocol.unmatched,
            )
        else:
            assert scores.whole is not None
            tally = GalleryTally(scores.whole.at(rows), subject, len(self.subjects))
        return Counted(tally, len(probes), len(gallery))
