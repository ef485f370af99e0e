"""What the model costs beside the bare image encoder, at full size with random weights."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from core.config import resolve_config
from core.losses.total import total_loss
from core.models.build import build_lmgait
from core.models.lmgait import LMGait
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
    """One step of the full training: forward, five losses, backward, SGD."""
    settings = resolve_config("paper")
    optimizer = make_optimizer(model, settings.train)
    clips, labels = frames(), torch.arange(CLIPS) // 2
    scale = model.decoder.shuffle.upscale_factor
    size = (model.image.grid[0] * scale, model.image.grid[1] * scale)
    silhouettes = torch.zeros(len(clips), *size)
    silhouettes[:, 8:-8, 8:-8] = 1.0
    valid = torch.ones(len(clips), dtype=torch.bool)

    def run() -> None:
        model.train()
        output = model(clips, None, CLIPS)
        loss = total_loss(
            settings.losses, embedding=output.embedding, logits=output.logits,
            silhouette_logits=output.silhouettes, maps=output.maps, labels=labels,
            silhouettes=silhouettes, valid=valid, supervise=True,
        )  # fmt: skip
        loss.total.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run


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
