"""Cost of the model compared with the bare image encoder, at full size with random weights."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import Optimizer

from benchmarks.device import CPU, Place, exact_fp32
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


@dataclass(frozen=True, slots=True)
class Size:
    """Number of clips and frames per clip."""

    clips: int = CLIPS
    frames: int = FRAMES

    def __str__(self) -> str:
        return f"{self.clips} x {self.frames}"


SMALL = Size()


def size_on(place: Place, quick: bool) -> Size:
    """The paper's batch on a GPU, which a smaller one would not fill; otherwise a small one."""
    return Size(48, 30) if place.device.type == "cuda" and not quick else Size()


def frames(size: Size = SMALL, seed: int = 0) -> torch.Tensor:
    """uint8 [clips x frames, 3, 256, 128]."""
    generator = torch.Generator().manual_seed(seed)
    shape = (size.clips * size.frames, 3, 256, 128)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def bare_encoder(
    model: LMGait, size: Size = SMALL, place: Place = CPU, chunk: int | None = None
) -> Callable[[], None]:
    """The plain forward pass of transformers' DINOv2 over the same frames, already normalised.

    Args:
        model: Model with the encoder, on the device of ``place``.
        size: Size of the batch.
        place: Device and precision.
        chunk: Frames per forward pass; None for all at once.
    """
    pixels = model.image.prepare(frames(size).to(place.device))
    parts = pixels.split(len(pixels) if chunk is None else chunk)

    def run() -> None:
        with torch.inference_mode(), place.computing():
            for part in parts:
                model.image.encoder(part)

    return run


def training_step(model: LMGait, size: Size = SMALL, place: Place = CPU) -> Callable[[], None]:
    """One step of the full training at `--preset paper`, including the transfer of the batch."""
    config = resolve_config("paper")
    optimizer = make_optimizer(model, config.train)
    clips = frames(size)
    scale = model.decoder.shuffle.upscale_factor
    silhouettes = torch.zeros(
        len(clips), model.image.grid[0] * scale, model.image.grid[1] * scale, dtype=torch.uint8
    )
    silhouettes[:, 8:-8, 8:-8] = 255
    batch = ClipBatch(
        clips,
        None,
        silhouettes,
        torch.ones(len(clips), dtype=torch.bool),
        torch.arange(size.clips) // 2,
        torch.zeros(size.clips, dtype=torch.bool),
        torch.arange(size.clips),
    )
    return lambda: one_step(model, optimizer, config, batch, place)


def one_step(
    model: LMGait, optimizer: Optimizer, config: Config, batch: ClipBatch, place: Place = CPU
) -> None:
    """Forward, five losses, backward and the optimiser's step on one batch, without a loss scale.

    Args:
        model: On the device of ``place``.
        optimizer: Optimiser of its parameters.
        config: Weights of the losses.
        batch: The batch, on any device.
        place: Device and precision.
    """
    model.train()
    batch = batch.to(place.device).mirrored()
    with place.computing():
        output = model(batch.frames, batch.patches, len(batch.labels))
        loss = total_loss(TERMS, config.losses, output, batch)
    with exact_fp32():
        loss.total.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def interleaved(
    ours: Callable[[], object], base: Callable[[], object], rounds: int, place: Place = CPU
) -> dict[str, Any]:
    """Median seconds of both, run in turn, and the median of the pairwise ratios.

    The device is synchronised between them.
    """
    times: list[tuple[float, float]] = []
    ours()
    base()
    place.finish()
    for _ in range(rounds):
        begin = time.perf_counter()
        ours()
        place.finish()
        middle = time.perf_counter()
        base()
        place.finish()
        times.append((middle - begin, time.perf_counter() - middle))
    return {
        "ratio": statistics.median(a / b for a, b in times),
        "median_seconds": statistics.median(a for a, _ in times),
        "baseline_median_seconds": statistics.median(b for _, b in times),
        "rounds": rounds,
    }


def peak_bytes(place: Place = CPU) -> int:
    """Peak memory of this process so far: of its GPU, if any."""
    if place.device.type == "cuda":
        return torch.cuda.max_memory_allocated(place.device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
