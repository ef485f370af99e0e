"""The losses of GaitEdge: those of recognition, and that of its segmentation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.total import RECOGNITION, LossTerm, Targets, Terms
from core.models.gaitedge.config import GaitEdgeLosses
from core.models.gaitedge.network import EdgeOutput, SegmentationOutput


def segmentation_loss(output: SegmentationOutput) -> Tensor:
    """Binary cross entropy of the foreground with the masks, the mean over pixels and frames.

    A scalar, in float32 or wider.
    """
    kind = torch.promote_types(output.foreground.dtype, torch.float32)
    return F.binary_cross_entropy_with_logits(output.foreground.to(kind), output.masks.to(kind))


def _segmentation(config: GaitEdgeLosses, output: EdgeOutput, batch: Targets) -> Tensor:
    del config, batch
    return segmentation_loss(output)


TERMS: Terms = {
    **RECOGNITION,
    "segmentation": LossTerm(lambda config: config.segmentation, _segmentation),
}
