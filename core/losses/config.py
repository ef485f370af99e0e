"""Settings of the losses that families share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from core.settings import Node, NonNegative


class TripletConfig(Node):
    """The triplet loss: its weight and its margin."""

    triplet: NonNegative = 1.0
    margin: NonNegative = 0.2


class LossConfig(TripletConfig):
    """Triplet loss and cross entropy: weights and forms."""

    cross_entropy: NonNegative = 1.0
    scale: Annotated[float, Field(gt=0)] = 16.0
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1


class ContrastiveConfig(Node):
    """The supervised contrastive loss: its weight and its temperature."""

    contrastive: NonNegative = 1.0
    temperature: Annotated[float, Field(gt=0)] = 0.01
