"""BigGait's own losses, beside the triplet loss and cross entropy (Ye et al. 2024)."""

from __future__ import annotations

import math

from torch import Tensor

from core.losses.diversity import channel_mass, diversity_loss
from core.losses.everyone import total
from core.losses.smoothness import smoothness_loss
from core.models.biggait.network import BigGaitOutput


def channel_entropy_gap(maps: Tensor, mass: Tensor | None = None) -> Tensor:
    """Entropy that the channels' shares of all activation lack to be equal: 0 to log2(C) bits.

    Args:
        maps: float [n, C, h, w], not negative, C at least 2.
        mass: float [C], the mass of each channel where ``maps`` are but a share of the batch.
    """
    return diversity_loss(maps, "entropy", mass) * math.log2(maps.shape[1])


def biggait_losses(
    output: BigGaitOutput,
    *,
    mask_smoothness: float = 0.02,
    mask_reconstruction: float = 1.0,
    smoothness: float = 0.01,
    diversity: float = 5.0,
) -> dict[str, Tensor]:
    """Weighted scalars by name; the mask's are absent once the mask branch is frozen.

    With several processes these are one's own share; the gradients, averaged over processes, are
    those of one process on the whole batch.

    Args:
        output: Of a training pass; maps of at least 3x3 pixels.
        mask_smoothness: Weight of the Sobel response of the mask branch's shares.
        mask_reconstruction: Weight of the mask branch's reconstruction loss.
        smoothness: Weight of the Sobel response of the denoising maps, all channels but the last.
        diversity: Weight of :func:`channel_entropy_gap` of the denoising maps.
    """
    maps = output.denoised.float()
    losses = {
        "smoothness": smoothness * smoothness_loss(maps[:, :-1]),
        "diversity": diversity * channel_entropy_gap(maps, total(channel_mass(maps))),
    }
    if output.shares is not None:
        losses["mask_smoothness"] = mask_smoothness * smoothness_loss(output.shares.float())
    if output.reconstruction is not None:
        losses["mask_reconstruction"] = mask_reconstruction * output.reconstruction
    return losses
