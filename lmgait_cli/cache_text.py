"""`lmgait cache-text`: text features computed once."""

from __future__ import annotations

from lmgait_cli.console import out
from lmgait_cli.options import DatasetOption, RunOption
from lmgait_cli.verbs import Terminal, verb


@verb()
def cache_text(
    terminal: Terminal,
    run_name: RunOption = None,
    dataset: DatasetOption = None,
) -> None:
    """Store a run's text features, so that inference does not need the text encoder.

    Example: lmgait cache-text --dataset ccpg
    """
    from core.workflows.cache_text import cache_text as run

    result = run(
        terminal.workspace,
        run_name=run_name,
        dataset=dataset,
        progress=terminal.progress,
    )
    if result.path is not None:
        out.print(
            f"Run {result.run.name}: {result.tokens} tokens x {result.channels} channels in "
            f"{result.path}\nNext: lmgait evaluate",
            markup=False,
            soft_wrap=True,
        )
    terminal.write_json(result.to_json())
