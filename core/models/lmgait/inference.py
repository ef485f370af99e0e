"""LMGait's graph of inference: the text is a constant in it, and there is no text encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from core.models.inference import Embed, EncoderGraph
from core.models.lmgait.network import LMGait


class LMGaitGraph(EncoderGraph):
    """LMGait with z_text as a constant.

    Args:
        model: In eval mode; its text features are computed here once, and its text branch is
            dropped.
        embed: Its ``embed``.
        prompt: The text, as settings name it; "" where the model has none.

    Raises:
        ConfigError: as :class:`core.models.inference.EncoderGraph`.
    """

    def __init__(self, model: LMGait, embed: Embed, prompt: str) -> None:
        super().__init__(model, embed)
        self.prompt = prompt
        with torch.no_grad():
            text = model.text_features()
        if text is not None:
            model.use_cached_text(text.detach())

    def embeddings(self, patches: Tensor, clips: int) -> Tensor:
        """Embeddings float [B, E, P] of the encoder's features float [B*T, N, C] of B clips."""
        model = cast(LMGait, self.model)
        _, maps, mask = model.represent(patches, model.text_features())
        return model.recognise(maps * mask, clips)

    def metadata(self, header: Mapping[str, Any]) -> dict[str, str]:
        """The encoder's input, and the text."""
        return {
            **super().metadata(header),
            "text_fingerprint": str(header["text_fingerprint"]),
            "prompt": self.prompt,
        }
