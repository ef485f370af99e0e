"""What the builders of several families share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from core.errors import ConfigError
from core.models.backbones.config import ImageEncoderConfig
from core.models.backbones.image import ImageEncoder
from core.models.backbones.loading import load_image_encoder


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from ``seed`` inside the block and leave the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def build_image_encoder(config: ImageEncoderConfig, *, final: bool = False) -> ImageEncoder:
    """Build the frozen image encoder; ``final`` as in :class:`ImageEncoder`.

    Raises:
        WeightsError: its weights are missing or of another architecture.
        ConfigError: an input size or block number that does not fit.
    """
    return ImageEncoder(
        load_image_encoder(config),
        config.layers,
        config.height,
        config.width,
        config.chunk,
        config.skip_padding,
        final,
    )


def check_strips(strips: int, rows: int, where: str) -> None:
    """Refuse strips that do not divide the rows of the gait features.

    Args:
        strips: P.
        rows: Of the features.
        where: Setting of the strips.

    Raises:
        ConfigError: they do not divide.
    """
    if rows % strips:
        raise ConfigError(
            f"{strips} strips do not divide the {rows} rows of the gait features",
            where=where,
            next_step=f"Set {where} to divisors.",
        )
