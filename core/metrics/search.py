"""Search one gallery with many probes, in blocks of bounded memory; keep what protocols count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.metrics.distance import row_blocks
from core.metrics.ranking import GalleryScores, best_match_ranks, gallery_scores

# Distances float64 [a, m] of some probes (indices [a]) to the whole gallery.
Block = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Codes:
    """Subjects and views of n sequences as whole numbers, int64 [n] each."""

    subject: NDArray[np.int64]
    view: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SearchScores:
    """Scores of n probes (in the order they were given) against one gallery.

    Attributes:
        rank: int64 [n, V], rank of the best match among the gallery's entries of each view.
        chance: float64 [n, V], share of matches among the gallery's entries of each view.
        whole: scores against the whole gallery, less the same subject at the same view; or None.
    """

    rank: NDArray[np.int64]
    chance: NDArray[np.float64]
    whole: GalleryScores | None


def search(
    block: Block,
    codes: Codes,
    probes: NDArray[np.int64],
    gallery: NDArray[np.int64],
    views: int,
    *,
    pairs: bool = True,
    whole: bool = True,
    advance: Callable[[int], None] | None = None,
) -> SearchScores:
    """Search ``gallery`` for every one of ``probes``.

    Args:
        block: gives distances of probes (their indices) to the gallery, in the gallery's order.
        codes: subject and view of every sequence.
        probes: indices of n probes.
        gallery: indices of m entries; their order settles ties.
        views: number of views (V); codes of views are below it.
        pairs: rank per view of the gallery.
        whole: score against the whole gallery.
        advance: told the number of probes that were just searched.
    """
    labels = torch.from_numpy(codes.subject[gallery])
    seen_from = torch.from_numpy(codes.view[gallery])
    rank = np.zeros((len(probes), views), dtype=np.int64)
    chance = np.zeros((len(probes), views))
    scores: list[GalleryScores] = []
    for rows in row_blocks(len(probes), len(gallery)):
        some = torch.from_numpy(probes[rows])
        distance = block(some)
        place = distance.device
        match = torch.from_numpy(codes.subject[probes[rows]]).to(place)[:, None] == labels.to(place)
        if pairs:
            for view in range(views):
                columns = torch.nonzero(seen_from == view)[:, 0].to(place)
                same = match[:, columns]
                found = best_match_ranks(distance[:, columns], same)
                rank[rows, view] = found.cpu().numpy()
                if len(columns):
                    chance[rows, view] = same.double().mean(1).cpu().numpy()
        if whole:
            view_of = torch.from_numpy(codes.view[probes[rows]]).to(place)
            excluded = match & (view_of[:, None] == seen_from.to(place))
            scores.append(gallery_scores(distance, match, excluded))
        if advance:
            advance(len(some))
    return SearchScores(rank, chance, _joined(scores) if whole else None)


def _joined(parts: list[GalleryScores]) -> GalleryScores:
    names = ("rank", "precision", "inverse_penalty", "chance")
    if not parts:
        empty = np.zeros(0)
        return GalleryScores(empty.astype(np.int64), empty, empty, empty)
    joined = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return GalleryScores(*joined)
