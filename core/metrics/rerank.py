"""k-reciprocal re-ranking, with sparse matrices instead of a dense one.

Zhong et al., "Re-ranking person re-identification with k-reciprocal encoding", CVPR 2017.

Neighbours are searched among the probes and the gallery together, as in the paper: the method
sees all probes at once, so its numbers do not compare with those of one search at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from core.errors import UsageError
from core.metrics.blocks import each_block
from core.metrics.distance import StripDistances
from core.metrics.ranking import ranked
from core.metrics.search import Block

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Reranking:
    """The method's constants; defaults are the paper's.

    Attributes:
        k1: size of the neighbourhood in which neighbours have to be mutual.
        k2: size of the neighbourhood over which codes are averaged.
        weight: share of the original distance in the final one (lambda), 0..1.
    """

    k1: int = 20
    k2: int = 6
    weight: float = 0.3

    def __post_init__(self) -> None:
        if self.k1 < 1 or self.k2 < 1 or not 0 <= self.weight <= 1:
            raise UsageError(
                f"Re-ranking with k1={self.k1}, k2={self.k2}, weight={self.weight} is invalid",
                next_step="k1 and k2 are at least 1, weight is between 0 and 1.",
            )


def rerank_block(
    distances: StripDistances,
    probes: Ints,
    gallery: Ints,
    constants: Reranking,
    advance: Callable[[int], None] | None = None,
) -> Block:
    """Prepare re-ranked distances from ``probes`` to ``gallery``.

    Distances are squared and divided by the largest from the same row, as the authors do. Memory
    grows with the number of sequences, not with its square.

    Args:
        distances: of all sequences.
        probes: indices, rising, each once.
        gallery: indices.
        constants: k1, k2 and lambda.
        advance: called with the number of rows just processed.

    Returns:
        A function from some of ``probes`` to float64 [a, len(gallery)].
    """
    both = np.concatenate([probes, gallery])
    scaled = _Scaled(distances, torch.from_numpy(both))
    neighbours = _neighbours(scaled, max(constants.k1 + 1, constants.k2), advance)
    codes = _codes(scaled, neighbours, constants, advance)
    probe_codes, gallery_codes = codes[: len(probes)], codes[len(probes) :].tocsc()

    def block(rows: Tensor) -> Tensor:
        place = np.searchsorted(probes, rows.cpu().numpy())
        original = scaled.rows(torch.from_numpy(place))[:, len(probes) :]
        jaccard = torch.from_numpy(
            np.stack([_jaccard(probe_codes, gallery_codes, row) for row in place])
        ).to(original.device)
        return jaccard * (1 - constants.weight) + original * constants.weight

    return block


@dataclass(frozen=True, slots=True)
class _Scaled:
    """Squared distances among ``members``, each row divided by its largest."""

    distances: StripDistances
    members: Tensor

    def rows(self, rows: Tensor) -> Tensor:
        """Return float64 [len(rows), members]."""
        squared = self.distances.between(self.members[rows], self.members).square_()
        largest = squared.amax(1, keepdim=True)
        return squared / largest.where(largest > 0, 1.0)


def _neighbours(scaled: _Scaled, count: int, advance: Callable[[int], None] | None) -> Ints:
    """Return int64 [n, min(count, n)]: nearest members of each, itself first."""
    n = len(scaled.members)
    nearest_members = np.empty((n, min(count, n)), dtype=np.int64)

    def nearest(rows: slice) -> Ints:
        index = torch.arange(rows.start, rows.stop)
        block = scaled.rows(index)
        # An equal embedding is as near as the member itself; the member comes first.
        block[torch.arange(len(index)), index] = -torch.inf
        indices: Ints = ranked(block)[:, : nearest_members.shape[1]].cpu().numpy()
        return indices

    for rows, rows_nearest in each_block(nearest, n, n, scaled.distances.device):
        nearest_members[rows] = rows_nearest
        if advance:
            advance(len(rows_nearest))
    return nearest_members


def _codes(
    scaled: _Scaled,
    neighbours: Ints,
    constants: Reranking,
    advance: Callable[[int], None] | None,
) -> sparse.csr_array:
    """Return each member's k-reciprocal code (eq. 7 and 11 of the paper), sparse [n, n]."""
    n = len(neighbours)
    members = _expanded(neighbours, constants.k1).tocsr()

    def weights(rows: slice) -> NDArray[np.float64]:
        block = scaled.rows(torch.arange(rows.start, rows.stop)).cpu().numpy()
        span = slice(members.indptr[rows.start], members.indptr[rows.stop])
        row = np.repeat(np.arange(rows.stop - rows.start), np.diff(members.indptr)[rows])
        entries: NDArray[np.float64] = np.exp(-block[row, members.indices[span]])
        return entries

    for rows, values in each_block(weights, n, n, scaled.distances.device):
        members.data[members.indptr[rows.start] : members.indptr[rows.stop]] = values
        if advance:
            advance(rows.stop - rows.start)
    members = sparse.diags_array(1 / members.sum(axis=1)) @ members
    near = _indicator(neighbours, constants.k2)
    return sparse.csr_array(near @ members / min(constants.k2, neighbours.shape[1]))


def _expanded(neighbours: Ints, k1: int) -> sparse.csr_array:
    """Return the sets R* (eq. 5) as the entries of a sparse [n, n], whatever their values.

    R(p, k) are the mutual neighbours of p. R(q, k/2) joins R* for each q in R(p, k) whose set lies
    to two thirds in R(p, k).
    """
    near = _indicator(neighbours, k1 + 1)
    half = _indicator(neighbours, int(np.around(k1 / 2)) + 1)
    mutual, half_mutual = near * near.T, half * half.T
    shared = (mutual @ half_mutual.T) * mutual
    sizes = np.asarray(half_mutual.sum(axis=1))
    joins = shared.tocoo()
    enough = 3 * joins.data >= 2 * sizes[joins.coords[1]]
    row, column = (axis[enough] for axis in joins.coords)
    joining = sparse.csr_array((np.ones(len(row)), (row, column)), shape=mutual.shape)
    return sparse.csr_array(mutual + joining @ half_mutual)


def _indicator(neighbours: Ints, count: int) -> sparse.csr_array:
    """Return ones at each member's first ``count`` neighbours, sparse [n, n]."""
    nearest = neighbours[:, :count]
    n, width = nearest.shape
    row = np.repeat(np.arange(n), width)
    return sparse.csr_array((np.ones(n * width), (row, nearest.ravel())), shape=(n, n))


def _jaccard(probes: sparse.csr_array, gallery: sparse.csc_array, row: int) -> NDArray[np.float64]:
    """Return the Jaccard distances (eq. 10) of one probe's code to all of the gallery's."""
    span = slice(probes.indptr[row], probes.indptr[row + 1])
    columns, values = probes.indices[span], probes.data[span]
    starts, ends = gallery.indptr[columns], gallery.indptr[columns + 1]
    lengths = ends - starts
    first = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    entries = first + np.arange(lengths.sum())
    least = np.minimum(np.repeat(values, lengths), gallery.data[entries])
    common = np.bincount(gallery.indices[entries], weights=least, minlength=gallery.shape[0])
    # Codes sum to 1, so the sum of the larger parts is 2 less the sum of the smaller.
    distances: NDArray[np.float64] = 1 - common / (2 - common)
    return distances
