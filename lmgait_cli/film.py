"""`lmgait film`: render a test video of walkers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmgait_cli.console import out
from lmgait_cli.options import SeedOption
from lmgait_cli.verbs import Terminal, verb


@verb(workspace=False)
def film(
    terminal: Terminal,
    path: Annotated[Path, typer.Argument(metavar="OUT", help="The video, ending in .mp4.")],
    subjects: Annotated[
        str, typer.Option("--subjects", help="Comma-separated subject ids in CASIA-B's layout.")
    ] = "100",
    view: Annotated[
        float,
        typer.Option(
            "--view", help="Degrees: 0 towards the camera, 90 sideways, 180 away from it."
        ),
    ] = 90.0,
    kind: Annotated[
        str, typer.Option("--type", help="Recording type: nm-01, bg-01 (bag), cl-01 (coat), ...")
    ] = "nm-01",
    take: Annotated[
        str, typer.Option("--take", help="Any word; each gives another day and place.")
    ] = "1",
    size: Annotated[str, typer.Option("--size", help="Width x height in pixels.")] = "640x480",
    crossing: Annotated[
        bool, typer.Option("--crossing", help="Every second person or pair walks the other way.")
    ] = False,
    pairs: Annotated[
        int,
        typer.Option(
            "--pairs", help="Number of pairs that walk side by side, from the first subjects."
        ),
    ] = 0,
    stops: Annotated[
        int,
        typer.Option(
            "--stops", help="Number of subjects, from the last, that stop for a while halfway."
        ),
    ] = 0,
    far: Annotated[
        bool, typer.Option("--far", help="Subjects start far away and small; best with --view 0.")
    ] = False,
    height: Annotated[
        float, typer.Option("--height", help="Camera height above the ground in metres.")
    ] = 1.5,
    rate: Annotated[float, typer.Option("--rate", help="Frames per second.")] = 25.0,
    boxes: Annotated[
        Path | None,
        typer.Option("--boxes-out", help="Also write the visible boxes, in MOTChallenge format."),
    ] = None,
    seed: SeedOption = 0,
) -> None:
    """Render a video of walkers in front of a static camera.

    With the same seed, a walker is the same person in every film and in `lmgait synthesize casiab`;
    clothes, surroundings, light and the walk change with the take.

    Each line of the box file is frame,track,left,top,width,height,1,1,visible: frames and tracks
    count from 1, and the last value is the visible share of the person.

    Example: lmgait film anna.mp4 --subjects 101 --take monday
    """
    from core.workflows.film import film as run

    video = run(
        path,
        _names(subjects),
        angle=view,
        kind=kind,
        take=take,
        size=size,
        crossing=crossing,
        seed=seed,
        progress=terminal.progress,
        pairs=pairs,
        stops=stops,
        far=far,
        height=height,
        rate=rate,
        boxes=boxes,
    )
    terminal.write_json(video.to_json())
    out.print(
        f"{video.path}: {video.frames} frames, {video.people} walker{'s' * (video.people != 1)}\n"
        f"Next: lmgait identify GALLERY {video.path}",
        markup=False,
        soft_wrap=True,
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
