"""A second family that can do what LMGait can: features, films, a text cache, and views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from core.losses.config import TripletConfig
from core.losses.total import TRIPLET, Terms
from core.models.backbones.config import EncoderFamilyConfig
from core.models.backbones.image import ImageEncoder
from core.models.backbones.prompts import Word
from core.models.base import EncoderImplementation, Part
from core.models.build import build_image_encoder, seeded
from core.models.capabilities import (
    EncoderFeatures,
    EncoderFilms,
    FrameViews,
    Maps,
    TextCache,
    View,
    Views,
)
from core.models.family import Family, FamilyConfig
from core.models.layers.output import GaitOutput
from core.settings import Width

WORDS = ("legs", "arms")


class TwinConfig(EncoderFamilyConfig):
    """Settings of the twin."""

    family: Literal["twin"] = "twin"
    embedding: Width = 4


class Twin(nn.Module):
    """Mean features of the frames, weighted by two words, as one strip."""

    def __init__(self, image: ImageEncoder, embedding: int, text: bool) -> None:
        super().__init__()
        self.image = image
        self.text = nn.Embedding(len(WORDS), image.channels) if text else None
        self.cached: Tensor | None = None
        self.linear = nn.Linear(image.channels, embedding)

    def words(self) -> Tensor:
        """Text features float [2, C]."""
        return self.text.weight if self.text is not None else cast(Tensor, self.cached)

    def head(self, pooled: Tensor) -> Tensor:
        """Embeddings float [B, E, 1] of pooled features float [B, C]."""
        embedding: Tensor = self.linear(pooled * (1 + self.words().mean(0)))
        return embedding.unsqueeze(2)

    def forward(self, frames: Tensor | None, patches: Tensor | None, clips: int) -> GaitOutput:
        """Embeddings of clips of frames uint8, or of their features."""
        if patches is None:
            patches = self.image(cast(Tensor, frames))
        pooled = patches.float().mean(1).unflatten(0, (clips, -1)).amax(1)
        return GaitOutput(self.head(pooled), None)

    def embed(self, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding float [E, 1] of a sequence."""
        peaks = [self.image(chunk).mean(1).amax(0) for chunk in chunks]
        return self.head(torch.stack(peaks).amax(0, keepdim=True))[0]


class TwinText(TextCache):
    """Its two words."""

    prefix = "text."

    def build(self, config: FamilyConfig, *, seed: int) -> Twin:
        """The model without its words."""
        return _build(cast(TwinConfig, config), seed, None, text=False)

    def channels(self, model: nn.Module) -> int:
        """Those of the encoder."""
        return cast(Twin, model).image.channels

    def compute(self, model: nn.Module) -> Tensor | None:
        """The words."""
        return cast(Twin, model).words()

    def use(self, model: nn.Module, text: Tensor) -> None:
        """Use other words."""
        twin = cast(Twin, model)
        twin.text, twin.cached = None, text

    def live(self, model: nn.Module) -> bool:
        """Whether it has words of its own."""
        return cast(Twin, model).text is not None

    def prompt(self, config: FamilyConfig) -> str:
        """The name of the words."""
        del config
        return "two-words"

    def encoder(self, config: FamilyConfig) -> str:
        """What they come from."""
        del config
        return "a table of two words"


class TwinViews(Views):
    """The size of features as a silhouette; a share of each word."""

    def frame_size(self, model: nn.Module) -> tuple[int, int]:
        """The encoder's input."""
        image = cast(Twin, model).image
        return image.height, image.width

    def reach(self, model: nn.Module) -> int:
        """Frames are apart from each other."""
        del model
        return 0

    def of_frames(self, model: nn.Module, frames: Tensor, places: Sequence[int]) -> FrameViews:
        """Pictures of features."""
        twin, chosen = cast(Twin, model), list(places)
        patches = twin.image(frames[chosen])
        shares = (patches @ twin.words().T).softmax(2).transpose(1, 2)
        maps = _array(self.silhouettes(model, frames[chosen])[:, 0])
        attention = _array(shares.unflatten(2, twin.image.grid))
        return FrameViews(attention, View(maps, maps * 0, maps), None)

    def silhouettes(self, model: nn.Module, frames: Tensor) -> Tensor:
        """The size of features."""
        twin = cast(Twin, model)
        size = twin.image(frames).float().norm(dim=2).unflatten(1, twin.image.grid)
        shares: Tensor = (size / size.amax()).unsqueeze(1)
        return shares

    def prompt(self, config: FamilyConfig) -> str:
        """The name of the words."""
        del config
        return "two-words"

    def words(self, config: FamilyConfig) -> list[Word]:
        """The two words."""
        del config
        return [Word(text, (row,)) for row, text in enumerate(WORDS)]

    def motion(self, config: FamilyConfig) -> str | None:
        """There is no temporal module."""
        del config
        return None

    def notes(self, config: FamilyConfig) -> tuple[str, ...]:
        """What it lacks."""
        del config
        return ("The twin has no temporal module.",)


class TwinImplementation(EncoderImplementation[TwinConfig]):
    """The twin."""

    parts = (Part("encoder", "image."), Part("words", "text.", inference=False), Part("map", "lin"))
    header_keys = ("text_fingerprint", "image_fingerprint")
    abilities = (EncoderFeatures(), EncoderFilms(), TwinText(), TwinViews())

    def build(
        self,
        config: TwinConfig,
        *,
        classes: int | None,
        seed: int,
        image: ImageEncoder | None = None,
    ) -> Twin:
        """Build it."""
        del classes
        return _build(config, seed, image, text=True)

    def terms(self, config: TwinConfig) -> Terms:
        """The triplet loss."""
        del config
        return TRIPLET

    def embed(self, model: nn.Module, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding of a sequence."""
        return cast(Twin, model).embed(chunks)

    def shape(self, config: TwinConfig) -> tuple[int, int]:
        """One strip."""
        return config.embedding, 1

    def header(self, model: nn.Module) -> Mapping[str, Any]:
        """The encoder's facts, and a name of the words: a test trains them once."""
        return {**super().header(model), "text_fingerprint": "two words"}


def _build(config: TwinConfig, seed: int, image: ImageEncoder | None, *, text: bool) -> Twin:
    image = build_image_encoder(config.image) if image is None else image
    with seeded(seed):
        return Twin(image, config.embedding, text)


def _array(values: Tensor) -> Maps:
    return np.asarray(values.float().cpu().numpy(), np.float32)


TWIN = Family(
    title="Twin",
    inputs=frozenset({"rgb"}),
    model=TwinConfig,
    losses=TripletConfig,
    implementation=TwinImplementation,
    capabilities=frozenset({"stored features", "films", "text cache", "views"}),
)
