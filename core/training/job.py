"""What a training consists of, for the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.records import Losses
from core.steps import OptimizerConfig
from core.training.checkpoint import CheckpointFolder


@dataclass(frozen=True, slots=True)
class Job:
    """What is trained and how.

    Attributes:
        name: Shown beside the progress.
        module: Holds every trained parameter.
        losses: From the (wrapped) module and a batch to its losses.
        batches: From the number of a batch to the batches from there on; an iteration takes
            ``config.accumulate`` of them.
        workers: Processes that read its batches ahead; 0: this one reads them itself.
        config: Optimiser and steps.
        checkpoints: Where to save.
        kept: From the module's tensors to those that a checkpoint holds.
        optional: Prefixes of tensors that checkpoints do not hold.
        header: What each checkpoint tells of itself.
        describe: From sequence numbers to names, for messages.
        pictures: From a batch to pictures for the observers, at each checkpoint.
        seed: Seed of torch's generators at the first iteration; checkpoints hold them from then on.
        encoder: Frozen part of ``module`` whose share of the time is logged.
        freeze: Freezes what no longer trains in an iteration (from 0); whether that is something
            new.
    """

    name: str
    module: nn.Module
    losses: Callable[[nn.Module, ClipBatch], Losses]
    batches: Callable[[int], Iterable[ClipBatch]]
    workers: int
    config: OptimizerConfig
    checkpoints: CheckpointFolder
    kept: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    optional: tuple[str, ...]
    header: Mapping[str, Any]
    describe: Callable[[Sequence[int]], list[str]]
    pictures: Callable[[ClipBatch], Mapping[str, Tensor]]
    seed: int = 0
    encoder: nn.Module | None = None
    freeze: Callable[[int], bool] = lambda step: False
