"""Terminal output: messages, progress bars and tables."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.progress import Task as RichTask
from rich.table import Column, Table
from rich.text import Text

from core.progress import Task
from lmgait_cli.process import rank_and_size

# Of several processes that work together only rank 0 prints.
RANK, PROCESSES = rank_and_size()
# Results go to stdout, so that `> file` and `| less` get nothing else; the rest goes to stderr.
out = Console(highlight=False, quiet=RANK > 0)
err = Console(stderr=True, highlight=False)

LOG_EVERY_SECONDS = 15.0
# Terminal columns: no progress bar below NARROW, every column from WIDE on.
NARROW, WIDE = 60, 110


def print_problem(
    what: str,
    where: str | None,
    next_step: str | None,
    rank: int | None = None,
    host: str | None = None,
) -> None:
    """Print one error: what, where, what to do next.

    Args:
        what: As in :class:`core.errors.LmgaitError`.
        where: Likewise.
        next_step: Likewise.
        rank: Rank of the process with the error, None for this one; rank 0 is not named.
        host: Its machine; None for this one.
    """
    location = f" [dim]({escape(where)})[/]" if where else ""
    rank = RANK if rank is None else rank
    machine = escape(socket.gethostname() if host is None else host)
    who = f"Process {rank} of {PROCESSES} on {machine}: " if rank or host is not None else ""
    err.print(f"{who}[bold red]Error:[/] {escape(what)}{location}", soft_wrap=True)
    if next_step:
        err.print(f"[bold]Next:[/] {escape(next_step)}", soft_wrap=True)


def print_note(text: str) -> None:
    """Print one line that is not a result."""
    if not RANK:
        err.print(escape(text), soft_wrap=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with its first column aligned left and the others right."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for position, name in enumerate(columns):
        justify: JustifyMethod = "left" if position == 0 else "right"
        table.add_column(name, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)


class _Rate(ProgressColumn):
    def render(self, task: RichTask) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields.get("unit", "")
        return Text("" if speed is None else f"{speed:,.1f} {unit}/s", style="cyan")


def _columns(width: int) -> list[ProgressColumn]:
    """Progress columns that fit into one line; the detail takes the remaining width."""
    name = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis"))
    if width < NARROW:
        return [name, MofNCompleteColumn(table_column=Column(no_wrap=True))]
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    return [
        name,
        BarColumn(20 if width < WIDE else 40),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        *([_Rate(table_column=Column(no_wrap=True))] if width >= WIDE else []),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[detail]}", markup=False, table_column=rest),
    ]


class _BarTask:
    def __init__(self, progress: RichProgress, identity: TaskID) -> None:
        self._progress, self._identity = progress, identity

    def advance(self, amount: int = 1) -> None:
        self._progress.advance(self._identity, amount)

    def detail(self, text: str) -> None:
        self._progress.update(self._identity, detail=text)


class _LogTask:
    """Progress for a log file: a plain line at intervals instead of a bar."""

    def __init__(self, name: str, total: int | None, unit: str, done: int) -> None:
        self._name, self._total, self._unit = name, total, unit
        self._start_count = self._count = done
        self._detail = ""
        self._start = self._last = monotonic()

    def advance(self, amount: int = 1) -> None:
        self._count += amount
        if monotonic() - self._last >= LOG_EVERY_SECONDS:
            self._last = monotonic()
            self.print_line()

    def detail(self, text: str) -> None:
        self._detail = text

    def print_line(self) -> None:
        elapsed = monotonic() - self._start
        rate = (self._count - self._start_count) / max(elapsed, 1e-9)
        goal = "" if self._total is None else f"/{self._total}"
        remaining = ""
        if self._total is not None and rate > 0:
            remaining = f", {max(0.0, (self._total - self._count) / rate):.0f} s left"
        print_note(
            f"{self._name}: {self._count}{goal} {self._unit}, {rate:.1f}/s{remaining} "
            f"{self._detail}"
        )


class ConsoleProgress:
    """Bars on a terminal, plain lines elsewhere; silent if ``quiet`` or not rank 0."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet or RANK > 0

    @contextmanager
    def task(self, name: str, total: int | None, unit: str, done: int = 0) -> Iterator[Task]:
        """Show one task with its rate and remaining time; see :class:`core.progress.Progress`."""
        # A dumb terminal cannot redraw a line and would show nothing until the end.
        if self._quiet or not err.is_terminal or err.is_dumb_terminal:
            log = _LogTask(name, total, unit, done)
            yield log
            if not self._quiet:
                log.print_line()
            return
        with RichProgress(*_columns(err.width), console=err, expand=True) as bars:
            bar = bars.add_task(escape(name), total=total, completed=done, unit=unit, detail="")
            yield _BarTask(bars, bar)

    def say(self, text: str) -> None:
        """Print one line for the user."""
        if not self._quiet:
            print_note(text)
