"""The remaining iterations of a training or warm-up as a stage of an estimate."""

from __future__ import annotations

from pathlib import Path

from accelerate import Accelerator

from core.estimates.stages import Stage, counted, size
from core.training.checkpoint import CheckpointFolder
from core.training.job import Job
from core.training.pace import measure_job

# Checkpoint folder of a job that is only measured: nothing is written.
UNSAVED = CheckpointFolder(Path("unsaved"), keep=1)


def job_stage(name: str, job: Job, remaining: int, engine: Accelerator) -> Stage:
    """Estimate a job's remaining iterations from a few steps; do not use its module afterwards."""
    measured, settings = measure_job(job, engine), job.config
    warm_up = "after one to warm up" if measured.pace.warm else "with what the first one sets up"
    checkpoints = min(settings.keep, -(-remaining // settings.checkpoint_every))
    return Stage(
        name,
        remaining,
        "iterations",
        remaining * measured.pace.seconds,
        checkpoints * measured.checkpoint,
        f"{counted(measured.pace.steps, 'steps')}, {warm_up}; "
        f"{counted(checkpoints, 'checkpoints')} of {size(measured.checkpoint)}",
        measured.memory,
    )
