"""Supervised contrastive loss (Khosla et al., NeurIPS 2020), on distances."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.triplet import strip_distances


def contrastive_loss(embedding: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """``-1/|P(a)| sum_{p in P(a)} log(exp(s_ap / t) / sum_{b != a} exp(s_ab / t))``.

    s is minus the Euclidean distance of embeddings that are scaled to length 1, P(a) the other
    clips of a's identity; the mean over all a that have any, then over strips.

    Args:
        embedding: float [B, E, P].
        labels: int [B].
        temperature: t, 0.01 in GaitGraph2.

    Returns:
        Scalar; zero where no identity has two clips.
    """
    scores = strip_distances(F.normalize(embedding, dim=1)) / -temperature
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    positive = (labels[:, None] == labels[None, :]) & ~itself
    chances = scores - scores.masked_fill(itself, -torch.inf).logsumexp(2, keepdim=True)
    number = positive.sum(1)
    mean = chances.masked_fill(~positive, 0).sum(2) / number.clamp(min=1)
    return -(mean.sum(1) / (number > 0).sum().clamp(min=1)).mean()
