"""Gait networks of another program: written anew, with names and an order of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Unit(nn.Module):
    """A residual block on volumes [B, C, T, H, W], with or without a look over time."""

    def __init__(self, inner: int, out: int, stride: int, moving: bool) -> None:
        super().__init__()
        steps = (1, stride, stride)
        self.conv1 = nn.Conv3d(inner, out, (1, 3, 3), steps, (0, 1, 1), bias=False)
        self.bn1 = nn.BatchNorm3d(out)
        self.conv2 = nn.Conv3d(out, out, (1, 3, 3), 1, (0, 1, 1), bias=False)
        self.bn2 = nn.BatchNorm3d(out)
        self.time: nn.Module | None = None
        if moving:
            self.time = nn.Sequential(
                nn.Conv3d(out, out, (3, 1, 1), 1, (1, 0, 0), bias=False), nn.BatchNorm3d(out)
            )
        self.side: nn.Module | None = None
        if stride > 1 or inner != out:
            self.side = nn.Sequential(
                nn.Conv3d(inner, out, 1, steps, bias=False), nn.BatchNorm3d(out)
            )

    def forward(self, volume: Tensor) -> Tensor:
        """The block."""
        inside = F.relu(self.bn1(self.conv1(volume)))
        if self.time is not None:
            inside = F.relu(inside + self.time(inside))
        past = volume if self.side is None else self.side(volume)
        return F.relu(self.bn2(self.conv2(inside)) + past)


class Necks(nn.Module):
    """Batch norm and class vectors."""

    def __init__(self, strips: int, width: int, classes: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(strips, width, classes))
        self.bn = nn.BatchNorm1d(strips * width)

    def behind(self, strips: Tensor) -> Tensor:
        """Strips [B, width, P] behind the batch norm, each of length 1."""
        normed: Tensor = self.bn(strips.flatten(1)).reshape(strips.shape)
        return F.normalize(normed, dim=1)


class Heads(nn.Module):
    """A matrix for each strip."""

    def __init__(self, strips: int, inner: int, width: int) -> None:
        super().__init__()
        self.matrices = nn.Parameter(torch.randn(strips, inner, width) / inner**0.5)

    def forward(self, strips: Tensor) -> Tensor:
        """[B, width, P] of [B, inner, P]."""
        return torch.stack(
            [strips[..., p] @ matrix for p, matrix in enumerate(self.matrices)], dim=2
        )


class Residual(nn.Module):
    """GaitBase, or DeepGaitV2 with ``moving`` units behind the first stage.

    With two ``maps`` it is SkeletonGait, ``normed`` where it compares strips behind the batch norm.
    """

    def __init__(
        self,
        channels: Sequence[int],
        depths: Sequence[int],
        strips: int,
        width: int,
        classes: int,
        *,
        moving: bool,
        maps: int = 1,
        normed: bool = False,
    ) -> None:
        super().__init__()
        self.strips, self.maps, self.normed = strips, maps, normed
        self.entry = nn.Sequential(
            nn.Conv2d(maps, channels[0], 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels[0]),
            nn.ReLU(),
        )
        stages, inner = [], channels[0]
        for number, (out, depth, stride) in enumerate(
            zip(channels, depths, (1, 2, 2, 1), strict=True)
        ):
            units = []
            for _ in range(depth):
                units.append(Unit(inner, out, stride, moving and number > 0))
                inner, stride = out, 1
            stages.append(nn.Sequential(*units))
        self.trunk = nn.ModuleList(stages)
        self.necks = Necks(strips, width, classes)
        self.heads = Heads(strips, inner, width)

    def forward(self, silhouettes: Tensor) -> Tensor:
        """Embeddings [B, E, P] of silhouettes float [B, T, H, W], or of maps [B, T, C, H, W]."""
        count, height, width = len(silhouettes), *silhouettes.shape[-2:]
        frames = self.entry(silhouettes.reshape(-1, self.maps, height, width))
        volume = frames.unflatten(0, (count, -1)).transpose(1, 2)
        for stage in self.trunk:
            volume = stage(volume)
        rows: Tensor = volume.amax(2).unflatten(2, (self.strips, -1)).flatten(3)
        embeddings: Tensor = self.heads(rows.mean(-1) + rows.amax(-1))
        return self.necks.behind(embeddings) if self.normed else embeddings


def pair(inner: int, out: int, kernel: int) -> nn.Sequential:
    """Two convolutions of GaitSet."""
    return nn.Sequential(
        nn.Conv2d(inner, out, kernel, padding=kernel // 2, bias=False),
        nn.LeakyReLU(0.01),
        nn.Conv2d(out, out, 3, padding=1, bias=False),
        nn.LeakyReLU(0.01),
    )


class Sets(nn.Module):
    """GaitSet; its set branch stands before the frame branch."""

    def __init__(self, channels: Sequence[int], scales: Sequence[int], width: int) -> None:
        super().__init__()
        one, two, three = channels
        self.scales = tuple(scales)
        self.whole2, self.whole3 = pair(one, two, 3), pair(two, three, 3)
        self.each1, self.each2, self.each3 = pair(1, one, 5), pair(one, two, 3), pair(two, three, 3)
        self.heads = Heads(2 * sum(scales), three, width)

    def forward(self, silhouettes: Tensor) -> Tensor:
        """Embeddings [B, E, P] of silhouettes float [B, T, H, W]."""
        frames, count = silhouettes.flatten(0, 1)[:, None], len(silhouettes)

        def most(maps: Tensor) -> Tensor:
            clips: Tensor = maps.unflatten(0, (count, -1))
            return clips.amax(1)

        first = F.max_pool2d(self.each1(frames), 2)
        second = F.max_pool2d(self.each2(first), 2)
        third = self.each3(second)
        whole = F.max_pool2d(self.whole2(most(first)), 2) + most(second)
        whole = self.whole3(whole) + most(third)
        strips = []
        for maps in (most(third), whole):
            for scale in self.scales:
                rows = maps.unflatten(2, (scale, -1)).flatten(3)
                strips.append(rows.mean(-1) + rows.amax(-1))
        embeddings: Tensor = self.heads(torch.cat(strips, 2))
        return embeddings


def stir(network: nn.Module, seed: int = 0) -> nn.Module:
    """``network`` in eval mode, its batch norms as after a training."""
    draws = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if "running_var" in name:
            value.uniform_(0.5, 2, generator=draws)
        elif "running_mean" in name or name.endswith("bias"):
            value.normal_(0, 0.3, generator=draws)
        elif value.dim() == 1:
            value.normal_(1, 0.1, generator=draws)
    return network.eval().requires_grad_(False)


def save(path: Path, tensors: Mapping[str, Tensor], **more: Any) -> Path:
    """Write a checkpoint as gait programs publish them: the model, an optimiser, a schedule."""
    weight = nn.Parameter(torch.randn(3, 4))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    weight.sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 3], 0.1)
    content = {
        "model": dict(tensors),
        "optimizer": optimizer.state_dict(),
        "scheduler": schedule.state_dict(),
        **more,
    }
    torch.save(content, path)
    return path
