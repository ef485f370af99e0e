"""The training loop for any module and losses, with exact resumption."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from core.data.dataset import ClipBatch
from core.errors import Interrupted, TrainingError
from core.progress import Progress
from core.training.checkpoint import CheckpointFolder, optimizer_tensors
from core.training.device import equal_shapes
from core.training.engine import rewrap, subnormals_as_zero
from core.training.job import Job
from core.training.memory import give_back_free_memory
from core.training.meter import Meter, brief
from core.training.observers import Observer
from core.training.optimizer import learning_rate, make_optimizer, set_rate
from core.training.resume import resume
from core.training.scaling import LossScale
from core.training.signals import stop_on_signal, stop_requested
from core.training.statistics import share_statistics

STARVED_SHARE = 0.3


@subnormals_as_zero()
def run_job(
    job: Job,
    engine: Accelerator,
    observers: Callable[[int], Sequence[Observer]],
    progress: Progress,
) -> int:
    """Train from the newest checkpoint to the last step and save; returns the start step.

    Raises:
        TrainingError: a loss is not finite (the state is saved, the batch's sequences are named).
        Interrupted: a signal came (the state is saved).
        OutputError: a checkpoint cannot be written, or a process that reads data was killed.
    """
    runner = Runner(job, engine)
    start = runner.resume(progress)
    if start:
        progress.say(f"{job.name}: resuming at iteration {start} of {job.config.iterations}.")
    progress.say(f"{job.name}: {_readers(job.workers)}.")
    watchers = list(observers(start)) if engine.is_main_process else []
    meter = Meter(engine.device, job.encoder)
    try:
        with (
            stop_on_signal() as stop,
            equal_shapes(engine.device),
            progress.task(job.name, job.config.iterations, "it", done=start) as task,
        ):
            each = job.config.accumulate
            for number, batch in enumerate(job.batches(start * each), start=start * each):
                step_count, rest = divmod(number + 1, each)
                meter.waited()
                runner.step(number // each, batch, last=rest == 0)
                meter.computed(len(batch.valid) * engine.num_processes, whole=rest == 0)
                if rest:
                    continue
                task.advance()
                due = (
                    step_count % job.config.checkpoint_every == 0
                    or step_count == job.config.iterations
                )
                stopped = stop_requested(stop, engine, step_count, due)
                if step_count % job.config.log_every == 0 or step_count == job.config.iterations:
                    numbers = runner.finite() | runner.scale.take() | meter.take()
                    give_back_free_memory()  # after measuring it
                    task.detail(brief(numbers))
                    for watcher in watchers:
                        watcher.scalars(step_count, numbers)
                if due or stopped:
                    runner.finite()
                    path = runner.save(step_count)
                    pictures = runner.pictures(batch) if due and watchers else {}
                    for watcher in watchers if pictures else ():
                        watcher.images(step_count, pictures)
                if stopped and step_count < job.config.iterations:
                    raise Interrupted(
                        f"Stopped by {stop.name or 'a signal'} after iteration {step_count}; saved",
                        where=path,
                        next_step="Run the same command again to resume.",
                    )
                meter.wrote()
            if meter.total_share() > STARVED_SHARE and meter.steps > 20:
                progress.say(
                    f"{job.name}: waited for data {meter.total_share():.0%} of the time; "
                    "more `data.workers` or a store on a faster disk would help."
                )
    finally:
        meter.close()
        for watcher in watchers:
            watcher.close()
    return start


@dataclass(frozen=True, slots=True)
class _Step:
    """A batch whose losses are not checked yet: iteration, sequences and losses."""

    step: int
    sequences: Tensor
    values: dict[str, Tensor]


class Runner:
    """One job on one engine: steps, saves, resumes."""

    def __init__(self, job: Job, engine: Accelerator) -> None:
        self.job, self.engine = job, engine
        if engine.num_processes > 1:
            share_statistics(job.module, engine.device)
        job.module.to(engine.device)
        self.optimizer = make_optimizer(job.module, job.config)
        self.module, self.wrapped = engine.prepare(job.module, self.optimizer)
        self._expect_gradients()
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.scale = LossScale(engine.scaler)
        self._unchecked: list[_Step] = []
        self._last: dict[str, float] = {}

    def step(self, step: int, batch: ClipBatch, *, last: bool = True) -> None:
        """Compute the gradients of one batch; step the optimiser after an iteration's ``last``.

        Does not wait for the device (:meth:`finite` reads the losses).
        """
        job = self.job
        if job.freeze(step):
            self.finite()  # earlier batches may have other losses
            self.module = rewrap(self.module)
            self._expect_gradients()
        self.module.train()
        on_device = batch.to(self.engine.device).mirrored()
        # Processes exchange gradients once per iteration.
        with nullcontext() if last else self.engine.no_sync(self.module):
            with self.engine.autocast():
                losses = job.losses(self.module, on_device)
            self.engine.backward(losses.total / job.config.accumulate)
        if last:
            set_rate(self.optimizer, learning_rate(job.config, step))
            if job.config.clip_norm:
                self.engine.clip_grad_norm_(self.parameters, job.config.clip_norm)
            self.scale.watch(self.wrapped.step)
            self.wrapped.zero_grad(set_to_none=True)
        values = {"loss": losses.total.detach()} | {k: v.detach() for k, v in losses.parts.items()}
        self._unchecked.append(_Step(step, batch.sequences, values))

    def _expect_gradients(self) -> None:
        """Configure data parallelism: equal running statistics, a gradient for each parameter."""
        if isinstance(self.module, DistributedDataParallel):
            self.module.broadcast_buffers = False

    def finite(self) -> dict[str, float]:
        """Check the losses of all batches since the last call; return the last iteration's means.

        Raises:
            TrainingError: a loss is not finite; the first such step's sequences are named.
        """
        sums: dict[str, float] = {}
        for at, (step, losses) in enumerate(zip(self._unchecked, self._logged(), strict=True)):
            if at == 0 or step.step != self._unchecked[at - 1].step:
                sums = dict.fromkeys(losses, 0.0)
            sums = {name: sums[name] + value for name, value in losses.items()}
            self._last = {n: value / self.job.config.accumulate for n, value in sums.items()}
            broken = [name for name, value in losses.items() if not math.isfinite(value)]
            if broken:
                raise self._diverged(step, broken)
            self._last["lr"] = learning_rate(self.job.config, step.step)
        self._unchecked.clear()
        return self._last

    def _logged(self) -> list[dict[str, float]]:
        """The losses of each unchecked batch, averaged over the processes' shares."""
        if not self._unchecked:
            return []
        rows = [torch.stack([v.float() for v in s.values.values()]) for s in self._unchecked]
        means = torch.stack(rows)
        if self.engine.num_processes > 1:
            means = cast(Tensor, self.engine.reduce(means, reduction="mean"))
        names = list(self._unchecked[0].values)
        return [dict(zip(names, row, strict=True)) for row in means.tolist()]

    def _diverged(self, step: _Step, broken: Sequence[str]) -> TrainingError:
        folder = CheckpointFolder(self.job.checkpoints.folder.parent / "diverged", keep=1)
        path = self.save(self._unchecked[-1].step + 1, folder=folder)
        # Each process has a strided share of the batch's clips.
        shares = gather_object([step.sequences.tolist()])
        names = self.job.describe(
            [number for clips in zip(*shares, strict=True) for number in clips]
        )
        error = TrainingError(
            f"The loss is not finite at iteration {step.step + 1} ({', '.join(broken)}); "
            f"the batch held {', '.join(names)}",
            where=path,
            next_step="Lower the rate (--set train.lr=…) or clip gradients "
            "(--set train.clip_norm=5); the state is saved for inspection.",
        )
        error.everywhere = True
        return error

    def pictures(self, batch: ClipBatch) -> Mapping[str, Tensor]:
        """The job's pictures, in eval mode, so that batch norm statistics do not change."""
        self.module.eval()
        return self.job.pictures(batch)

    def save(self, step_count: int, folder: CheckpointFolder | None = None) -> str:
        """Write a checkpoint in the main process; all processes wait for it."""
        target = folder or self.job.checkpoints
        module = self.engine.unwrap_model(self.module)
        if self.engine.is_main_process:
            scaler = self.engine.scaler
            training = optimizer_tensors(module, self.optimizer) | {
                "random.torch": torch.get_rng_state()
            }
            if self.engine.device.type == "cuda":
                training["random.cuda"] = torch.cuda.get_rng_state()
            target.save(
                step_count,
                self.job.kept(module.state_dict()),
                {**self.job.header, "step": step_count},
                training,
                {"step": step_count, "scaler": scaler.state_dict() if scaler else None},
            )
        self.engine.wait_for_everyone()
        return str(target.path(step_count))

    def resume(self, progress: Progress) -> int:
        """Load the newest checkpoint, if there is one; return the number of finished steps.

        Raises:
            CheckpointError: see :func:`core.training.resume.resume`.
        """
        job = self.job
        return resume(
            job.checkpoints,
            self.engine.unwrap_model(self.module),
            self.optimizer,
            self.engine,
            seed=job.seed,
            optional=job.optional,
            name=job.name,
            progress=progress,
        )


def _readers(workers: int) -> str:
    if not workers:
        return "no worker processes, batches are read when they are needed"
    return (
        f"{workers} worker process{'es' * (workers > 1)} read{'s' * (workers == 1)} batches ahead"
    )
