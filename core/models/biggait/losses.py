"""BigGait's terms of the loss, beside the triplet loss and cross entropy (Ye et al. 2024)."""

from __future__ import annotations

import math

from torch import Tensor

from core.losses.distributed import sum_over_processes
from core.losses.diversity import channel_mass, diversity_loss
from core.losses.smoothness import smoothness_loss
from core.losses.total import RECOGNITION, LossTerm, Targets, Terms
from core.models.biggait.config import BigGaitLosses
from core.models.biggait.network import BigGaitOutput


def channel_entropy_gap(maps: Tensor, mass: Tensor | None = None) -> Tensor:
    """Entropy that the channels' shares of all activation lack to be equal: 0 to log2(C) bits.

    Args:
        maps: float [n, C, h, w], not negative, C at least 2.
        mass: float [C], the mass of each channel where ``maps`` are but a share of the batch.
    """
    return diversity_loss(maps, "entropy", mass) * math.log2(maps.shape[1])


def _smoothness(config: BigGaitLosses, output: BigGaitOutput, batch: Targets) -> Tensor:
    """Sobel response of the denoising maps, all channels but the last."""
    del config, batch
    return smoothness_loss(output.denoised.float()[:, :-1])


def _diversity(config: BigGaitLosses, output: BigGaitOutput, batch: Targets) -> Tensor:
    del config, batch
    maps = output.denoised.float()
    return channel_entropy_gap(maps, sum_over_processes(channel_mass(maps)))


def _mask_smoothness(config: BigGaitLosses, output: BigGaitOutput, batch: Targets) -> Tensor | None:
    """Sobel response of the mask branch's shares; None once it is frozen."""
    del config, batch
    return None if output.shares is None else smoothness_loss(output.shares.float())


def _mask_reconstruction(
    config: BigGaitLosses, output: BigGaitOutput, batch: Targets
) -> Tensor | None:
    del config, batch
    return output.reconstruction


TERMS: Terms = {
    **RECOGNITION,
    "smoothness": LossTerm(lambda c: c.smoothness, _smoothness),
    "diversity": LossTerm(lambda c: c.diversity, _diversity),
    "mask_smoothness": LossTerm(lambda c: c.mask_smoothness, _mask_smoothness),
    "mask_reconstruction": LossTerm(lambda c: c.mask_reconstruction, _mask_reconstruction),
}
