"""`lmgait cache-features`: the frozen image encoder's features, stored for many trainings."""

from __future__ import annotations

from lmgait_cli.console import ConsoleProgress, out
from lmgait_cli.estimates import show_estimate
from lmgait_cli.options import (
    DEFAULT_MODEL,
    DEFAULT_PRESET,
    ConfigOption,
    DatasetOption,
    DryRunOption,
    JsonOption,
    ModelOption,
    PresetOption,
    QuietOption,
    SetOption,
    WorkspaceOption,
)
from lmgait_cli.results import write_json


def cache_features(
    dataset: DatasetOption = None,
    preset: PresetOption = DEFAULT_PRESET,
    model: ModelOption = DEFAULT_MODEL,
    config: ConfigOption = None,
    settings: SetOption = None,
    dry_run: DryRunOption = False,
    workspace: WorkspaceOption = None,
    json_file: JsonOption = None,
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
    from core.workflows.cache_features import estimate_features
    from core.workspace import Workspace

    resolved = resolve_config(preset, model=model, file=config, overrides=settings or ())
    home = Workspace.find(workspace)
    if dry_run:
        plan, estimate = estimate_features(home, dataset, resolved, preset=preset)
        told = f"{plan.size()}; they would go below {plan.path.parent}"
        out.print(told, markup=False, soft_wrap=True)
        show_estimate(estimate, json_file, quiet)
        return
    result = run(home, dataset, resolved, preset=preset, progress=ConsoleProgress(quiet))
    plan = result.plan
    told = f"{plan.size()}: {plan.path}\nNext: lmgait train --set data.features={plan.info.dtype}"
    out.print(told, markup=False, soft_wrap=True)
    content = {
        "folder": str(plan.path),
        "frames": plan.info.frames,
        "bytes": plan.info.bytes,
        "now": result.frames,
    }
    write_json(json_file, content, quiet)
