"""What families that read no frames have in common: silhouettes, poses, maps and others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.data.sources import MapDrawing
from core.data.stream_clips import PoseChange
from core.losses.total import RECOGNITION, Terms
from core.models.backbones.image import ImageEncoder
from core.models.base import Implementation
from core.models.build import seeded
from core.models.inference import InferenceGraph, SilhouetteGraph
from core.models.layers.initialise import initialise
from core.models.silhouettes import SilhouetteFamilyConfig
from core.models.streams import StreamFamilyConfig

T = TypeVar("T", bound=StreamFamilyConfig)
S = TypeVar("S", bound=SilhouetteFamilyConfig)


class StreamImplementation(Implementation[T]):
    """A family that reads no frames."""

    loss_terms: ClassVar[Terms] = RECOGNITION
    drawing: ClassVar[MapDrawing | None] = None
    """How its skeleton maps are drawn; None for a family that reads none."""

    @abstractmethod
    def network(self, config: T, classes: int) -> nn.Module:
        """The network; its weights are drawn anew afterwards.

        Args:
            config: Settings of the model.
            classes: Training identities; 0 for inference.

        Raises:
            ConfigError: numbers that do not fit together.
        """

    def initialise(self, model: nn.Module) -> None:
        """Draw the weights that published gait networks start from."""
        initialise(model)

    def build(
        self, config: T, *, classes: int | None, seed: int, image: ImageEncoder | None = None
    ) -> nn.Module:
        """Build the network, and draw its weights."""
        del image
        with seeded(seed):
            model = self.network(config, classes or 0)
            self.initialise(model)
        return model

    def terms(self, config: T) -> Terms:
        """Terms of its loss: the same for all settings."""
        del config
        return self.loss_terms

    def shape(self, config: T) -> tuple[int, int]:
        """(E, P), of the settings."""
        return config.embedding, config.strips

    def pose_change(self, config: T, flip: float) -> PoseChange | None:
        """How training clips of poses are changed at random; None leaves them as they are.

        Args:
            config: Settings of the model.
            flip: ``data.flip``, the probability of a mirrored clip.

        Returns:
            A function of a module, or a ``partial`` of one: worker processes get it.
        """
        del config, flip
        return None


class SilhouetteImplementation(StreamImplementation[S]):
    """A family on silhouettes; its module takes float [B, 1, T, H, W] in [0, 1]."""

    def forward(self, module: nn.Module, batch: ClipBatch) -> Any:  # noqa: ANN401
        """A training pass on silhouettes."""
        clips = batch.silhouettes.float() / 255
        return module(clips.unflatten(0, (len(batch.labels), -1)).unsqueeze(1))

    def embed(self, model: nn.Module, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding float [E, P] of silhouettes uint8 [t, H, W] in time order."""
        embedding: Tensor = model.embed((chunk.float() / 255)[:, None] for chunk in chunks)  # type: ignore[operator]
        return embedding

    def graph(self, config: S, model: nn.Module) -> InferenceGraph:
        """Silhouettes to embeddings."""
        return SilhouetteGraph(model, partial(self.embed, model), config.input)
