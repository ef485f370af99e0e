"""The overall loss: a weighted sum of terms (eq. 18), and the terms that families share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from core.losses.config import ContrastiveConfig, LossConfig, TripletConfig
from core.losses.contrastive import contrastive_loss
from core.losses.distributed import gather
from core.losses.identity import identity_loss
from core.losses.triplet import hard_triplet_loss, triplet_loss
from core.records import Losses
from core.settings import Node


class Targets(Protocol):
    """What losses compare with, of one batch of B clips of T frames.

    Attributes:
        labels: int64 [B].
        silhouettes: uint8 [B*T, h, w], share of the foreground x 255.
        valid: bool [B*T], False where a frame has no usable silhouette.
    """

    @property
    def labels(self) -> Tensor: ...  # noqa: D102

    @property
    def silhouettes(self) -> Tensor: ...  # noqa: D102

    @property
    def valid(self) -> Tensor: ...  # noqa: D102


class Recognition(Protocol):
    """Outputs that recognition learns from.

    Attributes:
        embedding: float [B, E, P].
        logits: float [B, classes, P], cosines; None without a classifier.
    """

    @property
    def embedding(self) -> Tensor: ...  # noqa: D102

    @property
    def logits(self) -> Tensor | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class LossTerm:
    """One term of a loss.

    Attributes:
        weight: Its weight, of the settings.
        value: The term, a scalar, of the settings, the model's output and the batch; None where
            this output has no such term. With several processes it is one's own share; gradients,
            averaged over processes, are those of one process on the whole batch.
    """

    weight: Callable[[Any], float]
    value: Callable[[Any, Any, Targets], Tensor | None]


Terms = Mapping[str, LossTerm]


def total_loss(terms: Terms, config: Node, output: object, batch: Targets) -> Losses:
    """Weighted sum of terms.

    Args:
        terms: A family's terms by name.
        config: Weights and forms.
        output: The model's output.
        batch: What it is compared with.

    Returns:
        The total, and its weighted parts by name.
    """
    parts: dict[str, Tensor] = {}
    for name, term in terms.items():
        value = term.value(config, output, batch)
        if value is not None:
            parts[name] = term.weight(config) * value
    return Losses(torch.stack(list(parts.values())).sum(), parts)


def _triplet(config: TripletConfig, output: Recognition, batch: Targets) -> Tensor:
    embedding, labels = gather(output.embedding, batch.labels)
    return triplet_loss(embedding, labels, config.margin)


def _hard_triplet(config: TripletConfig, output: Recognition, batch: Targets) -> Tensor:
    embedding, labels = gather(output.embedding, batch.labels)
    return hard_triplet_loss(embedding, labels, config.margin)


def _contrastive(config: ContrastiveConfig, output: Recognition, batch: Targets) -> Tensor:
    embedding, labels = gather(output.embedding, batch.labels)
    return contrastive_loss(embedding, labels, config.temperature)


def _cross_entropy(config: LossConfig, output: Recognition, batch: Targets) -> Tensor | None:
    if output.logits is None:
        return None
    return identity_loss(output.logits.float(), batch.labels, config.scale, config.label_smoothing)


TRIPLET: Terms = {"triplet": LossTerm(lambda config: config.triplet, _triplet)}
_IDENTITY = LossTerm(lambda config: config.cross_entropy, _cross_entropy)
RECOGNITION: Terms = {**TRIPLET, "cross_entropy": _IDENTITY}
HARD_RECOGNITION: Terms = {
    "triplet": LossTerm(lambda config: config.triplet, _hard_triplet),
    "cross_entropy": _IDENTITY,
}
CONTRASTIVE: Terms = {"contrastive": LossTerm(lambda config: config.contrastive, _contrastive)}
