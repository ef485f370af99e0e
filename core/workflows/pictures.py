"""Pictures of what a model sees, as tensors for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from core.data.dataset import ClipBatch
from core.models.representation import foreground

SHOWN = 8


@torch.no_grad()
def silhouette_rows(batch: ClipBatch, predict: Callable[[Tensor], Tensor]) -> Mapping[str, Tensor]:
    """Three rows of pictures: frames, true silhouettes, predicted ones.

    Args:
        batch: On the device.
        predict: From frames uint8 [n, 3, H, W] to silhouette logits [n, 2, h, w].

    Returns:
        ``silhouettes``: float [3, height, width] in [0, 1].
    """
    frames = batch.frames[:SHOWN]
    mask = foreground(predict(frames).float())
    size = frames.shape[-2:]
    true = batch.silhouettes[: len(frames), None].float() / 255
    parts = [frames.float() / 255] + [
        F.interpolate(part, size).expand(-1, 3, -1, -1) for part in (true, mask)
    ]
    return {"silhouettes": torch.cat([torch.cat(list(part), dim=-1) for part in parts], 1).cpu()}
