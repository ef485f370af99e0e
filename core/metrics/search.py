"""Search one gallery with many probes in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.metrics.blocks import each_block
from core.metrics.ranking import GalleryScores, best_match_ranks, gallery_scores

CPU = torch.device("cpu")
# Distances float64 [a, m] of some probes (indices [a]) to the whole gallery.
Block = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Codes:
    """Subjects and views of n sequences as whole numbers, int64 [n] each."""

    subject: NDArray[np.int64]
    view: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SearchScores:
    """Scores of n probes (in the order of the request) against one gallery.

    Attributes:
        rank: int64 [n, V], rank of the best match among the gallery's entries of each view; [n, 0]
            where pairs of views were not requested.
        chance: float64 [n, V], share of matches among the gallery's entries of each view; the same.
        whole: scores against the whole gallery, less what is excluded; or None.
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
    same_view: bool = False,
    device: torch.device = CPU,
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
        whole: score against the whole gallery, less the probe itself.
        same_view: the same subject at the same view is in the whole gallery.
        device: where ``block`` computes.
        advance: called with the number of probes just searched.
    """
    views = views if pairs else 0
    rank = np.empty((len(probes), views), dtype=np.int64)
    chance = np.empty((len(probes), views))
    scores: list[GalleryScores] = []
    one = _OneSearch(block, codes, probes, gallery, views, whole, same_view)
    for rows, part in each_block(one, len(probes), len(gallery), device):
        rank[rows], chance[rows] = part.rank, part.chance
        if part.whole is not None:
            scores.append(part.whole)
        if advance:
            advance(rows.stop - rows.start)
    return SearchScores(rank, chance, _joined(scores) if whole else None)


@dataclass(frozen=True, slots=True)
class _OneSearch:
    """Search of one block of probes; see :func:`search`."""

    block: Block
    codes: Codes
    probes: NDArray[np.int64]
    gallery: NDArray[np.int64]
    views: int
    whole: bool
    same_view: bool

    def __call__(self, rows: slice) -> SearchScores:
        some = self.probes[rows]
        distance = self.block(torch.from_numpy(some))
        place = distance.device
        subject = torch.from_numpy(self.codes.subject).to(place)
        view = torch.from_numpy(self.codes.view).to(place)
        match = subject[some][:, None] == subject[self.gallery]
        rank = np.zeros((len(some), self.views), dtype=np.int64)
        chance = np.zeros((len(some), self.views))
        for code in range(self.views):
            columns = torch.nonzero(view[self.gallery] == code)[:, 0]
            view_match = match[:, columns]
            rank[:, code] = best_match_ranks(distance[:, columns], view_match).cpu().numpy()
            if len(columns):
                chance[:, code] = view_match.double().mean(1).cpu().numpy()
        scores = None
        if self.whole:
            excluded = excluded_from_gallery(
                some, self.gallery, match, view, same_view=self.same_view
            )
            scores = gallery_scores(distance, match, excluded)
        return SearchScores(rank, chance, scores)


def excluded_from_gallery(
    probes: NDArray[np.int64],
    gallery: NDArray[np.int64],
    match: Tensor,
    view: Tensor,
    *,
    same_view: bool,
) -> Tensor:
    """Mark the entries that are not part of a probe's whole gallery, bool [n, m].

    Args:
        probes: indices of n sequences.
        gallery: indices of m sequences.
        match: bool [n, m], whether both show one subject.
        view: int64, codes of the views of all sequences.
        same_view: the same subject at the same view is part of it; the probe itself never is.
    """
    if same_view:
        entries = torch.from_numpy(gallery).to(view.device)
        return torch.from_numpy(probes).to(view.device)[:, None] == entries
    return match & (view[probes][:, None] == view[gallery])


def _joined(parts: list[GalleryScores]) -> GalleryScores:
    names = ("rank", "precision", "inverse_penalty", "chance")
    if not parts:
        empty = np.zeros(0)
        return GalleryScores(empty.astype(np.int64), empty, empty, empty)
    joined = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return GalleryScores(*joined)
