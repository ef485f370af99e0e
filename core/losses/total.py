"""The overall loss (eq. 18)."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather as gather_with_gradient

from core.config.schema import LossConfig
from core.losses.diversity import diversity_loss
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
        The total, and its weighted parts by name.
    """
    everyone, all_labels = gather(embedding, labels)
    parts = {
        "triplet": config.triplet * triplet_loss(everyone, all_labels, config.margin),
        "cross_entropy": config.cross_entropy
        * identity_loss(logits.float(), labels, config.scale, config.label_smoothing),
        "smoothness": config.smoothness * smoothness_loss(maps.float()),
        "diversity": config.diversity * diversity_loss(maps.float(), config.diversity_form),
    }
    if supervise:
        parts["silhouette"] = config.silhouette * silhouette_loss(
            silhouette_logits.float(), silhouettes, valid
        )
    return Losses(torch.stack(list(parts.values())).sum(), parts)


def gather(embedding: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings and labels of all processes, gradients included; one process gets its own back.

    Every process computes the same triplet loss over the global batch. Its gradient is summed over
    processes on the way back and averaged by the data-parallel wrapper, which leaves that of one
    process on the whole batch.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return embedding, labels
    everyone = torch.cat(gather_with_gradient(embedding.contiguous()))
    others = [torch.empty_like(labels) for _ in range(dist.get_world_size())]
    dist.all_gather(others, labels)
    return everyone, torch.cat(others)
