"""From an error to one clear message and an exit code."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click
import typer

from core.errors import EXIT_INTERNAL, EXIT_INTERRUPTED, LmgaitError, OutputError
from lmgait_cli.console import complain

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
        except LmgaitError as error:
            _leave(error, error.exit_code)
        except KeyboardInterrupt as error:
            _leave(error, EXIT_INTERRUPTED)
        except BrokenPipeError:
            # The reader of our output has left (`| head`): nobody to tell, nothing to say.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except Exception as error:
            _leave(error, EXIT_INTERNAL)
        raise AssertionError("unreachable")

    return guarded


def _leave(error: BaseException, code: int) -> None:
    if os.environ.get(DEBUG_VARIABLE):
        raise error
    if isinstance(error, LmgaitError):
        complain(error.what, error.where, error.next_step)
    elif isinstance(error, KeyboardInterrupt):
        complain("Interrupted", None, "Run the same command again: it goes on from here.")
    elif isinstance(error, OSError):
        shown = OutputError(str(error))
        complain(shown.what, None, None)
        code = OutputError.exit_code
    else:
        complain(
            f"Internal error: {type(error).__name__}: {error}",
            None,
            "This is a defect of lmgait. Run it again as `lmgait --debug …` and report the output.",
        )
    raise typer.Exit(code) from None
