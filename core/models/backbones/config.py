"""Settings of the frozen encoders, and of the families that have an image encoder."""

from __future__ import annotations

from typing import Literal

from core.models.family import FamilyConfig
from core.settings import Node, Pixels, Positive, Seed, Width


class ImageEncoderConfig(Node):
    """The frozen image encoder and its input.

    ``architecture`` names its size (see ``core.models.backbones.sizes``); ``weights`` is a hub id,
    a local folder, or ``seed`` for weights drawn from ``seed``.
    """

    family: Literal["dinov2", "clip"] = "dinov2"
    architecture: str = "small"
    weights: str = "facebook/dinov2-small"
    seed: Seed = 0
    height: Pixels = 448
    width: Pixels = 224
    layers: tuple[Positive, ...] = (3, 6, 9, 12)
    chunk: Positive | Literal["auto"] = "auto"
    """Frames that pass the encoder together; bounds memory and changes no result. ``auto`` is 16 on
    a CPU, and on a GPU as many as keep it busy."""
    skip_padding: bool = False
    """Leave out columns of patches that are black padding in a whole sequence. For CPUs: a GPU is
    waited for in each chunk."""


class TextEncoderConfig(Node):
    """The frozen text encoder, its prompt, and the adapters in it (eq. 1-7)."""

    architecture: str = "vit-b-32"
    weights: str = "openai/clip-vit-base-patch32"
    seed: Seed = 0
    positions: Literal["learned", "sinusoidal"] = "learned"
    prompt: str = "designed"
    """``designed``, ``wrong``, ``random``, or a text file with one sentence a line."""
    mam: Literal["after", "inside", "off"] = "after"
    rank: Width = 64


class EncoderFamilyConfig(FamilyConfig):
    """Settings of a model on the features of a frozen image encoder."""

    image: ImageEncoderConfig = ImageEncoderConfig()


def encoder_settings(config: FamilyConfig) -> ImageEncoderConfig:
    """Settings of the image encoder (``TypeError`` for a family without one)."""
    if not isinstance(config, EncoderFamilyConfig):
        raise TypeError(f"{config.family} has no image encoder")
    return config.image
