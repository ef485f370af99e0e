"""Observers of the loop: TensorBoard and a JSON-lines log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from torch import Tensor

from core.progress import Progress
from core.system.files import output_errors, write_text


class Observer(Protocol):
    """Receives each logged step."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record the numbers of one step."""

    def images(self, step: int, pictures: Mapping[str, Tensor]) -> None:
        """Record pictures float [3, H, W] in [0, 1]."""

    def close(self) -> None:
        """Flush and close."""


class JsonLines:
    """A log with one JSON object per line, ``log.jsonl``.

    On resume the lines after the resumed step are dropped first, so that each step is logged once.
    """

    def __init__(self, path: Path, start: int) -> None:
        lines = []
        if path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    if json.loads(line)["step"] <= start:
                        lines.append(line + "\n")
                except (ValueError, KeyError, TypeError, RecursionError):
                    continue  # an incomplete line of a killed process
        write_text(path, "".join(lines), parents=False)
        self._path, self._file = path, path.open("a", encoding="utf-8")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line."""
        with output_errors(self._path):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()

    def images(self, step: int, pictures: Mapping[str, Tensor]) -> None:
        """Ignore pictures."""

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # unwritten data of a full disk, already reported
            self._file.close()


class TensorBoard:
    """Scalars and pictures for TensorBoard, below ``folder``."""

    def __init__(self, folder: Path, start: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder = folder
        with output_errors(folder):
            folder.mkdir(exist_ok=True)
            self._writer = SummaryWriter(str(folder), purge_step=start + 1 if start else None)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write each number under its own name."""
        with output_errors(self._folder):
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def images(self, step: int, pictures: Mapping[str, Tensor]) -> None:
        """Write each picture under its own name."""
        with output_errors(self._folder):
            for name, picture in pictures.items():
                self._writer.add_image(name, picture, step)

    def close(self) -> None:
        """Flush."""
        with suppress(OSError):  # must not hide another error
            self._writer.close()


def observers_in(folder: Path, start: int, progress: Progress) -> list[Observer]:
    """Create a run's observers: ``log.jsonl`` and ``tensorboard/`` in its folder, from ``start``.

    Raises:
        OutputError: they cannot be written.
    """
    log, board = JsonLines(folder / "log.jsonl", start), folder / "tensorboard"
    try:
        str(board).encode()
    except UnicodeEncodeError:
        progress.say(
            "TensorBoard cannot use a folder whose name is not UTF-8: see log.jsonl instead."
        )
        return [log]
    return [log, TensorBoard(board, start)]
