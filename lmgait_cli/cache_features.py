"""`lmgait cache-features`: the frozen image encoder's features, stored for many trainings."""

from __future__ import annotations

from typing import Annotated

import typer

from lmgait_cli.console import ConsoleProgress, out
from lmgait_cli.options import (
    DEFAULT_PRESET,
    ConfigOption,
    DatasetOption,
    PresetOption,
    QuietOption,
    SetOption,
    WorkspaceOption,
)


def cache_features(
    dataset: DatasetOption = None,
    preset: PresetOption = DEFAULT_PRESET,
    config: ConfigOption = None,
    settings: SetOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how large they would be.")
    ] = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Store the frozen image encoder's features of the training sequences.

    `lmgait train --set data.features=float32` reads them in place of frames (and makes them itself
    where they are missing). They pay on CPUs and for many runs over one dataset; look at their size
    first.

    Example: lmgait cache-features --dataset ccpg --dry-run
    """
    from core.config import resolve_config
    from core.workflows.cache_features import cache_features as run
    from core.workspace import Workspace

    resolved = resolve_config(preset, file=config, overrides=settings or ())
    result = run(
        Workspace.find(workspace),
        dataset,
        resolved,
        preset=preset,
        dry_run=dry_run,
        progress=ConsoleProgress(quiet),
    )
    plan = result.plan
    if dry_run:
        told = f"{plan.size()}; they would go below {plan.path.parent}"
    else:
        told = (
            f"{plan.size()}: {plan.path}\nNext: lmgait train --set data.features={plan.info.dtype}"
        )
    out.print(told, markup=False, soft_wrap=True)
