"""All that reaches the terminal: messages, progress bars, tables."""

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
from lmgait_cli.process import place

# Of several processes that work together the first one tells of it.
NUMBER, TOGETHER = place()
# Results go to stdout, so that `> file` and `| less` hold them alone; all else goes to stderr.
out = Console(highlight=False, quiet=NUMBER > 0)
err = Console(stderr=True, highlight=False)

LOG_EVERY_SECONDS = 15.0
# Columns of a terminal: below the first, a bar has no room; from the second on, everything has.
NARROW, WIDE = 60, 110


def print_problem(
    what: str,
    where: str | None,
    next_step: str | None,
    number: int | None = None,
    host: str | None = None,
) -> None:
    """Print one error: what, where, what to do next.

    Args:
        what: As in :class:`core.errors.LmgaitError`.
        where: Likewise.
        next_step: Likewise.
        number: Process whose error it is, None for this one; the first one is not named.
        host: Its machine; None is this one.
    """
    found_at = f" [dim]({escape(where)})[/]" if where else ""
    number = NUMBER if number is None else number
    machine = escape(socket.gethostname() if host is None else host)
    who = f"Process {number} of {TOGETHER} on {machine}: " if number or host is not None else ""
    err.print(f"{who}[bold red]Error:[/] {escape(what)}{found_at}", soft_wrap=True)
    if next_step:
        err.print(f"[bold]Next:[/] {escape(next_step)}", soft_wrap=True)


def print_note(text: str) -> None:
    """Print one line that is not a result."""
    if not NUMBER:
        err.print(escape(text), soft_wrap=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: the first column left, the others right."""
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
    """What fits into a line; the detail takes the rest of it, and never more."""
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
    """Progress for a log file: a plain line now and then instead of a moving bar."""

    def __init__(self, name: str, total: int | None, unit: str, done: int) -> None:
        self._name, self._total, self._unit = name, total, unit
        self._before = self._done = done
        self._detail = ""
        self._start = self._last = monotonic()

    def advance(self, amount: int = 1) -> None:
        self._done += amount
        if monotonic() - self._last >= LOG_EVERY_SECONDS:
            self._last = monotonic()
            self.tell()

    def detail(self, text: str) -> None:
        self._detail = text

    def tell(self) -> None:
        spent = monotonic() - self._start
        rate = (self._done - self._before) / max(spent, 1e-9)
        goal = "" if self._total is None else f"/{self._total}"
        left = ""
        if self._total is not None and rate > 0:
            left = f", {max(0.0, (self._total - self._done) / rate):.0f} s left"
        print_note(
            f"{self._name}: {self._done}{goal} {self._unit}, {rate:.1f}/s{left} {self._detail}"
        )


class ConsoleProgress:
    """Rich bars on a terminal, plain lines elsewhere; silent when ``quiet`` or not the first."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet or NUMBER > 0

    @contextmanager
    def task(self, name: str, total: int | None, unit: str, done: int = 0) -> Iterator[Task]:
        """Show one task with its rate and the time left; see :class:`core.progress.Progress`."""
        # A dumb terminal cannot redraw a line: it would show nothing until the end.
        if self._quiet or not err.is_terminal or err.is_dumb_terminal:
            log = _LogTask(name, total, unit, done)
            yield log
            if not self._quiet:
                log.tell()
            return
        with RichProgress(*_columns(err.width), console=err, expand=True) as bars:
            bar = bars.add_task(escape(name), total=total, completed=done, unit=unit, detail="")
            yield _BarTask(bars, bar)

    def say(self, text: str) -> None:
        """Print one line that the user should read."""
        if not self._quiet:
            print_note(text)
