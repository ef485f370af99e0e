"""`lmgait cache-features`: store the frozen image encoder's features for many trainings."""

from __future__ import annotations

from lmgait_cli.console import out
from lmgait_cli.options import (
    DEFAULT_MODEL,
    DEFAULT_PRESET,
    ConfigOption,
    DatasetOption,
    ModelOption,
    PresetOption,
    SetOption,
)
from lmgait_cli.verbs import Terminal, verb


@verb(dry_run=True)
def cache_features(
    terminal: Terminal,
    dataset: DatasetOption = None,
    preset: PresetOption = DEFAULT_PRESET,
    model: ModelOption = DEFAULT_MODEL,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Store the frozen image encoder's features of the training sequences.

    `lmgait train --set data.features=float32` reads them instead of frames, and computes them if
    they are missing. They save time on CPUs and for many runs on one dataset; check their size
    first.

    Example: lmgait cache-features --dataset ccpg --dry-run
    """
    from core.config import resolve_config
    from core.workflows.cache_features import cache_features as run
    from core.workflows.cache_features import estimate_features

    resolved = resolve_config(preset, model=model, file=config, overrides=settings or ())
    workspace = terminal.workspace
    if terminal.dry_run:
        plan, estimate = estimate_features(workspace, dataset, resolved, preset=preset)
        message = f"{plan.size()}; they would be written below {plan.path.parent}"
        out.print(message, markup=False, soft_wrap=True)
        terminal.show_estimate(estimate)
        return
    result = run(workspace, dataset, resolved, preset=preset, progress=terminal.progress)
    plan = result.plan
    message = (
        f"{plan.size()}: {plan.path}\nNext: lmgait train --set data.features={plan.info.dtype}"
    )
    out.print(message, markup=False, soft_wrap=True)
    terminal.write_json(result.to_json())
