"""Train small image and text encoders from nothing, on rendered pictures and sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from pydantic import ValidationError

from core.errors import DataError, UsageError
from core.pretraining.cache import load_pictures
from core.pretraining.measure import Metrics, measure
from core.pretraining.pace import check_sizes, pace_of
from core.pretraining.recipe import Recipe
from core.pretraining.record import (
    LOG,
    METRICS,
    PICTURES,
    RECORD,
    STEPS,
    WORK,
    Record,
    record_of,
    write_record,
)
from core.pretraining.results import encoders_at_start, load_encoders, save_encoders, write_card
from core.pretraining.scenes import Pictures
from core.pretraining.train import train
from core.pretraining.unseen import render_unseen
from core.progress import Progress
from core.system.files import read_plain_json, remove, write_text
from core.system.locks import writing

UNSEEN_SUBJECTS = 64
_FIRST_UNSEEN = 76


@dataclass(frozen=True, slots=True)
class PretrainingResult:
    """A finished pre-training.

    Attributes:
        folder: With ``image``, ``text`` and the card.
        recipe: How they were trained.
        bytes: Of both encoders.
        metrics, start: What was measured of them, and of the encoders before training.
        losses: The last ones.
        seconds: How long this call took.
    """

    folder: Path
    recipe: Recipe
    bytes: int
    metrics: Metrics
    start: Metrics
    losses: Mapping[str, float]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "folder": str(self.folder),
            "recipe": self.recipe.model_dump(mode="json"),
            "bytes": self.bytes,
            "metrics": asdict(self.metrics),
            "start": asdict(self.start),
            "losses": dict(self.losses),
            "seconds": self.seconds,
        }


def recipe_of(**values: object) -> Recipe:
    """A recipe with other values than usual (raises ``UsageError`` for one out of range)."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"{first['msg']}, not {first['input']}",
            where=f"--{first['loc'][0]}",
            next_step="Give a value within the bounds.",
        ) from None


def pretrain_encoders(
    out: Path,
    *,
    recipe: Recipe,
    minutes: float | None,
    workers: int,
    progress: Progress,
    subjects: int = UNSEEN_SUBJECTS,
) -> PretrainingResult:
    """Render, train, write and measure; or go on with that where it stopped.

    Pictures and checkpoints lie in ``work`` below ``out`` until the encoders are measured. Equal
    recipes give equal encoders on one machine with as many threads.

    Args:
        out: Folder to fill.
        recipe: What to do.
        minutes: Time for all of it, from which the number of steps follows, once, when a folder is
            begun; None for the recipe's own steps.
        workers: Processes that render.
        progress: Told of what happens.
        subjects: Walkers to measure on, at least two.

    Raises:
        UsageError, ConfigError: sizes that do not exist or do not fit.
        DataError: ``out`` holds something else, or a training with other settings.
        OutputError: ``out`` cannot be written to, or another process does.
        TrainingError: a loss is not finite.
        Interrupted: a signal came; everything is saved.
    """
    begun = monotonic()
    out = Path(out)
    check_sizes(recipe)
    record = _claim(out, recipe, timed=minutes is not None)
    with writing(out, what="folder of encoders", inside=True):
        if record.steps is not None:
            recipe = recipe.model_copy(update={"steps": record.steps})
            if (result := _finished(out, recipe, begun)) is not None:
                remove(out / WORK)
                return result
        pictures = load_pictures(out / PICTURES, recipe.seed, recipe.pictures, workers, progress)
        if record.steps is None:
            assert minutes is not None, "without a time the number of steps is known"
            steps = _affordable(recipe, pictures, 60 * minutes - (monotonic() - begun))
            record = record.model_copy(update={"steps": steps})
            write_record(out, record)
            progress.say(f"{steps} steps of {recipe.batch} pictures fit into the time.")
            recipe = recipe.model_copy(update={"steps": steps})
        trainer = train(recipe, pictures, out / STEPS, out / LOG, progress)
        size = save_encoders(out, trainer.model, recipe)
        metrics, start = _measured(out, recipe, subjects, progress)
        write_card(out, recipe, metrics, start, trainer.losses)
        result = PretrainingResult(
            out, recipe, size, metrics, start, trainer.losses, monotonic() - begun
        )
        write_text(out / METRICS, json.dumps(result.to_json(), indent=2) + "\n")
        remove(out / WORK)  # pictures and checkpoints: nothing needs them any more
    return result


def _claim(out: Path, recipe: Recipe, *, timed: bool) -> Record:
    """The record of ``out``, written where it is new."""
    record = record_of(out, recipe, timed=timed)
    if not (out / RECORD).exists():
        write_record(out, record)
    return record


def _affordable(recipe: Recipe, pictures: Pictures, seconds: float) -> int:
    """Steps that fit into the time, from a few real ones."""
    return max(1, int(seconds / pace_of(recipe, pictures).seconds))


def _measured(
    out: Path, recipe: Recipe, subjects: int, progress: Progress
) -> tuple[Metrics, Metrics]:
    """Metrics of the encoders as they lie on the disk, and of those from the seed."""
    with progress.task("Measuring", 3, "parts") as task:
        unseen = render_unseen([f"{_FIRST_UNSEEN + n:03d}" for n in range(subjects)])
        task.advance()
        metrics = measure(*load_encoders(out, recipe), unseen)
        task.advance()
        start = measure(*encoders_at_start(recipe), unseen)
        task.advance()
    return metrics, start


def _finished(out: Path, recipe: Recipe, begun: float) -> PretrainingResult | None:
    """The result of a training that is complete; None where something is left to do."""
    path = out / METRICS
    if not path.exists():
        return None
    try:
        facts = read_plain_json(path)
        metrics, start = (Metrics(**facts[name]) for name in ("metrics", "start"))
        losses, size = dict(facts["losses"]), int(facts["bytes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"The metrics of these encoders are damaged: {error}",
            where=path,
            next_step="Delete this file and run the same command again.",
        ) from None
    return PretrainingResult(out, recipe, size, metrics, start, losses, monotonic() - begun)
