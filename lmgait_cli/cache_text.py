"""`lmgait cache-text`: the text attention, computed once."""

from __future__ import annotations

from lmgait_cli.console import ConsoleProgress, out
from lmgait_cli.options import DatasetOption, JsonOption, QuietOption, RunOption, WorkspaceOption
from lmgait_cli.results import write_json


def cache_text(
    run_name: RunOption = None,
    dataset: DatasetOption = None,
    workspace: WorkspaceOption = None,
    json_file: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Store a run's text features, so that inference needs no text encoder.

    Example: lmgait cache-text --dataset ccpg
    """
    from core.workflows.cache_text import cache_text as run
    from core.workspace import Workspace

    result = run(
        Workspace.find(workspace),
        run_name=run_name,
        dataset=dataset,
        progress=ConsoleProgress(quiet),
    )
    if result.path is not None:
        out.print(
            f"Run {result.run.name}: {result.tokens} tokens x {result.channels} channels in "
            f"{result.path}\nNext: lmgait evaluate",
            markup=False,
            soft_wrap=True,
        )
    content = {
        "run": result.run.name,
        "file": None if result.path is None else str(result.path),
        "tokens": result.tokens,
        "channels": result.channels,
    }
    write_json(json_file, content, quiet)
