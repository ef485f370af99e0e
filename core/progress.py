"""Progress reports of long work without printing: a narrow protocol and its silent default."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Task(Protocol):
    """One piece of long work in progress."""

    def advance(self, amount: int = 1) -> None:
        """Count ``amount`` more units as done."""

    def detail(self, text: str) -> None:
        """Replace the short text beside the bar, such as the current losses."""


class Progress(Protocol):
    """Receiver of progress reports: rich on the command line, silent in tests and notebooks."""

    @contextmanager
    def task(self, name: str, total: int | None, unit: str, done: int = 0) -> Iterator[Task]:
        """Show ``name`` while the block runs.

        Args:
            name: The work.
            total: How many units there are in all; None: not known.
            unit: Of what.
            done: Units done before, which do not count for the pace.
        """
        ...

    def say(self, text: str) -> None:
        """Report one line that the user should read: a default choice, or a warning."""


class _SilentTask:
    def advance(self, amount: int = 1) -> None:
        """Ignore."""

    def detail(self, text: str) -> None:
        """Ignore."""


class SilentProgress:
    """Reports nothing."""

    @contextmanager
    def task(self, name: str, total: int | None, unit: str, done: int = 0) -> Iterator[Task]:
        """Yield a task that ignores all calls."""
        yield _SilentTask()

    def say(self, text: str) -> None:
        """Ignore."""
