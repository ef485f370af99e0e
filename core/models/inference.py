"""A model's inference as one graph: clips in, embeddings out, no Python in between."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export
from torch.fx.experimental import _config as tracing

from core.data.augment import side_columns
from core.data.dataset import reduced_size
from core.errors import ConfigError
from core.inputs import SilhouetteInput
from core.models.backbones.image import ImageEncoder
from core.models.silhouettes import SILHOUETTES_IN_WORDS
from core.records import FRAME_HEIGHT, FRAME_WIDTH, POSE_SHAPE

PixelType = Literal["uint8", "float32"]
Embed = Callable[[Iterable[Any]], Tensor]


class InferenceGraph(nn.Module, ABC):
    """A model for clips of one length, as other programs run it.

    It computes what the family's ``embed`` computes of each clip, after what ``lmgait embed`` does
    with a store's frames on the processor.

    Args:
        model: In eval mode, without a classifier.
        embed: The family's own way: the embedding float [E, P] of one whole sequence in chunks.
        frame: Shape of one frame of the input.

    Attributes:
        input_name: Name of the input.
        content: What its pixels are.
        values: Of what range its values are.
        highest: The largest of them, where they are whole numbers.
        only_type: The input's type where there is no choice; None: uint8 or float32.
        shortest: Fewest frames of a clip that a ``torch.export`` program takes: those of which a
            model makes two in time. ONNX takes any number.
    """

    input_name: ClassVar[str]
    content: str
    values: str = "0-255"
    highest: ClassVar[int] = 255
    only_type: ClassVar[PixelType | None] = None
    shortest: ClassVar[int] = 2

    def __init__(self, model: nn.Module, embed: Embed, frame: tuple[int, ...]) -> None:
        super().__init__()
        self.model, self.embed, self.frame = model, embed, frame

    @abstractmethod
    def reference(self, clip: Tensor) -> Tensor:
        """The embedding float [E, P] of one clip uint8 [T, *frame], by the family's own way."""

    @abstractmethod
    def metadata(self, header: Mapping[str, Any]) -> dict[str, str]:
        """What an exported file says of this kind of model, beside what it says of all.

        Args:
            header: Of the model's checkpoint.
        """


class SilhouetteGraph(InferenceGraph):
    """A model on silhouettes, which takes float [B, 1, T, H, W] in [0, 1].

    Args:
        model: In eval mode, without a classifier.
        embed: As for :class:`InferenceGraph`.
        settings: Which silhouettes it takes, and their rows.
    """

    input_name = "silhouettes"
    content = "foreground"

    def __init__(self, model: nn.Module, embed: Embed, settings: SilhouetteInput) -> None:
        size = settings.size
        super().__init__(model, embed, (size, size - 2 * side_columns(size, size)))
        self.kind = SILHOUETTES_IN_WORDS[settings.silhouettes]

    def forward(self, silhouettes: Tensor) -> Tensor:
        """Embed whole clips.

        Args:
            silhouettes: uint8 or float (0 to 255) [B, T, H, W], in time order.

        Returns:
            float [B, E, P].
        """
        return cast(Tensor, self.model((silhouettes.float() / 255).unsqueeze(1)).embedding)

    def reference(self, clip: Tensor) -> Tensor:
        """The embedding float [E, P] of one clip uint8 [T, H, W]."""
        return self.embed([clip])

    def metadata(self, header: Mapping[str, Any]) -> dict[str, str]:
        """Which silhouettes it was trained on, and how pixels are normalised."""
        del header
        return {"silhouettes": self.kind, "normalisation": "inside: divided by 255"}


class MapGraph(InferenceGraph):
    """A model on skeleton maps of 64x64 pixels, which takes float [B, 2, T, 64, 44] in [0, 1].

    Args:
        model: In eval mode, without a classifier.
        embed: As for :class:`InferenceGraph`.
    """

    input_name = "maps"
    content = "limbs and joints"

    def __init__(self, model: nn.Module, embed: Embed) -> None:
        super().__init__(model, embed, (2, 64, 44))

    def forward(self, maps: Tensor) -> Tensor:
        """Embed whole clips.

        Args:
            maps: uint8 or float (0 to 255) [B, T, 2, 64, 44], in time order.

        Returns:
            float [B, E, P].
        """
        return cast(Tensor, self.model((maps.float() / 255).transpose(1, 2)).embedding)

    def reference(self, clip: Tensor) -> Tensor:
        """The embedding float [E, P] of one clip uint8 [T, 2, 64, 44]."""
        return self.embed([clip])

    def metadata(self, header: Mapping[str, Any]) -> dict[str, str]:
        """How pixels are normalised."""
        del header
        return {"normalisation": "inside: divided by 255"}


