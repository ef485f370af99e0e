"""The residual network of GaitBase, DeepGaitV2, BigGait and BiggerGait.

Maps are frames [B*T, C, h, w] between the blocks, clip by clip in time order; blocks that look at
neighbouring frames take B as well. Names of parameters with one block a stage are those of
:class:`core.models.layers.gaitbase.GaitBase`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.layers.gaitbase import ResidualStage
from core.models.layers.sequences import clips_of, frames_of

# 2d: frames alone. p3d: a convolution over time between two over space. 3d: both at once.
BlockKind = Literal["2d", "p3d", "3d"]
# Neighbouring frames that one block looks at, on each side.
_REACH: dict[BlockKind, int] = {"2d": 0, "p3d": 1, "3d": 2}


class P3DBlock(nn.Module):
    """Pseudo-3-D residual block of DeepGaitV2 (Fan et al. 2023, after Qiu et al. 2017).

    ``a = ReLU(BN(space(x)))``, ``b = ReLU(a + BN(time(a)))``, ``ReLU(BN(space(b)) + shortcut(x))``:
    3x3 convolutions over space, one of three frames over time. T stays.

    Args:
        inner: Channels that enter.
        out: Channels that leave.
        stride: Of the first convolution and the shortcut, in space.
    """

    def __init__(self, inner: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.temporal = nn.Conv3d(out, out, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.temporal_norm = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inner != out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inner, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, maps: Tensor, clips: int) -> Tensor:
        """Map frames float [B*T, inner, h, w] to [B*T, out, h / stride, w / stride]."""
        hidden = F.relu(self.norm1(self.conv1(maps)))
        moving = frames_of(self.temporal(clips_of(hidden, clips)))
        hidden = F.relu(hidden + self.temporal_norm(moving))
        return F.relu(self.norm2(self.conv2(hidden)) + self.shortcut(maps))


class Block3D(nn.Module):
    """Basic residual block of two 3x3x3 convolutions; the stride is in space alone.

    Args:
        inner: Channels that enter.
        out: Channels that leave.
        stride: Of the first convolution and the shortcut, in space.
    """

    def __init__(self, inner: int, out: int, stride: int) -> None:
        super().__init__()
        strides = (1, stride, stride)
        self.conv1 = nn.Conv3d(inner, out, 3, strides, 1, bias=False)
        self.norm1 = nn.BatchNorm3d(out)
        self.conv2 = nn.Conv3d(out, out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm3d(out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inner != out:
            self.shortcut = nn.Sequential(
                nn.Conv3d(inner, out, 1, strides, bias=False), nn.BatchNorm3d(out)
            )

    def forward(self, maps: Tensor, clips: int) -> Tensor:
        """Map frames float [B*T, inner, h, w] to [B*T, out, h / stride, w / stride]."""
        volume = clips_of(maps, clips)
        hidden = F.relu(self.norm1(self.conv1(volume)))
        return frames_of(F.relu(self.norm2(self.conv2(hidden)) + self.shortcut(volume)))


_BLOCKS: dict[BlockKind, type[ResidualStage | P3DBlock | Block3D]] = {
    "2d": ResidualStage,
    "p3d": P3DBlock,
    "3d": Block3D,
}


class ResidualStages(nn.ModuleList):
    """Residual blocks of several stages, one after the other.

    Args:
        inner: Channels that enter.
        channels: Channels of each stage.
        depths: Blocks of each stage.
        strides: Of each stage's first block, in space.
        kinds: Of each stage's blocks.
    """

    def __init__(
        self,
        inner: int,
        channels: Sequence[int],
        depths: Sequence[int],
        strides: Sequence[int],
        kinds: Sequence[BlockKind],
    ) -> None:
        super().__init__()
        self.reach = 0
        for out, depth, stride, kind in zip(channels, depths, strides, kinds, strict=True):
            for number in range(depth):
                self.append(_BLOCKS[kind](inner, out, 1 if number else stride))
                inner = out
            self.reach += depth * _REACH[kind]

    def forward(self, maps: Tensor, clips: int) -> Tensor:
        """Map frames float [B*T, inner, h, w] to [B*T, channels[-1], h / strides, w / strides]."""
        for block in self:
            maps = block(maps) if isinstance(block, ResidualStage) else block(maps, clips)
        return maps


class GaitBackbone(nn.Module):
    """A stem without reduction, and residual stages; the first stage's blocks are 2-D.

    Args:
        inner: Channels of the frames.
        channels: Channels of the stages; the stem has the first stage's.
        depths: Blocks of each stage.
        strides: Of each stage, in space.
        kind: Blocks of the stages after the first.
    """

    def __init__(
        self,
        inner: int,
        channels: Sequence[int] = (64, 128, 256, 512),
        depths: Sequence[int] = (1, 1, 1, 1),
        strides: Sequence[int] = (1, 2, 2, 1),
        kind: BlockKind = "2d",
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(inner, channels[0], 3, 1, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(channels[0])
        kinds: list[BlockKind] = ["2d", *[kind] * (len(channels) - 1)]
        self.stages = ResidualStages(channels[0], channels, depths, strides, kinds)
        self.channels, self.reach = channels[-1], self.stages.reach

    def forward(self, frames: Tensor, clips: int) -> Tensor:
        """Features of frames.

        Args:
            frames: float [B*T, inner, h, w], clip by clip in time order.
            clips: B.

        Returns:
            float [B*T, channels[-1], h / s, w / s], s the product of the strides.
        """
        hidden = self.stem(frames.contiguous(memory_format=torch.channels_last))
        return cast(Tensor, self.stages(F.relu(self.stem_norm(hidden)), clips))
