"""Cross entropy over the identities, strip by strip (eq. 14)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def identity_loss(logits: Tensor, labels: Tensor, scale: float, smoothing: float) -> Tensor:
    """Label-smoothed cross entropy of scaled cosines, the mean over sequences and strips.

    Args:
        logits: float [B, classes, P], cosines.
        labels: int [B], class numbers.
        scale: Factor of the cosines, 16.
        smoothing: Share of the target spread over all classes, 0.1.
    """
    target = labels[:, None].expand(-1, logits.shape[2])
    return F.cross_entropy(logits * scale, target, label_smoothing=smoothing)
