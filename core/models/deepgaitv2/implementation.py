"""How DeepGaitV2 is built, trained and embedded with."""

from __future__ import annotations

from torch import nn

from core.models.base import Part
from core.models.build import check_strips
from core.models.deepgaitv2.config import DeepGaitV2Config, DeepGaitV2Sizes
from core.models.deepgaitv2.network import DeepGaitV2
from core.models.stream_base import SilhouetteImplementation


class DeepGaitV2Implementation(SilhouetteImplementation[DeepGaitV2Config]):
    """DeepGaitV2."""

    parts = (
        Part("residual network", "backbone."),
        Part("BNNeck and classifier", "head.neck.", inference=False),
        Part("linear maps of strips", "head."),
    )
    training_only = ("head.neck.",)
    side_by_side = ()

    def network(self, config: DeepGaitV2Config, classes: int) -> nn.Module:
        """The network (raises ``ConfigError`` where strips do not divide the rows)."""
        return sized_network(config, 1, config.input.size, config.input.shrink, classes)


def sized_network(
    sizes: DeepGaitV2Sizes,
    inner: int,
    rows: int,
    shrink: int,
    classes: int,
    *,
    normed: bool = False,
) -> DeepGaitV2:
    """The network of settings.

    Args:
        sizes: The settings.
        inner: Channels of its input.
        rows: Rows of its input.
        shrink: Side of the squares of pixels that are averaged first.
        classes: Training identities; 0 for inference.
        normed: As of :class:`DeepGaitV2`.

    Raises:
        ConfigError: strips do not divide the rows.
    """
    check_strips(sizes.strips, rows // shrink // 4, "model.strips")
    return DeepGaitV2(
        inner,
        sizes.channels,
        sizes.depths,
        sizes.blocks,
        sizes.strips,
        sizes.embedding,
        classes,
        shrink,
        normed=normed,
    )
