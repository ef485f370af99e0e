"""The frozen image encoder: patch features from several blocks, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import ConfigError
from core.models.backbones.precision import CastOnce, autocast_type
from core.models.freezing import Frozen, freeze, thaw

# ImageNet statistics, as DINOv2 was trained with; CLIP has its own.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


# Frames that pass the encoder together where nothing else is set: on a CPU few, which stay in its
# caches; else as many as make this many numbers in a block's widest layer, about 255 of 448x224 in
# ViT-S/14, so that launching an operation takes less time than computing it.
CPU_CHUNK = 16
DEVICE_NUMBERS = 192 * 2**20


class ImageEncoder(Frozen):
    """Patch features of frames: hidden states after chosen blocks, concatenated, layer-normed.

    Args:
        encoder: ``Dinov2Model``, ``Dinov2WithRegistersModel`` or ``CLIPVisionModel``.
        layers: 1-based numbers of the blocks whose outputs are taken.
        height: Input height in pixels, a multiple of the patch size.
        width: Input width in pixels, a multiple of the patch size.
        chunk: Frames that pass the encoder together; ``auto`` is what suits the device.
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
        chunk: int | Literal["auto"] = "auto",
        skip_padding: bool = False,
        final: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self._cast = CastOnce(encoder)
        self._block = run_block
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
        tokens = self._extra + self.grid[0] * self.grid[1]
        widest = tokens * int(settings.hidden_size) * int(getattr(settings, "mlp_ratio", 4))
        self._device_chunk = max(1, DEVICE_NUMBERS // widest)
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
        for block in self._layers(encoder)[: self._last]:
            thaw(block)
        if self.final:
            thaw(self._final_norm(encoder))

    def compile_block(self, **options: Any) -> None:  # noqa: ANN401 - torch.compile's own
        """Compile one block: all blocks are alike, and so what is compiled serves each of them."""
        self._block = torch.compile(run_block, **options)

    def feature_type(self) -> torch.dtype:
        """The type that features are kept in: autocast's on a GPU, which computes in it anyway."""
        own = cast(Tensor, self.mean)
        kind = None if own.device.type == "cpu" else autocast_type(own.device)
        return own.dtype if kind is None else kind

    def forward(self, frames: Tensor) -> Tensor:
        """Features without anything kept for backward.

        Args:
            frames: uint8 [n, 3, H, W], RGB, of any size.

        Returns:
            float [n, N, C] of :meth:`feature_type`: N patches row by row, C = blocks x hidden size,
            unit variance; then, with ``final``, the last block's, as the encoder norms them.
        """
        with torch.no_grad():
            encode = self._encode_filled if self.skip_padding else self._encode
            parts = [encode(part).to(self.feature_type()) for part in self._chunks(frames)]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _chunks(self, frames: Tensor) -> Sequence[Tensor]:
        if self.chunk != "auto":
            return cast(Sequence[Tensor], frames.split(self.chunk))
        if frames.device.type == "cpu":
            return cast(Sequence[Tensor], frames.split(CPU_CHUNK))
        # Of equal size, as far as that goes: what is compiled or tuned for a size serves all.
        return frames.tensor_split(max(1, math.ceil(len(frames) / self._device_chunk)))

    def prepare(self, frames: Tensor) -> Tensor:
        """Resize uint8 frames to the input size and normalise them: float [n, 3, height, width]."""
        # Loaders leave colours last in memory; this lays them out as the encoder computes fastest.
        pixels = frames.to(torch.float32, memory_format=torch.contiguous_format)
        pixels = resize(pixels, self.height, self.width)
        return (pixels - cast(Tensor, self.mean)) / cast(Tensor, self.std)

    def features(self, pixels: Tensor) -> Tensor:
        """Features of normalised pixels [n, 3, height, width], with gradients where asked for."""
        return self._through_blocks(self._embed(pixels))

    def _through_blocks(self, hidden: Tensor) -> Tensor:
        taken = []
        encoder = self._weights()
        for number, layer in enumerate(self._layers(encoder), start=1):
            hidden = self._block(layer, hidden)
            if number in self.layers:
                taken.append(hidden[:, self._extra :])
            if number == self._last:
                break
        joined = torch.cat(taken, dim=-1)
        features = F.layer_norm(joined, joined.shape[-1:])
        if not self.final:
            return features
        return torch.cat([features, self._final_norm(encoder)(hidden[:, self._extra :])], dim=-1)

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
        encoder = self._weights()
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
        encoder = self._weights()
        if self._clip:
            embedded = encoder.embeddings(pixels, interpolate_pos_encoding=True)
            return cast(Tensor, encoder.pre_layrnorm(embedded))
        return cast(Tensor, encoder.embeddings(pixels))

    def _weights(self) -> Any:  # noqa: ANN401 - transformers gives its parts no types
        """The encoder, in the type that autocast computes in where no gradient is asked for."""
        return self.encoder if torch.is_grad_enabled() else self._cast.now()

    @property
    def _last(self) -> int:
        """Number of the last block that features need."""
        return len(self._layers(self.encoder)) if self.final else max(self.layers)

    def _final_norm(self, encoder: Any) -> nn.Module:  # noqa: ANN401
        return cast(nn.Module, encoder.post_layernorm if self._clip else encoder.layernorm)

    def _layers(self, encoder: Any) -> nn.ModuleList:  # noqa: ANN401
        stack = encoder.encoder
        return cast(nn.ModuleList, stack.layers if self._clip else stack.layer)


def run_block(layer: nn.Module, hidden: Tensor) -> Tensor:
    """One block of the encoder, over tokens float [n, tokens, width]."""
    return cast(Tensor, layer(hidden, attention_mask=None))


def resize(pixels: Tensor, height: int, width: int) -> Tensor:
    """Resize float [n, 3, H, W]: bilinear; area means where it divides evenly."""
    tall, wide = pixels.shape[-2:]
    if (tall, wide) == (height, width):
        return pixels
    if tall % height == 0 and wide % width == 0:
        return F.avg_pool2d(pixels, (tall // height, wide // width))
    return F.interpolate(pixels, (height, width), mode="bilinear", align_corners=False)
