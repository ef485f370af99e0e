"""From settings to the networks of GaitEdge."""

from __future__ import annotations

from core.errors import ConfigError
from core.models.gaitedge.config import GaitEdgeConfig
from core.models.gaitedge.gaitgl import GaitGL
from core.models.gaitedge.network import GaitEdge
from core.models.gaitedge.unet import UNet


def build_gaitedge(config: GaitEdgeConfig, classes: int) -> GaitEdge:
    """The whole model; ``classes`` is 0 for inference.

    Raises:
        ConfigError: as :func:`build_segmentation` and :func:`build_recogniser`.
    """
    return GaitEdge(
        build_segmentation(config),
        build_recogniser(config, classes),
        config.size,
        config.edge,
        (config.rows, config.columns),
    )


def build_segmentation(config: GaitEdgeConfig) -> UNet:
    """The U-Net.

    Raises:
        ConfigError: more levels than its pictures can be halved.
    """
    halved = len(config.segmentation) - 1
    if config.size % 2**halved:
        raise ConfigError(
            f"Pictures of {config.size} rows cannot be halved {halved} times",
            where="model.segmentation",
            next_step="Set fewer channels, one for each level.",
        )
    return UNet(config.segmentation)


def build_recogniser(config: GaitEdgeConfig, classes: int) -> GaitGL:
    """GaitGL; ``classes`` is 0 for inference.

    Raises:
        ConfigError: bands that do not divide the rows.
    """
    if config.rows // 2 % config.bands:
        raise ConfigError(
            f"{config.bands} bands do not divide the {config.rows // 2} rows of the last layer",
            where="model.bands",
            next_step="Set model.bands to a divisor.",
        )
    return GaitGL(
        config.channels, config.bands, config.rows, config.embedding, config.power, classes
    )
