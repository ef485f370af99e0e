"""What only some families can do, as objects that verbs ask a family for.

A family names its capabilities without torch (:class:`core.models.family.Family`), and its
:class:`core.models.base.Implementation` has an ability for each. A verb takes the ability and uses
nothing else that only some families have.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from core.data.dataset import reduced_size
from core.models.backbones.config import encoder_settings
from core.models.backbones.image import ImageEncoder
from core.models.backbones.prompts import Word
from core.models.families import family_of, require
from core.models.family import Capability, FamilyConfig

Maps = NDArray[np.float32]


class Ability(ABC):
    """What a family can do that not all families can.

    Attributes:
        capability: Its name in :class:`core.models.family.Family`.
    """

    capability: ClassVar[Capability]

    @classmethod
    def find(cls, config: FamilyConfig) -> Self | None:
        """The ability of the family that settings belong to; None for a family without it."""
        abilities = family_of(config).implementation().abilities
        return next((one for one in abilities if isinstance(one, cls)), None)

    @classmethod
    def of(cls, config: FamilyConfig, what: str) -> Self:
        """The ability of the family that settings belong to.

        Args:
            config: Settings of the model.
            what: What needs it, for the message.

        Raises:
            UsageError: the family does not have it; those that do are named.
            TypeError: the family names the capability, and its implementation lacks the ability.
        """
        require(config, cls.capability, what)
        ability = cls.find(config)
        if ability is None:
            raise TypeError(f"{config.family} names `{cls.capability}` and has no {cls.__name__}")
        return ability


class StoredFeatures(Ability):
    """Training on features of a frozen image encoder that were stored before."""

    capability = "stored features"

    @abstractmethod
    def encoder(self, config: FamilyConfig) -> ImageEncoder:
        """The frozen image encoder (raises ``WeightsError``, ``ConfigError``)."""


class Films(Ability):
    """Embedding frames that come without silhouettes: people in films, folders of frames."""

    capability = "films"

    @abstractmethod
    def frame_size(self, config: FamilyConfig) -> tuple[int, int]:
        """(H, W) of the frames uint8 [t, 3, H, W] that the model embeds."""


class TextCache(Ability):
    """Text features that are computed once, so that inference needs no text encoder.

    Headers of the family's checkpoints have ``text_fingerprint``, which tells states of the text
    branch apart.

    Attributes:
        prefix: Of the tensors of the text branch, which a model with a cache does not have.
    """

    capability = "text cache"
    prefix: ClassVar[str]

    @abstractmethod
    def build(self, config: FamilyConfig, *, seed: int) -> nn.Module:
        """The model for inference without its text branch (raises as a family's ``build``)."""

    @abstractmethod
    def channels(self, model: nn.Module) -> int:
        """C, channels of its text features."""

    @abstractmethod
    def compute(self, model: nn.Module) -> Tensor | None:
        """Text features float [tokens, C]; None for a model without text."""

    @abstractmethod
    def use(self, model: nn.Module, text: Tensor) -> None:
        """Give a model text features float [tokens, C] in place of its text branch."""

    @abstractmethod
    def live(self, model: nn.Module) -> bool:
        """Whether the model computes its text features itself."""

    @abstractmethod
    def prompt(self, config: FamilyConfig) -> str:
        """Name or file of the prompt."""

    @abstractmethod
    def encoder(self, config: FamilyConfig) -> str:
        """What the text features come from, in words; empty for a model without text."""


@dataclass(frozen=True, slots=True)
class View:
    """The parts of a model over T frames, with or without its text.

    Attributes:
        silhouettes: float32 [T, h, w], the foreground's probability.
        motion: float32 [T, h, w], what the temporal module adds: mean over channels of
            |temporal(maps) - maps|.
        first_layer: float32 [T, h, w], mean over channels of the gait network's first activation.
    """

    silhouettes: Maps
    motion: Maps
    first_layer: Maps


@dataclass(frozen=True, slots=True)
class FrameViews:
    """What a model makes of T frames.

    Attributes:
        attention: float32 [T, K, rows, columns], of each patch over the K tokens (they sum to one);
            None without text.
        model: As the model is.
        textless: The same weights without text; None without such a view.
    """

    attention: Maps | None
    model: View
    textless: View | None


class Views(Ability):
    """Pictures of the parts of a model."""

    capability = "views"

    @abstractmethod
    def frame_size(self, model: nn.Module) -> tuple[int, int]:
        """(H, W) of the frames that the model takes here."""

    @abstractmethod
    def reach(self, model: nn.Module) -> int:
        """Frames before and after a frame that its temporal module looks at."""

    @abstractmethod
    def of_frames(self, model: nn.Module, frames: Tensor, places: Sequence[int]) -> FrameViews:
        """What the model makes of some frames.

        Args:
            model: In eval mode.
            frames: uint8 [t, 3, H, W] in time order, with the context of those that are shown.
            places: Of the frames that are shown, rising.
        """

    @abstractmethod
    def silhouettes(self, model: nn.Module, frames: Tensor) -> Tensor:
        """The foreground's probability, float [n, 1, h, w], of frames uint8 [n, 3, H, W]."""

    @abstractmethod
    def prompt(self, config: FamilyConfig) -> str:
        """Name or file of the prompt; empty for a model without text."""

    @abstractmethod
    def words(self, config: FamilyConfig) -> list[Word]:
        """The words of the prompt, each with its tokens.

        Raises:
            UsageError, WeightsError: the prompt's file or its tokenizer is gone.
        """

    @abstractmethod
    def motion(self, config: FamilyConfig) -> str | None:
        """Name of what its temporal module adds; None without one."""

    @abstractmethod
    def notes(self, config: FamilyConfig) -> tuple[str, ...]:
        """Which views such a model does not have, and why."""


class EncoderFeatures(StoredFeatures):
    """Of families on a frozen image encoder: what that encoder gives."""

    def encoder(self, config: FamilyConfig) -> ImageEncoder:
        """The family's own encoder."""
        image = family_of(config).implementation().encoder(config)
        assert image is not None, "a family with stored features has an image encoder"
        return image


class EncoderFilms(Films):
    """Of families on a frozen image encoder: frames as it takes them."""

    def frame_size(self, config: FamilyConfig) -> tuple[int, int]:
        """The encoder's input, where frames of a store can be reduced to it."""
        image = encoder_settings(config)
        return reduced_size((image.height, image.width))
