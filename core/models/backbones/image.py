"""The frozen image encoder: patch features from several blocks, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import ConfigError
from core.models.freezing import Frozen, freeze, thaw

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
        skip_padding: Leave out the columns of patches that are black in a frame; their features
            are zero. Cheaper, and not exactly the same: attention no longer sees the padding.
        final: Add the last block's output after the encoder's own norm, behind the rest.

    Attributes:
        grid: Rows and columns of patches.
        hidden: Channels of one block's output.
        channels: C of all features: those of the blocks, and ``hidden`` more with ``final``.

    Raises:
        ConfigError: a size that is no multiple of the patch, or a block that does not exist.
    """

    def __init__(
        self,
        encoder: nn.Module,
        layers: Sequence[int],
        height: int,
        width: int,
        chunk: int,
        skip_padding: bool = False,
        final: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        settings: Any = encoder.config
        self.patch = int(settings.patch_size)
        if height % self.patch or width % self.patch:
            raise ConfigError(
                f"{height}x{width} is no multiple of the patch size {self.patch}",
                where="model.image.height, model.image.width",
                next_step=f"Use multiples of {self.patch}.",
            )
        if not layers or max(layers) > settings.num_hidden_layers:
            raise ConfigError(
                f"Blocks are numbered 1 to {settings.num_hidden_layers}; got {list(layers)}",
                where="model.image.layers",
                next_step="Name blocks that the encoder has.",
            )
        self.layers = tuple(layers)
        self.height, self.width, self.chunk = height, width, chunk
        self.skip_padding, self.final = skip_padding, final
        self.grid = (height // self.patch, width // self.patch)
        self.hidden = int(settings.hidden_size)
        self.channels = (len(self.layers) + int(final)) * self.hidden
        self._clip = hasattr(encoder, "pre_layrnorm")
        self._extra = 1 + int(getattr(settings, "num_register_tokens", 0))
        mean, std = CLIP if self._clip else IMAGENET
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)
        freeze(self)

    def thaw_used(self) -> None:
        """Let the parameters that features come from train: only for an encoder from a seed.

        Parts that features do not need stay frozen: the mask token and, without ``final``, the
        blocks after the last one taken and the final norm. Processes that share a batch wait for a
        gradient of all that trains.
        """
        encoder = cast(Any, self.encoder)
        thaw(encoder.embeddings)
        if (unused := getattr(encoder.embeddings, "mask_token", None)) is not None:
            unused.requires_grad_(False)
        if self._clip:
            thaw(encoder.pre_layrnorm)
        for block in self._layers()[: self._last]:
            thaw(block)
        if self.final:
            thaw(self._final_norm)

    def forward(self, frames: Tensor) -> Tensor:
        """Features without anything kept for backward.

        Args:
            frames: uint8 [n, 3, H, W], RGB, of any size.

        Returns:
            float [n, N, C]: N patches row by row, C = blocks x hidden size, unit variance; then,
            with ``final``, the last block's features as the encoder norms them.
        """
        with torch.no_grad():
            encode = self._encode_filled if self.skip_padding else self._encode
            parts = [encode(part) for part in frames.split(self.chunk)]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def prepare(self, frames: Tensor) -> Tensor:
        """Resize uint8 frames to the input size and normalise them: float [n, 3, height, width]."""
        weight = next(self.encoder.parameters())
        # Loaders leave colours last in memory; this lays them out as the encoder computes fastest.
        kind = weight.dtype if frames.is_cuda else torch.float32
        pixels = frames.to(kind, memory_format=torch.contiguous_format)
        pixels = resize(pixels, self.height, self.width)
        return (pixels - cast(Tensor, self.mean)) / cast(Tensor, self.std)

    def features(self, pixels: Tensor) -> Tensor:
        """Features of normalised pixels [n, 3, height, width], with gradients where asked for."""
        return self._through_blocks(self._embed(pixels))

    def _through_blocks(self, hidden: Tensor) -> Tensor:
        taken = []
        for number, block in enumerate(self._blocks(), start=1):
            hidden = block(hidden)
            if number in self.layers:
                taken.append(hidden[:, self._extra :])
            if number == self._last:
                break
        joined = torch.cat(taken, dim=-1)
        features = F.layer_norm(joined, joined.shape[-1:])
        if not self.final:
            return features
        return torch.cat([features, self._final_norm(hidden[:, self._extra :])], dim=-1)

    def _encode(self, frames: Tensor) -> Tensor:
        return self.features(self.prepare(frames))

    def _encode_filled(self, frames: Tensor) -> Tensor:
        """As :meth:`_encode`, over the filled columns of each frame; frames of one width together.

        What a frame gives depends on that frame alone, so chunks change nothing here either.
        """
        rows, columns = self.grid
        if frames.shape[-1] % columns:
            return self._encode(frames)
        filled = (frames.amax(dim=(1, 2)) > 0).unflatten(1, (columns, -1)).any(-1)
        filled[~filled.any(1)] = True
        first = filled.int().argmax(1)
        last = columns - filled.int().flip(1).argmax(1)
        pixels = self.prepare(frames)
        out = pixels.new_zeros(len(frames), rows, columns, self.channels)
        for left, right in torch.stack([first, last], 1).unique(dim=0).tolist():
            chosen = (first == left) & (last == right)
            part = pixels[chosen][..., left * self.patch : right * self.patch]
            found = self._through_blocks(self._embed_columns(part, left, right))
            out[chosen, :, left:right] = found.unflatten(1, (rows, right - left))
        return out.flatten(1, 2)

    def _embed_columns(self, pixels: Tensor, left: int, right: int) -> Tensor:
        """Tokens of some columns of patches, at their positions in the whole frame."""
        encoder = cast(Any, self.encoder)
        if self._clip:
            raise ConfigError(
                "Padding can be left out with DINOv2 only",
                where="model.image.skip_padding",
                next_step="Set it to false, or model.image.family to dinov2.",
            )
        parts = encoder.embeddings
        tokens = parts.patch_embeddings(pixels)
        count = 1 + self.grid[0] * self.grid[1]
        shaped = tokens.new_empty(1, count, tokens.shape[-1])
        places = parts.interpolate_pos_encoding(shaped, self.height, self.width)
        kept = places[:, 1:].unflatten(1, self.grid)[:, :, left:right].flatten(1, 2)
        start = (parts.cls_token + places[:, :1]).expand(len(tokens), -1, -1)
        if self._extra > 1:
            start = torch.cat([start, parts.register_tokens.expand(len(tokens), -1, -1)], 1)
        return torch.cat([start, tokens + kept], 1)

    def _embed(self, pixels: Tensor) -> Tensor:
        encoder = cast(Any, self.encoder)
        if self._clip:
            embedded = encoder.embeddings(pixels, interpolate_pos_encoding=True)
            return cast(Tensor, encoder.pre_layrnorm(embedded))
        return cast(Tensor, encoder.embeddings(pixels))

    @property
    def _last(self) -> int:
        """Number of the last block that features need."""
        return len(self._layers()) if self.final else max(self.layers)

    @property
    def _final_norm(self) -> nn.Module:
        encoder = cast(Any, self.encoder)
        return cast(nn.Module, encoder.post_layernorm if self._clip else encoder.layernorm)

    def _layers(self) -> nn.ModuleList:
        stack = cast(Any, self.encoder).encoder
        return cast(nn.ModuleList, stack.layers if self._clip else stack.layer)

    def _blocks(self) -> Iterator[Any]:
        for layer in self._layers():
            yield partial(layer, attention_mask=None) if self._clip else layer


def resize(pixels: Tensor, height: int, width: int) -> Tensor:
    """Resize float [n, 3, H, W]: bilinear; area means where it divides evenly."""
    tall, wide = pixels.shape[-2:]
    if (tall, wide) == (height, width):
        return pixels
    if tall % height == 0 and wide % width == 0:
        return F.avg_pool2d(pixels, (tall // height, wide // width))
    return F.interpolate(pixels, (height, width), mode="bilinear", align_corners=False)
