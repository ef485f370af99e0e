"""Smoothness of the appearance maps (eq. 15)."""

from __future__ import annotations

from torch import Tensor


def smoothness_loss(maps: Tensor) -> Tensor:
    """Mean absolute Sobel response in x plus that in y, inside the map (no padding).

    Args:
        maps: float [n, C, h, w], h and w at least 3.
    """
    # Sobel is separable: a difference across and a (1, 2, 1) mean along.
    across = maps[..., 2:] - maps[..., :-2]
    horizontal = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    down = maps[..., 2:, :] - maps[..., :-2, :]
    vertical = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    return horizontal.abs().mean() + vertical.abs().mean()
