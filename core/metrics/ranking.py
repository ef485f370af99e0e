"""From distances to ranks: Rank-k, average precision and mINP, with a fixed rule for ties.

Ties. Two distances within a relative :data:`~core.metrics.distance.TIE` are equal, and equal ones
stand in the order of the gallery, that is, of the embeddings' file. Whether an entry matches does
not matter, so a tie neither favours nor punishes a correct answer: a model with one embedding for
every sequence scores as an answer that ignores the probe.

Ranks count from 0: a probe is right at Rank-k if its best match has a rank below k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.metrics.distance import TIE

# The rank of a probe without a match: beyond every k.
NO_MATCH = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class GalleryScores:
    """Scores of n probes searched in one gallery.

    Attributes:
        rank: int64 [n], rank of the best match; NO_MATCH without one.
        precision: float64 [n], average precision in 0..1; NaN without a match.
        inverse_penalty: float64 [n], matches / (rank of the hardest match + 1); NaN without one.
        chance: float64 [n], share of matches in the gallery: Rank-1 of a random order.
    """

    rank: NDArray[np.int64]
    precision: NDArray[np.float64]
    inverse_penalty: NDArray[np.float64]
    chance: NDArray[np.float64]

    def at(self, rows: NDArray[np.int64]) -> GalleryScores:
        """Return the scores of some of the probes."""
        return GalleryScores(
            self.rank[rows], self.precision[rows], self.inverse_penalty[rows], self.chance[rows]
        )


def best_match_ranks(distance: Tensor, match: Tensor) -> Tensor:
    """Return int64 [n]: the number of entries before each probe's best match.

    Args:
        distance: floating point [n, m]; ``inf`` excludes an entry.
        match: bool [n, m], True where the entry shows the probe's subject.
    """
    if distance.shape[1] == 0:
        return torch.full((len(distance),), NO_MATCH, device=distance.device)
    best = distance.masked_fill(~match, torch.inf).amin(1, keepdim=True)
    margin = best.abs() * TIE
    nearer = (distance < best - margin).sum(1)
    level = (distance <= best + margin) & torch.isfinite(distance)
    tied = torch.nonzero(level.sum(1) > 1)[:, 0]
    if len(tied):
        # Among equals the gallery's order counts: those before the first match stand before it.
        first = (level & match)[tied].int().argmax(1, keepdim=True)
        column = torch.arange(distance.shape[1], device=distance.device)
        before = level[tied] & (distance >= best - margin)[tied] & (column < first)
        nearer[tied] += before.sum(1)
    return nearer.masked_fill(torch.isinf(best[:, 0]), NO_MATCH)


def ranked(distance: Tensor) -> Tensor:
    """Return int64 [n, m]: the gallery's indices by rising distance, ties in gallery order."""
    values, order = distance.sort(dim=1, stable=True)
    wide = values[:, 1:] - values[:, :-1] > values[:, 1:].abs() * TIE
    wide |= torch.isinf(values[:, 1:])  # excluded entries keep their order behind all others
    unsettled = torch.nonzero(~wide.all(1))[:, 0]
    if len(unsettled):
        run = torch.nn.functional.pad(wide[unsettled].cumsum(1), (1, 0))
        key = run * distance.shape[1] + order[unsettled]
        order[unsettled] = key.sort(dim=1).values % distance.shape[1]
    return order


def gallery_scores(distance: Tensor, match: Tensor, excluded: Tensor) -> GalleryScores:
    """Score probes against one gallery.

    Average precision is the mean, over a probe's matches, of the share of matches among the
    entries up to that match. mINP's part is matches / position of the hardest match (Ye et al.,
    "Deep learning for person re-identification", TPAMI 2022).

    Args:
        distance: floating point [n, m].
        match: bool [n, m], True where the entry shows the probe's subject.
        excluded: bool [n, m], True where the entry is not part of this probe's gallery.
    """
    match = match & ~excluded
    order = ranked(distance.masked_fill(excluded, torch.inf))
    row, position = torch.nonzero(match.gather(1, order), as_tuple=True)
    count = match.sum(1)
    start = count.cumsum(0) - count
    nth = torch.arange(len(row), device=row.device) - start[row] + 1
    share = nth.double() / (position + 1).double()
    none = count == 0
    precision = torch.zeros(len(count), dtype=torch.float64, device=row.device)
    precision.index_add_(0, row, share)
    rank = torch.full_like(count, NO_MATCH)
    rank[~none] = position[start[~none]]
    penalty = torch.full_like(precision, torch.nan)
    penalty[~none] = share[(start + count - 1)[~none]]
    return GalleryScores(
        rank=rank.cpu().numpy(),
        precision=(precision / count).cpu().numpy(),  # 0 / 0 is the documented NaN
        inverse_penalty=penalty.cpu().numpy(),
        chance=(count.double() / (~excluded).sum(1)).nan_to_num(0.0).cpu().numpy(),
    )


def average_precision(distance: Tensor, match: Tensor) -> NDArray[np.float64]:
    """Return float64 [n] in 0..1, NaN for a probe without a match; see :func:`gallery_scores`."""
    return gallery_scores(distance, match, torch.zeros_like(match)).precision


def rank_k(distance: Tensor, match: Tensor, k: int) -> float:
    """Return the share of probes with a match among the k nearest; without a match, an error."""
    return float((best_match_ranks(distance, match) < k).double().mean())
