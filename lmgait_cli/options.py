"""Options that several verbs share, so that they read and behave alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
