"""Run folders: a name, the resolved configuration, and what the run was made from."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.config import Config, check_config, dump_config
from core.config.resolve import read_yaml
from core.errors import CheckpointError, UsageError
from core.files import output_error, write_text
from core.locks import writing
from core.training.checkpoint import CheckpointFolder
from core.version import __version__

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Run:
    """One training (or warm-up) and everything it wrote.

    Attributes:
        folder: Where it lives; its last part is the run's name.
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

    def checkpoints(self, keep: int = 1) -> CheckpointFolder:
        """Its checkpoints."""
        return CheckpointFolder(self.folder / "checkpoints", keep)

    def done(self, iterations: int) -> bool:
        """Whether it reached its last iteration."""
        return iterations in self.checkpoints().steps()

    def locked(self) -> AbstractContextManager[None]:
        """Hold the run for writing (``OutputError`` where another process does)."""
        return writing(self.folder, what="run", inside=True)


def list_runs(root: Path) -> list[Run]:
    """All runs below ``root``, the oldest first."""
    if not root.is_dir():
        return []
    found = [
        _read(entry)
        for entry in root.iterdir()
        if entry.is_dir() and not entry.name.startswith(".") and (entry / "run.json").is_file()
    ]
    return sorted(found, key=lambda run: (str(run.facts["created"]), run.facts["number"]))


def find_run(root: Path, *, name: str | None, dataset: str | None) -> Run:
    """The run called ``name``, else the newest of ``dataset`` (or of all).

    Raises:
        UsageError: there is none.
    """
    runs = list_runs(root)
    if name is not None:
        chosen = [run for run in runs if run.name == name]
        known = ", ".join(run.name for run in runs) or "none yet"
        missing = f"There is no run `{name}`"
        step = f"Known runs: {known}."
    else:
        chosen = [run for run in runs if dataset in (None, run.dataset)]
        missing = "There is no trained model" + (f" for {dataset}" if dataset else "")
        step = f"Train one first: lmgait train{f' --dataset {dataset}' if dataset else ''}"
    if not chosen:
        raise UsageError(missing, where=root, next_step=step)
    return chosen[-1]


def create_run(
    root: Path,
    *,
    name: str | None,
    dataset: str,
    preset: str,
    config: Config,
    facts: Mapping[str, Any],
) -> Run:
    """Make a new run folder with its configuration, whole or not at all.

    Raises:
        UsageError: the name is taken or no plain folder name.
        OutputError: the folder cannot be written.
    """
    numbers = [run.facts["number"] for run in list_runs(root)]
    number = max(numbers, default=0) + 1
    folder = root / (name or f"{dataset}-{preset}-{number:03d}")
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise UsageError(
            f"`{name}` cannot name a run", next_step="Use letters, digits, dots and dashes."
        )
    if folder.exists():
        raise UsageError(f"The run `{folder.name}` exists already", next_step="Choose another.")
    told = {
        "format": FORMAT,
        "version": __version__,
        "dataset": dataset,
        "preset": preset,
        "number": number,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
    }
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        write_text(partial / "config.yaml", dump_config(config))
        write_text(partial / "run.json", json.dumps(told, indent=2, sort_keys=True) + "\n")
        partial.rename(folder)
    except OSError as error:
        raise output_error(error, folder) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Run(folder, config, told)


def digest(value: Any) -> str:  # noqa: ANN401 - any plain value
    """Short SHA-256 of a plain value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(folder: Path) -> Run:
    try:
        facts = json.loads((folder / "run.json").read_text("utf-8"))
        wrong = facts["format"] != FORMAT
        facts["created"], facts["number"], facts["dataset"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"The run's description is damaged: {error!r}",
            where=folder / "run.json",
            next_step="Move this run's folder out of the workspace.",
        ) from None
    if wrong:
        raise CheckpointError(
            f"The run has format {facts['format']}, this lmgait reads {FORMAT}",
            where=folder,
            next_step=f"Use lmgait {facts.get('version', 'of another version')} for it.",
        )
    tree = read_yaml(folder / "config.yaml")
    return Run(folder, check_config(tree, where=str(folder / "config.yaml")), facts)
