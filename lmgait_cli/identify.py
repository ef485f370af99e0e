"""`lmgait identify`: identify the people who walk in a video."""

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

MAX_CANDIDATES, MAX_SKIPPED = 3, 5  # candidates per row, skipped tracks listed
UNKNOWN = "unknown"


@verb()
def identify(
    terminal: Terminal,
    gallery: GalleryArgument,
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="Video file.")],
    false_accepts: Annotated[
        float,
        typer.Option(
            "--false-accepts",
            help="Share of strangers that may be accepted as somebody in the gallery.",
        ),
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

    People who are not in the gallery are `unknown`. The threshold is measured on strangers: test
    subjects of the run's own dataset.

    Example: lmgait identify people.safetensors door.mp4 --json door.json
    """
    from core.recognition.named_video import check_video_name, write_named_video
    from core.tracking.find import Finding
    from core.workflows.identify import identify as run

    if video_out is not None:
        check_video_name(video_out)
    progress = terminal.progress
    result = run(
        terminal.workspace,
        gallery,
        video,
        run_name=run_name,
        finding=Finding(crop, boxes, detector),
        false_accepts=false_accepts,
        progress=progress,
    )
    _show(result)
    if video_out is not None:
        write_named_video(video_out, result, progress)
        progress.say(f"Written: {video_out}")
    terminal.write_json(result.to_json())


def _show(result: Identified) -> None:
    rows = []
    for walk, answer in zip(result.found.walks, result.answers, strict=True):
        first, *others = answer.candidates[:MAX_CANDIDATES]
        name = answer.name or (UNKNOWN if result.strangers else "?")
        share = "-" if first.share is None else f"{first.share:.1%}"
        begin, end = walk.seconds
        rows.append(
            [
                str(walk.track.number),
                f"{begin:.1f}-{end:.1f}",
                name,
                f"{first.name} {first.distance:.3f}",
                share,
                ", ".join(f"{one.name} {one.distance:.3f}" for one in others),
            ]
        )
    headers = ["track", "seconds", "who", "nearest", "strangers as near", "then"]
    plain = [[escape(cell) for cell in row] for row in rows]  # names may contain markup
    print_table(escape(result.found.footage.path.name), headers, plain)
    for skipped in result.left_out[:MAX_SKIPPED]:
        _print_line(f"Skipped: track {skipped.track.number}, {skipped.reason}")
    if len(result.left_out) > MAX_SKIPPED:
        _print_line(f"Skipped: {len(result.left_out) - MAX_SKIPPED} more (all of them with --json)")
    _print_line(_meaning(result))


def _meaning(result: Identified) -> str:
    if not result.strangers:
        return (
            "Without strangers to compare with, it is not known whether somebody is in the gallery "
            "at all: the nearest person is shown, nobody is named."
        )
    summary = (
        f"A name means: nearer than {1 - result.false_accepts:.0%} of {result.strangers} walks of "
        "strangers, filmed from the side where they come nearest"
    )
    if result.scale is None:
        return (
            f"{summary}. Only one person is in the gallery: strangers filmed at your site come "
            "nearer than these. Enroll more people, including some you are not looking for."
        )
    if result.scale == 1:
        return f"{summary}."
    return f"{summary}, at {result.scale:.0%} of their distance, to match the gallery's people."


def _print_line(text: str) -> None:
    out.print(text, markup=False, style="dim", soft_wrap=True)
