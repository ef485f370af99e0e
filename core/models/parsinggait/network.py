"""ParsingGait: GaitBase on labels of body parts, and graphs of these parts (Zheng et al. 2023).

Labels are float [.., 1, H, W]: whole numbers from 0 (background) to 11, which enter the first
convolution as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.layers.gaitbase import BNNeck, StripLinear, strip_pool
from core.models.layers.output import GaitOutput
from core.models.layers.residual import GaitBackbone
from core.models.layers.sequences import (
    frames_of,
    maximum_over_time,
    running_maxima,
    with_context,
)
from core.models.parsinggait.graphs import GRAPHS, GraphName, PartGraph

# A part's weight of its own pixels at the start of a training; others have one less this.
FIRST_WEIGHT = 0.75


class PartGraphPool(nn.Module):
    """Features of body parts, and two graph convolutions over them.

    Args:
        graph: The parts and their neighbours.
        channels: C of the maps.
        dropout: Before each convolution.
    """

    def __init__(self, graph: PartGraph, channels: int, dropout: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((len(graph.parts),), FIRST_WEIGHT))
        self.layers = nn.ModuleList(GraphConvolution(graph, channels) for _ in range(2))
        self.dropout = nn.Dropout(dropout)
        self.parts = graph.parts

    def forward(self, maps: Tensor, labels: Tensor) -> Tensor:
        """Features of the parts of each frame.

        Args:
            maps: float [n, C, h, w].
            labels: float [n, h, w], whole numbers.

        Returns:
            float [n, C, parts].
        """
        features = self.pool(maps, labels)
        for layer in self.layers:
            features = layer(self.dropout(features))
        return features

    def pool(self, maps: Tensor, labels: Tensor) -> Tensor:
        """Mean and maximum over all pixels, those of a part weighed by gamma, others by the rest.

        Args:
            maps: float [n, C, h, w].
            labels: float [n, h, w], whole numbers.

        Returns:
            float [n, C, parts].
        """
        pooled = []
        for gamma, own in zip(self.gamma, self.parts, strict=True):
            inside = torch.stack([labels == label for label in own]).any(0)
            weighed = maps * torch.where(inside, gamma, 1 - gamma)[:, None]
            pooled.append(weighed.mean((2, 3)) + weighed.amax((2, 3)))
        return torch.stack(pooled, dim=2)


class GraphConvolution(nn.Module):
    """A linear map of each part, the mean of neighbours, batch norm and ReLU (Kipf and Welling).

    Parts are neighbours of themselves, edges are weighed by ``D^-1/2 A D^-1/2``, and each channel
    of each part has statistics of its own.

    Args:
        graph: The parts and their neighbours.
        channels: C.
    """

    def __init__(self, graph: PartGraph, channels: int) -> None:
        super().__init__()
        parts = len(graph.parts)
        self.weight = nn.Linear(channels, channels)
        self.norm = nn.BatchNorm1d(channels * parts)
        self.register_buffer("adjacency", normalised(graph), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Map float [n, C, parts] to the same shape."""
        own = F.linear(features.transpose(1, 2), self.weight.weight).transpose(1, 2)
        mixed = own @ cast(Tensor, self.adjacency) + self.weight.bias[:, None]
        return F.relu(self.norm(mixed.flatten(1)).unflatten(1, (-1, mixed.shape[2])))


def normalised(graph: PartGraph) -> Tensor:
    """``D^-1/2 A D^-1/2`` of a graph whose parts are neighbours of themselves: [parts, parts]."""
    edges = torch.eye(len(graph.parts))
    for one, other in graph.edges:
        edges[one, other] = edges[other, one] = 1
    roots = edges.sum(1).rsqrt()
    return roots[:, None] * edges * roots


class ParsingGait(nn.Module):
    """GaitBase's network, and beside its strips the parts of graphs; frames may come in any order.

    Args:
        channels: Channels of the four stages.
        rows: Horizontal strips; must divide a quarter of the height that is left.
        graphs: Names of the graphs.
        embedding: E, channels of a strip's embedding.
        dropout: Before each graph convolution.
        classes: Training identities; 0 for inference, without BNNeck.
        shrink: Of squares of as many pixels a side, one label stays.
    """

    def __init__(
        self,
        channels: Sequence[int] = (64, 128, 256, 512),
        rows: int = 16,
        graphs: Sequence[GraphName] = ("coarse",),
        embedding: int = 256,
        dropout: float = 0.5,
        classes: int = 0,
        shrink: int = 1,
    ) -> None:
        super().__init__()
        self.rows, self.shrink = rows, shrink
        self.backbone = GaitBackbone(1, channels)
        self.graphs = nn.ModuleDict(
            {name: PartGraphPool(GRAPHS[name], channels[-1], dropout) for name in graphs}
        )
        strips = rows + sum(len(GRAPHS[name].parts) for name in graphs)
        self.linear = StripLinear(strips, channels[-1], embedding)
        self.neck = BNNeck(strips, embedding, classes) if classes else None

    def forward(self, labels: Tensor) -> GaitOutput:
        """A training pass.

        Args:
            labels: float [B, 1, T, H, W], whole numbers from 0 to 11, T at least 1.

        Returns:
            The embedding [B, E, P], and the logits [B, classes, P] unless ``classes`` is 0.
        """
        clips = labels.shape[0]
        features = self.frame_features(frames_of(labels))
        embedding = self.head([maximum_over_time(one, clips) for one in features])
        return GaitOutput(embedding, None if self.neck is None else self.neck(embedding))

    def frame_features(self, labels: Tensor) -> list[Tensor]:
        """Of frames float [n, 1, H, W] the map [n, C, h, w], and of each graph [n, C, parts]."""
        small = labels[..., :: self.shrink, :: self.shrink]
        maps = self.backbone(small, small.shape[0])
        step = small.shape[2] // maps.shape[2]
        nearest = small[:, 0, ::step, ::step]
        return [maps, *(graph(maps, nearest) for graph in self.graphs.values())]

    def head(self, pooled: Sequence[Tensor]) -> Tensor:
        """Embeddings float [B, E, P] of what :meth:`frame_features` gives, at maxima over time."""
        maps, *parts = pooled
        return cast(Tensor, self.linear(torch.cat([strip_pool(maps, self.rows), *parts], dim=2)))

    def embed(self, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding of one whole sequence, in bounded memory; cuts do not change it.

        Args:
            chunks: float [t, 1, H, W] each, labels.

        Returns:
            float [E, P].

        Raises:
            ValueError: the sequence has no frames.
        """
        windows = with_context(chunks, 0)
        return self.head(running_maxima(self.frame_features(w.frames) for w in windows))[0]
