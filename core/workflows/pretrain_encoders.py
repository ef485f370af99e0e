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
from core.files import PARTIAL_SUFFIX, read_plain_json, remove, write_text
from core.locks import writing
from core.models.backbones.sizes import CLIP_TEXT, DINOV2, size_of
from core.pretraining.cache import load_pictures
from core.pretraining.measure import Metrics, measure
from core.pretraining.recipe import Recipe
from core.pretraining.results import (
    load_encoders,
    save_encoders,
    seeded_encoders,
    write_card,
)
from core.pretraining.scenes import HEIGHT, ROWS, WIDTH, Pictures
from core.pretraining.train import Trainer, train
from core.pretraining.unseen import render_unseen
from core.progress import Progress
from core.settings import Node
from core.version import __version__

RECORD = "pretraining.json"
METRICS, LOG = "metrics.json", "log.jsonl"
WORK = "work"
FORMAT = 1
UNSEEN_SUBJECTS = 24
_PACE_STEPS = 3
_FIRST_UNSEEN = 76


class Record(Node):
    """What a folder of encoders is about.

    ``steps`` is None until the pace of the machine was measured.
    """

    format: int = FORMAT
    about: str = "Encoders trained on computer-generated pictures; no real person."
    version: str = __version__
    recipe: Recipe
    steps: int | None


@dataclass(frozen=True, slots=True)
class PretrainingResult:
    """A finished pre-training.

    Attributes:
        folder: With ``image``, ``text`` and the card.
        recipe: How they were trained.
        bytes: Of both encoders.
        trained, seeded: What was measured of them, and of what the seed drew.
        losses: The last ones.
        seconds: How long this call took.
    """

    folder: Path
    recipe: Recipe
    bytes: int
    trained: Metrics
    seeded: Metrics
    losses: Mapping[str, float]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "folder": str(self.folder), "recipe": self.recipe.model_dump(mode="json"),
            "bytes": self.bytes, "trained": asdict(self.trained), "seeded": asdict(self.seeded),
            "losses": dict(self.losses), "seconds": self.seconds,
        }  # fmt: skip


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
        pictures = load_pictures(
            out / WORK / "pictures", recipe.seed, recipe.pictures, workers, progress
        )
        if record.steps is None:
            assert minutes is not None, "without a time the number of steps is known"
            steps = _affordable(recipe, pictures, 60 * minutes - (monotonic() - begun))
            record = record.model_copy(update={"steps": steps})
            _write(out, record)
            progress.say(f"{steps} steps of {recipe.batch} pictures fit into the time.")
            recipe = recipe.model_copy(update={"steps": steps})
        trainer = train(recipe, pictures, out / WORK / "checkpoints", out / LOG, progress)
        count = save_encoders(out, trainer.model, recipe)
        trained, seeded = _measured(out, recipe, subjects, progress)
        write_card(out, recipe, trained, seeded, trainer.losses)
        result = PretrainingResult(
            out, recipe, count, trained, seeded, trainer.losses, monotonic() - begun
        )
        write_text(out / METRICS, json.dumps(result.to_json(), indent=2) + "\n")
        remove(out / WORK)  # pictures and checkpoints: nothing needs them any more
    return result


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


def _claim(out: Path, recipe: Recipe, *, timed: bool) -> Record:
    """The record of ``out``, which is new, or of the same training."""
    path = out / RECORD
    if path.exists():
        record = _read(path)
        steps = None if timed else recipe.steps
        same = recipe.model_copy(update={"steps": record.recipe.steps})
        other = _differences(record.recipe, same)
        if record.version != __version__:
            other.append("version")
        if steps is not None and record.steps != steps:
            other.append("steps")
        if other:
            raise DataError(
                f"The folder holds a training with other settings (different: {', '.join(other)})",
                where=path,
                next_step="Choose another folder, give the same settings, or delete this one.",
            )
        return record
    if out.exists() and (not out.is_dir() or any(map(_foreign, out.iterdir()))):
        raise DataError(
            "The folder is not empty and holds no encoders of ours",
            where=out,
            next_step="Choose a new or empty folder.",
        )
    record = Record(recipe=recipe, steps=None if timed else recipe.steps)
    _write(out, record)
    return record


def _foreign(path: Path) -> bool:
    """Whether something else than a killed run of ours has put it here."""
    return not (path.name[0] == "." and path.name.endswith((PARTIAL_SUFFIX, ".lock", ".owner")))


def _read(path: Path) -> Record:
    try:
        return Record.model_validate(read_plain_json(path))
    except (OSError, ValueError, ValidationError) as error:
        raise DataError(
            f"The record of this training is damaged: {str(error).splitlines()[0]}",
            where=path,
            next_step="Delete the folder and train again.",
        ) from None


def _write(out: Path, record: Record) -> None:
    write_text(out / RECORD, json.dumps(record.model_dump(mode="json"), indent=2) + "\n")


def _differences(one: Recipe, other: Recipe) -> list[str]:
    pairs = zip(one.model_dump().items(), other.model_dump().values(), strict=True)
    return [name for (name, value), second in pairs if value != second]


def _affordable(recipe: Recipe, pictures: Pictures, seconds: float) -> int:
    """Steps that fit into the time, from a few real ones."""
    trainer = Trainer(recipe.model_copy(update={"steps": 1000}), pictures)
    trainer.step(0)
    begun = monotonic()
    for number in range(1, 1 + _PACE_STEPS):
        trainer.step(number)
    pace = (monotonic() - begun) / _PACE_STEPS
    return max(1, int(seconds / pace))


def _measured(
    out: Path, recipe: Recipe, subjects: int, progress: Progress
) -> tuple[Metrics, Metrics]:
    """Metrics of the encoders as they lie on the disk, and of those from the seed."""
    with progress.task("Measuring", 3, "parts") as task:
        unseen = render_unseen([f"{_FIRST_UNSEEN + n:03d}" for n in range(subjects)])
        task.advance()
        trained = measure(*load_encoders(out, recipe), unseen)
        task.advance()
        seeded = measure(*seeded_encoders(recipe), unseen)
        task.advance()
    return trained, seeded


def _finished(out: Path, recipe: Recipe, begun: float) -> PretrainingResult | None:
    """The result of a training that is complete; None where something is left to do."""
    path = out / METRICS
    if not path.exists():
        return None
    try:
        facts = read_plain_json(path)
        trained, seeded = (Metrics(**facts[name]) for name in ("trained", "seeded"))
        losses, count = dict(facts["losses"]), int(facts["bytes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"The metrics of these encoders are damaged: {error}",
            where=path,
            next_step="Delete this file and run the same command again.",
        ) from None
    return PretrainingResult(out, recipe, count, trained, seeded, losses, monotonic() - begun)
