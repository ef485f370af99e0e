"""`lmgait enroll`: put a person's walks into a gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError, UsageError
from core.progress import Progress
from core.recognition.gallery import (
    Entry,
    Gallery,
    ModelId,
    changing,
    check_maker,
    checked_name,
    empty_gallery,
    read_gallery,
    write_gallery,
)
from core.recognition.walks import Walks, model_id_of, walks_in
from core.runs.load import load_model
from core.runs.run import find_run
from core.storage.shard import file_hash
from core.tracking.find import Finding
from core.training.engine import make_engine
from core.workspace import Workspace

New = list[tuple[Entry, NDArray[np.float32]]]


@dataclass(frozen=True, slots=True)
class EnrollResult:
    """What was enrolled.

    Attributes:
        path: The gallery.
        name: Whose walks.
        entries: The walks that were added.
        gallery: The gallery as it is now.
    """

    path: Path
    name: str
    entries: tuple[Entry, ...]
    gallery: Gallery

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "gallery": str(self.path),
            "walks": [entry.model_dump(exclude={"digest"}) for entry in self.entries],
        }


def enroll(
    workspace: Workspace,
    path: Path,
    name: str,
    videos: Sequence[Path],
    *,
    run_name: str | None,
    finding: Finding,
    track: int | None,
    progress: Progress,
) -> EnrollResult:
    """Add a person's walks to a gallery, which is made where there is none.

    Where several people are in a picture at once, ``track`` has to say who is meant; tracks one
    after the other are taken for the same person. A video that was enrolled under this name before
    is replaced; a track that was somebody else's before is this person's now, and that is said.

    Args:
        workspace: Where runs live.
        path: The gallery.
        name: The person's.
        videos: One at least.
        run_name: Which run; None takes the newest.
        finding: How persons are found; a file of boxes goes with a single video.
        track: Which person, by number.
        progress: Counts frames.

    Raises:
        UsageError: a name that is none, no such run, or options that exclude each other.
        DataError: a video or gallery that cannot be used, nobody found, or several people.
        CheckpointError, WeightsError, OutputError: see their texts.
    """
    name = checked_name(name)
    if len(videos) > 1 and (finding.boxes is not None or track is not None):
        raise UsageError(
            "--boxes and --track belong to one video",
            where="VIDEO",
            next_step="Enroll the videos one by one.",
        )
    run = find_run(
        workspace.runs, name=run_name, dataset=None, capability="films", progress=progress
    )
    loaded = load_model(run, device=make_engine().device)
    maker = model_id_of(run, loaded)
    progress.say(f"Run {run.name} (trained on {run.dataset}).")
    if path.exists():  # told before the work, not after it
        check_maker(read_gallery(path), maker, path)
    new: New = []
    for video in videos:
        found = walks_in(video, loaded, finding, progress, wanted=track)
        _check_alone(found, progress, name)
        new += _entries(found, name)
    gallery, taken = _add(path, maker, new)
    for entry in taken:
        progress.say(
            f"Track {entry.track} of {entry.video} was {entry.name}'s; it is {name}'s now."
        )
    return EnrollResult(path, name, tuple(entry for entry, _ in new), gallery)


def _check_alone(found: Walks, progress: Progress, name: str) -> None:
    """Refuse several people at once; tell of several tracks one after the other."""
    for out in found.left_out:
        progress.say(
            f"Left out of {found.footage.path.name}: track {out.track.number}, {out.reason}."
        )
    order = sorted(found.walks, key=lambda walk: walk.seconds)
    listed = "; ".join(str(walk) for walk in found.walks)
    if any(second.seconds[0] < first.seconds[1] for first, second in pairwise(order)):
        raise DataError(
            f"{len(order)} people walk in this video: {listed}",
            where=found.footage.path,
            next_step="Say which one with --track.",
        )
    if len(order) > 1:
        progress.say(f"Taken for {name}, as they come one after the other: {listed}.")


def _entries(found: Walks, name: str) -> New:
    path = found.footage.path
    digest = file_hash(path)
    return [
        (
            Entry(
                name=name,
                video=path.name,
                digest=digest,
                track=walk.track.number,
                frames=len(walk.track),
            ),
            walk.embedding,
        )
        for walk in found.walks
    ]


def _add(path: Path, maker: ModelId, new: New) -> tuple[Gallery, list[Entry]]:
    """The gallery with the new walks, and the entries of other names that they replaced."""
    with changing(path):
        if path.exists():
            before = read_gallery(path)
            check_maker(before, maker, path)
        else:
            first = new[0][1]
            before = empty_gallery(maker, (first.shape[0], first.shape[1]))
        after = before.with_walks(new)
        write_gallery(path, after)
    name = new[0][0].name
    taken = [e for e in before.entries if e.name != name and e not in after.entries]
    return after, taken
