"""`lmgait identify`: who walks in a video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from lmgait_cli.console import out, print_table
from lmgait_cli.finding import BoxesOption, CropOption, DetectorOption, GalleryArgument
from lmgait_cli.options import RunOption
from lmgait_cli.verbs import Terminal, verb

if TYPE_CHECKING:
    from core.recognition.identified import Identified

SHOWN, TOLD = 3, 5  # candidates in a row, tracks that were left out
UNKNOWN = "unknown"


@verb()
def identify(
    terminal: Terminal,
    gallery: GalleryArgument,
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="The video.")],
    false_accepts: Annotated[
        float,
        typer.Option("--false-accepts", help="Share of strangers that may be taken for somebody."),
    ] = 0.05,
    crop: CropOption = False,
    boxes: BoxesOption = None,
    detector: DetectorOption = None,
    video_out: Annotated[
        Path | None, typer.Option("--video-out", help="Also write the video with boxes and names.")
    ] = None,
    run_name: RunOption = None,
) -> None:
    """Find everybody who walks in a video and name those who are in the gallery.

    Who is nobody of the gallery is `unknown`: how near strangers come is measured on test subjects
    of the run's own dataset.

    Example: lmgait identify people.safetensors door.mp4 --json door.json
    """
    from core.recognition.named_video import check_video_name, write_named_video
    from core.tracking.find import Finding
    from core.workflows.identify import identify as run

    if video_out is not None:
        check_video_name(video_out)
    progress = terminal.progress
    done = run(
        terminal.workspace,
        gallery,
        video,
        run_name=run_name,
        finding=Finding(crop, boxes, detector),
        false_accepts=false_accepts,
        progress=progress,
    )
    _show(done)
    if video_out is not None:
        write_named_video(video_out, done, progress)
        progress.say(f"Written: {video_out}")
    terminal.write_json(done.to_json())


def _show(done: Identified) -> None:
    rows = []
    for walk, answer in zip(done.found.walks, done.answers, strict=True):
        first, *others = answer.candidates[:SHOWN]
        named = answer.name or (UNKNOWN if done.strangers else "?")
        share = "-" if first.share is None else f"{first.share:.1%}"
        begin, end = walk.seconds
        rows.append(
            [
                str(walk.track.number),
                f"{begin:.1f}-{end:.1f}",
                named,
                f"{first.name} {first.distance:.3f}",
                share,
                ", ".join(f"{one.name} {one.distance:.3f}" for one in others),
            ]
        )
    headers = ["track", "seconds", "who", "nearest", "strangers as near", "then"]
    plain = [[escape(cell) for cell in row] for row in rows]  # a name may look like markup
    print_table(escape(done.found.footage.path.name), headers, plain)
    for left in done.left_out[:TOLD]:
        _tell(f"Left out: track {left.track.number}, {left.reason}")
    if len(done.left_out) > TOLD:
        _tell(f"Left out: {len(done.left_out) - TOLD} more (all of them with --json)")
    _tell(_meaning(done))


def _meaning(done: Identified) -> str:
    if not done.strangers:
        return (
            "There are no strangers to compare with, so this cannot tell whether somebody is in "
            "the gallery at all: the nearest is shown, nobody is named."
        )
    told = (
        f"Named: nearer than {1 - done.false_accepts:.0%} of {done.strangers} walks of strangers, "
        "from the side where they come nearest"
    )
    if done.scale is None:
        return (
            f"{told}. Only one person is in the gallery: strangers who are filmed in your place "
            "come nearer than these. Enroll more people, also some whom you do not look for."
        )
    if done.scale == 1:
        return f"{told}."
    return f"{told}, at {done.scale:.0%} of their distance: as near as the gallery's people are."


def _tell(text: str) -> None:
    out.print(text, markup=False, style="dim", soft_wrap=True)
