"""Outputs of gait networks, for the losses and for evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class GaitOutput:
    """Outputs for one batch of B clips.

    Attributes:
        embedding: float [B, E, P], before BNNeck: for the triplet loss, and the identity's
            features at test.
        logits: float [B, classes, P], cosines in [-1, 1]; None without a classifier.
    """

    embedding: Tensor
    logits: Tensor | None
