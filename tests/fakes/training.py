"""A store to train on: bright walkers before dark, moving in time, without any raw data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from core.records import POSE_SHAPE, SequenceFrames, SequenceKey, StreamName
from core.storage.build import begin, finish
from core.storage.layout import Plan
from core.storage.stream_plan import NewStream, StreamPlan
from core.storage.streams import StreamFrames
from tests.fakes.families import coloured, labelled
from tests.fakes.stick_figures import stick_figures
from tests.fakes.stores import write_shard

TRAIN, TEST = ("001", "002", "003"), ("075", "076")
TYPES, VIEWS = ("nm-01", "nm-05"), ("000", "090")
STREAMS: dict[NewStream, StreamPlan] = {
    "pose": StreamPlan(shape=POSE_SHAPE, maker="stick figures", file="made"),
    "parsing": StreamPlan(shape=(64, 64), maker="made up", file="made"),
    "flow": StreamPlan(shape=(3, 64, 64), maker="made up"),
}


def walker(key: SequenceKey, frames: int) -> SequenceFrames:
    """A bright bar whose width and pace are the subject's own; the last frame has no silhouette."""
    number, turned = int(key.subject), key.view == "090"
    rgb = np.zeros((frames, 256, 128, 3), np.uint8)
    masks = np.zeros((frames, 256, 128), np.bool_)
    for t in range(frames):
        half = 8 + 6 * (number % 5) + int(6 * np.sin(t * (1 + number % 3) / 2))
        masks[t, 24:232, 64 - half : 64 + half] = True
        rgb[t, :, 20:110] = 40 + 20 * turned
        rgb[t][masks[t]] = (200, 150 + 10 * (number % 5), 120 + 5 * t % 100)
    valid = np.ones(frames, np.bool_)
    valid[-1] = False
    return SequenceFrames(rgb, masks, valid)


def poses_of(key: SequenceKey, frames: int) -> StreamFrames:
    """A stick figure that walks as its subject does; in no two recordings from the same step."""
    shift = TYPES.index(key.type) + 2 * VIEWS.index(key.view) if key.type in TYPES else 0
    rows = stick_figures(torch.tensor([int(key.subject) % 8]), frames + shift)[shift:].numpy()
    return StreamFrames(rows, np.arange(frames, dtype=np.int32))


def images_of(figure: SequenceFrames) -> dict[StreamName, StreamFrames]:
    """Labels of body parts of each frame, and flow of all but the first."""
    bars = torch.from_numpy(figure.silhouettes[:, ::4, 20:108:2]).float()
    numbers = np.arange(len(bars), dtype=np.int32)
    colours = np.pad(coloured(bars).numpy(), ((0, 0), (0, 0), (0, 0), (10, 10)))
    labels = np.pad(labelled(bars).numpy(), ((0, 0), (0, 0), (10, 10)))
    return {
        "parsing": StreamFrames(labels, numbers),
        "flow": StreamFrames(colours[1:], numbers[1:]),
    }


def write_training_store(
    folder: Path,
    subjects: Sequence[str] = (*TRAIN, *TEST),
    lengths: Sequence[int] = (6, 3, 7, 9),
    label: str = "",
    leave_out: int = 0,
    types: Sequence[str] = TYPES,
    dataset: str = "casiab",
    without: Sequence[SequenceKey] = (),
    streams: bool = False,
) -> Path:
    """Write a store of CASIA-B's names; sequence lengths go round ``lengths``.

    ``leave_out`` sequences are missing at the end, and those in ``without`` have no silhouette.
    With ``streams`` each sequence has poses, parsing and flow of its frames.
    """
    keys = sorted(SequenceKey(s, t, v) for s in subjects for t in types for v in VIEWS)
    keys = keys[: len(keys) - leave_out]
    source = hashlib.sha256(f"walkers {label}".encode()).hexdigest()
    plan = Plan(
        dataset=dataset,
        form="videos",
        label="Fakes",
        framing="crop",
        codec="lossless",
        source=source,
        shards=1,
        tool="0.0.0",
        format=3 if streams else 1,
        streams=STREAMS if streams else {},
    )
    begin(folder, plan, replace=False)
    made = [walker(key, lengths[i % len(lengths)]) for i, key in enumerate(keys)]
    for key in without:
        made[keys.index(key)].valid[:] = False
    beside: dict[StreamName, dict[SequenceKey, StreamFrames]] = {name: {} for name in STREAMS}
    for key, one in zip(keys, made, strict=True):
        rows = {"pose": poses_of(key, len(one.valid)), **images_of(one)}
        for name, own in beside.items():
            own[key] = rows[name]
    write_shard(folder, 0, keys, made, "lossless", beside if streams else None)
    finish(folder, plan, ())
    return folder
