"""ParsingGait's graph of inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from core.data.augment import side_columns
from core.inputs import LabelInput
from core.models.inference import Embed, InferenceGraph
from core.records import MAX_LABEL


class ParsingGraph(InferenceGraph):
    """A model on parsing, which takes float [B, 1, T, H, W], labels.

    Args:
        model: In eval mode, without a classifier.
        embed: As for :class:`core.models.inference.InferenceGraph`.
        settings: How large a parsing is.
    """

    input_name = "parsing"
    content = "labels of body parts"
    values = f"0-{MAX_LABEL}"
    highest = MAX_LABEL

    def __init__(self, model: nn.Module, embed: Embed, settings: LabelInput) -> None:
        size = settings.size
        super().__init__(model, embed, (size, size - 2 * side_columns(size, size)))

    def forward(self, parsing: Tensor) -> Tensor:
        """Embed whole clips: labels uint8 or float [B, T, H, W] to float [B, E, P]."""
        return cast(Tensor, self.model(parsing.float().unsqueeze(1)).embedding)

    def reference(self, clip: Tensor) -> Tensor:
        """The embedding float [E, P] of one clip [T, H, W]."""
        return self.embed([clip])

    def metadata(self, header: Mapping[str, Any]) -> dict[str, str]:
        """What the labels are."""
        del header
        return {
            "labels": "0 background, 1 head, 2 torso, 3 and 4 left and right arm, 5 and 6 hands, "
            "7 and 8 legs, 9 and 10 feet, 11 dress",
        }
