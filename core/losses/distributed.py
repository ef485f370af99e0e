"""Collectives for losses, so that many processes compute the loss of one on the whole batch.

The data-parallel wrapper averages gradients over processes. A mean over equal shares of the batch
needs nothing more; the functions here serve all other losses. With one process each
returns its input.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor


def is_single_process() -> bool:
    """Whether this process computes the whole batch."""
    return not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1


def gather(embedding: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings and labels of all processes, gradients included.

    Every process computes the same loss over the global batch. Its gradient is summed over
    processes on the way back and averaged by the data-parallel wrapper, which leaves that of one
    process on the whole batch.
    """
    return (embedding, labels) if is_single_process() else (gather_rows(embedding), _joined(labels))


def gather_rows(own: Tensor) -> Tensor:
    """First axes of all processes' tensors side by side, gradients as in :func:`gather`."""
    return own if is_single_process() else cast(Tensor, _Gather.apply(own))  # type: ignore[no-untyped-call]


class _Gather(torch.autograd.Function):
    """Joins the first axes of all processes' tensors.

    torch's own differentiable all_gather mixes up the elements of a gradient that is not contiguous
    (its buffers take the strides of the gradient, what it sends does not).
    """

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:  # noqa: ANN401 - untyped in torch
        ctx.count = own.shape[0]
        return _joined(own)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        summed = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        first = dist.get_rank() * ctx.count
        return summed[first : first + ctx.count]


def _joined(own: Tensor) -> Tensor:
    own = own.contiguous()
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own)
    return torch.cat(parts)


def sum_over_processes(amount: Tensor) -> Tensor:
    """Sum of ``amount`` over all processes, gradients included (averaged as in :func:`gather`)."""
    return gather_rows(amount[None]).sum(0)


def global_mean_weight(count: Tensor) -> Tensor:
    """Factor of a mean over ``count`` items of this process that makes it one over all of them."""
    own = count.float()
    if is_single_process():
        return torch.ones_like(own)
    total = own.clone()
    dist.all_reduce(total)
    return own * dist.get_world_size() / total.clamp(min=1)
