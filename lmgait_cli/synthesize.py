"""`lmgait synthesize`: render a synthetic dataset."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from lmgait_cli.console import out
from lmgait_cli.options import SeedOption
from lmgait_cli.verbs import Terminal, verb


@verb(workspace=False, dry_run=True)
def synthesize(
    terminal: Terminal,
    dataset: Annotated[str, typer.Argument(help="Name of a dataset.")],
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder.")],
    train_subjects: Annotated[int, typer.Option(help="Training subjects.", min=0)] = 8,
    test_subjects: Annotated[int, typer.Option(help="Test subjects.", min=0)] = 8,
    types: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated recording types, or all. Default: those the protocol needs."
        ),
    ] = None,
    views: Annotated[
        str | None, typer.Option(help="Comma-separated views, or all. Default: four of them.")
    ] = None,
    frames: Annotated[int, typer.Option(help="Frames per sequence, at 25 per second.")] = 40,
    form: Annotated[
        str | None,
        typer.Option("--form", help="Delivered form, if several can be rendered."),
    ] = None,
    poses: Annotated[
        bool,
        typer.Option(
            "--poses", help="Also write exact poses, in the format of ccpg, sustech1k or casiab."
        ),
    ] = False,
    parsing: Annotated[
        bool,
        typer.Option(
            "--parsing",
            help="Write exact parsing too: gait3d and ccgr_mini as delivered, ccpg, sustech1k and "
            "casiab beside a manifest that names it.",
        ),
    ] = False,
    seed: SeedOption = 0,
    workers: Annotated[
        int | None, typer.Option(help="Processes. Default: one per processor.", min=1)
    ] = None,
) -> None:
    """Render synthetic walkers in a dataset's official raw layout.

    Only body shape and movement define identity; clothes, colours, background and light change with
    every sequence. The same seed gives the same files. To resume after a stop, run the same command
    again.

    Example: lmgait synthesize casiab walkers/casiab --train-subjects 20 --views 000,054,090
    """
    from core.workflows.synthesize import synthesize as run

    processes = workers or os.cpu_count() or 1
    if terminal.dry_run:
        from core.synthetic.estimate import estimate_synthesis

        estimate = estimate_synthesis(
            dataset,
            folder,
            train_subjects=train_subjects,
            test_subjects=test_subjects,
            types=_names(types),
            views=_names(views),
            frames=frames,
            seed=seed,
            workers=processes,
            form=form,
            with_poses=poses,
            with_parsing=parsing,
        )
        terminal.show_estimate(estimate)
        return
    result = run(
        dataset,
        folder,
        train_subjects=train_subjects,
        test_subjects=test_subjects,
        types=_names(types),
        views=_names(views),
        frames=frames,
        seed=seed,
        workers=processes,
        progress=terminal.progress,
        form=form,
        with_poses=poses,
        with_parsing=parsing,
    )
    rate = result.frames / max(result.seconds, 1e-9)
    out.print(
        f"{result.sequences} sequences of {len(result.train)} training and {len(result.test)} test "
        f"subjects in {result.folder} ({result.rendered} rendered now, {result.frames} frames, "
        f"{result.seconds:.1f} s, {rate:.0f} frames/s).\n"
        f"Next: lmgait prepare {result.manifest} {result.folder}",
        markup=False,
        soft_wrap=True,
    )
    content = {
        "folder": str(result.folder),
        "sequences": result.sequences,
        "rendered": result.rendered,
        "frames": result.frames,
        "seconds": result.seconds,
        "train": result.train,
        "test": result.test,
    }
    terminal.write_json(content)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
