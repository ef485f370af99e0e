"""From settings to the networks of GaitEdge."""

from __future__ import annotations

from core.errors import ConfigError
from core.models.gaitedge.config import GaitEdgeConfig
from core.models.gaitedge.gaitgl import GaitGL
from core.models.gaitedge.network import GaitEdge
from core.models.gaitedge.unet import UNet


def build_gaitedge(config: GaitEdgeConfig, classes: int) -> GaitEdge:
    """The whole model (arguments and errors as :func:`build_recogniser`)."""
    return GaitEdge(
        UNet(config.segmentation),
        build_recogniser(config, classes),
        config.size,
        config.edge,
        (config.rows, config.columns),
    )


def build_recogniser(config: GaitEdgeConfig, classes: int) -> GaitGL:
    """GaitGL.

    Args:
        config: Settings of the model.
        classes: Training identities; 0 for inference.

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
