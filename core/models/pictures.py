"""Rows of pictures of a batch, as tensors for TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from core.data.dataset import ClipBatch

SHOWN = 8


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


def below_frames(batch: ClipBatch, maps: Sequence[Tensor]) -> Tensor:
    """Rows of pictures, one below the other, float [3, height, width] in [0, 1].

    Args:
        batch: The frames that were looked at (see :func:`few`): the first row, where there are any.
        maps: float [n, 1, h, w] in [0, 1] each, for a grey row of the frames' size; without frames,
            of the silhouettes'.
    """
    frames = batch.frames
    size = batch.silhouettes.shape[-2:] if frames is None else frames.shape[-2:]
    rows = [] if frames is None else [frames.float() / 255]
    rows += [F.interpolate(one.float(), size).expand(-1, 3, -1, -1) for one in maps]
    return torch.cat([torch.cat(list(row), dim=-1) for row in rows], 1).cpu()
