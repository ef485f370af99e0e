"""`lmgait synthesize`: walkers that nobody has to ask permission for."""

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
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to fill.")],
    train_subjects: Annotated[int, typer.Option(help="Training subjects.", min=0)] = 8,
    test_subjects: Annotated[int, typer.Option(help="Test subjects.", min=0)] = 8,
    types: Annotated[
        str | None,
        typer.Option(help="Recording types, with commas, or all; else what the protocol needs."),
    ] = None,
    views: Annotated[
        str | None, typer.Option(help="Views, with commas, or all; else four of them.")
    ] = None,
    frames: Annotated[int, typer.Option(help="Frames a sequence, at 25 a second.")] = 40,
    form: Annotated[
        str | None,
        typer.Option("--form", help="The delivered form, where several can be rendered."),
    ] = None,
    poses: Annotated[
        bool,
        typer.Option(
            "--poses", help="Write exact poses too, as ccpg, sustech1k and casiab deliver theirs."
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
        int | None, typer.Option(help="Processes; else one a processor.", min=1)
    ] = None,
) -> None:
    """Render synthetic walkers in a dataset's official raw layout.

    Identity is body shape and movement only; clothes, colours, background and light change with
    every sequence. The same seed gives the same files. Run it again after a stop and it goes on.

    Example: lmgait synthesize casiab walkers/casiab --train-subjects 20 --views 000,054,090
    """
    from core.workflows.synthesize import synthesize as run

    processes = workers or os.cpu_count() or 1
    if terminal.dry_run:
        from core.synthetic.estimate import estimate_synthesis

        told = estimate_synthesis(
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
        terminal.show_estimate(told)
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
