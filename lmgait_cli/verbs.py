"""The parts shared by all verbs: workspace, JSON output, progress and error handling."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, cast, get_type_hints

from lmgait_cli.console import ConsoleProgress
from lmgait_cli.estimates import show_estimate
from lmgait_cli.exits import handle_errors
from lmgait_cli.options import DryRunOption, JsonOption, QuietOption, WorkspaceOption
from lmgait_cli.results import write_json

if TYPE_CHECKING:
    from core.estimates.stages import Estimate
    from core.workspace import Workspace

P = ParamSpec("P")


class Terminal:
    """The shared options and the objects they stand for.

    Args:
        workspace: ``--workspace``.
        dry_run: ``--dry-run``; False for verbs without it.
        json_file: ``--json``.
        quiet: ``--quiet``.
    """

    def __init__(
        self,
        workspace: Path | None = None,
        dry_run: bool = False,
        json_file: Path | None = None,
        quiet: bool = False,
    ) -> None:
        self._folder = workspace
        self.dry_run = dry_run
        self.json_file = json_file
        self.quiet = quiet

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace from the option, the environment or the current folder."""
        from core.workspace import Workspace

        return Workspace.find(self._folder)

    @cached_property
    def progress(self) -> ConsoleProgress:
        """Progress on the terminal, or none with ``--quiet``."""
        return ConsoleProgress(self.quiet)

    def write_json(self, content: Mapping[str, Any]) -> None:
        """Write the result to the file of ``--json``, if given."""
        write_json(self.json_file, content, self.quiet)

    def show_estimate(self, estimate: Estimate, extra: Mapping[str, Any] | None = None) -> None:
        """Print an estimate; ``extra`` is added to its JSON."""
        show_estimate(estimate, self.json_file, self.quiet, extra)


_SHARED = {
    "dry_run": (DryRunOption, False),
    "workspace": (WorkspaceOption, None),
    "json_file": (JsonOption, None),
    "quiet": (QuietOption, False),
}


def verb(
    *, workspace: bool = True, dry_run: bool = False
) -> Callable[[Callable[Concatenate[Terminal, P], None]], Callable[..., None]]:
    """Make a function a verb: add the shared options after its own, and handle errors.

    Args:
        workspace: Whether it has ``--workspace``.
        dry_run: Whether it has ``--dry-run``.
    """
    absent = {name for name, has in (("workspace", workspace), ("dry_run", dry_run)) if not has}
    shared = {name: option for name, option in _SHARED.items() if name not in absent}

    def decorate(command: Callable[Concatenate[Terminal, P], None]) -> Callable[..., None]:
        @wraps(command)
        def run(**values: Any) -> None:  # noqa: ANN401 - any option value
            terminal = Terminal(**{name: values.pop(name) for name in shared})
            cast(Callable[..., None], command)(terminal, **values)

        # Typer reads a function's signature and annotations.
        first, *own = inspect.signature(command).parameters.values()
        hints = get_type_hints(command, include_extras=True)
        del hints[first.name]
        hints |= {name: option for name, (option, _) in shared.items()}
        parameters = [one.replace(kind=one.KEYWORD_ONLY) for one in own]
        parameters += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
            for name, (_, default) in shared.items()
        ]
        typed = [one.replace(annotation=hints[one.name]) for one in parameters]
        run.__signature__ = inspect.Signature(typed)  # type: ignore[attr-defined]
        run.__annotations__ = hints
        return handle_errors(run)

    return decorate
