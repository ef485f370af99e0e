"""Record of a folder of encoders, and the training state in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from core.errors import DataError
from core.pretraining.recipe import Recipe
from core.settings import Node
from core.system.files import PARTIAL_SUFFIX, read_plain_json, write_text
from core.training.checkpoint import CheckpointFolder
from core.version import __version__

RECORD, METRICS, LOG, WORK = "pretraining.json", "metrics.json", "log.jsonl", "work"
PICTURES, STEPS = Path(WORK, "pictures"), Path(WORK, "checkpoints")
FORMAT: Literal[1] = 1


class Record(Node):
    """Record of a folder of encoders.

    ``steps`` is None until the pace of the machine was measured.
    """

    format: Literal[1] = FORMAT
    about: str = "Encoders trained on computer-generated pictures; no real person."
    version: str = __version__
    recipe: Recipe
    steps: int | None


def steps_done(out: Path) -> int:
    """Steps of the newest checkpoint in ``out``."""
    return max(CheckpointFolder(out / STEPS, keep=1).steps(), default=0)


def record_of(out: Path, recipe: Recipe, *, timed: bool) -> Record:
    """The record of ``out``, which is that of the same training; else a new one.

    Args:
        out: The folder, which need not exist.
        recipe: What is asked for.
        timed: The pace of the machine decides its steps, unless that is done already.

    Raises:
        DataError: ``out`` holds something else, or a training with other settings.
    """
    path = out / RECORD
    if path.exists():
        record = read_record(path)
        steps = None if timed else recipe.steps
        comparable = recipe.model_copy(update={"steps": record.recipe.steps})
        other = _differences(record.recipe, comparable)
        if record.version != __version__:
            other.append("version")
        if steps is not None and record.steps != steps:
            other.append("steps")
        if other:
            raise DataError(
                f"The folder holds a training with other settings (different: {', '.join(other)})",
                where=path,
                next_step="Choose another folder, use the same settings, or delete this one.",
            )
        return record
    if out.exists() and (not out.is_dir() or any(map(_foreign, out.iterdir()))):
        raise DataError(
            "The folder is not empty and holds no encoders of ours",
            where=out,
            next_step="Choose a new or empty folder.",
        )
    return Record(recipe=recipe, steps=None if timed else recipe.steps)


def _foreign(path: Path) -> bool:
    """Whether something else than a killed run of ours has put it here."""
    return not (path.name[0] == "." and path.name.endswith((PARTIAL_SUFFIX, ".lock", ".owner")))


def read_record(path: Path) -> Record:
    """Read a record (raises ``DataError`` for one that is damaged or missing)."""
    try:
        return Record.model_validate(read_plain_json(path))
    except (OSError, ValueError) as error:
        reason = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise DataError(
            f"The record of this training is damaged, or of another lmgait: {reason}",
            where=path,
            next_step="Delete the folder and train again.",
        ) from None


def write_record(out: Path, record: Record) -> None:
    """Write the record of ``out`` (raises ``OutputError``)."""
    write_text(out / RECORD, json.dumps(record.model_dump(mode="json"), indent=2) + "\n")


def _differences(one: Recipe, other: Recipe) -> list[str]:
    pairs = zip(one.model_dump().items(), other.model_dump().values(), strict=True)
    return [name for (name, value), second in pairs if value != second]
