"""How SkeletonGait is built, trained and embedded with."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.data.sources import MapDrawing
from core.models.base import Part
from core.models.deepgaitv2.implementation import sized_network
from core.models.inference import InferenceGraph, MapGraph
from core.models.layers.heat_maps import MAP_SIZE, skeleton_maps
from core.models.skeletongait.config import SkeletonGaitConfig
from core.models.stream_base import StreamImplementation


class SkeletonGaitImplementation(StreamImplementation[SkeletonGaitConfig]):
    """SkeletonGait: DeepGaitV2 on two channels; its module takes float [B, 2, T, 64, 44]."""

    parts = (
        Part("residual network", "backbone."),
        Part("classifier", "head.neck.weight", inference=False),
        Part("batch norm before the classifier", "head.neck."),
        Part("linear maps of strips", "head."),
    )
    training_only = ("head.neck.weight",)
    side_by_side = ()
    drawing = MapDrawing(skeleton_maps, rules=1)

    def only_trained(self, config: SkeletonGaitConfig) -> tuple[str, ...]:
        """All of BNNeck, unless its batch norm is needed at test."""
        return self.training_only if config.compare == "neck" else ("head.neck.",)

    def network(self, config: SkeletonGaitConfig, classes: int) -> nn.Module:
        """The network (raises ``ConfigError`` where strips do not divide the rows)."""
        normed = config.compare == "neck"
        return sized_network(config, 2, MAP_SIZE, config.input.shrink, classes, normed=normed)

    def forward(self, module: nn.Module, batch: ClipBatch) -> Any:  # noqa: ANN401
        """A training pass on skeleton maps."""
        assert batch.maps is not None, "a family on skeleton maps gets them"
        clips = batch.maps.float() / 255
        return module(clips.unflatten(0, (len(batch.labels), -1)).transpose(1, 2))

    def embed(self, model: nn.Module, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding float [E, P] of skeleton maps uint8 [t, 2, 64, 44] in time order."""
        embedding: Tensor = model.embed(chunk.float() / 255 for chunk in chunks)  # type: ignore[operator]
        return embedding

    def graph(self, config: SkeletonGaitConfig, model: nn.Module) -> InferenceGraph:
        """Skeleton maps to embeddings."""
        del config
        return MapGraph(model, partial(self.embed, model))
