"""Options shared by several verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmgait_cli.completion import ablations, models, prepared, presets, runs

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        help="Folder of stores and runs. Default: $LMGAIT_WORKSPACE, then ./lmgait-workspace.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print only results and errors.")]
JsonOption = Annotated[
    Path | None, typer.Option("--json", help="Also write the result to this file as JSON.")
]
DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Only estimate time and disk space, from a few real steps."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Random seed.", min=0)]
PresetOption = Annotated[
    str,
    typer.Option(
        "--preset",
        envvar="LMGAIT_PRESET",
        autocompletion=presets,
        help="Model size: `paper`, or `tiny` (small, with the package's encoders; no download).",
    ),
]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        autocompletion=models,
        help="Model family, such as lmgait, or gaitbase on silhouettes.",
    ),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="YAML file of settings that override the preset.")
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
        help="data.workers, evaluate.frames_per_chunk or model.image.chunk; results do not change.",
    ),
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help="Prepared dataset. Default: the one prepared last.",
        autocompletion=prepared,
    ),
]
RunOption = Annotated[
    str | None,
    typer.Option("--run", help="Run to use. Default: the newest.", autocompletion=runs),
]
AblationOption = Annotated[
    str | None,
    typer.Option(
        "--ablation", help="A row of the paper's Tables 4-7 by name.", autocompletion=ablations
    ),
]

DEFAULT_PRESET = "tiny"
DEFAULT_MODEL = "lmgait"
