"""From an error to one clear message and an exit code."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click
import typer

from core.errors import (
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    Interrupted,
    LmgaitError,
    OutputError,
)
from core.files import output_error
from lmgait_cli.console import complain
from lmgait_cli.process import stopped_by

DEBUG_VARIABLE = "LMGAIT_DEBUG"

P = ParamSpec("P")
R = TypeVar("R")


def explained(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a verb so that whatever goes wrong ends in a message and an exit code, no traceback.

    With ``lmgait --debug`` (or ``LMGAIT_DEBUG=1``) the traceback is shown.
    """

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, click.ClickException):
            raise
        except Interrupted as error:
            _leave(error, error.exit_code)
        except (KeyboardInterrupt, Exception) as error:
            if isinstance(error, KeyboardInterrupt) or stopped_by() is not None:
                # Whatever a signal has torn apart on its way is no fault.
                _leave(_interrupted(), EXIT_INTERRUPTED)
            _leave(error, error.exit_code if isinstance(error, LmgaitError) else EXIT_INTERNAL)
        raise AssertionError("unreachable")

    return guarded


def _interrupted() -> Interrupted:
    name = stopped_by()
    return Interrupted(
        "Interrupted" if name in (None, "SIGINT") else f"Stopped by {name}",
        next_step="Run the same command again: it goes on from here.",
    )


def _leave(error: BaseException, code: int) -> None:
    if os.environ.get(DEBUG_VARIABLE):
        raise error
    if isinstance(error, OSError):
        name = error.filename if isinstance(error.filename, str) else None
        error = (
            output_error(error, Path(name))
            if name
            else OutputError(f"Cannot write: {error.strerror or error}")
        )
        code = error.exit_code
    if isinstance(error, LmgaitError):
        complain(error.what, error.where, error.next_step)
    else:
        complain(
            f"Internal error: {type(error).__name__}: {error}",
            None,
            "This is a defect of lmgait. Run it again as `lmgait --debug …` and report the output.",
        )
    raise typer.Exit(code) from None
