"""BigGait's mask branch: a person and the background without silhouettes (Ye et al. 2024)."""

from __future__ import annotations

from typing import Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.backbones.image import ImageEncoder
from core.models.freezing import freeze
from core.models.layers.patch_maps import patch_maps


class MaskBranch(nn.Module):
    """Splits pixels in two by coding their features into two shares and back.

    Dropout, batch norm without weights, a linear map to two channels and softmax; a second linear
    map rebuilds the features from the two. Which channel is the person is not fixed by training.

    Args:
        channels: C of the features.
        dropout: Share of the features set to zero in training.
    """

    def __init__(self, channels: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.BatchNorm1d(channels, affine=False)
        self.reduce = nn.Linear(channels, 2)
        self.restore = nn.Linear(2, channels)
        self.frozen = False

    def freeze(self) -> None:
        """Take the branch out of training for good: eval mode and no gradients from now on."""
        self.frozen = True
        freeze(self)

    def train(self, mode: bool = True) -> Self:
        """Follow ``mode``, but stay in eval mode once frozen."""
        return super().train(mode and not self.frozen)

    def forward(self, features: Tensor) -> Tensor:
        """Shares float [n, 2, h, w], which sum to one, of features float [n, C, h, w]."""
        pixels = self.norm(self.dropout(_pixels(features)))
        shares = torch.softmax(self.reduce(pixels), dim=1)
        count, _, height, width = features.shape
        return cast(Tensor, shares.unflatten(0, (count, height, width))).permute(0, 3, 1, 2)

    def reconstruction_loss(self, features: Tensor, shares: Tensor) -> Tensor:
        """Mean squared error, a scalar, of features [n, C, h, w] rebuilt from shares [n, 2, h, w].

        The target is the features before dropout and norm.
        """
        return F.mse_loss(self.restore(_pixels(shares)).float(), _pixels(features).float())


def final_maps(patches: Tensor, image: ImageEncoder, factor: int) -> Tensor:
    """What the branch sees: the final features, behind the others, as enlarged maps.

    Args:
        patches: float [n, N, C], of an encoder with ``final`` features.
        image: The encoder.
        factor: Pixels for each patch, in height and in width.

    Returns:
        float [n, image.hidden, rows * factor, columns * factor].
    """
    return patch_maps(patches[..., -image.hidden :], image.grid, factor)


def _pixels(maps: Tensor) -> Tensor:
    """Pixels [n*h*w, C] of maps [n, C, h, w]."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)


def leading_pixels(shares: Tensor) -> Tensor:
    """Pixels where the person's share leads: float 0 or 1 [n, h, w] of shares float [n, 2, h, w].

    The person is channel 0, or channel 1 in frames where channel 0 leads in more than half of the
    pixels of the left and right columns, as only a background does.
    """
    leads = (shares[:, 0] > 0.5).float()
    sides = torch.stack([leads[..., 0], leads[..., -1]])
    turned = sides.mean(dim=(0, 2)) > 0.5
    return torch.where(turned[:, None, None], 1 - leads, leads)


def person_pixels(shares: Tensor) -> Tensor:
    """Pixels of the person: bool [n, h, w] of the mask branch's shares float [n, 2, h, w].

    Closing (dilation 3x3, then erosion 5x5) of :func:`leading_pixels` marks the inside, which
    belongs to the person whatever its shares are.

    A frame without any such pixel is taken as a whole: the batch norms after the mask need pixels.
    """
    person = leading_pixels(shares).unsqueeze(1)
    dilated = F.max_pool2d(person, 3, 1, 1)
    inside = -F.max_pool2d(-dilated, 5, 1, 2)
    pixels = torch.maximum(person, inside)[:, 0] > 0.5
    return pixels | ~pixels.flatten(1).any(1)[:, None, None]
