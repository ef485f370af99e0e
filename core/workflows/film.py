"""`lmgait film`: walkers in one scene as a video."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import UsageError
from core.files import whole_file
from core.progress import Progress
from core.video.encode import VideoWriter
from core.walkers.datasets import TYPES, choose
from core.walkers.film import DATASET, plan_film, render_film
from core.walkers.shot import FPS

MOST_PEOPLE = 12
SMALLEST, LARGEST = 64, 4096


@dataclass(frozen=True, slots=True)
class FilmResult:
    """A film: its file, number of frames and of people."""

    path: Path
    frames: int
    people: int


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
) -> FilmResult:
    """Render a film; equal arguments give equal bytes.

    Args:
        path: The .mp4 file.
        subjects: Who walks.
        angle: Degrees, as :func:`core.walkers.film.plan_film` takes them.
        kind: Recording type of CASIA-B's layout.
        take: Any word.
        size: Width and height, such as ``640x480``.
        crossing: Whether every second person walks the other way.
        seed: Of everything random.
        progress: Counts frames.

    Raises:
        UsageError: an argument out of range.
        OutputError: the file cannot be written.
    """
    if path.suffix.lower() != ".mp4":
        raise UsageError(
            "The video's file has to end in .mp4", where=path, next_step="Change the ending."
        )
    if not 1 <= len(subjects) <= MOST_PEOPLE:
        raise UsageError(f"{len(subjects)} people in one film", where="--subjects",
                         next_step=f"Name 1 to {MOST_PEOPLE}.")  # fmt: skip
    choose("type", (kind,), TYPES[DATASET], TYPES[DATASET])
    plan = plan_film(
        subjects, angle=angle, kind=kind, take=take, size=_size(size), seed=seed, crossing=crossing
    )
    shape = (plan.camera.height, plan.camera.width)
    with (
        whole_file(path) as partial,
        VideoWriter(partial, shape, FPS) as writer,
        progress.task("Filming", plan.frames, "frames") as task,
    ):
        for image, _ in render_film(plan):
            writer.add(image)
            task.advance()
    return FilmResult(path, plan.frames, len(subjects))


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(SMALLEST <= length <= LARGEST for length in size):
        raise UsageError(f"{text!r} is no size", where="--size",
                         next_step=f"Give {SMALLEST} to {LARGEST}: 640x480.")  # fmt: skip
    return size
