"""Settings of the frozen encoders, and of the families that have an image encoder."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from core.models.family import FamilyConfig
from core.settings import Node, Pixels, Positive, Seed, Width


class ImageEncoderConfig(Node):
    """The frozen image encoder and its input.

    ``architecture`` names its size (see ``core.models.backbones.sizes``); ``weights`` is a hub id,
    a local folder, ``embedded`` for the encoder that comes with the package (of the architecture
    ``tiny-patch8``), or ``seed`` for weights drawn from ``seed``.
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
    """The frozen text encoder, its prompt, and the adapters in it (eq. 1-7).

    ``embedded`` weights are of the architecture ``tiny-narrow``.
    """

    architecture: str = "vit-b-32"
    weights: str = "openai/clip-vit-base-patch32"
    seed: Seed = 0
    positions: Literal["learned", "sinusoidal"] = "learned"
    prompt: str = "designed"
    """``designed``, ``wrong``, ``random``, or a text file with one sentence a line."""
    mam: Literal["after", "inside", "off"] = "after"
    rank: Width = 64
    projection: Literal["drawn", "pretrained"] = "drawn"
    """How eq. 7's projection begins: ``drawn`` small, or as the pre-training of the encoders left
    it, in ``projection.safetensors`` beside the folder of these weights."""

    @model_validator(mode="after")
    def _has_a_projection(self) -> TextEncoderConfig:
        if self.projection == "pretrained" and self.weights == "seed":
            raise ValueError("projection: weights from a seed bring none; use drawn")
        return self


class EncoderFamilyConfig(FamilyConfig):
    """Settings of a model on the features of a frozen image encoder."""

    image: ImageEncoderConfig = ImageEncoderConfig()


def encoder_settings(config: FamilyConfig) -> ImageEncoderConfig:
    """Settings of the image encoder (``TypeError`` for a family without one)."""
    if not isinstance(config, EncoderFamilyConfig):
        raise TypeError(f"{config.family} has no image encoder")
    return config.image
