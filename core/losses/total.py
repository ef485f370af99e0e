"""The overall loss (eq. 18)."""

from __future__ import annotations

import torch
from torch import Tensor

from core.config.schema import LossConfig
from core.losses.diversity import channel_mass, diversity_loss
from core.losses.everyone import gather, total, weight_of
from core.losses.identity import identity_loss
from core.losses.silhouette import silhouette_loss
from core.losses.smoothness import smoothness_loss
from core.losses.triplet import triplet_loss
from core.records import Losses


def total_loss(
    config: LossConfig,
    *,
    embedding: Tensor,
    logits: Tensor,
    silhouette_logits: Tensor,
    maps: Tensor,
    labels: Tensor,
    silhouettes: Tensor,
    valid: Tensor,
    supervise: bool,
) -> Losses:
    """Weighted sum of the five losses (eq. 18).

    Args:
        config: Weights and forms.
        embedding: float [B, E, P].
        logits: float [B, classes, P], cosines.
        silhouette_logits: float [B*T, 2, h, w].
        maps: float [B*T, C, h, w].
        labels: int64 [B].
        silhouettes: float [B*T, h, w] in [0, 1].
        valid: bool [B*T].
        supervise: Have the silhouette loss.

    Returns:
        The total, and its weighted parts by name. With several processes these are one's own share;
        the gradients, averaged over processes, are those of one process on the whole batch.
    """
    everyone, all_labels = gather(embedding, labels)
    parts = {
        "triplet": config.triplet * triplet_loss(everyone, all_labels, config.margin),
        "cross_entropy": config.cross_entropy
        * identity_loss(logits.float(), labels, config.scale, config.label_smoothing),
        "smoothness": config.smoothness * smoothness_loss(maps.float()),
        "diversity": config.diversity
        * diversity_loss(maps.float(), config.diversity_form, total(channel_mass(maps.float()))),
    }
    if supervise:
        own = silhouette_loss(silhouette_logits.float(), silhouettes, valid)
        parts["silhouette"] = config.silhouette * own * weight_of(valid.sum())
    return Losses(torch.stack(list(parts.values())).sum(), parts)
