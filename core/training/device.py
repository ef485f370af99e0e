"""Memory formats and convolution settings for training on a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


def lay_out(module: nn.Module) -> None:
    """Convert trained convolutions on a GPU to their inputs' memory format, channels last.

    Their gradients have this format. With another one each would be copied, data parallelism would
    warn, and a fused optimiser would reject it.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Conv3d) and part.weight.requires_grad:
            two = isinstance(part, nn.Conv2d)
            order = torch.channels_last if two else torch.channels_last_3d
            part.weight.data = part.weight.data.contiguous(memory_format=order)


def align_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give gradients the strides of their parameters, as fused optimisers require.

    They may differ in axes of length one, which autograd treats as equal.
    """
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None and gradient.stride() != parameter.stride():
            parameter.grad = torch.empty_like(parameter).copy_(gradient)


@contextmanager
def equal_shapes(device: torch.device) -> Iterator[None]:
    """Enable cuDNN's benchmark mode in the block, whose inputs have constant shapes."""
    usual = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = usual or device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = usual
