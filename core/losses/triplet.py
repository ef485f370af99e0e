"""Triplet loss over all valid triplets of a batch (eq. 13)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def triplet_loss(embedding: Tensor, labels: Tensor, margin: float) -> Tensor:
    """``[D(a, p) - D(a, n) + margin]_+``, the mean over non-zero triplets, then over strips.

    Args:
        embedding: float [B, E, P].
        labels: int [B].
        margin: The paper's m, 0.2.

    Returns:
        Scalar; zero where a batch holds no valid triplet with a positive loss.
    """
    distance = strip_distances(embedding)
    same = labels[:, None] == labels[None, :]
    apart = ~same
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    valid = positive[:, :, None] & apart[:, None, :]
    # Rows of the flat list are the valid (a, p, n) of the batch; P x 48^3 would be wasteful.
    anchor, pos, neg = torch.nonzero(valid, as_tuple=True)
    hinge = F.relu(distance[:, anchor, pos] - distance[:, anchor, neg] + margin)
    count = (hinge > 0).sum(1)
    return (hinge.sum(1) / count.clamp(min=1)).mean()


def strip_distances(embedding: Tensor) -> Tensor:
    """Euclidean distances within each strip: float [P, B, B] of embeddings float [B, E, P]."""
    strips = (
        embedding.permute(2, 0, 1).float()
        if embedding.dtype != torch.float64
        else (embedding.permute(2, 0, 1))
    )
    squares = strips.square().sum(-1)
    product = strips @ strips.transpose(1, 2)
    distance = (squares[:, :, None] + squares[:, None, :] - 2 * product).clamp(min=0)
    # The root's slope at zero is infinite: the diagonal must not reach the gradient.
    return torch.where(distance > 0, (distance + (distance == 0)).sqrt(), 0.0)
