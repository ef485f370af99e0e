"""GaitEdge: silhouettes with learnt edges, end to end (Liang et al., ECCV 2022)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.models.gaitedge.align import People, align, squash, squash_masks, synthesise
from core.models.gaitedge.gaitgl import GaitGL
from core.models.gaitedge.unet import UNet
from core.models.layers.output import GaitOutput
from core.models.layers.sequences import clips_of


@dataclass(frozen=True, slots=True)
class SegmentationOutput:
    """What the U-Net makes of n frames, and what it learns.

    Attributes:
        foreground: float [n, 1, S, S], logits.
        masks: float [n, 1, S, S] of 0 and 1.
    """

    foreground: Tensor
    masks: Tensor


@dataclass(frozen=True, slots=True)
class EdgeOutput(SegmentationOutput):
    """Outputs for one batch of B clips of T frames.

    Attributes:
        embedding: float [B, E, P].
        logits: float [B, classes, P]; None without a classifier.
    """

    embedding: Tensor
    logits: Tensor | None


class Segmentation(nn.Module):
    """The U-Net alone, on people that it squashes itself.

    Args:
        segmentation: The U-Net.
        square: S, rows and columns of squashed pictures.
    """

    def __init__(self, segmentation: UNet, square: int) -> None:
        super().__init__()
        self.segmentation, self.square = segmentation, square

    def forward(self, frames: Tensor, masks: Tensor) -> SegmentationOutput:
        """Foreground logits of frames uint8 [n, 3, 256, 128] with masks uint8 [n, 256, 128]."""
        people = self.people(frames, masks)
        return SegmentationOutput(self.segmentation(people.pictures), people.masks)

    def people(self, frames: Tensor, masks: Tensor) -> People:
        """People of frames uint8 [n, 3, 256, 128] with masks uint8 [n, 256, 128]."""
        return squash(frames, masks, self.square, self.segmentation.last.weight.dtype)


class Recogniser(nn.Module):
    """GaitGL alone, on silhouettes cut from masks.

    Args:
        recogniser: GaitGL.
        square: S, rows and columns of the squashed masks that they are cut from.
        size: (rows, columns) of silhouettes.
    """

    def __init__(self, recogniser: GaitGL, square: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.recogniser, self.square, self.size = recogniser, square, size

    def forward(self, masks: Tensor, clips: int) -> GaitOutput:
        """Embeddings and logits of masks uint8 [B*T, 256, 128]; ``clips`` is B."""
        kind = self.recogniser.first.weight.dtype
        shapes, ratios = squash_masks(masks, self.square, kind)
        output: GaitOutput = self.recogniser(
            clips_of(align(shapes, shapes, ratios, self.size), clips)
        )
        return output


class GaitEdge(Segmentation):
    """U-Net, synthesis of edges, alignment, GaitGL.

    The U-Net's encoder does not train here: its parameters stay. Its batch norms go on as those of
    the rest do: in a training pass by the batch, whose statistics they remember.

    Args:
        segmentation: The U-Net.
        recogniser: GaitGL.
        square: S, rows and columns of squashed pictures.
        edge: Side of the square that widens and narrows masks, odd.
        size: (rows, columns) of silhouettes.
    """

    def __init__(
        self,
        segmentation: UNet,
        recogniser: GaitGL,
        square: int,
        edge: int,
        size: tuple[int, int],
    ) -> None:
        super().__init__(segmentation, square)
        segmentation.encoder.requires_grad_(False)
        self.recogniser, self.edge, self.size = recogniser, edge, size

    def forward(self, frames: Tensor, masks: Tensor, clips: int = 1) -> EdgeOutput:
        """A training pass over clips of equal length.

        Args:
            frames: uint8 [B*T, 3, 256, 128], RGB, clip by clip in time order.
            masks: uint8 [B*T, 256, 128], 0 to 255, in the same geometry; each with a person.
            clips: B.
        """
        return self.recognise(self.people(frames, masks), clips)

    def recognise(self, people: People, clips: int) -> EdgeOutput:
        """Outputs of B*T people, clip by clip in time order; ``clips`` is B."""
        foreground = self.segmentation(people.pictures)
        gait = self.recogniser(clips_of(self.silhouettes(people, foreground), clips))
        return EdgeOutput(foreground, people.masks, gait.embedding, gait.logits)

    def silhouettes(self, people: People, foreground: Tensor) -> Tensor:
        """Aligned silhouettes float [n, 1, h, w] in [0, 1] of segmentation logits [n, 1, S, S]."""
        return align(self.shapes(people, foreground), people.masks, people.ratios, self.size)

    def shapes(self, people: People, foreground: Tensor) -> Tensor:
        """Squashed silhouettes float [n, 1, S, S] with the U-Net's edges."""
        return synthesise(torch.sigmoid(foreground), people.masks, self.edge)

    def embed(self, chunks: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        """The embedding of one whole sequence, in bounded memory; cuts do not change it.

        Args:
            chunks: Frames uint8 [t, 3, 256, 128] and masks uint8 [t, 256, 128] each, in time order.

        Returns:
            float [E, P].

        Raises:
            ValueError: the sequence has no frames.
        """
        return self.recogniser.embed(self._aligned(chunks))

    def _aligned(self, chunks: Iterable[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
        for frames, masks in chunks:
            people = self.people(frames, masks)
            yield self.silhouettes(people, self.segmentation(people.pictures))
