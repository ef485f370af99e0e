"""How ParsingGait is built, trained and embedded with."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.models.base import Part
from core.models.build import check_strips
from core.models.inference import InferenceGraph
from core.models.parsinggait.config import ParsingGaitConfig
from core.models.parsinggait.inference import ParsingGraph
from core.models.parsinggait.network import ParsingGait
from core.models.stream_base import StreamImplementation


class ParsingGaitImplementation(StreamImplementation[ParsingGaitConfig]):
    """ParsingGait; its module takes float [B, 1, T, H, W], labels."""

    parts = (
        Part("residual network", "backbone."),
        Part("weights of parts, coarse", "graphs.coarse.gamma"),
        Part("graph of parts, coarse", "graphs.coarse."),
        Part("weights of parts, fine", "graphs.fine.gamma"),
        Part("graph of parts, fine", "graphs.fine."),
        Part("linear maps of strips", "linear."),
        Part("BNNeck and classifier", "neck.", inference=False),
    )

    def network(self, config: ParsingGaitConfig, classes: int) -> nn.Module:
        """The network (raises ``ConfigError`` where strips do not divide the rows)."""
        check_strips(config.rows, config.input.rows // 4, "model.rows")
        return ParsingGait(
            config.channels,
            config.rows,
            config.graph_names,
            config.embedding,
            config.dropout,
            classes,
            config.input.shrink,
        )

    def forward(self, module: nn.Module, batch: ClipBatch) -> Any:  # noqa: ANN401
        """A training pass on labels."""
        assert batch.parsing is not None, "a family on parsing gets it"
        labels = batch.parsing.float()
        return module(labels.unflatten(0, (len(batch.labels), -1)).unsqueeze(1))

    def embed(self, model: nn.Module, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding float [E, P] of labels uint8 [t, H, W]."""
        embedding: Tensor = model.embed(chunk.float()[:, None] for chunk in chunks)  # type: ignore[operator]
        return embedding

    def graph(self, config: ParsingGaitConfig, model: nn.Module) -> InferenceGraph:
        """Labels to embeddings."""
        return ParsingGraph(model, partial(self.embed, model), config.input)
