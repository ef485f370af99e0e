"""Steps of a training and of embedding for the fake GPU, as the toolkit itself takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from torch import Tensor, nn

from core.config import Config
from core.data.dataset import ClipBatch
from core.losses.total import total_loss
from core.models.base import implementation_of
from core.records import Losses
from core.training.checkpoint import CheckpointFolder
from core.training.job import Job
from core.training.loop import Runner
from tests.fakes.device import GPU
from tests.fakes.families import FIELDS, ROWS, Rows, Sizes, count_of, inputs_read, part_of

PRECISIONS = {"fp16": torch.float16, "bf16": torch.bfloat16}


def empty_batch(config: Config, sizes: Sizes, frames: int) -> ClipBatch:
    """A batch of a configuration's size, without content that matters."""
    data = config.data
    clips = data.identities * data.sequences
    images, silhouettes = sizes
    count = clips * frames
    others = {
        field: torch.zeros(count, *ROWS[name][0], dtype=ROWS[name][1])
        for field, name in FIELDS.items()
        if name in inputs_read(config)
    }
    return ClipBatch(
        None if images is None else torch.zeros(count, 3, *images, dtype=torch.uint8),
        None,
        torch.zeros(count, *silhouettes, dtype=torch.uint8),
        torch.ones(count, dtype=torch.bool),
        torch.arange(data.identities).repeat_interleave(data.sequences),
        torch.ones(clips, dtype=torch.bool),
        torch.arange(clips),
        **others,
    )


def losses_of(config: Config) -> Callable[[nn.Module, ClipBatch], Losses]:
    """The five losses of a batch."""

    family = implementation_of(config.model)
    terms = family.terms(config.model)

    def losses(module: nn.Module, batch: ClipBatch) -> Losses:
        return total_loss(terms, config.losses, family.forward(module, batch), batch)

    return losses


def job_of(module: nn.Module, config: Any, losses: Callable[[nn.Module, ClipBatch], Losses]) -> Job:
    """A job of any module, to take steps of; ``config`` is that of its optimiser."""
    return Job(
        name="Steps",
        module=module,
        losses=losses,
        batches=lambda _: (),
        config=config,
        checkpoints=CheckpointFolder(Path("none"), keep=1),
        kept=dict,
        optional=(),
        header={},
        describe=lambda _: [],
        pictures=lambda _: {},
        workers=0,
    )


@contextmanager
def engine_on_gpu(precision: str) -> Iterator[Accelerator]:
    """The engine of one process that computes on the fake GPU in ``precision``."""
    AcceleratorState._reset_state(reset_partial_state=True)
    engine = Accelerator(cpu=True, mixed_precision="bf16" if precision == "bf16" else "no")
    PartialState._shared_state["device"] = GPU
    AcceleratorState._shared_state.update(
        device=GPU, _mixed_precision={"fp32": "no"}.get(precision, precision)
    )
    engine.native_amp = precision != "fp32"
    engine.scaler = torch.amp.GradScaler("cuda") if precision == "fp16" else None
    try:
        yield engine
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def training_step(
    job: Job, batch: ClipBatch, engine: Accelerator
) -> tuple[Callable[[], None], Runner]:
    """One step of ``job``, whose module is on the device, and what takes it."""
    runner = Runner(job, engine)

    def step() -> None:
        runner.step(0, batch)
        # The loop reads losses now and then, and lets the older ones go.
        del runner._unchecked[:-1]

    return step, runner


def embedding_step(
    config: Config, model: nn.Module, sequence: Rows, precision: str
) -> Callable[[], Tensor]:
    """Embedding one sequence, cut into chunks of 64 frames."""
    family = implementation_of(config.model)

    def moved(rows: Rows) -> Rows:
        if isinstance(rows, Tensor):
            return rows.to(GPU, non_blocking=True)
        return {name: one.to(GPU, non_blocking=True) for name, one in rows.items()}

    def step() -> Tensor:
        with torch.inference_mode(), torch.autocast("cuda", PRECISIONS[precision]):
            chunks = (
                moved(part_of(sequence, first, first + 64))
                for first in range(0, count_of(sequence), 64)
            )
            return family.embed(model, chunks).float()

    return step
