"""Image encoders with final features, for tests of the networks on them."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import Dinov2Config, Dinov2Model

from core.models.backbones.image import ImageEncoder
from core.models.backbones.sizes import DINOV2, EncoderSize


def tiny_encoder(blocks: int, layers: Sequence[int]) -> ImageEncoder:
    """A DINOv2 with random weights, 24 channels and a grid of 4x2 patches of 8 pixels."""
    size = EncoderSize(24, blocks, 2, patch=8, image=32)
    model = Dinov2Model(Dinov2Config(**size.dinov2())).eval()
    return ImageEncoder(model, layers, 32, 16, 16, final=True)


def small_vit(layers: Sequence[int]) -> ImageEncoder:
    """DINOv2's ViT-S/14 on 448x224 pixels; build it on torch's meta device."""
    model = Dinov2Model(Dinov2Config(**DINOV2["small"].dinov2()))
    return ImageEncoder(model, layers, 448, 224, 16, final=True)
