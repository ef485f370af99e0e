"""Which sequences a probe finds: a few probes of each condition, chosen by a fixed rule."""

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

# Probes shown of each condition: as many that are right at Rank-1 as wrong ones.
EACH, NEAREST = 2, 5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """A gallery sequence in a probe's list.

    Attributes:
        place: Its place in the embedding set.
        rank: From 1 on.
        distance: To the probe.
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
        place: The probe's place in the embedding set.
        nearest: The first of the list, nearest first.
        first_right: The first right one of the whole list.
        gallery: Length of the whole list.
    """

    place: int
    nearest: tuple[Found, ...]
    first_right: Found
    gallery: int

    @property
    def right(self) -> bool:
        """Whether the nearest is right."""
        return self.first_right.rank == 1


@dataclass(frozen=True, slots=True)
class ConditionRetrievals:
    """The chosen probes of one condition.

    Attributes:
        condition: Its name.
        probes: Number of probes that something in their gallery can match.
        right: Of these, how many are right at Rank-1.
        shown: The chosen ones, in the order of the embedding set.
    """

    condition: str
    probes: int
    right: int
    shown: tuple[Retrieval, ...]


def default_protocol(manifest: DatasetManifest) -> str:
    """The protocol whose probes are shown: the first that searches a whole gallery, else the first.

    Under a protocol of pairs of views, the list still holds all views of the gallery.
    """
    whole = [name for name, one in manifest.protocols.items() if one.counting == "gallery"]
    return (whole or [name for name, one in manifest.protocols.items() if one.counted])[0]


def retrievals(
    embeddings: EmbeddingSet, manifest: DatasetManifest, protocol: str, metric: Metric
) -> tuple[ConditionRetrievals, ...]:
    """Search with every probe of ``protocol`` and keep a few of each condition.

    A probe's list is the condition's gallery without what the protocol excludes from it. Chosen are
    ``EACH`` probes that are right at Rank-1 and as many that are wrong, each evenly spread over
    their kind in the order of the embedding set; where one kind has fewer, the other fills up.

    Args:
        embeddings: float32 [n, C, P] with labels, types and views.
        manifest: The dataset's.
        protocol: The name of one of its protocols.
        metric: ``euclidean`` or ``cosine``.
    """
    tested = ScoringSet.start(embeddings, manifest, metric, False, None, SilentProgress())
    rules = manifest.protocols[protocol]
    same_view = rules.exclude == "itself"
    return tuple(
        _of_condition(tested, name, one, same_view) for name, one in rules.conditions.items()
    )


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` of ``items``, evenly spread, in their order."""
    count = min(count, len(items))
    return [items[int((at + 0.5) * len(items) / count)] for at in range(count)]


def _of_condition(
    tested: ScoringSet, name: str, condition: Condition, same_view: bool
) -> ConditionRetrievals:
    probes, gallery = tested.of(condition.probe), tested.of(condition.gallery)
    whole = tested.search_gallery(probes, gallery, False, True, name, same_view=same_view).whole
    assert whole is not None
    hits, misses = probes[whole.rank == 0], probes[(whole.rank > 0) & (whole.rank != NO_MATCH)]
    few = max(0, EACH - len(hits)), max(0, EACH - len(misses))
    chosen = [
        *evenly_spaced(hits.tolist(), EACH + few[1]),
        *evenly_spaced(misses.tolist(), EACH + few[0]),
    ]
    shown = tuple(_retrieve(tested, probe, gallery, same_view) for probe in sorted(chosen))
    return ConditionRetrievals(name, len(hits) + len(misses), len(hits), shown)


def _retrieve(tested: ScoringSet, probe: int, gallery: Indices, same_view: bool) -> Retrieval:
    codes = tested.codes
    match = torch.from_numpy(codes.subject[gallery] == codes.subject[probe])[None]
    excluded = excluded_from_gallery(
        np.array([probe]), gallery, match, torch.from_numpy(codes.view), same_view=same_view
    )
    other = gallery[~excluded[0].numpy()]
    distance = tested.distances.between(torch.tensor([probe]), torch.from_numpy(other))
    order = ranked(distance)[0].cpu().numpy()
    right = codes.subject[other][order] == codes.subject[probe]

    def found(at: int) -> Found:
        place = int(tested.places[other[order[at]]])
        return Found(place, at + 1, _number(distance[0, order[at]]), bool(right[at]))

    nearest = tuple(found(at) for at in range(min(NEAREST, len(order))))
    first = found(int(np.argmax(right)))
    return Retrieval(int(tested.places[probe]), nearest, first, len(order))


def _number(value: Tensor) -> float:
    return float(value.item())
