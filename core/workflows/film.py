"""`lmgait film`: walkers in one scene as a video."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.progress import Progress
from core.synthetic.company import DATASET
from core.synthetic.datasets import TYPES, choose
from core.synthetic.film import Seen, plan_film, render_film, seen_in
from core.synthetic.shot import FPS
from core.system.files import whole_file, write_text
from core.video.encode import VideoWriter

MOST_PEOPLE = 12
SMALLEST, LARGEST = 64, 4096
SLOWEST, FASTEST = 1.0, 120.0
LOWEST, HIGHEST = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class FilmResult:
    """A film: its file, number of frames and of people, and the file of boxes if one was asked."""

    path: Path
    frames: int
    people: int
    boxes: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        content = {"file": str(self.path), "frames": self.frames, "people": self.people}
        boxes = {} if self.boxes is None else {"boxes": str(self.boxes)}
        return {**content, **boxes}


def film(
    path: Path,
    subjects: Sequence[str],
    *,
    angle: float,
    kind: str,
    take: str,
    size: str,
    crossing: bool,
    seed: int,
    progress: Progress,
    pairs: int = 0,
    stops: int = 0,
    far: bool = False,
    height: float = 1.5,
    rate: float = FPS,
    boxes: Path | None = None,
) -> FilmResult:
    """Render a film; equal arguments give equal bytes.

    Args:
        path: The .mp4 file.
        subjects: Who walks.
        angle: Degrees, as :func:`core.synthetic.film.plan_film` takes them.
        kind: Recording type of CASIA-B's layout.
        take: Any word.
        size: Width and height, such as ``640x480``.
        crossing: Whether every second person, or pair, walks the other way.
        seed: Of everything random.
        progress: Counts frames.
        pairs: So many pairs of the first subjects walk side by side.
        stops: So many of the last, each one or a pair, stand still for a while halfway.
        far: Whether they come from far.
        height: Metres of the camera over the ground.
        rate: Frames a second.
        boxes: File for the boxes around what is seen of everybody, or None.

    Raises:
        UsageError: an argument out of range.
        OutputError: the file cannot be written.
    """
    if path.suffix.lower() != ".mp4":
        raise UsageError(
            "The video's file has to end in .mp4", where=path, next_step="Change the ending."
        )
    if not 1 <= len(subjects) <= MOST_PEOPLE:
        raise UsageError(
            f"{len(subjects)} people in one film",
            where="--subjects",
            next_step=f"Name 1 to {MOST_PEOPLE}.",
        )
    choose("type", (kind,), TYPES[DATASET], TYPES[DATASET])
    _check_company(len(subjects), pairs, stops)
    _check_range(rate, "--rate", SLOWEST, FASTEST)
    _check_range(height, "--height", LOWEST, HIGHEST)
    plan = plan_film(
        subjects,
        angle=angle,
        kind=kind,
        take=take,
        size=_size(size),
        seed=seed,
        crossing=crossing,
        pairs=pairs,
        stops=stops,
        far=far,
        height=height,
        rate=rate,
    )
    shape = (plan.camera.height, plan.camera.width)
    people: list[Seen] = []
    with (
        whole_file(path) as partial,
        VideoWriter(partial, shape, rate) as writer,
        progress.task("Filming", plan.frames, "frames") as task,
    ):
        for frame, (image, visible) in enumerate(render_film(plan)):
            writer.add(image)
            if boxes is not None:
                people += seen_in(plan, frame, visible)
            task.advance()
    if boxes is not None:
        write_text(boxes, "".join(map(_line, people)))
    return FilmResult(path, plan.frames, len(subjects), boxes)


def _line(seen: Seen) -> str:
    """A line of MOTChallenge's ground truth: counted, of class 1 (pedestrian), share seen."""
    left, top, right, bottom = seen.box
    box = f"{left},{top},{right - left},{bottom - top}"
    return f"{seen.frame + 1},{seen.walker + 1},{box},1,1,{seen.share:.3f}\n"


def _check_company(people: int, pairs: int, stops: int) -> None:
    if not 0 <= 2 * pairs <= people:
        raise UsageError(
            f"{pairs} pairs of {people} people",
            where="--pairs",
            next_step=f"Give 0 to {people // 2}, or name more people.",
        )
    groups = people - pairs
    if not 0 <= stops <= groups:
        raise UsageError(
            f"{stops} stops of {groups} who walk alone or as a pair",
            where="--stops",
            next_step=f"Give 0 to {groups}.",
        )


def _check_range(value: float, option: str, least: float, most: float) -> None:
    if not least <= value <= most:
        raise UsageError(
            f"{value:g} is out of range", where=option, next_step=f"Give {least:g} to {most:g}."
        )


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(SMALLEST <= length <= LARGEST for length in size):
        raise UsageError(
            f"{text!r} is no size",
            where="--size",
            next_step=f"Give {SMALLEST} to {LARGEST}: 640x480.",
        )
    return size
