"""How MultiGait++ is built, trained and embedded with."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.data.sources import MapDrawing
from core.inputs import Input
from core.models.base import Part
from core.models.build import check_strips
from core.models.inference import InferenceGraph
from core.models.layers.heat_maps import skeleton_maps
from core.models.multigaitpp.config import MultiGaitPPConfig
from core.models.multigaitpp.images import stacked
from core.models.multigaitpp.inference import MultiGaitPPGraph
from core.models.multigaitpp.network import MultiGaitPP
from core.models.stream_base import StreamImplementation


class MultiGaitPPImplementation(StreamImplementation[MultiGaitPPConfig]):
    """MultiGait++; its module takes float [B, C, T, 64, 44], C channels of all inputs."""

    parts = (
        Part("stem and first stage of the first part", "first."),
        Part("stem and first stage of the second part", "second."),
        Part("fusion", "fusion."),
        Part("streams of two stages", "streams."),
        Part("joining convolution", "join."),
        Part("last stage", "last."),
        Part("BNNeck and classifier", "head.neck.", inference=False),
        Part("linear maps of strips", "head."),
    )
    training_only = ("head.neck.",)
    drawing = MapDrawing(skeleton_maps, rules=1)

    def network(self, config: MultiGaitPPConfig, classes: int) -> nn.Module:
        """The network (raises ``ConfigError`` where strips do not divide the rows)."""
        check_strips(config.strips, config.input.rows // 4, "model.strips")
        return MultiGaitPP(
            config.channels_read,
            config.channels,
            config.depths,
            config.blocks,
            config.strips,
            config.embedding,
            classes,
            config.input.shrink,
        )

    def forward(self, module: nn.Module, batch: ClipBatch) -> Any:  # noqa: ANN401
        """A training pass on all inputs that a batch has."""
        inputs: dict[Input, Tensor | None] = {
            "silhouettes": batch.silhouettes if batch.silhouettes.numel() else None,
            "parsing": batch.parsing,
            "flow": batch.flow,
            "skeleton maps": batch.maps,
        }
        images = stacked({name: one for name, one in inputs.items() if one is not None})
        return module(images.unflatten(0, (len(batch.labels), -1)).transpose(1, 2))

    def embed(self, model: nn.Module, chunks: Iterable[Any]) -> Tensor:
        """The embedding float [E, P] of one sequence.

        Args:
            model: The network.
            chunks: Of some frames each, in time order, what the parts read: ``silhouettes`` and
                ``parsing`` uint8 [t, 64, 44], ``flow`` uint8 [t, 3, 64, 44], ``skeleton maps``
                uint8 [t, 2, 64, 44].
        """
        embedding: Tensor = model.embed(map(stacked, chunks))  # type: ignore[operator]
        return embedding

    def graph(self, config: MultiGaitPPConfig, model: nn.Module) -> InferenceGraph:
        """The images of both parts to embeddings."""
        return MultiGaitPPGraph(model, partial(self.embed, model), config)
