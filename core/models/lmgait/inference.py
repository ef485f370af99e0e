"""The graph of inference: frames in, embeddings out, no text encoder and no Python in between."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export
from torch.fx.experimental import _config as tracing

from core.errors import ConfigError
from core.models.lmgait.network import LMGait
from core.records import FRAME_HEIGHT, FRAME_WIDTH

PixelType = Literal["uint8", "float32"]


class InferenceGraph(nn.Module):
    """LMGait for clips of one length, with z_text as a constant.

    It computes what :meth:`core.models.lmgait.network.LMGait.embed` computes for each clip, after
    the reduction of frames that ``lmgait embed`` does on the processor.

    Args:
        model: In eval mode; its text features are computed here once and kept.
        reduced: (H, W) to which frames of a store are reduced before the encoder's own resizing
            (:func:`core.data.dataset.reduced_size`).

    Raises:
        ConfigError: ``model.image.skip_padding`` is on: which columns are seen depends on each
            frame, which no fixed graph can follow.
    """

    def __init__(self, model: LMGait, reduced: tuple[int, int]) -> None:
        super().__init__()
        if model.image.skip_padding:
            raise ConfigError(
                "A model that leaves padding out cannot be exported",
                where="model.image.skip_padding",
                next_step="Train one without this setting.",
            )
        with torch.no_grad():
            text = model.text_features()
        if text is not None:
            model.use_cached_text(text.detach())
        self.model = model
        self.factor = (FRAME_HEIGHT // reduced[0], FRAME_WIDTH // reduced[1])

    def forward(self, frames: Tensor) -> Tensor:
        """Embed whole clips.

        Args:
            frames: uint8 or float (0 to 255) [B, T, 3, 256, 128], RGB, in time order.

        Returns:
            float [B, E, P].
        """
        model = self.model
        pixels = _reduce(frames.flatten(0, 1).float(), self.factor)
        patches = model.image.features(model.image.prepare(pixels))
        _, maps, mask = model.represent(patches, model.text_features())
        return model.recognise(maps * mask, frames.shape[0])

    def reference(self, clip: Tensor) -> Tensor:
        """The same by the model's own way: float [E, P] of one clip uint8 [T, 3, 256, 128]."""
        return self.model.embed([_reduce(clip.float(), self.factor).to(torch.uint8)])


def _reduce(pixels: Tensor, factor: tuple[int, int]) -> Tensor:
    """Area means rounded as the loader's OpenCV rounds them: halves up at 2x2, else to even."""
    if factor == (1, 1):
        return pixels
    means = F.avg_pool2d(pixels, factor)
    return torch.floor(means + 0.5) if factor == (2, 2) else torch.round(means)


def trace(graph: InferenceGraph, pixels: PixelType = "uint8") -> ExportedProgram:
    """The graph as a ``torch.export`` program with dynamic batch and length (two frames or more).

    Args:
        graph: On the CPU.
        pixels: The type of the frames it shall take.
    """
    kind = torch.uint8 if pixels == "uint8" else torch.float32
    sample = torch.zeros(2, 5, 3, FRAME_HEIGHT, FRAME_WIDTH, dtype=kind)
    # Without this, the differences of two frames would be taken for a case of their own.
    general = tracing.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    dynamic = {"frames": {0: Dim("batch"), 1: Dim("length", min=2)}}
    with torch.no_grad(), general:
        return export(graph.eval(), (sample,), dynamic_shapes=dynamic)
