"""Each family at a preset's size, with encoders from seeds, and batches that it can tell apart."""

from __future__ import annotations

from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import Config, resolve_config
from core.data.augment import cut_sides, side_columns
from core.data.dataset import ClipBatch, reduced_size
from core.inputs import SilhouetteInput
from core.models import families
from core.models.base import implementation_of
from core.models.layers.heat_maps import skeleton_maps
from core.records import FRAME_HEIGHT, FRAME_WIDTH
from tests.fakes.stick_figures import stick_figures

DATASET = "casiab"
Rows: TypeAlias = Tensor | dict[str, Tensor]
Sizes: TypeAlias = tuple[tuple[int, int] | None, tuple[int, int]]
# Shape and type of a row of inputs of one size.
ROWS: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
    "poses": ((17, 3), torch.float32),
    "skeleton maps": ((2, 64, 44), torch.uint8),
    "parsing": ((64, 44), torch.uint8),
    "flow": ((3, 64, 44), torch.uint8),
}
# Names of their tensors in a batch.
FIELDS = {"poses": "poses", "maps": "skeleton maps", "parsing": "parsing", "flow": "flow"}


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


def sizes_of(config: Config) -> Sizes:
    """(H, W) of the frames that a family reads (None without frames), and of silhouettes."""
    model, family = config.model, implementation_of(config.model)
    if not {"rgb", "silhouettes"} & inputs_read(config):
        return None, (0, 0)
    if "masks" in inputs_read(config):
        return (FRAME_HEIGHT, FRAME_WIDTH), (FRAME_HEIGHT, FRAME_WIDTH)
    if isinstance(settings := getattr(model, "input", None), SilhouetteInput):
        size = settings.size
        return None, (size, size - 2 * side_columns(size, size))
    image = family.encoder(model)
    assert image is not None
    return reduced_size((image.height, image.width)), family.silhouette_size(model, image)


def inputs_read(config: Config) -> frozenset[str]:
    """Names of what the family reads."""
    return frozenset(families.inputs_of(config.model))


def empty_inputs(config: Config, sizes: Sizes, frames: int) -> Rows:
    """Zeros in place of what the family reads of ``frames`` frames."""
    images, silhouettes = sizes
    shape = silhouettes if images is None else (3, *images)
    rows = {}
    for name in sorted(inputs_read(config)):
        size, kind = ROWS.get(name, (silhouettes if name == "masks" else shape, torch.uint8))
        rows[name] = torch.zeros(frames, *size, dtype=kind)
    return alone(rows)


def alone(rows: dict[str, Tensor]) -> Rows:
    """The one input of a family; of several, each by its name."""
    return next(iter(rows.values())) if len(rows) == 1 else rows


def count_of(rows: Rows) -> int:
    """Number of frames."""
    return len(rows if isinstance(rows, Tensor) else next(iter(rows.values())))


def part_of(rows: Rows, first: int, end: int) -> Rows:
    """Some frames of what a family reads."""
    if isinstance(rows, Tensor):
        return rows[first:end]
    return {name: one[first:end] for name, one in rows.items()}


def inputs_of(config: Config, people: Tensor, frames: int) -> Rows:
    """What the family reads of walkers: one clip after the other, [B*T, ...].

    Args:
        config: Of the model.
        people: int64 [B], who walks in each clip; below 8.
        frames: T.

    Returns:
        Silhouettes or masks uint8 [B*T, H, W], frames uint8 [B*T, 3, H, W], poses float32
        [B*T, 17, 3], skeleton maps uint8 [B*T, 2, 64, 44], parsing uint8 [B*T, 64, 44] or flow
        uint8 [B*T, 3, 64, 44]; of several, each by its name.
    """
    return alone({name: _input(name, config, people, frames) for name in inputs_read(config)})


def _input(name: str, config: Config, people: Tensor, frames: int) -> Tensor:
    if name in ("parsing", "flow"):
        bars = walkers(people, frames, (64, 44))
        return labelled(bars) if name == "parsing" else coloured(bars)
    if name in ROWS:
        poses = stick_figures(people, frames)
        return poses if name == "poses" else drawn_maps(poses)
    images, silhouettes = sizes_of(config)
    if images is None or name == "masks":
        return (walkers(people, frames, silhouettes) * 255).to(torch.uint8)
    bright = walkers(people, frames, images)
    colours = torch.tensor([1.0, 0.8, 0.6]) - 0.05 * people[:, None].repeat_interleave(frames, 0)
    grey = 60 * torch.rand(bright.shape, generator=torch.Generator().manual_seed(5))
    pixels = torch.maximum(255 * colours[..., None, None] * bright[:, None], grey[:, None])
    return pixels.to(torch.uint8).contiguous(memory_format=torch.channels_last)


def drawn_maps(poses: Tensor) -> Tensor:
    """Skeleton maps uint8 [n, 2, 64, 44] of poses float32 [n, 17, 3], without their sides."""
    return torch.from_numpy(cut_sides(skeleton_maps(poses.numpy()))).contiguous()


def labelled(bars: Tensor) -> Tensor:
    """Labels uint8 [n, H, W] of bars float [n, H, W]: head, torso between arms, legs, feet."""
    height, width = bars.shape[1:]
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None]
    left = (columns < width // 2).long()
    torso = torch.where((columns - width // 2).abs() < 3, 2, 4 - left)
    body = torch.where(rows < height // 6, 1, torch.where(rows < height // 2, torso, 8 - left))
    body = torch.where(rows > height * 7 // 8, 10 - left, body)
    return (bars * body).to(torch.uint8)


def coloured(bars: Tensor) -> Tensor:
    """Colours uint8 [n, 3, H, W] of bars float [n, H, W], other ones in their lower half."""
    lower = (torch.arange(bars.shape[1]) > bars.shape[1] // 2).float()[:, None]
    shades = torch.stack([bars * lower, bars * (1 - lower), bars * 0.5], dim=1)
    return (200 * shades).to(torch.uint8)


def walkers(people: Tensor, frames: int, size: tuple[int, int]) -> Tensor:
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


def batch_of(config: Config, identities: int, sequences: int, frames: int) -> ClipBatch:
    """A training batch of the family with all that its losses need."""
    people = torch.arange(identities).repeat_interleave(sequences)
    rows = {name: _input(name, config, people, frames) for name in inputs_read(config)}
    images, size = sizes_of(config)
    count = len(people) * frames
    none = torch.zeros(count, 0, 0, dtype=torch.uint8)
    silhouettes = rows.get("masks", rows.get("silhouettes", none))
    if images is not None and "masks" not in rows:
        bars = walkers(people, frames, images)
        shares = F.adaptive_avg_pool2d(bars[:, None], size)[:, 0]
        silhouettes = (255 * shares).to(torch.uint8)
    return ClipBatch(
        rows.get("rgb"),
        None,
        silhouettes,
        torch.ones(count, dtype=torch.bool),
        people,
        torch.zeros(len(people), dtype=torch.bool),
        torch.arange(len(people)),
        **{field: rows[name] for field, name in FIELDS.items() if name in rows},
    )
