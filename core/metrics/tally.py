"""From ranks of probes to a protocol's numbers, for the data and for resamples of it.

A tally keeps sums per subject, so that a bootstrap resample is a weighting of subjects. Empty cells
are NaN in a matrix; a mean takes the cells that have a value, and
``searches`` counts the searches behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from core.metrics.cmc import gallery_cmc, pair_cmc
from core.metrics.ranking import NO_MATCH, GalleryScores

Floats = NDArray[np.float64]
Unmatched = Literal["error", "left_out"]
Ints = NDArray[np.int64]
RANKS = {"rank1": 1, "rank5": 5, "rank10": 10}


class Tally(Protocol):
    """Common interface of both ways of counting."""

    def values(self, weights: Floats | None = None) -> dict[str, Floats]:
        """Return each metric and ``chance`` as shares (0..1), float64 [B]; NaN where undefined.

        ``weights``: float64 [B, S], how often each subject is drawn in each of B resamples;
        without it every subject counts once (B = 1).
        """
        ...


class PairTally:
    """One Rank-k per (probe view, gallery view); mean over the cells of two different views.

    Args:
        rank: int64 [n, V], rank of each probe's best match among each view's gallery.
        chance: float64 [n, V], share of matches among each view's gallery.
        subject: int64 [n], codes of the probes' subjects, below ``subjects``.
        view: int64 [n], codes of the probes' views.
        gallery_views: bool [V], views that the gallery has at all. A cell without probes or without
            gallery is empty: nothing was searched there.
        unmatched: whether a probe without a match in a cell counts as an error or is skipped.
    """

    def __init__(
        self,
        rank: Ints,
        chance: Floats,
        subject: Ints,
        view: Ints,
        gallery_views: NDArray[np.bool_],
        subjects: int,
        unmatched: Unmatched = "error",
    ) -> None:
        views = rank.shape[1]
        shape = (subjects, views, views)
        place = (subject, view)
        searched = np.broadcast_to(gallery_views, rank.shape)
        self._unmatched = _summed(shape, place, (rank == NO_MATCH) & searched)
        if unmatched == "left_out":
            searched = searched & (rank != NO_MATCH)
            chance = np.where(searched, chance, 0.0)
        self.trials = _summed(shape, place, searched)
        self._sums = {
            name: _summed(shape, place, (rank < k) & searched) for name, k in RANKS.items()
        }
        self._sums["chance"] = _summed(shape, place, chance)
        self._other = ~np.eye(views, dtype=bool)
        self.cmc = pair_cmc(rank, view, searched)

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Return bool [V, V]: cells that hold at least one search."""
        return np.asarray(self.trials.any(0))

    @property
    def searches(self) -> int:
        """Searches in cells of two different views."""
        return int(self.trials.sum(0)[self._other].sum())

    @property
    def unmatched(self) -> int:
        """Searches in cells of two different views that nothing could match."""
        return int(self._unmatched.sum(0)[self._other].sum())

    def matrix(self, name: str) -> Floats:
        """Return float64 [V, V], the share in each cell; NaN in an empty one."""
        return _share(self._sums[name].sum(0), self.trials.sum(0))

    def values(self, weights: Floats | None = None) -> dict[str, Floats]:
        """See :class:`Tally`."""
        if weights is None:
            weights = np.ones((1, len(self.trials)))
        trials = weights @ self.trials[:, self._other]
        return {
            name: _mean(_share(weights @ sums[:, self._other], trials))
            for name, sums in self._sums.items()
        }


class GalleryTally:
    """Means over the probes that have a match in their gallery; the others are skipped.

    Args:
        scores: of n probes.
        subject: int64 [n], codes of the probes' subjects, below ``subjects``.
    """

    def __init__(self, scores: GalleryScores, subject: Ints, subjects: int) -> None:
        matched = scores.rank != NO_MATCH
        per_probe: dict[str, NDArray[np.float64] | NDArray[np.bool_]] = {
            **{name: scores.rank < k for name, k in RANKS.items()},
            "mAP": scores.precision,
            "mINP": scores.inverse_penalty,
            "chance": scores.chance,
        }
        place, shape = (subject[matched],), (subjects,)
        self.trials = _summed(shape, place, np.ones(int(matched.sum())))
        self._sums = {
            name: _summed(shape, place, value[matched]) for name, value in per_probe.items()
        }
        self.unmatched = int((~matched).sum())
        self.cmc = gallery_cmc(scores.rank)

    @property
    def searches(self) -> int:
        """Number of probes that are counted."""
        return int(self.trials.sum())

    def values(self, weights: Floats | None = None) -> dict[str, Floats]:
        """See :class:`Tally`."""
        if weights is None:
            weights = np.ones((1, len(self.trials)))
        trials = weights @ self.trials
        return {name: _share(weights @ sums, trials) for name, sums in self._sums.items()}


def resamples(subjects: int, count: int, seed: int) -> Floats:
    """Return float64 [count, subjects]: how often each subject is drawn, with replacement."""
    draws = np.random.default_rng(seed).multinomial(
        subjects, np.full(subjects, 1 / subjects), size=count
    )
    return draws.astype(np.float64)


def mean_of(parts: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Return the mean over conditions of each metric; NaN where one of them has no value."""
    return {name: np.mean([part[name] for part in parts], axis=0) for name in parts[0]}


def interval(values: Floats) -> tuple[float, float] | None:
    """Return the 2.5th and 97.5th percentile of resampled shares, in percent; None without any."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    low, high = np.percentile(finite, [2.5, 97.5]) * 100
    return float(low), float(high)


def _summed(
    shape: tuple[int, ...], place: tuple[Ints, ...], values: NDArray[np.float64 | np.bool_]
) -> Floats:
    total = np.zeros(shape)
    np.add.at(total, place, values)
    return total


def _share(part: Floats, whole: Floats) -> Floats:
    shares = np.full(part.shape, np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def _mean(cells: Floats) -> Floats:
    """Mean over the cells [B, cells] that have a value; NaN where none has."""
    finite = np.isfinite(cells)
    return _share(np.where(finite, cells, 0.0).sum(1), finite.sum(1).astype(np.float64))
