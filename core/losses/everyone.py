"""What a loss needs of the other processes, so that many compute what one would on the batch.

The data-parallel wrapper averages gradients over processes. A mean over equal shares of the batch
needs nothing more; the functions here are for losses that are no such mean. With one process each
gives back what it was given.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather as gather_with_gradient
from torch.distributed.nn.functional import all_reduce as sum_with_gradient


def alone() -> bool:
    """Whether this process computes the whole batch."""
    return not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1


def gather(embedding: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings and labels of all processes, gradients included.

    Every process computes the same loss over the global batch. Its gradient is summed over
    processes on the way back and averaged by the data-parallel wrapper, which leaves that of one
    process on the whole batch.
    """
    if alone():
        return embedding, labels
    everyone = torch.cat(gather_with_gradient(embedding.contiguous()))
    others = [torch.empty_like(labels) for _ in range(dist.get_world_size())]
    dist.all_gather(others, labels.contiguous())
    return everyone, torch.cat(others)


def total(amount: Tensor) -> Tensor:
    """Sum of ``amount`` over all processes, gradients included (averaged as in :func:`gather`)."""
    return amount if alone() else sum_with_gradient(amount)


def weight_of(count: Tensor) -> Tensor:
    """Factor of a mean over ``count`` items of this process that makes it one over all of them."""
    own = count.float()
    if alone():
        return torch.ones_like(own)
    everyone = own.clone()
    dist.all_reduce(everyone)
    return own * dist.get_world_size() / everyone.clamp(min=1)
