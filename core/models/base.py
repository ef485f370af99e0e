"""What a family implements: building its model, a training pass, embedding, and its checkpoints.

Each family has one :class:`Implementation`, which its settings name without importing torch
(:class:`core.models.family.Family`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor, nn

from core.data.clips import FrameChoice
from core.data.dataset import ClipBatch
from core.errors import CheckpointError
from core.losses.total import Terms
from core.models.backbones.config import EncoderFamilyConfig
from core.models.backbones.image import ImageEncoder
from core.models.backbones.loading import SEED
from core.models.build import build_image_encoder
from core.models.capabilities import Ability
from core.models.families import family_of
from core.models.family import FamilyConfig
from core.models.fingerprints import module_fingerprint
from core.models.inference import EncoderGraph, InferenceGraph
from core.models.warmup import Warmup
from core.steps import WarmupConfig

C = TypeVar("C", bound=FamilyConfig)
E = TypeVar("E", bound=EncoderFamilyConfig)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a model, for counting parameters.

    Attributes:
        name: As printed.
        prefix: Of the names of its parameters; of several parts the first that fits counts.
        inference: Whether inference needs it.
    """

    name: str
    prefix: str
    inference: bool = True


class Implementation(ABC, Generic[C]):
    """A family's model: how it is built, trained, embedded with, and saved."""

    parts: ClassVar[tuple[Part, ...]]
    training_only: ClassVar[tuple[str, ...]] = ("neck.",)
    """Prefixes of tensors that only training needs."""
    warmups: ClassVar[tuple[Warmup[Any, Any], ...]] = ()
    """What is trained before the training, in the order of the family's settings for it."""
    abilities: ClassVar[tuple[Ability, ...]] = ()
    """One for each capability that the family names."""
    side_by_side: ClassVar[tuple[tuple[str, ...], ...] | None] = None
    """Groups of parts of equal shapes that do not follow each other, so that nothing tells them
    apart in weights of other programs; None where such weights are not read."""

    @abstractmethod
    def build(
        self, config: C, *, classes: int | None, seed: int, image: ImageEncoder | None = None
    ) -> nn.Module:
        """Build the model with weights drawn from ``seed``.

        Args:
            config: Settings of the model.
            classes: Training identities; None for inference.
            seed: Seed of all weights that are trained here.
            image: The image encoder, where the family has one and it is built already.

        Raises:
            WeightsError: weights of an encoder are missing or of another architecture.
            ConfigError: numbers that do not fit together.
        """

    @abstractmethod
    def terms(self, config: C) -> Terms:
        """Terms of its loss, by name."""

    @abstractmethod
    def forward(self, module: nn.Module, batch: ClipBatch) -> Any:  # noqa: ANN401 - its own output
        """A training pass of the model, or of what wraps it for several processes."""

    def freeze(self, config: C, model: nn.Module, step: int) -> bool:
        """Freeze what no longer trains in iteration ``step`` (from 0).

        It is asked before every iteration, the first after a resume too.

        Returns:
            Whether something is frozen now that was not before.
        """
        del config, model, step
        return False

    @abstractmethod
    def embed(self, model: nn.Module, chunks: Iterable[Any]) -> Tensor:
        """The embedding float [E, P] of one whole sequence.

        Args:
            model: In eval mode.
            chunks: In time order: frames uint8 [t, 3, H, W], silhouettes uint8 [t, H, W], or what
                else the model reads (see :class:`core.data.dataset.ClipBatch`). A family with
                several inputs gets of each chunk a dict with a tensor for each input.
        """

    @abstractmethod
    def shape(self, config: C) -> tuple[int, int]:
        """(E, P): channels and strips of an embedding."""

    @abstractmethod
    def graph(self, config: C, model: nn.Module) -> InferenceGraph:
        """Inference as one graph, which is what is exported.

        Args:
            config: Settings of the model.
            model: In eval mode, without a classifier; it may be changed.

        Raises:
            ConfigError: settings that no fixed graph can follow.
        """

    def encoder(self, config: C) -> ImageEncoder | None:
        """The frozen image encoder that the model is built on; None without one."""
        del config
        return None

    def frozen(self, model: nn.Module) -> nn.Module | None:
        """The frozen encoder of a model, whose share of the time is logged; None without one."""
        del model
        return None

    def frame_choice(self, config: C) -> FrameChoice:
        """Which frames of a sequence make a training clip of frames."""
        del config
        return FrameChoice()

    def silhouette_size(self, config: C, image: ImageEncoder) -> tuple[int, int]:
        """(h, w) of the silhouettes that come with frames."""
        del config
        return image.grid

    def pictures(self, model: nn.Module, batch: ClipBatch) -> Mapping[str, Tensor]:
        """Pictures of what the model makes of a batch, float [3, height, width] in [0, 1]."""
        del model, batch
        return {}

    def absent(self, config: C) -> tuple[str, ...]:
        """Prefixes of tensors that checkpoints do not hold."""
        del config
        return ()

    def only_trained(self, config: C) -> tuple[str, ...]:
        """Prefixes of tensors that a model for inference does not have: ``training_only``."""
        del config
        return self.training_only

    def kept(self, config: C, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a state that a checkpoint holds."""
        absent = self.absent(config)
        return {name: value for name, value in state.items() if not name.startswith(absent)}

    def header(self, model: nn.Module) -> Mapping[str, Any]:
        """What a checkpoint tells of the model, beside its settings, at this moment."""
        del model
        return {}

    header_keys: ClassVar[tuple[str, ...]] = ()
    """Texts without which a header is damaged."""

    def check_frozen(self, model: nn.Module, header: Mapping[str, Any], checkpoint: Path) -> None:
        """Compare parts that checkpoints do not hold with those of the training.

        Raises:
            WeightsError, CheckpointError: they are others.
        """
        del model, header, checkpoint

    def countable(self, config: C) -> C:
        """Settings of a model of the same sizes that needs no files."""
        return config


class EncoderImplementation(Implementation[E]):
    """A family on the features of a frozen image encoder; its module is ``model.image``.

    Batches have frames, or stored features of the encoder.
    """

    header_keys: ClassVar[tuple[str, ...]] = ("image_fingerprint",)
    image_prefix: ClassVar[str] = "image.encoder."
    final: ClassVar[bool] = False
    """Whether it needs the encoder's final features."""

    def encoder(self, config: E) -> ImageEncoder:
        """The frozen image encoder (raises ``WeightsError``, ``ConfigError``)."""
        return build_image_encoder(config.image, final=self.final)

    def forward(self, module: nn.Module, batch: ClipBatch) -> Any:  # noqa: ANN401
        """A training pass on frames or stored features."""
        return module(batch.frames, batch.patches, len(batch.labels))

    def graph(self, config: E, model: nn.Module) -> InferenceGraph:
        """Frames to embeddings, the encoder included."""
        del config
        return EncoderGraph(model, partial(self.embed, model))

    def absent(self, config: E) -> tuple[str, ...]:
        """A seeded encoder was trained by a warm-up, and is saved with the rest."""
        return () if config.image.weights == SEED else (self.image_prefix,)

    def frozen(self, model: nn.Module) -> nn.Module:
        """The frozen image encoder of a model."""
        return _image(model)

    def header(self, model: nn.Module) -> Mapping[str, Any]:
        """How frames are normalised, and the encoder's fingerprint."""
        image = _image(model)
        mean, std = image.get_buffer("mean"), image.get_buffer("std")
        return {
            "normalisation": {
                "mean": mean.flatten().tolist(),
                "std": std.flatten().tolist(),
                "height": image.height,
                "width": image.width,
            },
            "image_fingerprint": module_fingerprint(image.encoder),
        }

    def check_frozen(self, model: nn.Module, header: Mapping[str, Any], checkpoint: Path) -> None:
        """Compare the image encoder with that of the training."""
        if module_fingerprint(_image(model).encoder) != header["image_fingerprint"]:
            raise CheckpointError(
                "The image encoder's weights are not those that this model was trained with",
                where=checkpoint,
                next_step="Restore the weights named in its configuration.",
            )

    def countable(self, config: E) -> E:
        """An encoder from a seed has the parameters of a published one."""
        image = config.image.model_copy(update={"weights": SEED})
        return config.model_copy(update={"image": image})


def implementation_of(config: FamilyConfig) -> Implementation[Any]:
    """The implementation of the family that settings belong to."""
    return family_of(config).implementation()


def warmup_of(config: FamilyConfig, settings: WarmupConfig) -> Warmup[Any, Any]:
    """The warm-up, of the family that settings belong to, that ``settings`` are of."""
    sections = [kind.section for kind in family_of(config).warmups]
    return implementation_of(config).warmups[sections.index(settings.section)]


def _image(model: nn.Module) -> ImageEncoder:
    image = model.get_submodule("image")
    assert isinstance(image, ImageEncoder)
    return image
