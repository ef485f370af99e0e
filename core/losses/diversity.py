"""Diversity of the appearance channels (eq. 16, and the form its weight belongs to)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

_TINY = 1e-8


def channel_mass(maps: Tensor) -> Tensor:
    """Activation mass of each channel, float [C], of maps float [n, C, h, w]."""
    return maps.sum(dim=(0, 2, 3))


def diversity_loss(
    maps: Tensor,
    form: Literal["entropy", "literal"] = "entropy",
    mass: Tensor | None = None,
) -> Tensor:
    """Keep one channel from taking all the activation.

    - ``entropy`` (default; BigGait's form, whose weight 5.0 the paper keeps): with p_c the share of
      all activation mass in channel c, ``(log C - H(p)) / log C``, zero when all channels carry
      equal mass.
    - ``literal``: eq. 16 as printed, ``-1/C sum_c sum_ij p_cij log p_cij`` with p_c normalised over
      the pixels of channel c, the mean over frames. Minimising it rewards channels that shrink to
      one pixel, the opposite of the text's intent.

    Args:
        maps: float [n, C, h, w], not negative.
        form: See above.
        mass: float [C], the mass of each channel where ``maps`` are but a share of the batch.
    """
    if form == "literal":
        pixels = maps.flatten(2)
        share = pixels / pixels.sum(-1, keepdim=True).clamp(min=_TINY)
        return -(share * (share + _TINY).log()).sum(-1).mean()
    mass = channel_mass(maps) if mass is None else mass
    share = mass / mass.sum().clamp(min=_TINY)
    entropy = -(share * (share + _TINY).log()).sum()
    most = math.log(maps.shape[1])
    return (torch.full_like(entropy, most) - entropy) / most
