"""The training loop: a step depends on the recipe and its number, so a resume changes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from core.errors import Interrupted, TrainingError
from core.pretraining.batches import batch_of
from core.pretraining.model import Pretraining
from core.pretraining.objectives import label_weights, losses
from core.pretraining.recipe import Recipe, rate_at
from core.pretraining.scenes import Pictures
from core.pretraining.sentences import as_tensors, sentences_of
from core.progress import Progress
from core.training.checkpoint import (
    STATE,
    WEIGHTS,
    CheckpointFolder,
    load_strictly,
    load_tensors,
    optimizer_tensors,
    restore_optimizer,
)
from core.training.observers import JsonLines
from core.training.optimizer import set_rate
from core.training.signals import stop_on_signal

EVERY, LOGGED = 200, 20  # steps between two checkpoints, and between two lines of the log


class Trainer:
    """One training in memory.

    Args:
        recipe: What to do.
        pictures: All of them.

    Attributes:
        losses: Of the last step, by name; ``loss`` is their weighted sum.
    """

    def __init__(self, recipe: Recipe, pictures: Pictures) -> None:
        self.recipe, self.pictures = recipe, pictures
        self.model = Pretraining(recipe).train()
        self.optimizers = make_optimizers(self.model, recipe)
        self.weights = label_weights(torch.from_numpy(pictures.labels))
        self.losses: dict[str, float] = {}

    def step(self, number: int) -> None:
        """Do step ``number`` (from 0); :attr:`losses` are those of it.

        Raises:
            TrainingError: one of them is not finite.
        """
        recipe = self.recipe
        batch = batch_of(self.pictures, recipe, number)
        sentences = as_tensors(sentences_of(recipe.seed, number, recipe.sentences))
        result = losses(
            self.model, recipe, batch.images, batch.labels, batch.depths, sentences, self.weights
        )
        result.total.backward()
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_norm)
        for optimizer in self.optimizers:
            set_rate(optimizer, rate_at(recipe, number))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        parts = {"loss": result.total, **result.parts}
        self.losses = {name: float(value.detach()) for name, value in parts.items()}
        if not all(map(math.isfinite, self.losses.values())):
            raise TrainingError(
                f"The loss is not finite at step {number + 1}",
                next_step="Use another --seed, or report it: this should not happen.",
            )

    def save(self, checkpoints: CheckpointFolder, finished_steps: int) -> Path:
        """Write a checkpoint after ``finished_steps`` steps."""
        header = {"kind": "pre-training", "recipe": self.recipe.model_dump(mode="json")}
        state: dict[str, Tensor] = {}
        for optimizer in self.optimizers:
            state |= optimizer_tensors(self.model, optimizer)
        return checkpoints.save(
            finished_steps,
            self.model.state_dict(),
            {**header, "step": finished_steps},
            state,
            {"step": finished_steps, "losses": self.losses},
        )

    def resume(self, checkpoints: CheckpointFolder) -> int:
        """Load the newest whole checkpoint; returns the number of steps done.

        Raises:
            CheckpointError: it belongs to something else.
        """
        newest = checkpoints.newest_whole()
        if newest is None:
            return 0
        weights, state = load_tensors(newest / WEIGHTS), load_tensors(newest / STATE)
        load_strictly(self.model, weights.tensors, optional=(), where=weights.path)
        for optimizer in self.optimizers:
            own = _own(self.model, optimizer, state.tensors)
            restore_optimizer(self.model, optimizer, own, state.path)
        self.losses = state.told("losses", dict)
        return state.told("step", int)


def make_optimizers(model: nn.Module, recipe: Recipe) -> tuple[Optimizer, ...]:
    """Muon for the matrices inside both encoders, AdamW for all else.

    Muon (Jordan et al. 2024; scaled to AdamW's step as by Liu et al., "Muon is Scalable for LLM
    Training", 2025) gets further with as many pictures. Embeddings, biases, norms and the last
    layer are not what it is made for; of these, only the last layer's weights decay.
    """
    matrices: list[nn.Parameter] = []
    decaying: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if parameter.ndim < 2 or "embeddings" in name:
            plain.append(parameter)
        else:
            (decaying if name.startswith("dense") else matrices).append(parameter)
    groups = [
        {"params": decaying, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return (
        Muon(
            matrices,
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        ),
        AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98)),
    )


def _own(
    model: nn.Module, optimizer: Optimizer, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """All optimisers' tensors without the state of parameters that another one trains."""
    mine = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    others = {name for name, parameter in model.named_parameters() if id(parameter) not in mine}
    return {key: value for key, value in tensors.items() if key.split(".", 2)[-1] not in others}


def train(
    recipe: Recipe, pictures: Pictures, folder: Path, log: Path, progress: Progress
) -> Trainer:
    """Train to the last step, from the newest checkpoint in ``folder`` if there is one.

    Args:
        recipe: What to do.
        pictures: All of them.
        folder: Of checkpoints, in an existing folder.
        log: File that gets a line of JSON for every few steps.
        progress: Told of steps and losses.

    Raises:
        Interrupted: a signal came; the state is saved.
        TrainingError: a loss is not finite.
        OutputError: the disk is full or not writable.
    """
    checkpoints = CheckpointFolder(folder, keep=2, every=EVERY)
    trainer = Trainer(recipe, pictures)
    start = trainer.resume(checkpoints)
    if start:
        progress.say(f"Resuming at step {start} of {recipe.steps}.")
    started = monotonic()
    with (
        stop_on_signal() as stop,
        _logged(log, start) as lines,
        progress.task("Pre-training", recipe.steps, "steps", done=start) as task,
    ):
        for number in range(start, recipe.steps):
            trainer.step(number)
            values, step = trainer.losses, number + 1
            task.advance()
            last = step == recipe.steps
            if step % LOGGED == 0 or last:
                rate = (step - start) / (monotonic() - started)
                lines.scalars(step, values | {"lr": rate_at(recipe, number), "steps_per_s": rate})
                task.detail(" ".join(f"{name} {value:.3f}" for name, value in values.items()))
            if step % EVERY == 0 or last or stop:
                path = trainer.save(checkpoints, step)
            if stop and not last:
                raise Interrupted(
                    f"Stopped by {stop.name or 'a signal'} after step {step}; saved",
                    where=path,
                    next_step="Run the same command again: it resumes.",
                )
    return trainer


@contextmanager
def _logged(path: Path, start: int) -> Iterator[JsonLines]:
    log = JsonLines(path, start)
    try:
        yield log
    finally:
        log.close()
