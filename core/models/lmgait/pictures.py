"""Pictures of what a model sees, as tensors for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from torch import Tensor

from core.data.dataset import ClipBatch
from core.models.backbones.prompts import CLIP_BEGIN_OF_TEXT
from core.models.backbones.sizes import CLIP_END_OF_TEXT
from core.models.lmgait.network import LMGait
from core.models.lmgait.representation import foreground
from core.models.pictures import below_frames


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
    true = batch.silhouettes[:, None].float() / 255
    rows = {"silhouettes": below_frames(batch, [true, foreground(logits.float())])}
    if attention is not None:
        rows["attention"] = below_frames(batch, [attention[:, None]])
    return rows
