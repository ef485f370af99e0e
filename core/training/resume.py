"""Resumption of a training: the main process selects the checkpoint, all processes load it."""

from __future__ import annotations

from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import Optimizer

from core.errors import CheckpointError
from core.progress import Progress
from core.training.checkpoint import (
    STATE,
    WEIGHTS,
    CheckpointFolder,
    load_strictly,
    load_tensors,
    restore_optimizer,
)
from core.training.engine import run_on_main


def resume(
    checkpoints: CheckpointFolder,
    module: nn.Module,
    optimizer: Optimizer,
    engine: Accelerator,
    *,
    seed: int,
    optional: tuple[str, ...],
    name: str,
    progress: Progress,
) -> int:
    """Load the newest complete checkpoint, the same in all processes, if there is one.

    Args:
        checkpoints: The checkpoints.
        module: Receives the weights.
        optimizer: Receives its state.
        engine: Its main process selects the checkpoint; its scaler receives its state.
        seed: Seed of torch's generators without a checkpoint.
        optional: Prefixes of tensors that checkpoints do not store.
        name: The work's name, for messages.
        progress: Reports a damaged checkpoint that is skipped.

    Returns:
        The number of finished steps.

    Raises:
        CheckpointError: no checkpoint is complete, or this process cannot read the selected one.
    """
    checkpoint = run_on_main(engine, lambda: _newest(checkpoints, name, progress))
    if checkpoint is None:
        torch.manual_seed(seed)
        return 0
    weights = load_tensors(checkpoint / WEIGHTS)
    load_strictly(module, weights.tensors, optional=optional, where=checkpoint)
    training = load_tensors(checkpoint / STATE)
    restore_optimizer(module, optimizer, training.tensors, training.path)
    try:
        torch.set_rng_state(training.tensor("random.torch"))
        if "random.cuda" in training.tensors and engine.device.type == "cuda":
            torch.cuda.set_rng_state(training.tensors["random.cuda"])
        if training.header.get("scaler") and engine.scaler:
            engine.scaler.load_state_dict(training.header["scaler"])
    except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"The state of the training is damaged: {error}",
            where=training.path,
            next_step="Delete this checkpoint's folder to use an earlier one.",
        ) from None
    return training.told("step", int)


def _newest(checkpoints: CheckpointFolder, name: str, progress: Progress) -> Path | None:
    """The newest complete checkpoint; if none is complete, the newest, for its error."""
    newest = checkpoints.newest()
    whole = None if newest is None else checkpoints.newest_whole()
    if whole is not None and whole != newest:
        # The same steps give the same weights; only time is lost.
        progress.say(f"{newest} is damaged; {name} resumes from {whole.name}.")
    return whole or newest
