"""`lmgait enroll`: add a person's walks to a gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmgait_cli.console import out
from lmgait_cli.finding import BoxesOption, CropOption, DetectorOption, GalleryArgument
from lmgait_cli.options import RunOption
from lmgait_cli.verbs import Terminal, verb


@verb()
def enroll(
    terminal: Terminal,
    gallery: GalleryArgument,
    name: Annotated[str, typer.Argument(help="The person's name.")],
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Videos of the person.")],
    track: Annotated[
        int | None, typer.Option("--track", help="Track to enroll if several people walk at once.")
    ] = None,
    crop: CropOption = False,
    boxes: BoxesOption = None,
    detector: DetectorOption = None,
    run_name: RunOption = None,
) -> None:
    """Find the person who walks in each video and add them to a gallery under a name.

    A missing gallery is created. Enrolling the same video again replaces its earlier walks.
    How to film, and what does not work: docs/own-videos.md.

    Example: lmgait enroll people.safetensors Anna anna.mp4
    """
    from core.tracking.find import Finding
    from core.workflows.enroll import enroll as run

    result = run(
        terminal.workspace,
        gallery,
        name,
        videos,
        run_name=run_name,
        finding=Finding(crop, boxes, detector),
        track=track,
        progress=terminal.progress,
    )
    terminal.write_json(result.to_json())
    for entry in result.entries:
        out.print(
            f"{entry.name}: track {entry.track} of {entry.video}, {entry.frames} frames",
            markup=False,
            soft_wrap=True,
        )
    people, walks = len(result.gallery.names), len(result.gallery.entries)
    out.print(
        f"{result.path}: {people} {'person' if people == 1 else 'people'}, "
        f"{walks} walk{'s' * (walks != 1)}\nNext: lmgait identify {result.path} VIDEO",
        markup=False,
        soft_wrap=True,
    )
