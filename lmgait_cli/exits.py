"""From an error to one clear message and an exit code."""

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
from lmgait_cli.console import NUMBER, err, print_problem
from lmgait_cli.process import stopped_by

DEBUG_VARIABLE = "LMGAIT_DEBUG"

P = ParamSpec("P")
R = TypeVar("R")

# What the parser of the command line raises. Typer names only its own subclasses of it.
_UsageFault: type[Any] = typer.BadParameter.__mro__[1]


_anything_told = False


def handle_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a verb so that whatever goes wrong ends in a message and an exit code, no traceback.

    With ``lmgait --debug`` (or ``LMGAIT_DEBUG=1``) the traceback stands above the message.
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
    """The whole command: a mistake in its arguments looks like any other error."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,  # noqa: ANN401 - Typer's own signature
    ) -> Any:  # noqa: ANN401
        """Run the command and leave the process (only return, if not ``standalone_mode``)."""
        given = (args, prog_name, complete_var, False, windows_expand_args)
        if not standalone_mode:
            return super().main(*given, **extra)
        try:
            code = super().main(*given, **extra)
        except _UsageFault as fault:
            code = _usage_told(fault)
        except typer.Abort:
            code = print_error(Interrupted("Not confirmed", next_step="Nothing was changed."))
        except (Exception, KeyboardInterrupt) as error:
            code = print_error(error)
        sys.exit(code if isinstance(code, int) else 0)


def error_printed() -> bool:
    """Whether an error was printed."""
    return _anything_told


def print_error(error: BaseException) -> int:
    """Print an error in words; returns its exit code.

    One of several processes that have joined ends with the others and does not return.
    """
    global _anything_told
    _anything_told = True
    if os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0"):
        traceback.print_exception(error)
    known = _known(error) or LmgaitError(
        f"Internal error: {type(error).__name__}: {str(error)[:500]}",
        next_step="This is a defect of lmgait. Run it again as `lmgait --debug …` and report the "
        "output.",
    )
    shared = known.everywhere or isinstance(known, UsageError | Interrupted)
    if watched():
        ending = Ending(NUMBER, "", known.exit_code, known.what, known.where, known.next_step)
        end_together(
            ending,
            lambda: print_problem(known.what, known.where, known.next_step),
            _patience(known, shared),
        )
    if not (NUMBER and shared):  # else the first process tells of it
        print_problem(known.what, known.where, known.next_step)
    return known.exit_code


def _patience(known: LmgaitError, shared: bool) -> float:
    """Seconds in which another process may tell of what is the cause, or of the same."""
    if isinstance(known, PeerError):
        return 3.0
    if shared and NUMBER:
        return 2.0
    # What all of them meet alike, each by itself, the first one tells.
    return 0.5 if NUMBER or isinstance(known, Interrupted) else 0.0


def _ended_elsewhere(ending: Ending, tell: bool) -> None:
    if err.is_terminal:
        err.show_cursor(True)  # a bar has hidden it
    if tell:
        print_problem(ending.what, ending.where, ending.next_step, ending.rank, ending.host)


when_ended_elsewhere(_ended_elsewhere)


def _known(error: BaseException) -> LmgaitError | None:
    """The error in words; whatever a signal has torn apart on its way is no fault."""
    signalled = stopped_by()
    if isinstance(error, Interrupted) or (
        signalled is None and not isinstance(error, KeyboardInterrupt)
    ):
        return explain_failure(error)
    return Interrupted(
        "Interrupted" if signalled in (None, "SIGINT") else f"Stopped by {signalled}",
        next_step="Run the same command again: it goes on from here.",
    )


def _usage_told(fault: Any) -> int:  # noqa: ANN401 - a class that Typer does not name
    message = fault.format_message().strip()
    # Without any argument the help is printed already, and is all there is to say.
    if type(fault).__name__ != "NoArgsIsHelpError":
        command = "lmgait" if fault.ctx is None else fault.ctx.command_path
        step = f"See `{command} --help`."
        if argument := _argument_like(fault):
            message = f"No such option: {fault.option_name}"
            step = f"{argument} is an argument: write it without `{fault.option_name}`. {step}"
        print_problem(message.removesuffix("."), None, step)
    return EXIT_USAGE


def _argument_like(fault: Any) -> str | None:  # noqa: ANN401 - a class that Typer does not name
    """The argument that was written as an option, as the help names it."""
    name = getattr(fault, "option_name", "").lstrip("-").lower()
    if not name or fault.ctx is None:
        return None
    arguments = [one for one in fault.ctx.command.params if one.param_type_name == "argument"]
    titles = (one.metavar or one.name for one in arguments)
    return next((title for title in titles if title.lower() == name), None)
