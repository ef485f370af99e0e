"""Pictures of what a model sees, as tensors for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from core.data.dataset import ClipBatch
from core.models.backbones.prompts import CLIP_BEGIN_OF_TEXT
from core.models.backbones.sizes import CLIP_END_OF_TEXT
from core.models.lmgait.network import LMGait
from core.models.lmgait.representation import foreground

SHOWN = 8


def word_attention(model: LMGait, patches: Tensor) -> Tensor | None:
    """Where the sentence looks: the strongest attention of any token, each frame from 0 to 1.

    Args:
        model: The model in training, with its prompt's tokens.
        patches: float [n, N, C].

    Returns:
        float [n, rows, columns]; None without text.
    """
    weights = model.attention_maps(patches)
    if weights is None:
        return None
    ids = cast(Tensor, model.tokens)[cast(Tensor, model.kept)]
    inner = (ids != CLIP_BEGIN_OF_TEXT) & (ids != CLIP_END_OF_TEXT)
    looked = weights[..., inner].amax(-1).unflatten(1, model.image.grid)
    low, high = looked.amin(dim=(1, 2), keepdim=True), looked.amax(dim=(1, 2), keepdim=True)
    return cast(Tensor, (looked - low) / (high - low).clamp(min=1e-9))


def few(batch: ClipBatch) -> ClipBatch:
    """The first frames of the batch, flipped as in training, enough for a row of pictures."""
    whole = batch.mirrored()
    return ClipBatch(
        None if whole.frames is None else whole.frames[:SHOWN],
        None if whole.patches is None else whole.patches[:SHOWN].float(),
        whole.silhouettes[:SHOWN],
        whole.valid[:SHOWN],
        whole.labels,
        whole.flips,
        whole.sequences,
    )


def picture_rows(
    batch: ClipBatch, logits: Tensor, attention: Tensor | None = None
) -> Mapping[str, Tensor]:
    """Rows of pictures: frames (where there are any), true and predicted silhouettes, attention.

    Args:
        batch: The frames that were looked at, on the device (see :func:`few`).
        logits: Silhouette logits [n, 2, h, w].
        attention: float [n, rows, columns] in [0, 1], if there is text.

    Returns:
        ``silhouettes`` and, with attention, ``attention``: float [3, height, width] in [0, 1].
    """
    frames, true = batch.frames, batch.silhouettes[:, None].float() / 255
    size = true.shape[-2:] if frames is None else frames.shape[-2:]
    above = [] if frames is None else [frames.float() / 255]
    rows = {"silhouettes": [*above, _grey(true, size), _grey(foreground(logits.float()), size)]}
    if attention is not None:
        rows["attention"] = [*above, _grey(attention[:, None].float(), size)]
    return {name: torch.cat([torch.cat(list(r), dim=-1) for r in found], 1).cpu()
            for name, found in rows.items()}  # fmt: skip


def _grey(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(maps, size).expand(-1, 3, -1, -1)
