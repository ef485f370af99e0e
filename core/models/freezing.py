"""The one place that decides what is frozen.

A frozen part computes in eval mode without gradients and keeps its parameters bit for bit, even
after ``model.train()`` and a step of an optimiser over all parameters that require gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from torch import nn


class Frozen(nn.Module):
    """Base of modules that never train: they ignore ``train(True)``."""

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, whatever ``mode`` says."""
        del mode
        return super().train(False)


def freeze(module: nn.Module) -> None:
    """Put ``module`` in eval mode and take all of its parameters out of training."""
    module.eval()
    module.requires_grad_(False)


def thaw(module: nn.Module) -> None:
    """Let all parameters of ``module`` train: only for an encoder built from a seed."""
    module.requires_grad_(True)


def trainable(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Named parameters that an optimiser may change."""
    return ((name, value) for name, value in module.named_parameters() if value.requires_grad)


def count_parameters(module: nn.Module) -> tuple[int, int]:
    """Numbers of trainable and of frozen parameters."""
    learned = sum(value.numel() for _, value in trainable(module))
    return learned, sum(value.numel() for value in module.parameters()) - learned
