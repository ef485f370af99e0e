"""From a video to embeddings of the people who walk in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.data.dataset import to_tensor
from core.errors import DataError
from core.models.capabilities import Films
from core.models.families import require
from core.progress import Progress
from core.recognition.gallery import ModelId
from core.records import FRAME_HEIGHT, FRAME_WIDTH
from core.runs.load import LoadedModel, newest_weights
from core.runs.run import Run
from core.storage.shard import file_hash
from core.tracking.find import Finding, Footage, find_tracks, frame_rate
from core.tracking.tracks import SLOW, Track, Unusable, sort_out
from core.video.geometry import Box, fit_rgb


@dataclass(frozen=True, slots=True)
class Walk:
    """One person's walk through a video.

    Attributes:
        track: Frames and boxes.
        seconds: When it begins and ends.
        embedding: float32 [C, P].
    """

    track: Track
    seconds: tuple[float, float]
    embedding: NDArray[np.float32]

    def __str__(self) -> str:
        begin, end = self.seconds
        return f"track {self.track.number} ({len(self.track)} frames, {begin:.1f} to {end:.1f} s)"


@dataclass(frozen=True, slots=True)
class Walks:
    """What was found in a video.

    Attributes:
        footage: The video.
        walks: Who walks, in order of appearance; one at least.
        left_out: Tracks that could not be used, and why.
    """

    footage: Footage
    walks: tuple[Walk, ...]
    left_out: tuple[Unusable, ...]


def model_id_of(run: Run, loaded: LoadedModel) -> ModelId:
    """What embeddings of this model are told apart by."""
    newest, _ = newest_weights(run)
    return ModelId(
        run=run.name,
        dataset=run.dataset,
        step=int(loaded.header["step"]),
        fingerprint=file_hash(newest / "model.safetensors"),
    )


def walks_in(
    path: Path,
    loaded: LoadedModel,
    finding: Finding,
    progress: Progress,
    *,
    wanted: int | None = None,
) -> Walks:
    """Find, follow and embed everybody who walks in a video.

    Memory does not grow with the video: frames are decoded and embedded a few at a time.

    Args:
        path: The video.
        loaded: The model.
        finding: How persons are found.
        progress: Counts frames, and is told what is left out.
        wanted: Embed this track only.

    Raises:
        DataError: no video, nobody who can be used, or no such track.
        UsageError: a detector's package is missing, or the model reads silhouettes.
    """
    require(loaded.config.model, "films", "Embedding people of a film")
    footage = Footage.open(path)
    if footage.video.lost:
        progress.say(
            f"{path.name}: {len(footage.video.lost)} of {len(footage.video)} frames cannot be used "
            "(damaged, or of another shape than the first): left out."
        )
    tell_slow(footage, progress)
    usable, left_out = sort_out_found(footage, finding, progress)
    if wanted is not None:
        numbers = ", ".join(str(track.number) for track in usable)
        usable = [track for track in usable if track.number == wanted]
        if not usable:
            raise DataError(
                f"There is no usable track {wanted}",
                where=path,
                next_step=f"The video has {numbers}.",
            )
    walks = []
    with progress.task(f"Embedding {path.name}", sum(map(len, usable)), "frames") as task:
        for track in usable:
            embedding = embed_track(footage, track, loaded)
            times = footage.video.times[track.frames[[0, -1]]]
            walks.append(Walk(track, (float(times[0]), float(times[1])), embedding))
            task.advance(len(track))
    return Walks(footage, tuple(walks), tuple(left_out))


def tell_slow(footage: Footage, progress: Progress) -> None:
    """Say it where a video has fewer frames a second than models learn from."""
    rate = frame_rate(footage)
    if rate < SLOW:
        progress.say(
            f"{footage.path.name} has {rate:.1f} frames a second; models learn from 25 to 30, "
            "so people are told apart less surely."
        )


def sort_out_found(
    footage: Footage, finding: Finding, progress: Progress
) -> tuple[list[Track], list[Unusable]]:
    """Tracks of a video that can be used, and the others with their reasons.

    Raises:
        DataError: none can be used; the message says why.
    """
    tracks = find_tracks(footage, finding, progress)
    if finding.crop:
        return tracks, []
    usable, left_out = sort_out(tracks, footage.size, rate=frame_rate(footage))
    if not usable:
        told = [f"\n  track {u.track.number}: {u.reason}" for u in left_out][:5]
        raise DataError(
            "Nobody who walks was found" + ("".join(told) and ":" + "".join(told)),
            where=footage.path,
            next_step="See docs/own-videos.md, or use --boxes, --detector or --crop.",
        )
    return usable, left_out


def embed_track(footage: Footage, track: Track, loaded: LoadedModel) -> NDArray[np.float32]:
    """The embedding of one track, float32 [C, P]."""
    return loaded.embed(_chunks(footage, track, loaded))


def _chunks(footage: Footage, track: Track, loaded: LoadedModel) -> Iterator[torch.Tensor]:
    config = loaded.config
    size = Films.of(config.model, "Embedding people of a film").frame_size(config.model)
    length = config.evaluate.frames_per_chunk
    held: list[NDArray[np.uint8]] = []
    for frame in crops(footage, track):
        held.append(frame)
        if len(held) == length:
            yield to_tensor(np.stack(held), size)
            held = []
    if held:
        yield to_tensor(np.stack(held), size)


def crops(footage: Footage, track: Track) -> Iterator[NDArray[np.uint8]]:
    """The person's box in each frame, in the geometry of a store: uint8 [256, 128, 3]."""
    boxes = dict(zip(track.frames.tolist(), track.boxes, strict=True))
    height, width = footage.size
    for number, frame in footage.images(list(boxes)):
        left, top, right, bottom = (round(float(edge)) for edge in boxes[number])
        left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
        box = Box(top, max(top + 1, min(bottom, height)), left, max(left + 1, min(right, width)))
        fitted = np.zeros((FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
        fit_rgb(frame, box, fitted)
        yield fitted
