"""Options that several verbs share, so that they read and behave alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmgait_cli.completion import ablations, models, prepared, presets, runs

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        help="Folder of stores and runs; else $LMGAIT_WORKSPACE, else ./lmgait-workspace.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print results and errors only.")]
JsonOption = Annotated[
    Path | None, typer.Option("--json", help="Also write the result to this file as JSON.")
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Only say what it would take in time and disk, from a few real steps."
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of everything random.", min=0)]
PresetOption = Annotated[
    str,
    typer.Option(
        "--preset",
        envvar="LMGAIT_PRESET",
        autocompletion=presets,
        help="Model size: `paper`, or `tiny` (small, with encoders of the package; no download).",
    ),
]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        autocompletion=models,
        help="Family of models, such as lmgait, or gaitbase on silhouettes.",
    ),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="YAML file with settings over the preset's.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as train.iterations=40."),
]
MachineSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="data.workers, evaluate.frames_per_chunk or model.image.chunk: no result changes.",
    ),
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help="Which prepared dataset; else the one prepared last.",
        autocompletion=prepared,
    ),
]
RunOption = Annotated[
    str | None,
    typer.Option("--run", help="Which run; else the newest.", autocompletion=runs),
]
AblationOption = Annotated[
    str | None,
    typer.Option(
        "--ablation", help="A row of the paper's Tables 4-7 by name.", autocompletion=ablations
    ),
]

DEFAULT_PRESET = "tiny"
DEFAULT_MODEL = "lmgait"
