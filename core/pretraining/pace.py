"""Consistent sizes, and the duration of a training step."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from core.errors import UsageError
from core.models.backbones.sizes import CLIP_TEXT, DINOV2, size_of
from core.pretraining.recipe import Recipe
from core.pretraining.scenes import HEIGHT, ROWS, WIDTH, Pictures
from core.pretraining.train import Trainer
from core.training.pace import Pace
from core.training.pace import measure as pace


def check_sizes(recipe: Recipe) -> None:
    """Refuse sizes that are unknown or whose patches do not fit pictures and labels.

    Raises:
        ConfigError: an unknown size; the nearest is named.
        UsageError: a patch that does not fit.
    """
    size_of(CLIP_TEXT, recipe.text, "--text")
    patch = size_of(DINOV2, recipe.image, "--image").patch
    if HEIGHT % patch or WIDTH % patch or ROWS % (HEIGHT // patch):
        fitting = [n for n, s in DINOV2.items() if HEIGHT % s.patch == 0 and s.image == WIDTH]
        raise UsageError(
            f"Patches of {patch} pixels do not fit pictures of {HEIGHT}x{WIDTH}",
            where="--image",
            next_step=f"Use {', '.join(fitting)}.",
        )


def pace_of(recipe: Recipe, pictures: Pictures) -> Pace:
    """Seconds of a step of training, from a few real ones; nothing is kept of them."""
    trainer = Trainer(recipe, pictures)

    def steps() -> Iterator[float]:
        for number in count():
            trainer.step(number)
            yield 1

    return pace(steps())
