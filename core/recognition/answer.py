"""From distances to an answer: names by nearness, and how near strangers come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.metrics.distance import TIE, Metric, distances
from core.recognition.gallery import Gallery
from core.records import EmbeddingSet


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person of the gallery, as near as their nearest walk.

    Attributes:
        name: Who.
        distance: Between the embeddings.
        share: Share of strangers that come at least this near to somebody of the gallery, in
            (0, 1]; None without strangers.
    """

    name: str
    distance: float
    share: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Everybody of the gallery, the nearest first, and the one that it is taken for (or None)."""

    candidates: tuple[Candidate, ...]
    name: str | None


class Recogniser:
    """Compares walks with a gallery.

    The share of strangers is counted view by view, and the largest counts: a stranger who is filmed
    from the same side as the gallery's people comes nearer than one from elsewhere, and it is not
    known from which side a video is.

    Strangers of a dataset are further from a user's people than those are from each other: another
    camera, another place. So their distances are scaled to where the gallery's own people stand:
    as their median is to the median of each walk's distance to the nearest walk of another name.

    Args:
        gallery: Somebody at least.
        strangers: Walks of people who are certainly not in it; None if there are none.
        metric: The model's.
        false_accepts: Largest share of strangers at which a name is taken.

    Attributes:
        scale: Of the strangers' distances, at most 1; None with one name, or without strangers.

    Raises:
        DataError: embeddings of the strangers have another shape.
    """

    def __init__(
        self,
        gallery: Gallery,
        strangers: EmbeddingSet | None,
        *,
        metric: Metric,
        false_accepts: float,
    ) -> None:
        self._gallery, self._metric, self._accepted = gallery, metric, false_accepts
        self._groups: list[NDArray[np.float64]] = []
        self.scale: float | None = None
        if strangers is not None and len(strangers):
            nearest = self._distances(strangers.embeddings).min(axis=1)
            views = np.array(strangers.views)
            middles = [np.median(nearest[views == view]) for view in set(strangers.views)]
            self.scale = self._scale(float(min(middles)))
            nearest *= self.scale or 1.0
            self._groups = [
                np.sort(nearest[views == view]) for view in sorted(set(strangers.views))
            ]

    def _scale(self, middle: float) -> float | None:
        """At most 1: how far the gallery's people are from each other, over ``middle``."""
        names = np.array([entry.name for entry in self._gallery.entries])
        if len(set(names.tolist())) < 2 or middle <= 0:
            return None
        apart = self._distances(self._gallery.embeddings)
        apart[names[:, None] == names[None]] = np.inf
        return min(1.0, float(np.median(apart.min(axis=1))) / middle)

    def share(self, distance: float) -> float:
        """Share of strangers that come at least as near; never 0: nobody knows them all."""
        nearer = [np.searchsorted(group, distance * (1 + TIE), "right") for group in self._groups]
        return max(
            (1 + int(count)) / (1 + len(group))
            for count, group in zip(nearer, self._groups, strict=True)
        )

    def answer(self, walk: NDArray[np.float32]) -> Answer:
        """Who walks, for an embedding float32 [C, P]."""
        row = self._distances(walk[None])[0]
        nearest: dict[str, float] = {}
        for entry, distance in zip(self._gallery.entries, row.tolist(), strict=True):
            nearest[entry.name] = min(distance, nearest.get(entry.name, np.inf))
        ranked = sorted(nearest.items(), key=lambda item: item[1])
        candidates = tuple(
            Candidate(name, distance, self.share(distance) if self._groups else None)
            for name, distance in ranked
        )
        return Answer(candidates, self._taken(candidates))

    def _taken(self, candidates: Sequence[Candidate]) -> str | None:
        first = candidates[0]
        sure = first.share is not None and first.share <= self._accepted
        return first.name if sure else None

    def _distances(self, walks: NDArray[np.float32]) -> NDArray[np.float64]:
        found = distances(walks, self._gallery.embeddings, self._metric)
        return np.asarray(found.numpy(), np.float64)
