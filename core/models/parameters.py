"""Parameters of a model, part by part."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from core.models.base import implementation_of
from core.models.family import FamilyConfig


@dataclass(frozen=True, slots=True)
class PartCount:
    """Parameters of one part.

    Attributes:
        name: Its name.
        trainable: Parameters that the training changes.
        frozen: Parameters that it does not change (an encoder from a seed learns in the warm-up).
        inference: Whether inference with a cached text needs the part.
    """

    name: str
    trainable: int
    frozen: int
    inference: bool


def count_parts(config: FamilyConfig, classes: int | None) -> tuple[PartCount, ...]:
    """Count the parameters of each part, on torch's meta device: no weights, no memory.

    Args:
        config: Settings of the model.
        classes: Training identities; None counts no classifier.

    Raises:
        ConfigError: Numbers that do not fit together.
    """
    family = implementation_of(config)
    model = family.countable(config)
    with torch.device("meta"):
        built = family.build(model, classes=classes, seed=0)
    counts = {part.name: [0, 0] for part in family.parts}
    for parameter, value in built.named_parameters():
        part = next(part for part in family.parts if parameter.startswith(part.prefix))
        counts[part.name][0 if value.requires_grad else 1] += value.numel()
    return tuple(
        PartCount(part.name, counts[part.name][0], counts[part.name][1], part.inference)
        for part in family.parts
        if sum(counts[part.name])
    )
