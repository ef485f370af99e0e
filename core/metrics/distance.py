"""Distances between embeddings, exact enough that equal ones tie.

Euclidean per strip, mean over strips (the method's default); or cosine, 1 - the mean of the strips'
cosines. Both come from squared distances by matrix product in float64. A product loses digits where
two strips nearly coincide, so those pairs are computed again from their difference: every distance
is right to about ten digits, two equal embeddings have distance 0, and equal ones are equally far
from any third. The remaining rounding error is absorbed by :data:`TIE`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import DataError, UsageError

Metric: TypeAlias = Literal["euclidean", "cosine"]
METRICS: tuple[Metric, ...] = ("euclidean", "cosine")

# Two distances closer than this, relative to the larger, are a tie.
TIE = 1e-10
# Below this share of the squared norms, a squared distance is computed from the difference.
_CLOSE = 1e-3
# Entries of one tile: small enough for a processor's cache, large enough to keep it busy.
_TILE_ROWS, _TILE_ENTRIES = 256, 1 << 19
# Numbers of a gallery's strip in float64, and of differences, in memory at once.
_RESIDENT_ENTRIES = 1 << 21


def known_metric(name: str) -> Metric:
    """Return ``name`` if it is a metric, or raise UsageError."""
    for metric in METRICS:
        if metric == name:
            return metric
    raise UsageError(f"No metric {name!r}", next_step=f"Use {' or '.join(METRICS)}.")


class StripDistances:
    """Distances between selected rows of one set of embeddings.

    Args:
        embeddings: floating point [n, C, P] or [n, D], NumPy or torch; all values finite.
        metric: ``euclidean`` or ``cosine``. A strip of zeros has cosine 0 with every other.
        device: where to compute; default: where the embeddings are.

    Raises:
        UsageError: an unknown metric.
        DataError: another number of axes, or a value that is not finite.
    """

    def __init__(
        self,
        embeddings: NDArray[np.floating] | Tensor,
        metric: Metric = "euclidean",
        device: torch.device | str | None = None,
    ) -> None:
        self.metric = known_metric(metric)
        self._strips = _strips(torch.as_tensor(embeddings), device)  # [P, n, C]
        # Distances do not depend on the origin; near the data's middle less is cancelled.
        self._middle = [strip.double().mean(0) for strip in self._strips]

    @property
    def width(self) -> int:
        """Numbers in one strip (C)."""
        return self._strips.shape[2]

    @property
    def device(self) -> torch.device:
        """Where distances are computed."""
        return self._strips.device

    def between(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return float64 [len(rows), len(columns)]; both hold indices of embeddings."""
        total = torch.zeros(
            len(rows), len(columns), dtype=torch.float64, device=self._strips.device
        )
        step = max(1, min(_TILE_ENTRIES // _TILE_ROWS, _RESIDENT_ENTRIES // (self.width + 2)))
        for strip, middle in zip(self._strips, self._middle, strict=True):
            left, right = strip[rows], strip[columns]
            for start in range(0, len(columns), step):
                end = start + step
                self._add_strip(total[:, start:end], left, right[start:end], middle)
        return total.div_(len(self._strips))

    def _add_strip(self, total: Tensor, left: Tensor, right: Tensor, middle: Tensor) -> None:
        """Add one strip's distances to ``total`` in place."""
        gallery, gallery_norms = self._place(right, middle)
        # The norms ride along as two more columns: one product gives |a|² + |b|² - 2ab.
        one = torch.ones_like(gallery_norms)
        columns = torch.cat([gallery, one, gallery_norms], 1).T.contiguous()
        for start in range(0, len(left), _TILE_ROWS):
            part = left[start : start + _TILE_ROWS]
            probe, norms = self._place(part, middle)
            squared = torch.cat([probe * -2, norms, torch.ones_like(norms)], 1) @ columns
            limit = _CLOSE * (norms + gallery_norms.max())
            if bool((squared.amin(1, keepdim=True) < limit).any()):
                self._correct(squared, part, right, norms + gallery_norms.T)
            tile = total[start : start + _TILE_ROWS]
            if self.metric == "cosine":
                tile.add_(squared, alpha=0.5)
            else:
                tile.add_(squared.clamp_(min=0).sqrt_())

    def _place(self, strip: Tensor, middle: Tensor) -> tuple[Tensor, Tensor]:
        """Return float64 rows, centred or of length one, and their squared norms [n, 1]."""
        rows = strip.double()
        if self.metric == "cosine":
            return _unit(rows), torch.ones(len(rows), 1, dtype=rows.dtype, device=rows.device)
        rows = rows - middle
        return rows, rows.square().sum(1, keepdim=True)

    def _correct(self, squared: Tensor, left: Tensor, right: Tensor, norms: Tensor) -> None:
        """Recompute the entries of ``squared`` that lost digits by cancellation."""
        row, column = torch.nonzero(squared < _CLOSE * norms, as_tuple=True)
        step = max(1, _RESIDENT_ENTRIES // (4 * self.width))
        for start in range(0, len(row), step):
            rows, columns = row[start : start + step], column[start : start + step]
            a, b = left[rows].double(), right[columns].double()
            if self.metric == "cosine":
                a, b = _unit(a), _unit(b)
            squared[rows, columns] = (a - b).square().sum(1)


def distances(
    probe: NDArray[np.floating] | Tensor,
    gallery: NDArray[np.floating] | Tensor,
    metric: Metric = "euclidean",
) -> Tensor:
    """Return the distances float64 [n, m] between probes [n, C, P] and a gallery [m, C, P].

    [n, D] stands for one strip. Meant for sets whose distances fit into memory; raises as
    :class:`StripDistances`.
    """
    first, second = torch.as_tensor(probe), torch.as_tensor(gallery)
    if first.shape[1:] != second.shape[1:]:
        raise DataError(
            f"Probes are {list(first.shape[1:])} each, the gallery's embeddings "
            f"{list(second.shape[1:])}",
            next_step="Compare embeddings of one model.",
        )
    both = StripDistances(torch.cat([first, second]), metric)
    rows = torch.arange(len(first))
    return both.between(rows, torch.arange(len(second)) + len(first))


def _strips(embeddings: Tensor, device: torch.device | str | None) -> Tensor:
    if embeddings.ndim == 2:
        embeddings = embeddings[:, :, None]
    if embeddings.ndim != 3 or 0 in embeddings.shape[1:]:
        raise DataError(
            f"Embeddings have to be [n, C, P] or [n, D], not {list(embeddings.shape)}",
            next_step="Give one array of n embeddings.",
        )
    if not bool(torch.isfinite(embeddings).all()):
        raise DataError(
            "Embeddings have to be finite; some are NaN or infinite",
            next_step="Leave those sequences out, or embed them again.",
        )
    return embeddings.detach().to(device or embeddings.device).permute(2, 0, 1).contiguous()


def _unit(rows: Tensor) -> Tensor:
    norms: Tensor = rows.norm(dim=1, keepdim=True)
    return rows / norms.where(norms > 0, 1.0)
