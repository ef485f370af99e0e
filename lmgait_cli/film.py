"""`lmgait film`: a video of walkers, to try things on."""

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
        str, typer.Option("--subjects", help="Who walks: ids of CASIA-B's layout, with commas.")
    ] = "100",
    view: Annotated[
        float, typer.Option("--view", help="0 towards the camera, 90 past it, 180 away from it.")
    ] = 90.0,
    kind: Annotated[
        str, typer.Option("--type", help="Recording type: nm-01, bg-01 (bag), cl-01 (coat), ...")
    ] = "nm-01",
    take: Annotated[
        str, typer.Option("--take", help="Any word; another one is another day and place.")
    ] = "1",
    size: Annotated[str, typer.Option("--size", help="Width x height in pixels.")] = "640x480",
    crossing: Annotated[
        bool, typer.Option("--crossing", help="Every second person, or pair, walks the other way.")
    ] = False,
    pairs: Annotated[
        int, typer.Option("--pairs", help="So many pairs, the first subjects, walk side by side.")
    ] = 0,
    stops: Annotated[
        int, typer.Option("--stops", help="So many, the last, stand still for a while halfway.")
    ] = 0,
    far: Annotated[
        bool, typer.Option("--far", help="They come from far, small at first; best with --view 0.")
    ] = False,
    height: Annotated[
        float, typer.Option("--height", help="Metres of the camera over the ground.")
    ] = 1.5,
    rate: Annotated[float, typer.Option("--rate", help="Frames a second.")] = 25.0,
    boxes: Annotated[
        Path | None,
        typer.Option("--boxes-out", help="Write the boxes of what is seen, MOTChallenge's form."),
    ] = None,
    seed: SeedOption = 0,
) -> None:
    """Render walkers in a scene, before a standing camera, as a video.

    A walker is the same person in every film and in `lmgait synthesize casiab` of the same seed;
    clothes, surroundings, light and the walk itself change with the take.

    A file of boxes has frame,track,left,top,width,height,1,1,share a line: frames and tracks count
    from 1, and the share of the person that is seen comes last.

    Example: lmgait film anna.mp4 --subjects 101 --take monday
    """
    from core.workflows.film import film as run

    done = run(
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
    terminal.write_json(done.to_json())
    out.print(
        f"{done.path}: {done.frames} frames, {done.people} walker{'s' * (done.people != 1)}\n"
        f"Next: lmgait identify GALLERY {done.path}",
        markup=False,
        soft_wrap=True,
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
