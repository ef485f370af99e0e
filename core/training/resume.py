"""Where a training goes on: the main process decides it once, and all load just that."""

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
    """Load the newest checkpoint that is whole, the same in all processes, if there is one.

    Args:
        checkpoints: Where to look.
        module: Takes the weights.
        optimizer: Takes its state.
        engine: Whose main process decides; its scaler takes its state.
        seed: Seed of torch's generators where there is no checkpoint.
        optional: Prefixes of tensors that checkpoints do not hold.
        name: The work's name, for messages.
        progress: Told where a damaged checkpoint is passed over.

    Returns:
        The steps already done.

    Raises:
        CheckpointError: there are checkpoints, and none is whole; or this process cannot read the
            one that was decided on.
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
            next_step="Delete this checkpoint's folder: an earlier one is taken then.",
        ) from None
    return training.told("step", int)


def _newest(checkpoints: CheckpointFolder, name: str, progress: Progress) -> Path | None:
    """The newest whole checkpoint; the newest of all, for its error, where none is whole."""
    newest = checkpoints.newest()
    whole = None if newest is None else checkpoints.newest_whole()
    if whole is not None and whole != newest:
        # The same steps give the same weights: nothing is lost but time.
        progress.say(f"{newest} is damaged; {name} goes on from {whole.name}.")
    return whole or newest
