"""Triplet losses: over all valid triplets of a batch (eq. 13), and over the hardest."""

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
    same_identity = labels[:, None] == labels[None, :]
    apart = ~same_identity
    positive = same_identity & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    valid = positive[:, :, None] & apart[:, None, :]
    hinge = _listed(distance, valid, margin) if _cheap(valid) else _masked(distance, valid, margin)
    count = (hinge > 0).sum(1)
    return (hinge.sum(1) / count.clamp(min=1)).mean()


def _cheap(valid: Tensor) -> bool:
    """Whether the triplets can be listed: the host gets their number without synchronising."""
    return valid.device.type == "cpu"


def _listed(distance: Tensor, valid: Tensor, margin: float) -> Tensor:
    # P x 48^3 would be wasteful here.
    anchor, pos, neg = torch.nonzero(valid, as_tuple=True)
    return F.relu(distance[:, anchor, pos] - distance[:, anchor, neg] + margin)


def _masked(distance: Tensor, valid: Tensor, margin: float) -> Tensor:
    hinge = F.relu(distance[:, :, :, None] - distance[:, :, None, :] + margin)
    return (hinge * valid).flatten(1)


def hard_triplet_loss(embedding: Tensor, labels: Tensor, margin: float) -> Tensor:
    """``[max D(a, p) - min D(a, n) + margin]_+`` for each clip a, the mean over non-zero ones.

    (Hermans et al. 2017, "batch hard"; then the mean over strips.)

    Args:
        embedding: float [B, E, P].
        labels: int [B].
        margin: 0.3 in GPGait.

    Returns:
        Scalar; zero where no clip has both another of its identity and one of another.
    """
    distance = strip_distances(embedding)
    same_identity = labels[:, None] == labels[None, :]
    others = same_identity & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    anchors = others.any(1) & ~same_identity.all(1)
    farthest = distance.masked_fill(~others, 0).amax(2)  # no distance is below zero
    nearest = distance.masked_fill(same_identity, torch.inf).amin(2).masked_fill(~anchors, 0)
    hinge = F.relu(farthest - nearest + margin) * anchors
    count = (hinge > 0).sum(1)
    return (hinge.sum(1) / count.clamp(min=1)).mean()


def strip_distances(embedding: Tensor) -> Tensor:
    """Euclidean distances within each strip: float [P, B, B] of embeddings float [B, E, P]."""
    strips = embedding.permute(2, 0, 1)
    if embedding.dtype != torch.float64:
        strips = strips.float()
    # Differences, not |a|^2 + |b|^2 - 2ab: that loses half the digits where embeddings are close.
    # The slope of a distance of zero is taken as zero.
    return torch.cdist(strips, strips, compute_mode="donot_use_mm_for_euclid_dist")
