"""A step of the training and an embedding, on a device of choice; also one of several processes.

``LMGAIT_TEST_DEVICE`` is ``cuda`` for the paper's sizes on a GPU, or ``cpu`` (as without it) for
small ones. Usage: python -m tests.gpu.steps ROOT OUT (as torchrun would start it)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.device import CPU, Place, Precision, exact_fp32
from core.config import Config, resolve_config
from core.data.dataset import ClipBatch
from core.models.build import build_image_encoder
from core.models.lmgait.build import build_lmgait
from core.models.lmgait.config import lmgait_settings
from core.models.lmgait.network import LMGait
from core.plans.training_inputs import training_sequences
from core.plans.training_job import training_job
from core.runs.stores import open_store
from core.training.checkpoint import CheckpointFolder
from core.training.engine import make_engine
from core.training.job import Job
from core.training.loop import Runner
from core.workspace import Workspace
from tests.fakes.models import small_config

DEVICE = os.environ.get("LMGAIT_TEST_DEVICE", "cpu")
ON_GPU = DEVICE == "cuda"
# A half's gradients reach below its smallest number: they are multiplied on their way.
SCALE = {"fp32": 1.0, "bf16": 1.0, "fp16": 2.0**10}


def config_of(precision: Precision | Literal["auto"] = "fp32", **train: Any) -> Config:
    """The paper's model on a GPU, a small one elsewhere; 4 clips a batch, encoders from a seed."""
    steps = {"iterations": 4, "checkpoint_every": 2, "log_every": 1, "precision": precision}
    if not ON_GPU:
        return small_config(train={**steps, **train}, warmup={"precision": precision})
    settings = {f"train.{name}": value for name, value in {**steps, **train}.items()}
    settings |= {
        "model.image.weights": "seed",
        "model.text.weights": "seed",
        "data.identities": 2,
        "data.sequences": 2,
        "data.frames": 8,
        "data.workers": 1,
        "train.lr": 0.01,
        "warmup.iterations": 2,
        "warmup.batch": 4,
        "warmup.frames": 4,
        "warmup.precision": precision,
        "train.milestones": "[]",
    }
    return resolve_config("paper", overrides=[f"{k}={v}" for k, v in settings.items()])


def place_with(precision: Precision) -> Place:
    """The device in this precision."""
    return Place(torch.device("cuda", 0) if ON_GPU else CPU.device, precision)


def job_of(root: Path, config: Config) -> Job:
    """The training on the store of the workspace at ``root``."""
    store, manifest = open_store(Workspace(root), "casiab")
    model_config = lmgait_settings(config.model)
    image = build_image_encoder(model_config.image)
    data = training_sequences(store, manifest, config, image)
    model = build_lmgait(model_config, classes=len(data.subjects), seed=config.seed, image=image)
    nowhere = CheckpointFolder(root / "none", keep=1)
    return training_job(model, data, manifest, config, make_engine(config.train), nowhere)


def first_batch(job: Job) -> ClipBatch:
    """The first batch, in memory of its own."""
    return next(iter(job.batches(0)))


@dataclass(frozen=True)
class Step:
    """Losses of one step by name, and gradients float64 on the CPU by parameter."""

    losses: dict[str, float]
    gradients: dict[str, Tensor]


def step_on(place: Place, job: Job, batch: ClipBatch, *, compiled: bool = False) -> Step:
    """Forward, losses and backward as the loop does them, without an optimiser."""
    model = job.module.to(place.device).train()
    if compiled:
        model.compile()
    model.zero_grad(set_to_none=True)
    with place.computing():
        losses = job.losses(model, batch.to(place.device).mirrored())
    scale = SCALE[place.precision]
    with exact_fp32():
        (losses.total * scale).backward()
    parts = {"loss": losses.total, **losses.parts}
    grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert all(grad.dtype == torch.float32 for grad in grads.values())
    return Step(
        {name: float(value.detach()) for name, value in parts.items()},
        {name: grad.double().cpu() / scale for name, grad in grads.items()},
    )


def embedding_on(place: Place, model: nn.Module, frames: Tensor, chunk: int = 64) -> Tensor:
    """The embedding float64 [E, P] of one sequence uint8 [T, 3, 256, 128]."""
    model.to(place.device).eval()
    with torch.inference_mode(), place.computing():
        parts = (part.to(place.device) for part in frames.split(chunk))
        return cast(LMGait, model).embed(parts).double().cpu()


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Length of the difference of all tensors together, over the length of the first."""
    assert one.keys() == other.keys()
    squares = sum(float((one[name] - other[name]).square().sum()) for name in one)
    return float((squares / sum(float(t.square().sum()) for t in one.values())) ** 0.5)


def rounded(job: Job) -> Job:
    """The job with each trained weight moved by its last digit, as another device rounds."""
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in job.module.parameters():
            sign = torch.randint(-1, 2, value.shape, generator=random)
            value.mul_(1 + sign * 2.0**-23)
    return job


@contextmanager
def deterministic() -> Iterator[None]:
    """Let CUDA add in a fixed order wherever torch knows how; what it does not know, it tells."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def main() -> None:
    """Write the gradients of one step, in float64, of the whole batch that processes share."""
    root, out = Path(sys.argv[1]), Path(sys.argv[2])
    config = config_of(clip_norm=0.0)
    job, engine = job_of(root, config), make_engine(config.train)
    # In float64 no rectifier and no maximum turns the other way by rounding.
    job.module.double()
    runner = Runner(job, engine)
    grads: dict[str, Any] = {}

    def keep(*_: object) -> None:
        for name, value in job.module.named_parameters():
            if value.grad is not None:
                grads[name] = value.grad.detach().cpu().numpy().copy()

    runner.optimizer.register_step_pre_hook(keep)
    with exact_fp32():
        runner.step(0, first_batch(job))
    losses = runner.finite()
    if engine.is_main_process:
        told = {f"loss {name}": np.array(value) for name, value in losses.items()}
        arrays: dict[str, Any] = told | grads
        np.savez(out, device=np.array(engine.device.type), **arrays)


if __name__ == "__main__":
    main()
