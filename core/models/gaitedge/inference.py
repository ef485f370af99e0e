"""GaitEdge's graph of inference: frames and masks as channels of one picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from core.models.inference import Embed, InferenceGraph
from core.records import FRAME_HEIGHT, FRAME_WIDTH


class GaitEdgeGraph(InferenceGraph):
    """GaitEdge on frames and masks as stores hold them; it takes frames three at a time.

    Args:
        model: In eval mode, without a classifier.
        embed: As for :class:`InferenceGraph`, of ``rgb`` and ``masks``.
    """

    input_name = "images"
    content = "RGB, foreground"
    shortest = 6

    def __init__(self, model: nn.Module, embed: Embed) -> None:
        super().__init__(model, embed, (4, FRAME_HEIGHT, FRAME_WIDTH))

    def forward(self, images: Tensor) -> Tensor:
        """Embed whole clips.

        Args:
            images: uint8 or float (0 to 255) [B, T, 4, 256, 128], in time order; of the foreground,
                more than 127 is the person.

        Returns:
            float [B, E, P].
        """
        frames = images.flatten(0, 1)
        return cast(Tensor, self.model(frames[:, :3], frames[:, 3], images.shape[0]).embedding)

    def reference(self, clip: Tensor) -> Tensor:
        """The embedding float [E, P] of one clip uint8 [T, 4, 256, 128]."""
        return self.embed([{"rgb": clip[:, :3], "masks": clip[:, 3]}])

    def metadata(self, header: Mapping[str, Any]) -> dict[str, str]:
        """How people are found in frames, and how pixels are normalised."""
        del header
        return {
            "person": "inside: the box around the foreground, squashed to a square",
            "normalisation": "inside: ImageNet's mean and standard deviation",
        }
