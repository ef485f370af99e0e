"""Pictures of what GaitEdge makes of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from core.data.dataset import ClipBatch
from core.models.gaitedge.align import MEAN, STD
from core.models.gaitedge.network import GaitEdge, Segmentation
from core.models.pictures import below_frames, few


def shape_pictures(model: Segmentation, batch: ClipBatch) -> Mapping[str, Tensor]:
    """Squashed frames; below them their masks and what the U-Net takes for the foreground.

    Of the whole model, the silhouettes that it makes of both come last.
    """
    sample = few(batch)
    with torch.no_grad():
        people = model.people(cast(Tensor, sample.frames), sample.silhouettes)
        foreground = model.segmentation(people.pictures)
        rows = [people.masks, torch.sigmoid(foreground)]
        if isinstance(model, GaitEdge):
            rows.append(model.shapes(people, foreground))
    colours = [
        255 * (one * std + mean)
        for one, mean, std in zip(people.pictures.unbind(1), MEAN, STD, strict=True)
    ]
    squashed = replace(sample, frames=torch.stack(colours, 1))
    return {"silhouettes": below_frames(squashed, rows)}
