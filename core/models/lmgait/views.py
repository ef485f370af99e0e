"""What LMGait makes of frames, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from torch import Tensor, nn

from core.data.dataset import reduced_size
from core.models.backbones.prompts import Word, prompt_words
from core.models.capabilities import FrameViews, Maps, View, Views
from core.models.family import FamilyConfig
from core.models.lmgait.config import lmgait_settings
from core.models.lmgait.network import LMGait
from core.models.lmgait.representation import foreground

_TEMPORAL = {"mtcm": "MTCM response", "cnn3d": "3D-CNN response", "off": None}


class LMGaitViews(Views):
    """Predicted silhouettes, the temporal module, the gait network, and attention to words."""

    def frame_size(self, model: nn.Module) -> tuple[int, int]:
        """The image encoder's input, where frames of a store can be reduced to it."""
        image = cast(LMGait, model).image
        return reduced_size((image.height, image.width))

    def reach(self, model: nn.Module) -> int:
        """Frames that the temporal module looks back and ahead."""
        return cast(int, cast(LMGait, model).temporal.reach)

    def of_frames(self, model: nn.Module, frames: Tensor, places: Sequence[int]) -> FrameViews:
        """The model's parts, with its text and without."""
        lmgait, chosen = cast(LMGait, model), list(places)
        patches = lmgait.image(frames)
        text = lmgait.text_features()
        weights = lmgait.attention_maps(patches[chosen])
        attention = None
        if weights is not None:
            attention = _array(weights.transpose(1, 2).unflatten(2, lmgait.image.grid))
        return FrameViews(
            attention,
            _view(lmgait, patches, text, chosen),
            None if text is None else _view(lmgait, patches, None, chosen),
        )

    def silhouettes(self, model: nn.Module, frames: Tensor) -> Tensor:
        """What the decoder predicts."""
        lmgait = cast(LMGait, model)
        logits = lmgait.represent(lmgait.image(frames), lmgait.text_features())[0]
        return foreground(logits).float()

    def prompt(self, config: FamilyConfig) -> str:
        """Name or file of the prompt; empty without text."""
        settings = lmgait_settings(config)
        return "" if settings.fusion == "off" else settings.text.prompt

    def words(self, config: FamilyConfig) -> list[Word]:
        """The words of the prompt, as the text encoder's tokenizer cuts it."""
        text = lmgait_settings(config).text
        return prompt_words(text.prompt, text.weights)

    def motion(self, config: FamilyConfig) -> str | None:
        """Name of the temporal module's response."""
        return _TEMPORAL[lmgait_settings(config).temporal.kind]

    def notes(self, config: FamilyConfig) -> tuple[str, ...]:
        """What models without text, with another fusion or without a temporal module lack."""
        model, notes = lmgait_settings(config), []
        if model.fusion == "off":
            notes.append("This model has no text: no attention to words, no second view.")
        elif model.fusion != "attend_add":
            notes.append(
                f"This model's fusion, `{model.fusion}`, takes the text as a whole: the "
                "attention to words is what the default fusion would have."
            )
        if model.temporal.kind == "off":
            notes.append("This model has no temporal module: no response of one.")
        return tuple(notes)


def _view(model: LMGait, patches: Tensor, text: Tensor | None, chosen: list[int]) -> View:
    logits, appearance, mask = model.represent(patches, text)
    maps = appearance * mask
    moving = model.temporal(maps.transpose(0, 1).unsqueeze(0))[0].transpose(0, 1)
    first = model.gait.first_layer(moving[chosen])
    return View(
        _array(foreground(logits)[chosen, 0]),
        _array((moving - maps)[chosen].abs().mean(1)),
        _array(first.mean(1)),
    )


def _array(values: Tensor) -> Maps:
    return np.asarray(values.float().cpu().numpy(), np.float32)
