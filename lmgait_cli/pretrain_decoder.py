"""`lmgait pretrain-decoder`: the warm-up of a family, LMGait's decoder first of all."""

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


def pretrain_decoder(
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
    """Warm the decoder branch up on silhouettes (5,000 iterations at `--preset paper`).

    BiggerGait's warm-up is that of its mask branch; other models have none. `lmgait train` starts
    from its result. Run it again after a stop and it goes on.

    Example: lmgait pretrain-decoder --dataset ccpg --set warmup.iterations=500
    """
    from core.config import Config, resolve_config
    from core.plans.warmup import plan_warmup
    from core.runs.shared_store import open_shared_store, shared_dataset
    from core.workspace import Workspace

    home, progress = Workspace.find(workspace), ConsoleProgress(quiet)

    def resolve(name: str | None) -> Config:
        return resolve_config(
            preset, model=model, dataset=name, file=config, overrides=settings or ()
        )

    resolved = resolve(dataset)  # mistakes in settings before any in stores
    if dataset is None:
        dataset = shared_dataset(home, dataset)
        resolved = resolve(dataset)
    plan = plan_warmup(
        home, *open_shared_store(home, dataset), resolved, preset=preset, progress=progress
    )
    if dry_run:
        show_estimate(plan.estimate(progress), json_file, quiet)
        return
    result = plan.run(progress)
    named = "" if model == DEFAULT_MODEL else f" --model {model}"
    out.print(
        f"Warm-up {result.run.name} is done: {result.run.folder}\n"
        f"Next: lmgait train{named} --dataset {result.run.dataset}",
        markup=False,
        soft_wrap=True,
    )
    content = {
        "warmup": result.run.name,
        "folder": str(result.run.folder),
        "iterations": resolved.warmup_settings.iterations,
        "now": result.iterations,
    }
    write_json(json_file, content, quiet)
