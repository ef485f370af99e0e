"""What the model costs beside the bare image encoder, at full size with random weights."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from core.config import Config, resolve_config
from core.data.dataset import ClipBatch
from core.losses.total import total_loss
from core.models.lmgait.build import build_lmgait
from core.models.lmgait.losses import TERMS
from core.models.lmgait.network import LMGait
from core.training.optimizer import make_optimizer

CLIPS, FRAMES, CLASSES = 4, 8, 100


def paper_model(*, classes: int | None, with_text: bool = True, padding: bool = False) -> LMGait:
    """`--preset paper` with encoders from a seed instead of published weights."""
    overrides = ["model.image.weights=seed", "model.text.weights=seed"]
    overrides += ["model.image.skip_padding=true"] if padding else []
    config = resolve_config("paper", overrides=overrides)
    return build_lmgait(config.model, classes=classes, seed=0, with_text=with_text)


def frames(seed: int = 0) -> torch.Tensor:
    """uint8 [32, 3, 256, 128]."""
    generator = torch.Generator().manual_seed(seed)
    shape = (CLIPS * FRAMES, 3, 256, 128)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def bare_encoder(model: LMGait) -> Callable[[], None]:
    """The plain forward pass of transformers' DINOv2 over the same frames, already normalised."""
    pixels = model.image.prepare(frames())

    def run() -> None:
        with torch.inference_mode():
            model.image.encoder(pixels)

    return run


def training_step(model: LMGait) -> Callable[[], None]:
    """One step of the full training at `--preset paper` over 4 clips of 8 frames."""
    config = resolve_config("paper")
    optimizer = make_optimizer(model, config.train)
    clips = frames()
    scale = model.decoder.shuffle.upscale_factor
    silhouettes = torch.zeros(
        len(clips), model.image.grid[0] * scale, model.image.grid[1] * scale, dtype=torch.uint8
    )
    silhouettes[:, 8:-8, 8:-8] = 255
    batch = ClipBatch(
        clips, None, silhouettes, torch.ones(len(clips), dtype=torch.bool),
        torch.arange(CLIPS) // 2, torch.zeros(CLIPS, dtype=torch.bool), torch.arange(CLIPS),
    )  # fmt: skip
    return lambda: one_step(model, optimizer, config, batch)


def one_step(model: LMGait, optimizer: Optimizer, config: Config, batch: ClipBatch) -> None:
    """Forward, five losses, backward and the optimiser's step on one batch."""
    model.train()
    batch = batch.mirrored()
    output = model(batch.frames, batch.patches, len(batch.labels))
    loss = total_loss(TERMS, config.losses, output, batch)
    loss.total.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def interleaved(
    ours: Callable[[], object], base: Callable[[], object], rounds: int
) -> dict[str, Any]:
    """Median seconds of both, run in turn, and the median of the ratios pair by pair."""
    times: list[tuple[float, float]] = []
    ours()
    base()
    for _ in range(rounds):
        begin = time.perf_counter()
        ours()
        middle = time.perf_counter()
        base()
        times.append((middle - begin, time.perf_counter() - middle))
    return {
        "ratio": statistics.median(a / b for a, b in times),
        "median_seconds": statistics.median(a for a, _ in times),
        "baseline_median_seconds": statistics.median(b for _, b in times),
        "rounds": rounds,
    }


def peak_bytes() -> int:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
