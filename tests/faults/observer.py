"""Looks at a tree of files while a command runs: whatever is visible has to be whole."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from core.training.checkpoint import load_tensors
from tests.faults.worlds import content, visible

CHECKPOINT = {"model.safetensors", "training.safetensors"}


class Observer:
    """Checks every visible file below ``root`` that is new or has changed, until the block ends.

    Args:
        root: The tree.
        expected: What files hold in the end, by name; those that deviate have to parse at least.

    Attributes:
        faults: What was not whole.
    """

    def __init__(self, root: Path, expected: Mapping[str, Any]) -> None:
        self.root, self.expected = root, expected
        self.faults: list[str] = []
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Observer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()
        self.look()

    def _watch(self) -> None:
        while not self._end.is_set():
            self.look()
            time.sleep(0.01)

    def look(self) -> None:
        """Check all that is new, once."""
        for path in visible(self.root):
            name = str(path.relative_to(self.root))
            try:
                if path.is_dir():
                    self._folder(path, name)
                else:
                    self._file(path, name)
            except FileNotFoundError:
                continue  # pruned or replaced between the listing and the look

    def _folder(self, path: Path, name: str) -> None:
        if path.name.startswith("step-"):
            there = {entry.name for entry in path.iterdir()}
            if there != CHECKPOINT and path.is_dir():
                self.faults.append(f"{name} holds {sorted(there)}")

    def _file(self, path: Path, name: str) -> None:
        state = path.stat()
        seen = (state.st_ino, state.st_size, state.st_mtime_ns)
        if self._seen.get(name) == seen:
            return
        self._seen[name] = seen
        try:
            if not whole(path, self.expected.get(name)):
                self.faults.append(f"{name} is not whole")
        except FileNotFoundError:
            raise
        except Exception as error:
            if path.exists() and path.stat().st_ino == state.st_ino:
                self.faults.append(f"{name}: {type(error).__name__}: {error}")


def whole(path: Path, expected: Any) -> bool:
    """Whether a file is what it will be in the end, or an earlier state that is as whole."""
    if path.name == "log.jsonl":
        lines = path.read_text().split("\n")[:-1]
        return all(json.loads(line)["step"] > 0 for line in lines)
    if expected is not None and content(path) == expected:
        return True
    if path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".safetensors":
        load_tensors(path)
    elif path.suffix == ".npz":
        with np.load(path) as file:
            return all(file[name].size >= 0 for name in file.files)
    elif path.suffix == ".h5":
        with h5py.File(path, "r", locking=False) as file:
            return len(file) > 0
    else:
        return expected is None and path.stat().st_size > 0
    return True
