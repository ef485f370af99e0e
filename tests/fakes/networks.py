"""Counts, random weights and pieces of sequences, for tests of gait networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

Module = TypeVar("Module", bound=nn.Module)
Result = TypeVar("Result")

# Ways to cut a sequence of twelve frames.
CUTS = ([12], [1] * 12, [5, 7], [2, 0, 3, 7], [11, 1])


def parameters(module: nn.Module | None) -> int:
    """Number of all parameters, frozen ones too."""
    return 0 if module is None else sum(value.numel() for value in module.parameters())


def multiply_adds(run: Callable[[], Result]) -> tuple[float, Result]:
    """Multiply-adds of ``run`` in units of 10^9, convolutions and products alone; its result."""
    with FlopCounterMode(display=False) as counter:
        result = run()
    return counter.get_total_flops() / 2e9, result


def shaken(module: Module) -> Module:
    """``module`` in eval mode and float64, no parameter or statistic at a special value."""
    module = module.double()
    with torch.no_grad():
        for value in module.parameters():
            value.add_(0.2 * value.std(correction=0) * torch.randn_like(value))
        shake_statistics(module)
    return module.eval()


def shake_statistics(module: nn.Module) -> None:
    """Draw the running statistics of all batch norms."""
    for name, value in module.named_buffers():
        if name.endswith("running_mean"):
            value.normal_(0, 0.3)
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)


def walking(frames: int, size: tuple[int, int] = (32, 16), seed: int = 0) -> Tensor:
    """A bright block that moves on noise, float64 [1, 1, T, H, W] in [0, 1]."""
    random = torch.Generator().manual_seed(seed)
    height, width = size
    clip = 0.3 * torch.rand(1, 1, frames, height, width, generator=random, dtype=torch.float64)
    for at in range(frames):
        left = at % (width // 2)
        clip[..., at, height // 4 : height // 2, left : left + width // 4] += 0.7
    return clip


def pieces(clip: Tensor, cuts: Sequence[int]) -> Iterator[Tensor]:
    """Chunks [t, C, H, W] of a clip [1, C, T, H, W]."""
    return iter(clip[0].transpose(0, 1).split(list(cuts)))


def block_on_black(rows: slice, size: tuple[int, int] = (64, 16)) -> Tensor:
    """One bright block in two frames on black, float64 [2, 1, H, W]."""
    frames = torch.zeros(2, 1, *size, dtype=torch.float64)
    frames[0, :, rows, 4:10] = 1
    frames[1, :, rows, 6:12] = torch.linspace(0.2, 1, rows.stop - rows.start)[:, None].double()
    return frames


def without_gradient(module: nn.Module) -> list[str]:
    """Names of the parameters that should train and that backward did not reach."""
    return [
        name
        for name, value in module.named_parameters()
        if value.requires_grad and (value.grad is None or not value.grad.isfinite().all())
    ]
