"""`lmgait import-weights`: a published checkpoint as a run."""

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
        typer.Option("--model", help="Family of its network.", autocompletion=models),
    ],
    dataset: Annotated[
        str,
        typer.Option("--dataset", help="What it was trained on.", autocompletion=known),
    ],
    names: Annotated[
        Path | None,
        typer.Option(
            "--names", help="YAML file of `ours: theirs`, for parts that shapes do not tell apart."
        ),
    ] = None,
    preset: PresetOption = "paper",
    config: ConfigOption = None,
    settings: SetOption = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the run.")] = None,
) -> None:
    """Make a run of a checkpoint that another program trained, as OpenGait publishes them.

    Only tensors are read: nothing in the file is run. Every tensor has to find its place in the
    model, and the classifier's identities have to be the dataset's. The run says where it came
    from, and the other verbs take it like one that was trained here.

    Example: lmgait import-weights GaitBase-60000.pt --model gaitbase --dataset ccpg
    """
    from core.config import resolve_config
    from core.workflows.import_weights import import_weights as run_import

    resolved = resolve_config(
        preset, model=model, dataset=dataset, file=config, overrides=settings or ()
    )
    done = run_import(
        terminal.workspace,
        path,
        dataset=dataset,
        config=resolved,
        preset=preset,
        name=name,
        names=names,
        progress=terminal.progress,
    )
    identities = "no classifier" if done.classes is None else f"{done.classes} identities"
    out.print(
        f"Run {done.run.name}: {done.tensors} tensors, {identities}, iteration {done.step:,}\n"
        f"SHA-256 of the file: {done.sha256}\nNext: lmgait evaluate --run {done.run.name}",
        markup=False,
        soft_wrap=True,
    )
    terminal.write_json(done.to_json())