class PoseGraph(InferenceGraph):
    """A model on poses; its ``represent`` takes float [B, T, 17, 3] and gives float [B, E, P].

    Args:
        model: In eval mode, without a classifier.
        embed: As for :class:`InferenceGraph`.
    """

    input_name = "poses"
    content = "joints of COCO-17"
    values = "x and y in pixels of the source, confidence; zeros where a joint is missing"
    only_type = "float32"

    def __init__(self, model: nn.Module, embed: Embed) -> None:
        super().__init__(model, embed, POSE_SHAPE)

    def forward(self, poses: Tensor) -> Tensor:
        """Embed whole clips: float32 [B, T, 17, 3], in time order, to float [B, E, P]."""
        return cast(Tensor, self.model.represent(poses))  # type: ignore[operator]

    def reference(self, clip: Tensor) -> Tensor:
        """The embedding float [E, P] of one clip [T, 17, 3]."""
        return self.embed([clip.float()])

    def metadata(self, header: Mapping[str, Any]) -> dict[str, str]:
        """Nothing more than the input says."""
        del header
        return {}


class EncoderGraph(InferenceGraph):
    """A model on a frozen image encoder, its module ``image``.

    Args:
        model: In eval mode, without a classifier.
        embed: As for :class:`InferenceGraph`.

    Raises:
        ConfigError: ``model.image.skip_padding`` is on: which columns the encoder gets depends on
            each frame, which no fixed graph can follow.
    """

    input_name = "frames"
    content = "RGB"

    def __init__(self, model: nn.Module, embed: Embed) -> None:
        super().__init__(model, embed, (3, FRAME_HEIGHT, FRAME_WIDTH))
        image = self.image
        if image.skip_padding:
            raise ConfigError(
                "A model that leaves padding out cannot be exported",
                where="model.image.skip_padding",
                next_step="Train one without this setting.",
            )
        height, width = reduced_size((image.height, image.width))
        self.factor = (FRAME_HEIGHT // height, FRAME_WIDTH // width)

    @property
    def image(self) -> ImageEncoder:
        """The image encoder."""
        return cast(ImageEncoder, self.model.get_submodule("image"))

    def forward(self, frames: Tensor) -> Tensor:
        """Embed whole clips.

        Args:
            frames: uint8 or float (0 to 255) [B, T, 3, 256, 128], RGB, in time order.

        Returns:
            float [B, E, P].
        """
        pixels = reduce_frames(frames.flatten(0, 1).float(), self.factor)
        patches = self.image.features(self.image.prepare(pixels))
        return self.embeddings(patches, frames.shape[0])

    def embeddings(self, patches: Tensor, clips: int) -> Tensor:
        """Embeddings float [B, E, P] of the encoder's features float [B*T, N, C] of B clips."""
        return cast(Tensor, self.model(None, patches, clips).embedding)

    def reference(self, clip: Tensor) -> Tensor:
        """The embedding float [E, P] of one clip uint8 [T, 3, 256, 128]."""
        return self.embed([reduce_frames(clip.float(), self.factor).to(torch.uint8)])

    def metadata(self, header: Mapping[str, Any]) -> dict[str, str]:
        """Size of the encoder's input, and how pixels are normalised."""
        del header
        image = self.image
        mean, std = (
            [round(float(value) / 255, 6) for value in cast(Tensor, part).flatten()]
            for part in (image.mean, image.std)
        )
        return {
            "encoder_size": f"{image.height}x{image.width}",
            "normalisation": f"inside: mean {mean}, std {std} of values 0-1",
        }


def reduce_frames(pixels: Tensor, factor: tuple[int, int]) -> Tensor:
    """Area means rounded as the loader's OpenCV rounds them: halves up at 2x2, else to even.

    Args:
        pixels: float [n, 3, H, W], whole numbers.
        factor: Pixels of a mean, in height and in width.
    """
    if factor == (1, 1):
        return pixels
    means = F.avg_pool2d(pixels, factor)
    return torch.floor(means + 0.5) if factor == (2, 2) else torch.round(means)


def trace(graph: InferenceGraph, pixels: PixelType = "uint8") -> ExportedProgram:
    """The graph as a ``torch.export`` program with dynamic batch and length.

    Args:
        graph: On the CPU.
        pixels: Type of its input, where it has a choice.
    """
    kind = torch.uint8 if (graph.only_type or pixels) == "uint8" else torch.float32
    sample = torch.zeros(2, 3 + graph.shortest, *graph.frame, dtype=kind)
    # Without this, the differences of two frames would be taken for a case of their own.
    general = tracing.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    dynamic = {graph.input_name: {0: Dim("batch"), 1: Dim("length", min=graph.shortest)}}
    # Of a length in time that is not the clip's own, torch cannot prove what it asks for.
    checked = graph.shortest > InferenceGraph.shortest
    with torch.no_grad(), general:
        return export(
            graph.eval(),
            (sample,),
            dynamic_shapes=dynamic,
            prefer_deferred_runtime_asserts_over_guards=checked,
        )
