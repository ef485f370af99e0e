"""Ranked retrievals of a few probes of each condition, chosen by a fixed rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from core.evaluation.scoring_set import Indices, ScoringSet
from core.manifests.protocols import Condition
from core.manifests.schema import DatasetManifest
from core.metrics.distance import Metric
from core.metrics.ranking import NO_MATCH, ranked
from core.metrics.search import excluded_from_gallery
from core.progress import SilentProgress
from core.records import EmbeddingSet

# Probes shown per condition: EACH that are right at Rank-1 and EACH that are wrong.
EACH, NEAREST = 2, 5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """A gallery sequence in a probe's list.

    Attributes:
        place: Its index in the embedding set.
        rank: From 1.
        distance: Distance to the probe.
        right: Whether it shows the probe's subject.
    """

    place: int
    rank: int
    distance: float
    right: bool


@dataclass(frozen=True, slots=True)
class Retrieval:
    """A probe and its nearest gallery sequences.

    Attributes:
        place: The probe's index in the embedding set.
        nearest: The head of the list, nearest first.
        first_right: The first match in the whole list.
        gallery: Length of the whole list.
    """

    place: int
    nearest: tuple[Found, ...]
    first_right: Found
    gallery: int

    @property
    def right(self) -> bool:
        """Whether the nearest sequence is a match."""
        return self.first_right.rank == 1


@dataclass(frozen=True, slots=True)
class ConditionRetrievals:
    """The chosen probes of one condition.

    Attributes:
        condition: Its name.
        probes: Number of probes with a match in their gallery.
        right: Number of these that are right at Rank-1.
        shown: The chosen probes, in the order of the embedding set.
    """

    condition: str
    probes: int
    right: int
    shown: tuple[Retrieval, ...]


def default_protocol(manifest: DatasetManifest) -> str:
    """The protocol whose probes are shown: the first over a whole gallery, otherwise the first.

    Under a protocol of view pairs, the list still contains all views of the gallery.
    """
    whole = [name for name, one in manifest.protocols.items() if one.counting == "gallery"]
    return (whole or [name for name, one in manifest.protocols.items() if one.counted])[0]


def retrievals(
    embeddings: EmbeddingSet, manifest: DatasetManifest, protocol: str, metric: Metric
) -> tuple[ConditionRetrievals, ...]:
    """Search with every probe of ``protocol`` and return a few of each condition.

    A probe's list is the condition's gallery without the sequences that the protocol excludes.
    ``EACH`` probes that are right at Rank-1 and ``EACH`` wrong ones are chosen, evenly spaced in
    the order of the embedding set; if one kind has fewer, more of the other are chosen.

    Args:
        embeddings: float32 [n, C, P] with labels, types and views.
        manifest: The dataset's manifest.
        protocol: Name of one of its protocols.
        metric: ``euclidean`` or ``cosine``.
    """
    scoring_set = ScoringSet.start(embeddings, manifest, metric, False, None, SilentProgress())
    rules = manifest.protocols[protocol]
    same_view = rules.exclude == "itself"
    return tuple(
        _of_condition(scoring_set, name, one, same_view) for name, one in rules.conditions.items()
    )


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` of ``items``, evenly spaced, in their order."""
    count = min(count, len(items))
    return [items[int((at + 0.5) * len(items) / count)] for at in range(count)]


def _of_condition(
    scoring_set: ScoringSet, name: str, condition: Condition, same_view: bool
) -> ConditionRetrievals:
    probes, gallery = scoring_set.of(condition.probe), scoring_set.of(condition.gallery)
    whole = scoring_set.search_gallery(
        probes, gallery, False, True, name, same_view=same_view
    ).whole
    assert whole is not None
    hits, misses = probes[whole.rank == 0], probes[(whole.rank > 0) & (whole.rank != NO_MATCH)]
    missing = max(0, EACH - len(hits)), max(0, EACH - len(misses))
    selected = [
        *evenly_spaced(hits.tolist(), EACH + missing[1]),
        *evenly_spaced(misses.tolist(), EACH + missing[0]),
    ]
    retrieved = tuple(
        _retrieve(scoring_set, probe, gallery, same_view) for probe in sorted(selected)
    )
    return ConditionRetrievals(name, len(hits) + len(misses), len(hits), retrieved)


def _retrieve(scoring_set: ScoringSet, probe: int, gallery: Indices, same_view: bool) -> Retrieval:
    codes = scoring_set.codes
    match = torch.from_numpy(codes.subject[gallery] == codes.subject[probe])[None]
    excluded = excluded_from_gallery(
        np.array([probe]), gallery, match, torch.from_numpy(codes.view), same_view=same_view
    )
    other = gallery[~excluded[0].numpy()]
    distance = scoring_set.distances.between(torch.tensor([probe]), torch.from_numpy(other))
    order = ranked(distance)[0].cpu().numpy()
    right = codes.subject[other][order] == codes.subject[probe]

    def entry(at: int) -> Found:
        place = int(scoring_set.places[other[order[at]]])
        return Found(place, at + 1, _number(distance[0, order[at]]), bool(right[at]))

    nearest = tuple(entry(at) for at in range(min(NEAREST, len(order))))
    first = entry(int(np.argmax(right)))
    return Retrieval(int(scoring_set.places[probe]), nearest, first, len(order))


def _number(value: Tensor) -> float:
    return float(value.item())
