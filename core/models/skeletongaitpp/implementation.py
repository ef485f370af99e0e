"""How SkeletonGait++ is built, trained and embedded with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.data.sources import MapDrawing
from core.inputs import Input
from core.models.base import Part
from core.models.build import check_strips
from core.models.inference import InferenceGraph
from core.models.layers.heat_maps import skeleton_maps
from core.models.skeletongaitpp.config import SkeletonGaitPPConfig
from core.models.skeletongaitpp.inference import SilhouetteMapGraph
from core.models.skeletongaitpp.network import SkeletonGaitPP
from core.models.stream_base import StreamImplementation


class SkeletonGaitPPImplementation(StreamImplementation[SkeletonGaitPPConfig]):
    """SkeletonGait++; its module takes float [B, 3, T, 64, 44]: silhouette, limbs, joints."""

    parts = (
        Part("stem and first stage of silhouettes", "first."),
        Part("stem and first stage of skeleton maps", "second."),
        Part("fusion", "fusion."),
        Part("residual network", "stages."),
        Part("classifier", "head.neck.weight", inference=False),
        Part("batch norm before the classifier", "head.neck."),
        Part("linear maps of strips", "head."),
    )
    training_only = ("head.neck.weight",)
    side_by_side = (("first", "second"),)
    drawing = MapDrawing(skeleton_maps, rules=1)

    def only_trained(self, config: SkeletonGaitPPConfig) -> tuple[str, ...]:
        """All of BNNeck, unless its batch norm is needed at test."""
        return self.training_only if config.compare == "neck" else ("head.neck.",)

    def network(self, config: SkeletonGaitPPConfig, classes: int) -> nn.Module:
        """The network (raises ``ConfigError`` where strips do not divide the rows)."""
        check_strips(config.strips, config.input.rows // 4, "model.strips")
        return SkeletonGaitPP(
            config.channels,
            config.depths,
            config.blocks,
            config.strips,
            config.embedding,
            classes,
            config.input.shrink,
            normed=config.compare == "neck",
        )

    def forward(self, module: nn.Module, batch: ClipBatch) -> Any:  # noqa: ANN401
        """A training pass on silhouettes and skeleton maps."""
        assert batch.maps is not None, "a family on skeleton maps gets them"
        images = _images({"silhouettes": batch.silhouettes, "skeleton maps": batch.maps})
        return module(images.unflatten(0, (len(batch.labels), -1)).transpose(1, 2))

    def embed(self, model: nn.Module, chunks: Iterable[Any]) -> Tensor:
        """The embedding float [E, P] of one sequence.

        Args:
            model: The network.
            chunks: Of some frames each, in time order, ``silhouettes`` uint8 [t, 64, 44] and
                ``skeleton maps`` uint8 [t, 2, 64, 44].
        """
        embedding: Tensor = model.embed(map(_images, chunks))  # type: ignore[operator]
        return embedding

    def graph(self, config: SkeletonGaitPPConfig, model: nn.Module) -> InferenceGraph:
        """Silhouettes and skeleton maps to embeddings."""
        return SilhouetteMapGraph(model, partial(self.embed, model), config.input)


def _images(inputs: Mapping[Input, Tensor]) -> Tensor:
    """Images float [n, 3, H, W] in [0, 1] of the two inputs of n frames."""
    silhouettes, maps = inputs["silhouettes"], inputs["skeleton maps"]
    return torch.cat([silhouettes[:, None], maps], dim=1).float() / 255
