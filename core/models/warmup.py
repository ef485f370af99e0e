"""What a family trains before its training: a part of the model, alone or on the image encoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, cast

from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.inputs import Input
from core.models.backbones.config import EncoderFamilyConfig
from core.models.backbones.image import ImageEncoder
from core.models.family import FamilyConfig
from core.steps import WarmupConfig

C = TypeVar("C", bound=FamilyConfig)
E = TypeVar("E", bound=EncoderFamilyConfig)
S = TypeVar("S", bound=WarmupConfig)


class WarmupModel(nn.Module):
    """The image encoder and the part that a warm-up trains, under their names in the whole model.

    Args:
        image: The image encoder.
        train_encoder: Whether it trains along; only for one from a seed.
    """

    def __init__(self, image: ImageEncoder, *, train_encoder: bool = False) -> None:
        super().__init__()
        self.image, self.train_encoder = image, train_encoder
        if train_encoder:
            image.thaw_used()

    def encode(self, frames: Tensor | None, patches: Tensor | None) -> Tensor:
        """Features float [n, N, C] of the encoder.

        Args:
            frames: uint8 [n, 3, H, W]; or None with ``patches``.
            patches: float [n, N, C], features of the frozen encoder from a store; or None.
        """
        if self.train_encoder:
            return self.image.features(self.image.prepare(cast(Tensor, frames)))
        if patches is None:
            return cast(Tensor, self.image(cast(Tensor, frames)))
        return patches.float()


class Warmup(ABC, Generic[C, S]):
    """A warm-up of a family.

    What it leaves is what the part has at the start of the training. Trainings whose settings give
    equal :meth:`deciding` share one. Its settings say how its batches are drawn: see
    :class:`core.steps.SpreadWarmupConfig` and :class:`core.steps.IdentityWarmupConfig`.
    """

    prefix: ClassVar[str]
    """Of the names of the part's tensors, in the warm-up and in the whole model."""
    inputs: ClassVar[frozenset[Input] | None] = None
    """What it reads, of a family without an image encoder; None: all that the family reads."""

    @abstractmethod
    def build(self, config: C, settings: S, classes: int, image: ImageEncoder | None) -> nn.Module:
        """A new part, drawn from torch's generator.

        Args:
            config: Settings of the model.
            settings: Of the warm-up.
            classes: Training identities.
            image: The image encoder; None for a family without one.
        """

    @abstractmethod
    def losses(self, settings: S, module: nn.Module, batch: ClipBatch) -> Mapping[str, Tensor]:
        """Weighted scalars of a training pass by name, whose sum is the loss.

        With several processes each is one's own share, as in :class:`core.losses.total.LossTerm`.

        Args:
            settings: Of the warm-up.
            module: What :meth:`build` made, or what wraps it for several processes.
            batch: On the device, mirrored where its clips are.
        """

    def pictures(self, model: Any, batch: ClipBatch) -> Mapping[str, Tensor]:  # noqa: ANN401
        """Pictures of what the part makes of a batch, float [3, height, width] in [0, 1]."""
        del model, batch
        return {}

    @abstractmethod
    def deciding(self, config: C) -> Mapping[str, Any]:
        """Settings of the model that decide the part's weights, as plain values by name."""


class EncoderWarmup(Warmup[E, S]):
    """A warm-up of a part that stands on the image encoder."""

    def build(self, config: E, settings: S, classes: int, image: ImageEncoder | None) -> nn.Module:
        """A new part on ``image``."""
        del classes
        assert image is not None, "a family on an image encoder has one"
        return self.on_encoder(config, settings, image)

    @abstractmethod
    def on_encoder(self, config: E, settings: S, image: ImageEncoder) -> WarmupModel:
        """A new part, drawn from torch's generator, on ``image``."""
