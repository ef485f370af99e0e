"""Settings of a pre-training, all of which decide its result."""

from __future__ import annotations

from math import cos, pi
from typing import Annotated

from pydantic import Field

from core.settings import Node, NonNegative, Positive, Seed

Rate = Annotated[float, Field(gt=0.0, le=1.0)]


class Weights(Node):
    """Weights of the losses (see :mod:`core.pretraining.objectives`)."""

    labels: NonNegative = 1.0
    depths: NonNegative = 0.5
    looking: NonNegative = 1.0
    naming: NonNegative = 0.2


class Recipe(Node):
    """A pre-training.

    ``image`` and ``text`` name sizes of :mod:`core.models.backbones.sizes`. ``pictures`` are
    rendered once and seen again, changed a little, in each round.
    """

    image: str = "tiny-patch8"
    text: str = "tiny-narrow"
    seed: Seed = 0
    pictures: Positive = 49_152
    steps: Positive = 10_000
    batch: Positive = 32
    sentences: Positive = 12
    lr: Rate = 0.002
    weight_decay: NonNegative = 0.05
    ramp: Annotated[int, Field(ge=0, le=10**6)] = 200
    clip_norm: NonNegative = 1.0
    weights: Weights = Weights()


def rate_at(recipe: Recipe, step: int) -> float:
    """The rate of step ``step`` (from 0): a linear ramp, then half a cosine down to a hundredth."""
    ramp = min(recipe.ramp, recipe.steps // 5)
    if step < ramp:
        return recipe.lr * (step + 1) / ramp
    share = (step - ramp) / max(recipe.steps - ramp, 1)
    return recipe.lr * (0.01 + 0.99 * 0.5 * (1 + cos(pi * share)))
