"""What a training on a GPU wants of memory orders and of convolutions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


def lay_out(module: nn.Module) -> None:
    """Put convolutions that train on a GPU into the memory order of their inputs: channels last.

    Their gradients come in that order. In another, each would be copied, data parallelism would
    warn of it, and a fused optimiser refuse it.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Conv3d) and part.weight.requires_grad:
            two = isinstance(part, nn.Conv2d)
            order = torch.channels_last if two else torch.channels_last_3d
            part.weight.data = part.weight.data.contiguous(memory_format=order)


def align_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give gradients the strides of their parameters, which fused optimisers ask for.

    They may differ in axes of length one, which autograd takes for equal.
    """
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None and gradient.stride() != parameter.stride():
            parameter.grad = torch.empty_like(parameter).copy_(gradient)


@contextmanager
def equal_shapes(device: torch.device) -> Iterator[None]:
    """Let cuDNN try its convolutions while the block runs, whose inputs have the same shapes."""
    usual = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = usual or device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = usual
