"""SkeletonGait++'s graph of inference: both inputs as channels of one picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from core.inputs import SilhouetteInput
from core.models.inference import Embed, InferenceGraph
from core.models.silhouettes import SILHOUETTES_IN_WORDS


class SilhouetteMapGraph(InferenceGraph):
    """A model on silhouettes and skeleton maps, which takes float [B, 3, T, 64, 44] in [0, 1].

    Args:
        model: In eval mode, without a classifier.
        embed: As for :class:`InferenceGraph`, of ``silhouettes`` and ``skeleton maps``.
        settings: Which silhouettes it takes.
    """

    input_name = "images"
    content = "foreground, limbs, joints"

    def __init__(self, model: nn.Module, embed: Embed, settings: SilhouetteInput) -> None:
        super().__init__(model, embed, (3, 64, 44))
        self.kind = SILHOUETTES_IN_WORDS[settings.silhouettes]

    def forward(self, images: Tensor) -> Tensor:
        """Embed whole clips.

        Args:
            images: uint8 or float (0 to 255) [B, T, 3, 64, 44], in time order.

        Returns:
            float [B, E, P].
        """
        return cast(Tensor, self.model((images.float() / 255).transpose(1, 2)).embedding)

    def reference(self, clip: Tensor) -> Tensor:
        """The embedding float [E, P] of one clip uint8 [T, 3, 64, 44]."""
        return self.embed([{"silhouettes": clip[:, 0], "skeleton maps": clip[:, 1:]}])

    def metadata(self, header: Mapping[str, Any]) -> dict[str, str]:
        """Which silhouettes it was trained on, and how pixels are normalised."""
        del header
        return {"silhouettes": self.kind, "normalisation": "inside: divided by 255"}
