"""Errors as one clear message and an exit code."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import typer
from typer.core import TyperGroup

from core.errors import EXIT_USAGE, Interrupted, LmgaitError, PeerError, UsageError
from core.system.failures import explain_failure
from core.system.peers import Ending, end_together, watched, when_ended_elsewhere
from lmgait_cli.console import RANK, err, print_problem
from lmgait_cli.process import stopped_by

DEBUG_VARIABLE = "LMGAIT_DEBUG"

P = ParamSpec("P")
R = TypeVar("R")

# Base class of command-line parsing errors. Typer exports only its own subclasses of it.
_UsageFault: type[Any] = typer.BadParameter.__mro__[1]


_error_printed = False


def handle_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a verb so that every error ends in a message and an exit code, without a traceback.

    With ``lmgait --debug`` (or ``LMGAIT_DEBUG=1``) the traceback precedes the message.
    """

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, _UsageFault):
            raise
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            raise typer.Exit(print_error(error)) from None

    return guarded


class ExplainedGroup(TyperGroup):
    """The top-level command; usage errors are printed like any other error."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,  # noqa: ANN401 - Typer's own signature
    ) -> Any:  # noqa: ANN401
        """Run the command and exit; return instead if not ``standalone_mode``."""
        arguments = (args, prog_name, complete_var, False, windows_expand_args)
        if not standalone_mode:
            return super().main(*arguments, **extra)
        try:
            code = super().main(*arguments, **extra)
        except _UsageFault as fault:
            code = _print_usage_error(fault)
        except typer.Abort:
            code = print_error(Interrupted("Not confirmed", next_step="Nothing was changed."))
        except (Exception, KeyboardInterrupt) as error:
            code = print_error(error)
        sys.exit(code if isinstance(code, int) else 0)


def error_printed() -> bool:
    """Whether an error was printed."""
    return _error_printed


def print_error(error: BaseException) -> int:
    """Print an error and return its exit code.

    Does not return in a process that is joined with others: they all end together.
    """
    global _error_printed
    _error_printed = True
    if os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0"):
        traceback.print_exception(error)
    known = _known(error) or LmgaitError(
        f"Internal error: {type(error).__name__}: {str(error)[:500]}",
        next_step="This is a bug in lmgait. Run `lmgait --debug …` and report the output.",
    )
    shared = known.everywhere or isinstance(known, UsageError | Interrupted)
    if watched():
        ending = Ending(RANK, "", known.exit_code, known.what, known.where, known.next_step)
        end_together(
            ending,
            lambda: print_problem(known.what, known.where, known.next_step),
            _grace_seconds(known, shared),
        )
    if not (RANK and shared):  # otherwise rank 0 reports it
        print_problem(known.what, known.where, known.next_step)
    return known.exit_code


def _grace_seconds(known: LmgaitError, shared: bool) -> float:
    """Seconds to wait for another process to report the cause, or the same error."""
    if isinstance(known, PeerError):
        return 3.0
    if shared and RANK:
        return 2.0
    # Rank 0 reports errors that every process meets by itself.
    return 0.5 if RANK or isinstance(known, Interrupted) else 0.0


def _print_peer_error(ending: Ending, report: bool) -> None:
    if err.is_terminal:
        err.show_cursor(True)  # hidden by a progress bar
    if report:
        print_problem(ending.what, ending.where, ending.next_step, ending.rank, ending.host)


when_ended_elsewhere(_print_peer_error)


def _known(error: BaseException) -> LmgaitError | None:
    """The error in words; errors raised while a signal is handled count as an interruption."""
    signalled = stopped_by()
    if isinstance(error, Interrupted) or (
        signalled is None and not isinstance(error, KeyboardInterrupt)
    ):
        return explain_failure(error)
    return Interrupted(
        "Interrupted" if signalled in (None, "SIGINT") else f"Stopped by {signalled}",
        next_step="Run the same command again to resume.",
    )


def _print_usage_error(fault: Any) -> int:  # noqa: ANN401 - a class that Typer does not name
    message = fault.format_message().strip()
    # Without arguments the help has been printed; nothing else to report.
    if type(fault).__name__ != "NoArgsIsHelpError":
        command = "lmgait" if fault.ctx is None else fault.ctx.command_path
        step = f"See `{command} --help`."
        if argument := _argument_like(fault):
            message = f"No such option: {fault.option_name}"
            step = f"{argument} is an argument: write it without `{fault.option_name}`. {step}"
        print_problem(message.removesuffix("."), None, step)
    return EXIT_USAGE


def _argument_like(fault: Any) -> str | None:  # noqa: ANN401 - a class that Typer does not name
    """The help's name of an argument that was written as an option."""
    name = getattr(fault, "option_name", "").lstrip("-").lower()
    if not name or fault.ctx is None:
        return None
    arguments = [one for one in fault.ctx.command.params if one.param_type_name == "argument"]
    titles = (one.metavar or one.name for one in arguments)
    return next((title for title in titles if title.lower() == name), None)
