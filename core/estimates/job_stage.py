"""What is left of a training or a warm-up, as a stage of an estimate."""

from __future__ import annotations

from pathlib import Path

from accelerate import Accelerator

from core.estimates.stages import Stage, counted, size
from core.training.checkpoint import CheckpointFolder
from core.training.job import Job
from core.training.pace import measure_job

# The checkpoints of a job that is only rehearsed: none is written.
UNSAVED = CheckpointFolder(Path("unsaved"), keep=1)


def job_stage(name: str, job: Job, left: int, engine: Accelerator) -> Stage:
    """What is left of a job, from a few of its steps; its module is not to be used afterwards."""
    paced, settings = measure_job(job, engine), job.config
    warmed = "after one to warm up" if paced.pace.warm else "with what the first one sets up"
    checkpoints = min(settings.keep, -(-left // settings.checkpoint_every))
    return Stage(
        name,
        left,
        "iterations",
        left * paced.pace.seconds,
        checkpoints * paced.checkpoint,
        f"{counted(paced.pace.steps, 'steps')}, {warmed}; "
        f"{counted(checkpoints, 'checkpoints')} of {size(paced.checkpoint)}",
        paced.memory,
    )
