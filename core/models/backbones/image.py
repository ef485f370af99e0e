"""The frozen image encoder: patch features from several blocks, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import ConfigError
from core.models.freezing import Frozen, freeze

# ImageNet statistics, as DINOv2 was trained with; CLIP has its own.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


class ImageEncoder(Frozen):
    """Patch features of frames: hidden states after chosen blocks, concatenated, layer-normed.

    Args:
        encoder: ``Dinov2Model``, ``Dinov2WithRegistersModel`` or ``CLIPVisionModel``.
        layers: 1-based numbers of the blocks whose outputs are taken.
        height: Input height in pixels, a multiple of the patch size.
        width: Input width in pixels, a multiple of the patch size.
        chunk: Frames that pass the encoder together.

    Raises:
        ConfigError: a size that is no multiple of the patch, or a block that does not exist.
    """

    def __init__(
        self, encoder: nn.Module, layers: Sequence[int], height: int, width: int, chunk: int
    ) -> None:
        super().__init__()
        self.encoder = encoder
        settings: Any = encoder.config
        self.patch = int(settings.patch_size)
        if height % self.patch or width % self.patch:
            raise ConfigError(
                f"{height}x{width} is no multiple of the patch size {self.patch}",
                where="model.image.height, model.image.width",
            )
        if not layers or max(layers) > settings.num_hidden_layers:
            raise ConfigError(
                f"Blocks are numbered 1 to {settings.num_hidden_layers}; got {list(layers)}",
                where="model.image.layers",
            )
        self.layers = tuple(layers)
        self.height, self.width, self.chunk = height, width, chunk
        self.grid = (height // self.patch, width // self.patch)
        self.channels = len(self.layers) * int(settings.hidden_size)
        self._clip = hasattr(encoder, "pre_layrnorm")
        self._extra = 1 + int(getattr(settings, "num_register_tokens", 0))
        mean, std = CLIP if self._clip else IMAGENET
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)
        freeze(self)

    def forward(self, frames: Tensor) -> Tensor:
        """Features without anything kept for backward.

        Args:
            frames: uint8 [n, 3, H, W], RGB, of any size.

        Returns:
            float [n, N, C]: N patches row by row, C = blocks x hidden size, unit variance.
        """
        with torch.no_grad():
            parts = [self.features(self.prepare(part)) for part in frames.split(self.chunk)]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def prepare(self, frames: Tensor) -> Tensor:
        """Resize uint8 frames to the input size and normalise them: float [n, 3, height, width]."""
        weight = next(self.encoder.parameters())
        pixels = frames.to(weight.dtype if frames.is_cuda else torch.float32)
        pixels = resize(pixels, self.height, self.width)
        return (pixels - cast(Tensor, self.mean)) / cast(Tensor, self.std)

    def features(self, pixels: Tensor) -> Tensor:
        """Features of normalised pixels [n, 3, height, width], with gradients where asked for."""
        hidden, taken = self._embed(pixels), []
        for number, block in enumerate(self._blocks(), start=1):
            hidden = block(hidden)
            if number in self.layers:
                taken.append(hidden[:, self._extra :])
            if number == max(self.layers):
                break
        joined = torch.cat(taken, dim=-1)
        return F.layer_norm(joined, joined.shape[-1:])

    def _embed(self, pixels: Tensor) -> Tensor:
        encoder = cast(Any, self.encoder)
        if self._clip:
            embedded = encoder.embeddings(pixels, interpolate_pos_encoding=True)
            return cast(Tensor, encoder.pre_layrnorm(embedded))
        return cast(Tensor, encoder.embeddings(pixels))

    def _blocks(self) -> Iterator[Any]:
        stack = cast(Any, self.encoder).encoder
        if not self._clip:
            yield from stack.layer
            return
        for layer in stack.layers:
            yield lambda hidden, layer=layer: layer(hidden, None)


def resize(pixels: Tensor, height: int, width: int) -> Tensor:
    """Resize float [n, 3, H, W]: bilinear; area means where it divides evenly."""
    tall, wide = pixels.shape[-2:]
    if (tall, wide) == (height, width):
        return pixels
    if tall % height == 0 and wide % width == 0:
        return F.avg_pool2d(pixels, (tall // height, wide // width))
    return F.interpolate(pixels, (height, width), mode="bilinear", align_corners=False)
