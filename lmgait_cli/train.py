"""`lmgait train`: the full training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lmgait_cli.console import out
from lmgait_cli.options import (
    DEFAULT_MODEL,
    DEFAULT_PRESET,
    AblationOption,
    ConfigOption,
    DatasetOption,
    ModelOption,
    PresetOption,
    SetOption,
)
from lmgait_cli.verbs import Terminal, verb

if TYPE_CHECKING:
    from core.config import Config


@verb(dry_run=True)
def train(
    terminal: Terminal,
    dataset: DatasetOption = None,
    preset: PresetOption = DEFAULT_PRESET,
    model: ModelOption = DEFAULT_MODEL,
    ablation: AblationOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the run.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume an existing run; fail if there is none.")
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Start a new run even if one with these settings exists."),
    ] = False,
) -> None:
    """Train LMGait, or another model, on a prepared dataset.

    A run with the same settings resumes where it stopped, and is not repeated once complete. The
    decoder's warm-up runs first if it is missing.

    Example: lmgait train --dataset sustech1k --set train.iterations=40 --name short
    """
    from core.config import resolve_config
    from core.errors import UsageError
    from core.plans.choose import plan_training
    from core.runs.shared_store import shared_dataset

    if resume and fresh:
        raise UsageError(
            "--resume and --fresh exclude each other", next_step="Give only one of them."
        )
    workspace, progress = terminal.workspace, terminal.progress

    def resolve(name: str | None) -> Config:
        return resolve_config(
            preset,
            model=model,
            dataset=name,
            ablation=ablation,
            file=config,
            overrides=settings or (),
        )

    resolved = resolve(dataset)  # report errors in settings before those in stores
    if dataset is None:
        dataset = shared_dataset(workspace, dataset)
        resolved = resolve(dataset)
    plan = plan_training(
        workspace,
        dataset,
        resolved,
        preset=preset,
        name=name,
        fresh=fresh,
        must_resume=resume,
        progress=progress,
    )
    if terminal.dry_run:
        terminal.show_estimate(plan.estimate(progress))
        return
    result = plan.run(progress)
    cache_step = "lmgait cache-text; " if model == DEFAULT_MODEL else ""
    out.print(
        f"Run {result.run.name} is trained ({result.iterations} iterations now): "
        f"{result.run.folder}\nNext: {cache_step}lmgait evaluate",
        markup=False,
        soft_wrap=True,
    )
    terminal.write_json(result.to_json())
