"""Timing of a few real steps, to estimate all of them; nothing is written."""

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

# At least three steps; fast ones are repeated for a more stable result.
STEPS, MOST_STEPS, ENOUGH_SECONDS = 3, 30, 2.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Measured seconds per unit of work.

    Attributes:
        seconds: Time per unit.
        steps: Number of timed steps.
        warm: Whether an untimed warm-up step came first; False if there was only one step.
    """

    seconds: float
    steps: int
    warm: bool = True


@dataclass(frozen=True, slots=True)
class JobPace:
    """A job's time per iteration, the bytes of one checkpoint, and a step's memory on a GPU."""

    pace: Pace
    checkpoint: int
    memory: StepMemory


def measure(steps: Iterable[float]) -> Pace:
    """Time steps, each of which returns its number of units; the first is a warm-up.

    Args:
        steps: Runs one step per item. Only as many as needed are run; with a single step, the
            warm-up is timed.
    """
    timings: list[tuple[float, float]] = []
    start = last = perf_counter()
    for units in steps:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = perf_counter()
        timings.append((units, now - last))
        last = now
        if len(timings) == 1:
            start = now
        timed_count = len(timings) - 1
        if timed_count >= MOST_STEPS or (timed_count >= STEPS and now - start >= ENOUGH_SECONDS):
            break
    timed = timings[1:] or timings
    units_done = sum(units for units, _ in timed)
    seconds = sum(seconds for _, seconds in timed) / max(units_done, 1e-9)
    return Pace(seconds, len(timed), warm=len(timings) > 1)


def measure_job(job: Job, engine: Accelerator) -> JobPace:
    """Train a few steps on real batches; do not use the job's module afterwards."""
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
