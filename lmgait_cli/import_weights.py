"""`lmgait import-weights`: import a published checkpoint as a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmgait_cli.completion import known, models
from lmgait_cli.console import out
from lmgait_cli.options import (
    ConfigOption,
    PresetOption,
    SetOption,
)
from lmgait_cli.verbs import Terminal, verb


@verb()
def import_weights(
    terminal: Terminal,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A checkpoint of torch.save (.pt).")],
    model: Annotated[
        str,
        typer.Option("--model", help="Model family of the checkpoint.", autocompletion=models),
    ],
    dataset: Annotated[
        str,
        typer.Option("--dataset", help="Dataset it was trained on.", autocompletion=known),
    ],
    names: Annotated[
        Path | None,
        typer.Option(
            "--names",
            help="YAML file of `ours: theirs`, for parts that cannot be told apart by shape.",
        ),
    ] = None,
    preset: PresetOption = "paper",
    config: ConfigOption = None,
    settings: SetOption = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the run.")] = None,
) -> None:
    """Import a checkpoint trained by another program, such as OpenGait, as a run.

    Only tensors are read; no code in the file is executed. Every tensor must match a parameter of
    the model, and the classifier must have as many identities as the dataset. The run records the
    source, and the other verbs treat it like a run trained here.

    Example: lmgait import-weights GaitBase-60000.pt --model gaitbase --dataset ccpg
    """
    from core.config import resolve_config
    from core.workflows.import_weights import import_weights as run_import

    resolved = resolve_config(
        preset, model=model, dataset=dataset, file=config, overrides=settings or ()
    )
    imported = run_import(
        terminal.workspace,
        path,
        dataset=dataset,
        config=resolved,
        preset=preset,
        name=name,
        names=names,
        progress=terminal.progress,
    )
    identities = "no classifier" if imported.classes is None else f"{imported.classes} identities"
    out.print(
        f"Run {imported.run.name}: {imported.tensors} tensors, {identities}, "
        f"iteration {imported.step:,}\n"
        f"SHA-256 of the file: {imported.sha256}\nNext: lmgait evaluate --run {imported.run.name}",
        markup=False,
        soft_wrap=True,
    )
    terminal.write_json(imported.to_json())
