"""MultiGait++'s graph of inference: the images of all its inputs as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from core.inputs import Input
from core.models.inference import Embed, InferenceGraph
from core.models.multigaitpp.config import CHANNELS, MultiGaitPPConfig
from core.models.multigaitpp.images import stacked, taken_apart
from core.models.silhouettes import SILHOUETTES_IN_WORDS

_WORDS: Mapping[Input, str] = {
    "silhouettes": "foreground",
    "parsing": "labels of body parts",
    "flow": "optical flow in red, green, blue",
    "skeleton maps": "limbs, joints",
}


class MultiGaitPPGraph(InferenceGraph):
    """MultiGait++; its module takes float [B, C, T, 64, 44] in [0, 1].

    Args:
        model: In eval mode, without a classifier.
        embed: The family's own way, of a dict of inputs.
        config: What both parts read.
    """

    input_name = "images"

    def __init__(self, model: nn.Module, embed: Embed, config: MultiGaitPPConfig) -> None:
        names = tuple(name for name in CHANNELS if name in config.inputs_read)
        super().__init__(model, embed, (sum(CHANNELS[name] for name in names), 64, 44))
        self.names = names
        self.content = ", ".join(_WORDS[name] for name in self.names)
        if "parsing" in self.names:
            self.values = "0-255, labels 0-11"
        self.kind = SILHOUETTES_IN_WORDS[config.input.silhouettes]

    def forward(self, images: Tensor) -> Tensor:
        """Embed whole clips.

        Args:
            images: uint8 or float (0 to 255, labels 0 to 11) [B, T, C, 64, 44], in time order.

        Returns:
            float [B, E, P].
        """
        frames = stacked(taken_apart(images.flatten(0, 1), self.names))
        clips = frames.unflatten(0, images.shape[:2]).transpose(1, 2)
        return cast(Tensor, self.model(clips).embedding)

    def reference(self, clip: Tensor) -> Tensor:
        """The embedding float [E, P] of one clip uint8 [T, C, 64, 44]."""
        return self.embed([taken_apart(clip, self.names)])

    def metadata(self, header: Mapping[str, Any]) -> dict[str, str]:
        """Which silhouettes it was trained on, if any, and how pixels are normalised."""
        del header
        silhouettes = {"silhouettes": self.kind} if "silhouettes" in self.names else {}
        return {
            **silhouettes,
            "normalisation": "inside: divided by 255, labels by 11",
        }
