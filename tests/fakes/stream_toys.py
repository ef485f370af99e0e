"""Families as small as can be on poses, and on silhouettes with skeleton maps; a store for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.data.sources import MapDrawing
from core.data.stream_clips import PoseChange
from core.inputs import Input, PoseInput, SilhouetteInput
from core.losses.config import TripletConfig
from core.losses.total import TRIPLET
from core.models.base import Part
from core.models.family import Family
from core.models.inference import InferenceGraph
from core.models.layers.output import GaitOutput
from core.models.stream_base import StreamImplementation
from core.models.streams import StreamFamilyConfig
from core.records import SequenceKey, StreamName
from core.storage.build import begin, finish
from core.storage.layout import Plan, ShardFile, shard_name, shard_report_name, write_json
from core.storage.shard import ShardWriter, file_hash
from core.storage.stream_plan import NewStream, StreamPlan
from core.storage.streams import StreamFrames
from tests.fakes.training import TEST, TRAIN, TYPES, VIEWS, walker

LENGTHS = (6, 3, 7, 9)
# The poses of each sequence but every fourth, which has none: all but the first, and one beyond.
WITHOUT = 3


def shaken(poses: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Poses with noise."""
    return np.asarray(poses + random.random(poses.shape), np.float32)


def drawn(poses: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Maps whose middle pixel is the frame's number, x of the first joint; of 1 none."""
    maps = np.zeros((len(poses), 2, 64, 64), np.uint8)
    maps[:, :, 32, 32] = np.where(poses[:, 0, 0] == 1, 0, poses[:, 0, 0])[:, None]
    return maps


class PoseToyConfig(StreamFamilyConfig):
    """Settings of the toy on poses."""

    family: Literal["pose-toy"] = "pose-toy"
    input: PoseInput = PoseInput()
    embedding: int = 3
    strips: int = 1


class MapToyConfig(StreamFamilyConfig):
    """Settings of the toy on silhouettes and maps."""

    family: Literal["map-toy"] = "map-toy"
    input: SilhouetteInput = SilhouetteInput()
    embedding: int = 3
    strips: int = 1


class Toy(nn.Module):
    """A linear map of the mean of all inputs of all frames."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 3)

    def forward(self, clips: Tensor) -> GaitOutput:
        """Embeddings [B, 3, 1] of float [B, T, width]."""
        return GaitOutput(self.linear(clips.mean(1))[..., None], None)


class _StreamToy(StreamImplementation[Any]):
    parts = (Part("linear map", "linear."),)
    loss_terms = TRIPLET
    width = 51

    def network(self, config: Any, classes: int) -> nn.Module:
        """The network."""
        del config, classes
        return Toy(self.width)

    def flat(self, inputs: Mapping[Input, Tensor]) -> Tensor:
        """All inputs of n frames, float [n, width]."""
        return torch.cat([one.float().flatten(1) for one in inputs.values()], 1) / 255

    def graph(self, config: Any, model: nn.Module) -> InferenceGraph:
        """There is none."""
        raise NotImplementedError


class PoseToy(_StreamToy):
    """On poses."""

    def forward(self, module: nn.Module, batch: ClipBatch) -> Any:
        """A training pass."""
        assert batch.poses is not None
        rows = self.flat({"poses": batch.poses})
        return module(rows.unflatten(0, (len(batch.labels), -1)))

    def embed(self, model: nn.Module, chunks: Iterable[Any]) -> Tensor:
        """Of a whole sequence."""
        rows = torch.cat([self.flat({"poses": chunk}) for chunk in chunks])
        output: GaitOutput = model(rows[None])
        return output.embedding[0]

    def pose_change(self, config: Any, flip: float) -> PoseChange | None:
        """Noise, where clips are mirrored."""
        del config
        return shaken if flip else None


class MapToy(_StreamToy):
    """On silhouettes and skeleton maps."""

    width = 3 * 64 * 44
    drawing = MapDrawing(draw=drawn, rules=1)

    def forward(self, module: nn.Module, batch: ClipBatch) -> Any:
        """A training pass."""
        assert batch.maps is not None
        rows = self.flat({"silhouettes": batch.silhouettes, "skeleton maps": batch.maps})
        return module(rows.unflatten(0, (len(batch.labels), -1)))

    def embed(self, model: nn.Module, chunks: Iterable[Any]) -> Tensor:
        """Of a whole sequence."""
        names: tuple[Input, ...] = ("silhouettes", "skeleton maps")
        rows = torch.cat([self.flat({name: chunk[name] for name in names}) for chunk in chunks])
        output: GaitOutput = model(rows[None])
        return output.embedding[0]


POSE_TOY = Family(
    "Pose toy",
    frozenset({"poses"}),
    PoseToyConfig,
    TripletConfig,
    PoseToy,
    presets="tests.fakes.toy",
)
MAP_TOY = Family(
    "Map toy",
    frozenset({"silhouettes", "skeleton maps"}),
    MapToyConfig,
    TripletConfig,
    MapToy,
    presets="tests.fakes.toy",
)


def pose_rows(number: int, frames: int) -> StreamFrames:
    """Poses whose first joint is at (frame + 1, sequence + 1), of all frames but the first."""
    rows = np.ones((frames, 17, 3), np.float32)
    rows[:, 0, 0] = np.arange(1, frames + 1) + 1
    rows[:, 0, 1] = number + 1
    numbers = np.arange(1, frames + 1, dtype=np.int32)
    numbers[-1] = -1
    return StreamFrames(rows, numbers)


def write_stream_store(folder: Path, *, poses: bool = True) -> dict[SequenceKey, StreamFrames]:
    """A store of CASIA-B's names with poses, parsing and flow; returns the poses."""
    keys = sorted(SequenceKey(s, t, v) for s in (*TRAIN, *TEST) for t in TYPES for v in VIEWS)
    streams: dict[NewStream, StreamPlan] = {
        "pose": StreamPlan(shape=(17, 3), maker="made up", file="{subject}/{type}/{view}.pkl"),
        "parsing": StreamPlan(shape=(64, 64), maker="made up", file="{subject}/{frame}.png"),
        "flow": StreamPlan(shape=(3, 64, 64), maker="made up"),
    }
    if not poses:
        streams = {}
    plan = Plan(
        format=3 if poses else 1,
        dataset="casiab",
        form="videos",
        label="Fakes",
        framing="crop",
        codec="lossless",
        source=hashlib.sha256(b"streams").hexdigest(),
        shards=1,
        tool="0.0.0",
        streams=streams,
    )
    begin(folder, plan, replace=False)
    content: dict[SequenceKey, StreamFrames] = {}
    path = folder / shard_name(0)
    with ShardWriter(path, "lossless", plan.shapes) as writer:
        for at, key in enumerate(keys):
            frames = LENGTHS[at % len(LENGTHS)]
            writer.add(key, iter([walker(key, frames)]))
            if poses and at % len(LENGTHS) != WITHOUT:
                content[key] = pose_rows(at, frames)
                writer.add_stream("pose", content[key], 17)
                for name in ("parsing", "flow"):
                    writer.add_stream(name, image_rows(name, at, frames))
    report = ShardFile(
        format=plan.format,
        number=0,
        sha256=file_hash(path),
        bytes=path.stat().st_size,
        frames=writer.frames,
        valid=writer.valid,
        fidelity=writer.fidelity(),
        sequences=writer.entries,
        left_out=(),
    )
    write_json(folder / shard_report_name(0), report)
    finish(folder, plan, ())
    return content


def image_rows(name: StreamName, number: int, frames: int) -> StreamFrames:
    """Labels with a left arm (3) at the left, or colours, of each second frame."""
    numbers = np.arange(0, frames, 2, dtype=np.int32)
    if name == "flow":
        rows = np.full((len(numbers), 3, 64, 64), number, np.uint8)
        rows[:, :, :, :32] = numbers[:, None, None, None]
        return StreamFrames(rows, numbers)
    labels = np.zeros((len(numbers), 64, 64), np.uint8)
    labels[:, :, 20:25], labels[:, :, 30:34] = 3, 11
    return StreamFrames(labels, numbers)
