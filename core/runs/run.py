"""Run folders: name, resolved configuration and provenance of a run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.config import Config, check_config, dump_config
from core.config.resolve import read_yaml
from core.errors import CheckpointError, ConfigError, LmgaitError, OutputError, UsageError
from core.models.families import DEFAULT_FAMILY, FAMILIES, has
from core.models.family import Capability
from core.progress import Progress
from core.steps import OptimizerConfig
from core.system.files import (
    PARTIAL_SUFFIX,
    hidden_path,
    output_error,
    output_errors,
    read_plain_json,
    remove_leftovers,
    write_text,
)
from core.system.locks import writing
from core.system.suggestions import known_names
from core.training.checkpoint import CheckpointFolder
from core.version import __version__

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Run:
    """One training (or warm-up) and everything it wrote.

    Attributes:
        folder: Its folder, whose name is the run's name.
        config: The resolved configuration, saved with the run.
        facts: ``dataset``, ``preset``, ``store`` (fingerprint), ``created``, ``number`` and more.
    """

    folder: Path
    config: Config
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The run's name."""
        return self.folder.name

    @property
    def dataset(self) -> str:
        """The dataset it was trained on."""
        return str(self.facts["dataset"])

    def checkpoints(self, settings: OptimizerConfig | None = None) -> CheckpointFolder:
        """Its checkpoints; a writer passes ``settings`` for the number to keep."""
        folder = self.folder / "checkpoints"
        if settings is None:
            return CheckpointFolder(folder, keep=1)
        return CheckpointFolder(folder, settings.keep, settings.checkpoint_every)

    def iterations(self) -> int:
        """Number of finished iterations: that of the newest complete checkpoint, 0 without one."""
        checkpoints = self.checkpoints()
        return next((s for s in reversed(checkpoints.steps()) if checkpoints.whole(s)), 0)

    def done(self, iterations: int) -> bool:
        """Whether it reached its last iteration."""
        return self.iterations() >= iterations

    def tidy(self, settings: OptimizerConfig) -> None:
        """Finish the clean-up of a process that was killed right after its last checkpoint."""
        with suppress(OutputError, OSError), self.locked():
            self.checkpoints(settings).prune()

    def locked(self) -> AbstractContextManager[None]:
        """Lock the run for writing (``OutputError`` if another process holds the lock)."""
        return writing(self.folder, what="run", inside=True)


def list_runs(root: Path, progress: Progress | None = None) -> list[Run]:
    """The readable runs below ``root``, oldest first; the others are reported.

    The order is that of their numbers, because a clock may have been set back.
    """
    runs = []
    for folder in _folders(root):
        try:
            runs.append(_read(folder))
        except LmgaitError as error:
            if progress is not None:
                progress.say(f"The run {folder.name} is skipped: {error}")
    return sorted(runs, key=lambda run: (run.facts["number"], str(run.facts["created"])))


def find_run(
    root: Path,
    *,
    name: str | None,
    dataset: str | None,
    or_any: bool = False,
    family: str | None = None,
    capability: Capability | None = None,
    progress: Progress | None = None,
) -> Run:
    """The run named ``name``, or the newest readable one of ``dataset`` (or of all).

    Args:
        root: Folder of the runs.
        name: Name of the run; None for the newest.
        dataset: Its training dataset; None for any.
        or_any: Return the newest of all if none was trained on ``dataset``.
        family: Family of its model; None for any.
        capability: Prefer the newest whose family has this capability.
        progress: Reports runs that cannot be read.

    Raises:
        UsageError: there is no such run or family.
        CheckpointError, ConfigError: the description of the run ``name`` is damaged.
    """
    if name is not None and (damaged := root / name) in _folders(root):
        return _read(damaged)
    runs = list_runs(root, progress)
    if name is not None:
        candidates = [run for run in runs if run.name == name]
        names = ", ".join(run.name for run in runs) or "none yet"
        missing = f"There is no run `{name}`"
        step = f"Known runs: {names}."
    else:
        if family is not None and family not in FAMILIES:
            raise UsageError(
                f"There is no model `{family}`", next_step=known_names(family, tuple(FAMILIES))
            )
        runs = [run for run in runs if family in (None, run.config.model.family)]
        candidates = [run for run in runs if dataset in (None, run.dataset)] or (
            runs if or_any else []
        )
        if capability is not None:
            candidates = [
                run for run in candidates if has(run.config.model, capability)
            ] or candidates
        title = "model" if family is None else FAMILIES[family].title
        missing = f"There is no trained {title}" + (f" for {dataset}" if dataset else "")
        options = (("--model", family), ("--dataset", dataset))
        words = "".join(f" {option} {value}" for option, value in options if value)
        step = f"Train one first: lmgait train{words}"
    if not candidates:
        raise UsageError(missing, where=root, next_step=step)
    return candidates[-1]


