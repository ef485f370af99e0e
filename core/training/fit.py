"""Whether a training step fits into a GPU's memory: measured on one, else estimated."""

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

# Share by which the estimate may be wrong, as the tests hold it to.
TOLERANCE = 0.15


@dataclass(frozen=True, slots=True)
class StepMemory:
    """Memory that a step takes on a GPU.

    Attributes:
        bytes: At its largest.
        measured: Measured on this machine's GPU; else estimated.
        card: Bytes that the GPU has; None where there is none.
    """

    bytes: int
    measured: bool
    card: int | None

    def describe(self) -> str:
        """One sentence: how much it is, and whether it fits."""
        how = "A step takes" if self.measured else "On a GPU a step takes about"
        text = f"{how} {self.bytes / 1e9:,.1f} GB of memory"
        if not self.measured:
            text += f" (estimated, within {TOLERANCE:.0%})"
        if self.card is None:
            return f"{text}; this machine has no GPU."
        verdict = "it fits" if self.measured or self.bytes <= self.card else "it does not fit"
        return f"{text}; the GPU has {self.card / 1e9:,.1f} GB: {verdict}."


def measured_memory(device: torch.device) -> StepMemory:
    """The memory of the largest step taken so far on ``device``, a GPU."""
    card = torch.cuda.get_device_properties(device).total_memory
    return StepMemory(torch.cuda.max_memory_reserved(device), True, card)


def estimated_memory(job: Job, batch: ClipBatch) -> StepMemory:
    """The memory that a step of ``job`` on ``batch`` would take on a GPU."""
    card = torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else None
    half = job.config.precision != "fp32"
    return StepMemory(step_bytes(job, batch, half=half), False, card)


def step_bytes(job: Job, batch: ClipBatch, *, half: bool) -> int:
    """Bytes of GPU memory that one step of ``job`` takes at its largest, estimated.

    The step runs forth and back on tensors without content, of the types that a GPU computes in.
    The most that is alive of them at once counts, with the weights and the optimiser's state.

    Args:
        job: Any, not yet taken up by a runner; it is left as it is.
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
    """Numbers that the optimiser keeps for each weight."""
    if config.optimizer == "adamw":
        return 2
    return 1 if config.momentum else 0


def _without_content(module: nn.Module) -> nn.Module:
    """A copy of ``module`` whose parameters and buffers have sizes and types alone."""
    memo: dict[int, Any] = {}
    for weight in module.parameters():
        empty = torch.empty_like(weight, device=META)
        memo[id(weight)] = nn.Parameter(empty, weight.requires_grad)
    memo |= {id(value): torch.empty_like(value, device=META) for value in module.buffers()}
    return copy.deepcopy(module, memo)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
