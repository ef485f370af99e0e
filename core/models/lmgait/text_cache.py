"""LMGait with z_text from a cache in place of its text branch."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from core.models.capabilities import TextCache
from core.models.family import FamilyConfig
from core.models.lmgait.build import build_lmgait
from core.models.lmgait.config import lmgait_settings
from core.models.lmgait.network import LMGait
from core.models.lmgait.weights import TEXT_PREFIX


class LMGaitTextCache(TextCache):
    """z_text of LMGait."""

    prefix = TEXT_PREFIX

    def build(self, config: FamilyConfig, *, seed: int) -> LMGait:
        """The model for inference; no text encoder is built."""
        return build_lmgait(lmgait_settings(config), classes=None, seed=seed, with_text=False)

    def channels(self, model: nn.Module) -> int:
        """Those of the image encoder's features."""
        return cast(LMGait, model).image.channels

    def compute(self, model: nn.Module) -> Tensor | None:
        """z_text float [tokens, C]; None where the fusion is off."""
        return cast(LMGait, model).text_features()

    def use(self, model: nn.Module, text: Tensor) -> None:
        """Use z_text float [tokens, C]."""
        cast(LMGait, model).use_cached_text(text)

    def live(self, model: nn.Module) -> bool:
        """Whether it has its text branch."""
        return cast(LMGait, model).text is not None

    def prompt(self, config: FamilyConfig) -> str:
        """Name or file of the prompt."""
        return lmgait_settings(config).text.prompt

    def encoder(self, config: FamilyConfig) -> str:
        """Weights of the text encoder, and the prompt."""
        model = lmgait_settings(config)
        if model.fusion == "off":
            return ""
        return f"{model.text.weights}, prompt {model.text.prompt}"
