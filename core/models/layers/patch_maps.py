"""Patch features as maps."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

# Frames whose features are enlarged together; ViT-S/14 has 12 MB of them a frame.
_AT_ONCE = 16


def to_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Lay tokens [n, N, C] out as maps [n, C, rows, columns] in channels-last memory."""
    return cast(Tensor, tokens.unflatten(1, grid)).permute(0, 3, 1, 2)


def enlarge(maps: Tensor, factor: int) -> Tensor:
    """Enlarge maps [n, C, h, w] bilinearly to [n, C, h * factor, w * factor]."""
    return F.interpolate(maps, scale_factor=float(factor), mode="bilinear", align_corners=False)


def patch_maps(patches: Tensor, grid: tuple[int, int], factor: int) -> Tensor:
    """Enlarged maps of patch features.

    Args:
        patches: float [n, N, C], row by row.
        grid: Rows and columns of patches; N is their product.
        factor: Pixels for each patch, in height and in width.

    Returns:
        float [n, C, rows * factor, columns * factor].
    """
    return enlarge(to_map(patches, grid), factor)


def pixels_in(patches: Tensor, grid: tuple[int, int], factor: int, inside: Tensor) -> Tensor:
    """Enlarged patch features at some pixels; not all frames' are in memory at once.

    Args:
        patches: float [n, N, C], row by row.
        grid: Rows and columns of patches; N is their product.
        factor: Pixels for each patch, in height and in width.
        inside: bool [n, rows * factor, columns * factor].

    Returns:
        float [sum of ``inside``, C], frame by frame and row by row.
    """
    if inside.is_meta:  # tensors without values, for counting: as if all were inside
        return patch_maps(patches, grid, factor).permute(0, 2, 3, 1).flatten(0, 2)
    parts = zip(patches.split(_AT_ONCE), inside.split(_AT_ONCE), strict=True)
    return torch.cat(
        [patch_maps(some, grid, factor).permute(0, 2, 3, 1)[pixels] for some, pixels in parts]
    )


def maps_of(pixels: Tensor, inside: Tensor) -> Tensor:
    """Maps float [n, C, h, w] with ``pixels`` [m, C] where ``inside`` [n, h, w] is, else zero."""
    maps = pixels.new_zeros(*inside.shape, pixels.shape[1])
    if inside.is_meta:
        return (maps + pixels.view(maps.shape)).permute(0, 3, 1, 2)
    maps[inside] = pixels
    return maps.permute(0, 3, 1, 2)
