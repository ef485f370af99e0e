"""Whether a training step fits into a GPU's memory, told without one."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.training.loop import Job

META = torch.device("meta")


def step_bytes(job: Job, batch: ClipBatch, half: bool) -> int:
    """Bytes of GPU memory that one step of ``job`` takes at its largest, estimated.

    The step runs on tensors without content. What autograd keeps for the way back is counted, each
    piece of memory once, with the weights, their gradients and the optimiser's state.

    Args:
        job: Any; it is left as it is.
        batch: One of its batches.
        half: Whether the step computes in fp16 or bf16.
    """
    module = _without_content(job.module)
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        size = tensor.untyped_storage().nbytes()
        kept[tensor.untyped_storage()._cdata] = size // 2 if _halved(tensor, half) else size
        return tensor

    weights = [*module.parameters(), *module.buffers()]
    for weight in weights:
        weight_storage = weight.untyped_storage()._cdata
        kept[weight_storage] = 0
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        losses = job.losses(module.train(), batch.to(META).mirrored())
    for weight in weights:
        kept[weight.untyped_storage()._cdata] = 0
    states = {"sgd": 1, "adamw": 2}[job.config.optimizer]
    trained = sum(_bytes(p) for p in module.parameters() if p.requires_grad)
    frozen = sum(_bytes(p) for p in weights if not p.requires_grad)
    del losses
    return trained * (2 + states) + frozen + sum(kept.values())


def _without_content(module: nn.Module) -> nn.Module:
    memo: dict[int, Any] = {}
    for weight in module.parameters():
        empty = torch.empty_like(weight, device=META)
        memo[id(weight)] = nn.Parameter(empty, weight.requires_grad)
    memo |= {id(value): torch.empty_like(value, device=META) for value in module.buffers()}
    return copy.deepcopy(module, memo)


def _halved(tensor: Tensor, half: bool) -> bool:
    return half and tensor.dtype == torch.float32


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
