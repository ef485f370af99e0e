"""Embeddings of the people who walk in a video."""

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
        seconds: Start and end time.
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
    """The walks found in a video.

    Attributes:
        footage: The video.
        walks: The usable walks, in order of appearance; at least one.
        left_out: Tracks that could not be used, with the reasons.
    """

    footage: Footage
    walks: tuple[Walk, ...]
    left_out: tuple[Unusable, ...]


def model_id_of(run: Run, loaded: LoadedModel) -> ModelId:
    """The identity of the model, stored with its embeddings."""
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
    """Detect, track and embed everybody who walks in a video.

    Memory does not grow with the video's length: frames are decoded and embedded in chunks.

    Args:
        path: The video.
        loaded: The model.
        finding: How persons are found.
        progress: Counts frames and reports what is skipped.
        wanted: Embed only this track.

    Raises:
        DataError: not a video, no usable person, or no such track.
        UsageError: a detector's package is missing, or the model reads silhouettes.
    """
    require(loaded.config.model, "films", "Embedding people of a film")
    footage = Footage.open(path)
    if footage.video.lost:
        progress.say(
            f"{path.name}: {len(footage.video.lost)} of {len(footage.video)} frames are skipped "
            "(damaged, or of another shape than the first)."
        )
    warn_of_low_rate(footage, progress)
    usable, left_out = usable_tracks(footage, finding, progress)
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


def warn_of_low_rate(footage: Footage, progress: Progress) -> None:
    """Print a warning if a video has fewer frames per second than models are trained on."""
    rate = frame_rate(footage)
    if rate < SLOW:
        progress.say(
            f"{footage.path.name} has {rate:.1f} frames a second; models are trained on 25 to 30, "
            "so identification is less certain."
        )


def usable_tracks(
    footage: Footage, finding: Finding, progress: Progress
) -> tuple[list[Track], list[Unusable]]:
    """Usable tracks of a video, and the others with their reasons.

    Raises:
        DataError: no track is usable; the message lists the reasons.
    """
    tracks = find_tracks(footage, finding, progress)
    if finding.crop:
        return tracks, []
    usable, left_out = sort_out(tracks, footage.size, rate=frame_rate(footage))
    if not usable:
        reasons = [f"\n  track {u.track.number}: {u.reason}" for u in left_out][:5]
        raise DataError(
            "No walking person was found" + ("".join(reasons) and ":" + "".join(reasons)),
            where=footage.path,
            next_step="See docs/own-videos.md, or use --boxes, --detector or --crop.",
        )
    return usable, left_out


def embed_track(footage: Footage, track: Track, loaded: LoadedModel) -> NDArray[np.float32]:
    """Embed one track: float32 [C, P]."""
    return loaded.embed(_chunks(footage, track, loaded))


def _chunks(footage: Footage, track: Track, loaded: LoadedModel) -> Iterator[torch.Tensor]:
    config = loaded.config
    size = Films.of(config.model, "Embedding people of a film").frame_size(config.model)
    length = config.evaluate.frames_per_chunk
    chunk: list[NDArray[np.uint8]] = []
    for frame in crops(footage, track):
        chunk.append(frame)
        if len(chunk) == length:
            yield to_tensor(np.stack(chunk), size)
            chunk = []
    if chunk:
        yield to_tensor(np.stack(chunk), size)


def crops(footage: Footage, track: Track) -> Iterator[NDArray[np.uint8]]:
    """Yield the person's box in each frame, in the geometry of a store: uint8 [256, 128, 3]."""
    boxes = dict(zip(track.frames.tolist(), track.boxes, strict=True))
    height, width = footage.size
    for number, frame in footage.images(list(boxes)):
        left, top, right, bottom = (round(float(edge)) for edge in boxes[number])
        left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
        box = Box(top, max(top + 1, min(bottom, height)), left, max(left + 1, min(right, width)))
        fitted = np.zeros((FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
        fit_rgb(frame, box, fitted)
        yield fitted
