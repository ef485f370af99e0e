"""Small stores with known content, made without any raw data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from core.records import POSE_SHAPE, SequenceFrames, SequenceKey, StreamName
from core.storage.build import begin, finish
from core.storage.codec_names import CodecName
from core.storage.formats import Format
from core.storage.layout import (
    Plan,
    ShardFile,
    shard_name,
    shard_report_name,
    write_json,
)
from core.storage.shard import ShardWriter, file_hash
from core.storage.streams import StreamFrames

KEYS = tuple(
    SequenceKey(subject, kind, view)
    for subject in ("001", "002")
    for kind in ("nm-01", "cl-01")
    for view in ("000", "090")
)


def frames(number: int, seed: int) -> SequenceFrames:
    """Smooth random frames with a valid silhouette on all but the last."""
    random = np.random.default_rng(seed)
    rgb = random.integers(0, 256, (number, 256, 1, 3), dtype=np.uint8).repeat(128, axis=2)
    rgb[:, ::2] //= 2
    masks = np.zeros((number, 256, 128), np.bool_)
    masks[:, 20:200, 30 + seed : 90] = True
    valid = np.ones(number, np.bool_)
    valid[-1] = False
    return SequenceFrames(rgb, masks, valid)


def plan(codec: CodecName = "lossless", shards: int = 2) -> Plan:
    """A plan for the stores here."""
    return Plan(
        dataset="casiab",
        form="videos",
        label="Fakes",
        framing="crop",
        codec=codec,
        source=hashlib.sha256(b"fakes").hexdigest(),
        shards=shards,
        tool="0.0.0",
    )


def write_store(
    folder: Path, codec: CodecName = "lossless", lengths: Sequence[int] = (5, 3, 40, 2, 7, 4, 6, 9)
) -> list[SequenceFrames]:
    """Write a store of eight sequences in two shards; return their frames in key order."""
    made = [frames(length, seed) for seed, length in enumerate(lengths)]
    ordered = sorted(KEYS)
    begin(folder, plan(codec), replace=False)
    half = len(ordered) // 2
    for number in range(2):
        part = range(number * half, (number + 1) * half)
        write_shard(folder, number, [ordered[i] for i in part], [made[i] for i in part], codec)
    finish(folder, plan(codec), ())
    return made


def write_shard(
    folder: Path,
    number: int,
    keys: Sequence[SequenceKey],
    made: Sequence[SequenceFrames],
    codec: CodecName,
    streams: Mapping[StreamName, Mapping[SequenceKey, StreamFrames]] | None = None,
) -> None:
    """Write one shard, in batches of 16 frames, and its description; with rows of sequences."""
    path = folder / shard_name(number)
    form: Format = 3 if streams else 1
    beside = {} if streams is None else dict(streams)
    shapes = {name: next(iter(rows.values())).rows.shape[1:] for name, rows in beside.items()}
    with ShardWriter(path, codec, shapes) as writer:
        for key, whole in zip(keys, made, strict=True):
            batches = (
                SequenceFrames(
                    whole.rgb[i : i + 16], whole.silhouettes[i : i + 16], whole.valid[i : i + 16]
                )
                for i in range(0, len(whole.valid), 16)
            )
            writer.add(key, batches)
            for name, rows in beside.items():
                if key in rows:
                    joints = POSE_SHAPE[0] if name == "pose" else None
                    writer.add_stream(name, rows[key], joints)
    report = ShardFile(
        format=form,
        number=number,
        sha256=file_hash(path),
        bytes=path.stat().st_size,
        frames=writer.frames,
        valid=writer.valid,
        fidelity=writer.fidelity(),
        sequences=writer.entries,
        left_out=(),
    )
    write_json(folder / shard_report_name(number), report)


def write_casiab(folder: Path, *, dataset: str = "casiab", train: bool = True) -> None:
    """Write a store of two test subjects, and of two training subjects before them.

    Args:
        folder: Of the store.
        dataset: ``casiab`` or ``casiab_star``.
        train: Whether it has training subjects, and other conditions than walking normally.
    """
    subjects = ("001", "002", "075", "076") if train else ("075", "076")
    kinds = ("nm-01", "nm-05", "bg-01", "cl-01") if train else ("nm-01", "nm-05")
    keys = sorted(
        SequenceKey(subject, kind, view)
        for subject in subjects
        for kind in kinds
        for view in ("000", "090")
    )
    made = [frames(2, int(hashlib.sha256(str(k).encode()).hexdigest(), 16) % 40) for k in keys]
    whole = plan(shards=1).model_copy(update={"dataset": dataset})
    begin(folder, whole, replace=False)
    write_shard(folder, 0, keys, made, "lossless")
    finish(folder, whole, ())
