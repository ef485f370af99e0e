"""Batches of a training: pictures and their small random changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.pretraining.people import PEOPLE
from core.pretraining.recipe import Recipe
from core.pretraining.scenes import Pictures
from core.synthetic.seeds import stream


@dataclass(frozen=True, slots=True)
class PictureBatch:
    """Pictures of one step.

    Attributes:
        images: float32 [n, 3, 128, 64] in [0, 255].
        labels: int64 [n, 64, 32].
        depths: uint8 [n, 64, 32].
    """

    images: Tensor
    labels: Tensor
    depths: Tensor


def picture_numbers(seed: int, pictures: int, batch: int, step: int) -> list[int]:
    """Numbers of the pictures of one step: rounds through all pictures, each in its own order."""
    numbers: list[int] = []
    for place in range(step * batch, (step + 1) * batch):
        turn, at = divmod(place, pictures)
        numbers.append(int(_order(seed, pictures, turn)[at]))
    return numbers


@lru_cache(maxsize=2)
def _order(seed: int, pictures: int, turn: int) -> NDArray[np.int64]:
    return stream(seed, PEOPLE, "order", str(turn)).permutation(pictures)


def batch_of(pictures: Pictures, recipe: Recipe, step: int) -> PictureBatch:
    """The batch of one step; equal numbers give equal batches."""
    numbers = picture_numbers(recipe.seed, len(pictures.images), recipe.batch, step)
    rng = stream(recipe.seed, PEOPLE, "changes", str(step))
    images = torch.from_numpy(pictures.images[numbers]).permute(0, 3, 1, 2).float()
    labels = torch.from_numpy(pictures.labels[numbers]).long()
    depths = torch.from_numpy(pictures.depths[numbers])
    flips = torch.from_numpy(rng.random(len(numbers)) < 0.5)
    images[flips] = images[flips].flip(-1)
    labels[flips], depths[flips] = labels[flips].flip(-1), depths[flips].flip(-1)
    return PictureBatch(_changed(images, rng), labels, depths)


def _changed(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Other light, colours and noise for each picture; black padding stays black."""
    n = len(images)
    padding = images.amax(1, keepdim=True) == 0
    gain = torch.from_numpy(
        np.exp(rng.normal(0, 0.15, (n, 1, 1, 1)) + rng.normal(0, 0.06, (n, 3, 1, 1)))
    )
    shift = torch.from_numpy(rng.normal(0, 8, (n, 1, 1, 1)))
    images = images * gain.float() + shift.float()
    grey = torch.from_numpy(rng.random(n) < 0.1)
    images[grey] = images[grey].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    noise = rng.standard_normal(images.shape, np.float32)
    spread = rng.uniform(0, 5, (n, 1, 1, 1)).astype(np.float32)
    images = (images + torch.from_numpy(noise * spread)).clamp(0, 255)
    return images.masked_fill(padding, 0)
