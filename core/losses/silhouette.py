"""Silhouette supervision (eq. 17)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from core.records import BACKGROUND, FOREGROUND


def silhouette_loss(logits: Tensor, silhouettes: Tensor, valid: Tensor) -> Tensor:
    """Binary cross entropy of the foreground, the mean over pixels and valid frames.

    A frame without a valid silhouette is left out, not counted as empty.

    Args:
        logits: float [n, 2, h, w]; channel 1 is the foreground.
        silhouettes: float [n, h, w] in [0, 1].
        valid: bool [n].

    Returns:
        Scalar; zero where no frame is valid.
    """
    # softmax over two channels is a sigmoid of their difference
    margin = logits[:, FOREGROUND] - logits[:, BACKGROUND]
    pixels = F.binary_cross_entropy_with_logits(margin, silhouettes, reduction="none")
    frames = pixels.mean(dim=(1, 2))
    return (frames * valid).sum() / valid.sum().clamp(min=1)
