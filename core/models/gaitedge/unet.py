"""The U-Net that segments a person (Ronneberger et al. 2015, at the sizes of Liang et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Convolutions(nn.Sequential):
    """3x3 convolutions with batch norm and ReLU.

    Args:
        inner: Channels that enter.
        out: Channels that leave.
        count: How many.
    """

    def __init__(self, inner: int, out: int, count: int = 2) -> None:
        layers: list[nn.Module] = []
        for _ in range(count):
            layers += [nn.Conv2d(inner, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]
            inner = out
        super().__init__(*layers)


class Rise(nn.Module):
    """From one level of the decoder to the next finer one.

    Args:
        inner: Channels of the coarser level.
        out: Channels of the finer one.
    """

    def __init__(self, inner: int, out: int) -> None:
        super().__init__()
        self.reduce = Convolutions(inner, out, count=1)
        self.join = Convolutions(2 * out, out)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Maps float [n, out, h, w] of coarse ones [n, inner, h / 2, w / 2] and the encoder's.

        Args:
            coarse: Of the level below; enlarged to the nearest pixels.
            fine: The encoder's, float [n, out, h, w].
        """
        large = self.reduce(F.interpolate(coarse, scale_factor=2.0, mode="nearest"))
        return cast(Tensor, self.join(torch.cat([fine, large], dim=1)))


class UNet(nn.Module):
    """Foreground logits of pictures.

    Args:
        channels: Of the levels, the finest first.
    """

    def __init__(self, channels: Sequence[int] = (16, 32, 64, 128)) -> None:
        super().__init__()
        before = (3, *channels[:-1])
        self.encoder = nn.ModuleList(map(Convolutions, before, channels))
        pairs = zip(channels[:0:-1], channels[-2::-1], strict=True)
        self.decoder = nn.ModuleList(Rise(coarse, fine) for coarse, fine in pairs)
        self.last = nn.Conv2d(channels[0], 1, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits float [n, 1, S, S] of pictures float [n, 3, S, S].

        S is a multiple of 2 to the power of the levels less one.
        """
        maps, levels = pictures.contiguous(memory_format=torch.channels_last), []
        for number, level in enumerate(self.encoder):
            maps = level(F.max_pool2d(maps, 2) if number else maps)
            levels.append(maps)
        for rise, fine in zip(self.decoder, levels[-2::-1], strict=True):
            maps = rise(maps, fine)
        return cast(Tensor, self.last(maps))
