"""Models small enough for a test, from seeds, with everything that the full ones have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch

from core.config import check_config
from core.config.shipped import merge
from core.data.dataset import ClipBatch
from core.models.lmgait.build import build_lmgait
from core.models.lmgait.network import LMGait, TrainingOutput

if TYPE_CHECKING:
    from core.config.schema import LMGaitSettings

# Frames of 64x32 in patches of 8: a grid of 8x4, maps of 16x8, gait features of 4x2.
SMALL: dict[str, Any] = {
    "model": {
        "image": {
            "architecture": "tiny",
            "weights": "seed",
            "height": 64,
            "width": 32,
            "layers": [1, 2],
        },
        "text": {"architecture": "tiny", "weights": "seed", "rank": 4, "projection": "drawn"},
        "representation": {
            "decoder_width": 8,
            "hidden": 8,
            "channels": 4,
            "upsample": 2,
            "pool": 1,
        },
        "gait": {"channels": [8, 8, 12, 12], "strips": 4, "embedding": 8},
    },
    "data": {"frames": 4, "identities": 2, "sequences": 2, "workers": 0},
    "warmup": {
        "iterations": 4,
        "optimizer": "adamw",
        "lr": 0.002,
        "batch": 3,
        "frames": 2,
        "checkpoint_every": 2,
        "log_every": 1,
    },
    "train": {
        "iterations": 6,
        "optimizer": "adamw",
        "lr": 0.002,
        "milestones": [4],
        "clip_norm": 5.0,
        "checkpoint_every": 2,
        "log_every": 1,
    },
}


def small_config(**sections: Any) -> LMGaitSettings:
    """The small configuration with ``sections`` laid over it, such as ``model={...}``."""
    return cast("LMGaitSettings", check_config(merge(SMALL, sections)))


def small_model(*, classes: int | None = 3, with_text: bool = True, **model: Any) -> LMGait:
    """A small model; ``model`` is laid over its configuration."""
    config = small_config(model=model).model
    return build_lmgait(config, classes=classes, seed=1, with_text=with_text)


def moving_frames(count: int, seed: int = 0, size: tuple[int, int] = (64, 32)) -> torch.Tensor:
    """Smooth random frames, uint8 [count, 3, H, W]."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 8, 4, generator=random)
    return (torch.nn.functional.interpolate(coarse, size, mode="bilinear") * 255).to(torch.uint8)


def batch_of(labels: torch.Tensor, silhouettes: torch.Tensor, valid: torch.Tensor) -> ClipBatch:
    """What losses compare with: silhouettes float [n, h, w] of zeros and ones."""
    return ClipBatch(
        None,
        None,
        (silhouettes * 255).to(torch.uint8),
        valid,
        labels,
        torch.zeros(len(labels), dtype=torch.bool),
        torch.arange(len(labels)),
    )


def output_of(**parts: Any) -> TrainingOutput:
    """A training output of LMGait with some of its tensors."""
    names = ("embedding", "logits", "silhouettes", "maps")
    return TrainingOutput(**{name: parts[name] for name in names})
