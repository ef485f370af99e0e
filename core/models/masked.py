"""How families on masked maps of a frozen image encoder are trained and embedded with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar, cast

import torch
from torch import Tensor, nn

from core.data.clips import FrameChoice
from core.data.dataset import ClipBatch
from core.models.backbones.image import ImageEncoder
from core.models.base import EncoderImplementation
from core.models.capabilities import EncoderFeatures, EncoderFilms
from core.models.pictures import below_frames, few
from core.models.rgb import MaskedFamilyConfig

M = TypeVar("M", bound=MaskedFamilyConfig)


class MaskedImplementation(EncoderImplementation[M]):
    """A family on frames alone: it finds the person by a mask branch, not by silhouettes.

    Its module has ``person``, and ``embed`` as LMGait's.
    """

    final: ClassVar[bool] = True
    abilities = (EncoderFeatures(), EncoderFilms())

    def embed(self, model: nn.Module, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding float [E, P] of frames uint8 [t, 3, H, W] in time order."""
        embedding: Tensor = model.embed(chunks)  # type: ignore[operator]
        return embedding

    def frame_choice(self, config: M) -> FrameChoice:
        """As the settings say; random frames in the published ones."""
        return FrameChoice.of(config.input)

    def silhouette_size(self, config: M, image: ImageEncoder) -> tuple[int, int]:
        """(h, w) of the maps: silhouettes are shown beside them, and nothing learns from them."""
        return image.grid[0] * config.factor, image.grid[1] * config.factor

    def pictures(self, model: nn.Module, batch: ClipBatch) -> Mapping[str, Tensor]:
        """Frames, and below them what the mask branch takes for the person."""
        return person_pictures(cast(Any, model), batch)


def person_pictures(model: Any, batch: ClipBatch) -> Mapping[str, Tensor]:  # noqa: ANN401
    """Pictures of the persons that ``model``, with ``image`` and ``person``, finds in a batch."""
    shown = few(batch)
    with torch.no_grad():
        patches = model.image(shown.frames) if shown.patches is None else shown.patches
        return {"person": below_frames(shown, [model.person(patches)[:, None]])}
