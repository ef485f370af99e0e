"""How GaitEdge is built, trained and embedded with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, cast

from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.models.base import Part
from core.models.gaitedge.build import build_gaitedge
from core.models.gaitedge.config import RECOGNISER, SEGMENTATION, GaitEdgeConfig
from core.models.gaitedge.inference import GaitEdgeGraph
from core.models.gaitedge.losses import TERMS
from core.models.gaitedge.network import GaitEdge
from core.models.gaitedge.pictures import shape_pictures
from core.models.gaitedge.warmup import RecogniserWarmup, SegmentationWarmup
from core.models.inference import InferenceGraph
from core.models.stream_base import StreamImplementation


class GaitEdgeImplementation(StreamImplementation[GaitEdgeConfig]):
    """GaitEdge, from a U-Net and a GaitGL that were trained before."""

    parts = (
        Part("encoder of the U-Net", f"{SEGMENTATION}encoder."),
        Part("decoder of the U-Net", SEGMENTATION),
        Part("classifier", f"{RECOGNISER}classifier.", inference=False),
        Part("GaitGL", RECOGNISER),
    )
    training_only = (f"{RECOGNISER}classifier.",)
    warmups = (SegmentationWarmup(), RecogniserWarmup())
    loss_terms = TERMS

    def network(self, config: GaitEdgeConfig, classes: int) -> nn.Module:
        """The network (raises ``ConfigError`` where sizes do not fit)."""
        return build_gaitedge(config, classes)

    def forward(self, module: nn.Module, batch: ClipBatch) -> Any:  # noqa: ANN401
        """A training pass on frames and their masks."""
        return module(batch.frames, batch.silhouettes, len(batch.labels))

    def embed(self, model: nn.Module, chunks: Iterable[Any]) -> Tensor:
        """The embedding float [E, P] of one sequence.

        Args:
            model: The network.
            chunks: Of some frames each, in time order, ``rgb`` uint8 [t, 3, 256, 128] and ``masks``
                uint8 [t, 256, 128].
        """
        pairs = ((chunk["rgb"], chunk["masks"]) for chunk in chunks)
        return cast(GaitEdge, model).embed(pairs)

    def graph(self, config: GaitEdgeConfig, model: nn.Module) -> InferenceGraph:
        """Frames and masks to embeddings."""
        del config
        return GaitEdgeGraph(model, partial(self.embed, model))

    def pictures(self, model: nn.Module, batch: ClipBatch) -> Mapping[str, Tensor]:
        """Squashed frames, and below them masks, the foreground, and silhouettes."""
        return shape_pictures(cast(GaitEdge, model), batch)
