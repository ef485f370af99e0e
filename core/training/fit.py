"""GPU memory of a training step: measured on a GPU, otherwise estimated."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.models.backbones.precision import MetaAutocast
from core.steps import OptimizerConfig
from core.training.job import Job
from core.training.sizes_only import META, LiveBytes

# Relative error of the estimate, as checked by the tests.
TOLERANCE = 0.15


@dataclass(frozen=True, slots=True)
class StepMemory:
    """Memory that a step takes on a GPU.

    Attributes:
        bytes: Peak memory.
        measured: Whether it was measured on this machine's GPU, not estimated.
        card: Bytes of the GPU; None without one.
    """

    bytes: int
    measured: bool
    card: int | None

    def describe(self) -> str:
        """One sentence on the memory and whether it fits."""
        how = "A step takes" if self.measured else "On a GPU a step takes about"
        text = f"{how} {self.bytes / 1e9:,.1f} GB of memory"
        if not self.measured:
            text += f" (estimated, within {TOLERANCE:.0%})"
        if self.card is None:
            return f"{text}; this machine has no GPU."
        verdict = "it fits" if self.measured or self.bytes <= self.card else "it does not fit"
        return f"{text}; the GPU has {self.card / 1e9:,.1f} GB: {verdict}."


def measured_memory(device: torch.device) -> StepMemory:
    """The peak memory so far on ``device``, a GPU."""
    card = torch.cuda.get_device_properties(device).total_memory
    return StepMemory(torch.cuda.max_memory_reserved(device), True, card)


def estimated_memory(job: Job, batch: ClipBatch) -> StepMemory:
    """Estimate the GPU memory of a step of ``job`` on ``batch``."""
    card = torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else None
    half = job.config.precision != "fp32"
    return StepMemory(step_bytes(job, batch, half=half), False, card)


def step_bytes(job: Job, batch: ClipBatch, *, half: bool) -> int:
    """Estimate the peak GPU memory of one step of ``job``, in bytes.

    The forward and backward pass run on tensors without content, of the types that a GPU computes
    in. The result is the peak of live tensors, plus the weights and the optimiser's state.

    Args:
        job: A job that is not yet used by a runner; it is not changed.
        batch: One of its batches.
        half: Whether the step would compute in fp16 or bf16.
    """
    module = _without_content(job.module).train()
    parts = [*module.parameters(), *module.buffers()]
    alive = LiveBytes(parts)
    with alive, torch.compiler.set_stance("force_eager"):
        with MetaAutocast() if half else nullcontext():
            losses = job.losses(module, batch.to(META).mirrored())
        losses.total.backward()
    trained = sum(_bytes(part) for part in module.parameters() if part.requires_grad)
    return alive.most + sum(map(_bytes, parts)) + trained * _states(job.config)


def _states(config: OptimizerConfig) -> int:
    """Number of the optimiser's state values per weight."""
    if config.optimizer == "adamw":
        return 2
    return 1 if config.momentum else 0


def _without_content(module: nn.Module) -> nn.Module:
    """A copy of ``module`` whose parameters and buffers have no content."""
    memo: dict[int, Any] = {}
    for weight in module.parameters():
        empty = torch.empty_like(weight, device=META)
        memo[id(weight)] = nn.Parameter(empty, weight.requires_grad)
    memo |= {id(value): torch.empty_like(value, device=META) for value in module.buffers()}
    return copy.deepcopy(module, memo)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
