"""Report of skipped data of one sequence, with reasons."""

# ruff: noqa: PTH117 - plain strings: millions of names pass here
from __future__ import annotations

import os
from pathlib import Path

from core.records import SequenceKey
from core.video.faults import Effect, LeftOut, Reason

EXAMPLES = 3


class SequenceReport:
    """Collects the findings of one sequence.

    Args:
        key: The sequence.
        source: Folder that files are named relative to.
    """

    def __init__(self, key: SequenceKey, source: Path) -> None:
        self._key, self._source = key, source
        self._counts: dict[tuple[Reason, Effect], int] = {}
        self._files: dict[tuple[Reason, Effect], list[str]] = {}

    def add(self, reason: Reason, effect: Effect, frames: int, file: str = "") -> None:
        """Count ``frames`` more frames with this finding; the first few files are remembered."""
        what = (reason, effect)
        self._counts[what] = self._counts.get(what, 0) + frames
        files = self._files.setdefault(what, [])
        if file and len(files) < EXAMPLES:
            absolute = os.path.isabs(file)
            files.append(os.path.relpath(file, self._source) if absolute else file)

    @property
    def left_out(self) -> bool:
        """Whether a finding so far excludes the whole sequence."""
        return any(effect is Effect.SEQUENCE_LEFT_OUT for _, effect in self._counts)

    def lines(self) -> list[LeftOut]:
        """The findings, one line for each reason and effect."""
        return [
            LeftOut(str(self._key), reason, effect, frames, tuple(self._files[(reason, effect)]))
            for (reason, effect), frames in self._counts.items()
        ]
