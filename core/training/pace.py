"""A few real steps, timed, to tell what all of them will take; nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from time import perf_counter

import torch
from accelerate import Accelerator
from torch import Tensor

from core.training.checkpoint import optimizer_tensors
from core.training.device import equal_shapes
from core.training.fit import StepMemory, estimated_memory, measured_memory
from core.training.job import Job
from core.training.loop import Runner

# Three steps at least; quick ones are repeated for a steadier answer.
STEPS, MOST_STEPS, ENOUGH_SECONDS = 3, 30, 2.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds for one unit of work, and what they were measured on.

    Attributes:
        seconds: For one unit.
        steps: How many steps were timed.
        warm: Whether a step before them warmed up; there was no other step to time if not.
    """

    seconds: float
    steps: int
    warm: bool = True


@dataclass(frozen=True, slots=True)
class JobPace:
    """A job's pace by the iteration, the bytes of one checkpoint, and a step's memory on a GPU."""

    pace: Pace
    checkpoint: int
    memory: StepMemory


def measure(steps: Iterable[float]) -> Pace:
    """Time steps, each of which tells how many units it has done; the first only warms up.

    Args:
        steps: Does one step at each turn. No more than needed are done; fewer than two make no
            pace, and the warm-up counts then.
    """
    found: list[tuple[float, float]] = []
    begun = last = perf_counter()
    for units in steps:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = perf_counter()
        found.append((units, now - last))
        last = now
        if len(found) == 1:
            begun = now
        done = len(found) - 1
        if done >= MOST_STEPS or (done >= STEPS and now - begun >= ENOUGH_SECONDS):
            break
    counted = found[1:] or found
    units_done = sum(units for units, _ in counted)
    seconds = sum(seconds for _, seconds in counted) / max(units_done, 1e-9)
    return Pace(seconds, len(counted), warm=len(found) > 1)


def measure_job(job: Job, engine: Accelerator) -> JobPace:
    """Train a few steps on real batches; the job's module is not to be used afterwards."""
    batches = iter(job.batches(0))
    first = next(batches)
    on_gpu = engine.device.type == "cuda"
    memory = None if on_gpu else estimated_memory(job, first)
    runner = Runner(job, engine)
    each = job.config.accumulate

    def steps() -> Iterator[float]:
        for number, batch in enumerate(chain([first], batches)):
            runner.step(number // each, batch, last=(number + 1) % each == 0)
            yield 1 / each

    with equal_shapes(engine.device):
        pace = measure(steps())
    memory = memory or measured_memory(engine.device)
    module = engine.unwrap_model(runner.module)
    tensors = [*job.kept(module.state_dict()).values()]
    tensors += optimizer_tensors(module, runner.optimizer).values()
    return JobPace(pace, sum(map(_bytes, tensors)), memory)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
