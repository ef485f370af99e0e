"""`lmgait pretrain-decoder`: the warm-up of a model family, such as LMGait's decoder."""

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
def pretrain_decoder(
    terminal: Terminal,
    dataset: DatasetOption = None,
    preset: PresetOption = DEFAULT_PRESET,
    model: ModelOption = DEFAULT_MODEL,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Pretrain the decoder branch on silhouettes (5,000 iterations at `--preset paper`).

    BiggerGait's warm-up is that of its mask branch, GaitEdge's that of its U-Net; others have none.
    `lmgait train` starts from its result. Run it again after a stop and it goes on.

    Example: lmgait pretrain-decoder --dataset ccpg --set warmup.iterations=500
    """
    from core.config import Config, resolve_config
    from core.plans.warmup import plan_decoder_warmup
    from core.runs.shared_store import open_shared_store, shared_dataset

    workspace, progress = terminal.workspace, terminal.progress

    def resolve(name: str | None) -> Config:
        return resolve_config(
            preset, model=model, dataset=name, file=config, overrides=settings or ()
        )

    resolved = resolve(dataset)  # report errors in settings before those in stores
    if dataset is None:
        dataset = shared_dataset(workspace, dataset)
        resolved = resolve(dataset)
    plan = plan_decoder_warmup(
        workspace,
        *open_shared_store(workspace, dataset),
        resolved,
        preset=preset,
        progress=progress,
    )
    if terminal.dry_run:
        terminal.show_estimate(plan.estimate(progress))
        return
    result = plan.run(progress)
    model_option = "" if model == DEFAULT_MODEL else f" --model {model}"
    out.print(
        f"Warm-up {result.run.name} is done: {result.run.folder}\n"
        f"Next: lmgait train{model_option} --dataset {result.run.dataset}",
        markup=False,
        soft_wrap=True,
    )
    terminal.write_json(result.to_json())
