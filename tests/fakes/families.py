"""Each family at a preset's size, with encoders from seeds, and batches that it can tell apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import Config, resolve_config
from core.data.dataset import ClipBatch, reduced_size
from core.models.backbones.image import ImageEncoder
from core.models.base import implementation_of
from core.models.families import family_of
from core.models.inference import SilhouetteGraph

DATASET = "casiab"


def settings_of(name: str, preset: str = "tiny", *overrides: str) -> Config:
    """A preset of the family called ``name``, its encoders from seeds."""
    config = resolve_config(preset, model=name, dataset=DATASET, overrides=overrides)
    model = implementation_of(config.model).countable(config.model)
    return config.model_copy(update={"model": model})


def model_of(config: Config, classes: int | None = None) -> nn.Module:
    """The model of a configuration, for inference without ``classes``."""
    return implementation_of(config.model).build(config.model, classes=classes, seed=1)


def stirred(model: nn.Module, seed: int = 0) -> nn.Module:
    """``model`` in eval mode, no weight that trains and no running statistic at a special value."""
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                size = value.std() if value.numel() > 1 and value.any() else torch.tensor(0.1)
                value.add_(0.2 * size * torch.randn(value.shape, generator=draws))
        for name, kept in model.named_buffers():
            if name.endswith("running_mean"):
                kept.normal_(0, 0.3, generator=draws)
            if name.endswith("running_var"):
                kept.uniform_(0.5, 2, generator=draws)
    return model.eval().requires_grad_(False)


def inputs_of(config: Config, model: nn.Module, people: Tensor, frames: int) -> Tensor:
    """What the family reads of walkers: one clip after the other, uint8 [B*T, ...].

    Args:
        config: Of the model.
        model: The model.
        people: int64 [B], who walks in each clip; below 8.
        frames: T.

    Returns:
        Silhouettes [B*T, H, W], or frames [B*T, 3, H, W].
    """
    if "rgb" not in family_of(config.model).inputs:
        graph = implementation_of(config.model).graph(config.model, model)
        assert isinstance(graph, SilhouetteGraph)
        return (walkers(people, frames, graph.frame) * 255).to(torch.uint8)
    image = image_of(model)
    bright = walkers(people, frames, reduced_size((image.height, image.width)))
    colours = torch.tensor([1.0, 0.8, 0.6]) - 0.05 * people[:, None].repeat_interleave(frames, 0)
    grey = 60 * torch.rand(bright.shape, generator=torch.Generator().manual_seed(5))
    pixels = torch.maximum(255 * colours[..., None, None] * bright[:, None], grey[:, None])
    return pixels.to(torch.uint8).contiguous(memory_format=torch.channels_last)


def walkers(people: Tensor, frames: int, size: tuple[int, ...]) -> Tensor:
    """Bars with swinging legs whose width, height and pace are a person's own.

    Returns:
        float [B*T, H, W] of zeros and ones; no two clips of a person begin at the same step.
    """
    height, width = size
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None]
    pictures = []
    for clip, person in enumerate(people.tolist()):
        for at in range(frames):
            swing = torch.sin(torch.tensor((at + 1.3 * clip) * (0.4 + 0.1 * person)))
            middle = width / 2 + swing * (rows > height / 2) * width / 6
            half = width * (0.08 + 0.03 * (person % 4))
            top = height * (0.05 + 0.08 * (person // 4))
            pictures.append(((columns - middle).abs() < half) & (rows >= top))
    return torch.stack(pictures).float()


def batch_of(
    config: Config, model: nn.Module, identities: int, sequences: int, frames: int
) -> ClipBatch:
    """A training batch of the family with all that its losses need."""
    family, table = implementation_of(config.model), family_of(config.model)
    people = torch.arange(identities).repeat_interleave(sequences)
    pixels, count = inputs_of(config, model, people, frames), len(people) * frames
    seen = pixels
    if "rgb" in table.inputs:
        size = family.silhouette_size(config.model, image_of(model))
        bars = walkers(people, frames, tuple(pixels.shape[-2:]))
        seen = (255 * F.adaptive_avg_pool2d(bars[:, None], size)[:, 0]).to(torch.uint8)
    return ClipBatch(
        pixels if "rgb" in table.inputs else None,
        None,
        seen,
        torch.ones(count, dtype=torch.bool),
        people,
        torch.zeros(len(people), dtype=torch.bool),
        torch.arange(len(people)),
    )


def image_of(model: nn.Module) -> ImageEncoder:
    """The image encoder of a model on frames."""
    image = model.get_submodule("image")
    assert isinstance(image, ImageEncoder)
    return image
