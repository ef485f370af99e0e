"""Variants of a pre-training at equal CPU time.

``python -m benchmarks.pretraining FOLDER --seconds 600 [VARIANT ...]`` trains each variant on the
same pictures (rendered into FOLDER once) for as many steps as fit into so many seconds of one
processor, measures all of them on the same unseen walkers, and prints a line of JSON each. A
variant is the name of a size of the image encoder, with settings of the recipe behind it:
``tiny-patch8:batch=16,lr=0.002``.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from core.pretraining.cache import load_pictures
from core.pretraining.measure import measure
from core.pretraining.pace import check_sizes
from core.pretraining.recipe import Recipe
from core.pretraining.results import load_encoders, save_encoders
from core.pretraining.scenes import Pictures
from core.pretraining.train import Trainer
from core.pretraining.unseen import Unseen, render_unseen
from core.progress import SilentProgress
from core.workflows.pretrain_encoders import recipe_of

VARIANTS = ("tiny-patch8", "tiny-patch4", "tiny-patch4-wide", "tiny")
_WARM, _TIMED = 2, 5
_WALKERS = 64


def parsed(variant: str, pictures: int) -> Recipe:
    """Parse a variant into a recipe."""
    image, _, options = variant.partition(":")
    settings = dict(part.split("=", 1) for part in options.split(",") if part)
    recipe = recipe_of(image=image, pictures=pictures, **settings)
    check_sizes(recipe)
    return recipe


def pace(recipe: Recipe, pictures: Pictures) -> float:
    """CPU seconds per step."""
    trainer = Trainer(recipe, pictures)
    for number in range(_WARM):
        trainer.step(number)
    start = time.process_time()
    for number in range(_WARM, _WARM + _TIMED):
        trainer.step(number)
    return (time.process_time() - start) / _TIMED


def compare(
    recipe: Recipe, pictures: Pictures, unseen: Unseen, seconds: float, folder: Path
) -> dict[str, Any]:
    """Train one variant for its share of the time, and measure the result."""
    each = pace(recipe, pictures)
    recipe = recipe.model_copy(update={"steps": max(1, int(seconds / each))})
    trainer = Trainer(recipe, pictures)
    start = time.process_time()
    for number in range(recipe.steps):
        trainer.step(number)
    spent = time.process_time() - start
    count = save_encoders(folder, trainer.model, recipe)
    image, text = load_encoders(folder, recipe)
    start = time.process_time()
    frames = torch.from_numpy(unseen.images).permute(0, 3, 1, 2)
    image(frames)
    return {
        "recipe": recipe.model_dump(mode="json"),
        "cpu_seconds": spent,
        "pictures_per_cpu_second": recipe.steps * recipe.batch / spent,
        "frames_per_cpu_second_at_inference": len(frames) / (time.process_time() - start),
        "bytes": count,
        "losses": trainer.losses,
        **asdict(measure(image, text, unseen)),
    }


def main() -> None:
    """Print one JSON object for each variant."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pretraining", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("variants", nargs="*", default=VARIANTS)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--pictures", type=int, default=8_000)
    arguments = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    start = time.process_time()
    recipes = [parsed(variant, arguments.pictures) for variant in arguments.variants]
    place = arguments.folder / "pictures"
    pictures = load_pictures(place, 0, arguments.pictures, 1, SilentProgress())
    rendering = time.process_time() - start
    print(
        json.dumps({"rendering_cpu_seconds": rendering, "pictures": arguments.pictures}), flush=True
    )
    unseen = render_unseen([f"{76 + number:03d}" for number in range(_WALKERS)])
    for variant, recipe in zip(arguments.variants, recipes, strict=True):
        place = arguments.folder / variant.replace(":", "-").replace(",", "-")
        result = compare(recipe, pictures, unseen, arguments.seconds, place)
        print(json.dumps({"variant": variant, **result}), flush=True)


if __name__ == "__main__":
    main()
