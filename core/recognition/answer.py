"""Identification from distances: names ranked by distance, and the share of nearer strangers."""

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
    """A person of the gallery, at the distance of their nearest walk.

    Attributes:
        name: The person's name.
        distance: Between the embeddings.
        share: Share of strangers that are at least this near to somebody in the gallery, in
            (0, 1]; None without strangers.
    """

    name: str
    distance: float
    share: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Everybody in the gallery, nearest first, and the accepted name (or None)."""

    candidates: tuple[Candidate, ...]
    name: str | None


class Recogniser:
    """Compares walks with a gallery.

    The share of strangers is computed per view, and the largest is used: a stranger filmed from the
    same side as the gallery's people is nearer than one filmed from another side, and the side of a
    video is unknown.

    Strangers from a dataset are further from a user's people than these are from each other,
    because camera and place differ. Their distances are therefore scaled by the ratio of two
    medians: of each gallery walk's distance to the nearest walk of another name, and of the
    strangers' distances to the gallery.

    Args:
        gallery: A gallery with at least one walk.
        strangers: Walks of people who are certainly not in it; None without any.
        metric: The model's metric.
        false_accepts: Largest share of strangers at which a name is accepted.

    Attributes:
        scale: Factor of the strangers' distances, at most 1; None with a single name or without
            strangers.

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
        self._gallery, self._metric, self._false_accepts = gallery, metric, false_accepts
        self._groups: list[NDArray[np.float64]] = []
        self.scale: float | None = None
        if strangers is not None and len(strangers):
            nearest = self._distances(strangers.embeddings).min(axis=1)
            views = np.array(strangers.views)
            view_medians = [np.median(nearest[views == view]) for view in set(strangers.views)]
            self.scale = self._scale(float(min(view_medians)))
            nearest *= self.scale or 1.0
            self._groups = [
                np.sort(nearest[views == view]) for view in sorted(set(strangers.views))
            ]

    def _scale(self, median_distance: float) -> float | None:
        """Median distance between people of the gallery over ``median_distance``, at most 1."""
        names = np.array([entry.name for entry in self._gallery.entries])
        if len(set(names.tolist())) < 2 or median_distance <= 0:
            return None
        between_people = self._distances(self._gallery.embeddings)
        between_people[names[:, None] == names[None]] = np.inf
        return min(1.0, float(np.median(between_people.min(axis=1))) / median_distance)

    def share(self, distance: float) -> float:
        """Share of strangers that are at least as near; never 0, because they are only a sample."""
        nearer = [np.searchsorted(group, distance * (1 + TIE), "right") for group in self._groups]
        return max(
            (1 + int(count)) / (1 + len(group))
            for count, group in zip(nearer, self._groups, strict=True)
        )

    def answer(self, walk: NDArray[np.float32]) -> Answer:
        """Identify the walk with embedding float32 [C, P]."""
        row = self._distances(walk[None])[0]
        nearest: dict[str, float] = {}
        for entry, distance in zip(self._gallery.entries, row.tolist(), strict=True):
            nearest[entry.name] = min(distance, nearest.get(entry.name, np.inf))
        ranked = sorted(nearest.items(), key=lambda item: item[1])
        candidates = tuple(
            Candidate(name, distance, self.share(distance) if self._groups else None)
            for name, distance in ranked
        )
        return Answer(candidates, self._accepted_name(candidates))

    def _accepted_name(self, candidates: Sequence[Candidate]) -> str | None:
        first = candidates[0]
        accepted = first.share is not None and first.share <= self._false_accepts
        return first.name if accepted else None

    def _distances(self, walks: NDArray[np.float32]) -> NDArray[np.float64]:
        values = distances(walks, self._gallery.embeddings, self._metric)
        return np.asarray(values.numpy(), np.float64)