def create_run(
    root: Path,
    *,
    name: str | None,
    stem: str | None = None,
    dataset: str,
    preset: str,
    config: Config,
    facts: Mapping[str, Any],
) -> Run:
    """Create a run folder with its configuration, atomically.

    The caller holds :func:`adding_runs`. Without a ``name`` it is named after ``stem`` (with a
    number if that is in use), or after dataset and preset.

    Raises:
        UsageError: the name is in use or not a plain folder name.
        OutputError: the folder cannot be written.
    """
    number = max((run.facts["number"] for run in list_runs(root)), default=0) + 1
    # Unreadable folders and folders that are not runs keep their names.
    if name is None and stem is not None:
        names = (stem, *(f"{stem}-{n}" for n in range(2, 2 + sum(1 for _ in root.iterdir()))))
        label = next(one for one in names if not (root / one).exists())
    elif name is None:
        family = "" if config.model.family == DEFAULT_FAMILY else f"{config.model.family}-"
        while (root / (label := f"{dataset}-{family}{preset}-{number:03d}")).exists():
            number += 1
    else:
        label = name
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", name):
            raise UsageError(
                f"`{name}` is not a valid run name",
                next_step="Use letters, digits, dots, dashes and plus signs.",
            )
    folder = root / label
    if folder.exists():
        raise UsageError(f"The run `{folder.name}` exists already", next_step="Choose another.")
    settings = dump_config(config)
    description = {
        "format": FORMAT,
        "version": __version__,
        "dataset": dataset,
        "preset": preset,
        "number": number,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": digest(settings),
        **facts,
    }
    partial = hidden_path(folder, f".{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        partial.mkdir(parents=True)
        write_text(partial / "config.yaml", settings)
        write_text(partial / "run.json", json.dumps(description, indent=2, sort_keys=True) + "\n")
        partial.rename(folder)
    except OSError as error:
        raise output_error(error, folder) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Run(folder, config, description)


def digest(value: Any) -> str:  # noqa: ANN401 - any plain value
    """Short SHA-256 of a plain value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def adding_runs(root: Path) -> Iterator[None]:
    """Lock ``root`` while a run is searched for and created, so that none is created twice.

    Raises:
        OutputError: another process holds the lock for long, or the folder is not writable.
    """
    with output_errors(root):
        root.mkdir(parents=True, exist_ok=True)
    with writing(root, what="folder of runs", inside=True, wait=10.0):
        remove_leftovers(root)
        yield


def _folders(root: Path) -> list[Path]:
    """Folders of runs, including damaged ones."""
    if not root.is_dir():
        return []
    return [
        entry
        for entry in root.iterdir()
        if entry.is_dir() and not entry.name.startswith(".") and (entry / "run.json").is_file()
    ]


def _read(folder: Path) -> Run:
    try:
        facts = read_plain_json(folder / "run.json")
        wrong = facts["format"] != FORMAT
        kinds = (("created", str), ("number", int), ("dataset", str))
        if fault := [key for key, kind in kinds if not isinstance(facts[key], kind)]:
            raise ValueError(f"{fault[0]} is {str(facts[fault[0]])[:50]!r}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"The run's description is damaged: {str(error)[:300] or type(error).__name__}",
            where=folder / "run.json",
            next_step="Move this run's folder out of the workspace.",
        ) from None
    if wrong:
        raise CheckpointError(
            f"The run has format {facts['format']}, this lmgait reads {FORMAT}",
            where=folder,
            next_step=f"Use lmgait {facts.get('version', 'of another version')} for it.",
        )
    return Run(folder, _config(folder / "config.yaml", facts), facts)


def _config(path: Path, facts: Mapping[str, Any]) -> Config:
    try:
        tree = read_yaml(path)
        # A truncated file would still parse, because missing keys have defaults: compare digests.
        actual = digest(path.read_text("utf-8"))
        if actual != facts.get("config", actual):
            raise CheckpointError(
                "The run's settings are not those that it was created with",
                where=path,
                next_step="Move this run's folder out of the workspace.",
            )
        return check_config(tree)
    except ConfigError as error:
        raise CheckpointError(
            f"The run's configuration is of lmgait {facts.get('version')}, this is {__version__}:\n"
            f"{error.what}",
            where=path,
            next_step="Use that lmgait for this run, or move its folder out of the workspace.",
        ) from None
