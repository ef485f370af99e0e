"""`lmgait visualize`: pictures of what a model sees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmgait_cli.completion import prepared, runs
from lmgait_cli.console import ConsoleProgress, out
from lmgait_cli.options import JsonOption, QuietOption, WorkspaceOption
from lmgait_cli.results import write_json


def visualize(
    run_name: Annotated[str, typer.Argument(metavar="RUN", help="Which run.", autocompletion=runs)],
    sequence: Annotated[
        str, typer.Argument(metavar="SEQUENCE", help="subject/type/view, such as 075/nm-05/090.")
    ],
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Prepared dataset of the sequence; else the run's own.",
            autocompletion=prepared,
        ),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="A sheet (.png) or a film (.gif, .mp4); else a sheet in the run's folder.",
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            "--frames",
            min=1,
            max=200,
            help="Most frames shown, evenly spread; else 8 in a .png, 28 in a .gif, 48 in an .mp4.",
        ),
    ] = None,
    workspace: WorkspaceOption = None,
    json_file: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Draw what a model sees of a sequence: frames, silhouettes, attention to words, motion.

    Where there is text, all is shown beside what the same weights see without it. The picture
    shows a person.

    Example: lmgait visualize ccpg-tiny-001 000/U0_D0/01_0 --out walk.mp4
    """
    from core.workflows.visualize import visualize as run
    from core.workspace import Workspace

    done = run(
        Workspace.find(workspace),
        run_name,
        sequence,
        dataset=dataset,
        out=path,
        frames=frames,
        progress=ConsoleProgress(quiet),
    )
    lines = [f"{done.path}: {len(done.frames)} of {done.total} frames of {done.key}", *done.notes]
    out.print("\n".join(lines), markup=False, soft_wrap=True)
    content = {
        "file": str(done.path),
        "run": done.run.name,
        "sequence": str(done.key),
        "frames": done.frames,
        "of": done.total,
        "notes": done.notes,
        "words": [{"word": word, "share": share} for word, share in done.words],
    }
    write_json(json_file, content, quiet)
