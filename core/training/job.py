"""Description of a training for the loop."""

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
    """A training to run.

    Attributes:
        name: Label of the progress.
        module: Contains every trained parameter.
        losses: Computes the losses from the (wrapped) module and a batch.
        batches: Returns the batches from a batch number on; an iteration uses
            ``config.accumulate`` of them.
        workers: Processes that read batches ahead; 0 reads them in this process.
        config: Optimiser and steps.
        checkpoints: Folder to save to.
        kept: Selects the module's tensors that a checkpoint stores.
        optional: Prefixes of tensors that checkpoints do not store.
        header: Header of each checkpoint.
        describe: Returns the names of sequence numbers, for messages.
        pictures: Returns pictures of a batch for the observers, at each checkpoint.
        seed: Seed of torch's generators at the first iteration; later states are in checkpoints.
        encoder: Frozen part of ``module`` whose share of the time is logged.
        freeze: Freezes the parts that no longer train in an iteration (from 0); returns whether
            any was newly frozen.
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
