"""Small stores with delivered silhouettes, with or without RGB."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from core.records import SequenceFrames, SequenceKey
from core.storage.build import begin, finish
from core.storage.codec_names import CodecName
from core.storage.formats import format_of
from core.storage.layout import (
    Plan,
    ShardFile,
    shard_name,
    shard_report_name,
    write_json,
)
from core.storage.shard import ShardWriter, file_hash
from core.storage.streams import StreamFrames
from tests.fakes.training import TEST, TRAIN, TYPES, VIEWS, walker

# Frames of each sequence, and of how many of them a silhouette was delivered; these go round.
LENGTHS, DELIVERED = (6, 3, 7, 9), (4, 3, 0, 9)


def delivered(number: int, size: tuple[int, int], frames: int, count: int) -> StreamFrames:
    """Grey levels that name the sequence, the row and the column; the last have no frame."""
    rows, columns = np.indices(size)
    steps = np.arange(count)[:, None, None]
    images = (number * 31 + steps * 7 + rows + 2 * columns) % 255 + 1
    numbers = np.arange(count, dtype=np.int32) + (frames - count)
    if count > 1:
        numbers[-1] = -1
    return StreamFrames(images.astype(np.uint8), numbers)


def write_aligned_store(
    folder: Path,
    size: tuple[int, int] | None = (64, 64),
    codec: CodecName = "none",
    types: Sequence[str] = TYPES,
    dataset: str = "casiab",
) -> Mapping[SequenceKey, StreamFrames]:
    """A store of CASIA-B's names in two shards; returns what was delivered of each sequence."""
    keys = sorted(SequenceKey(s, t, v) for s in (*TRAIN, *TEST) for t in types for v in VIEWS)
    plan = Plan(
        format=format_of(codec, [] if size is None else ["aligned"]),
        dataset=dataset,
        form="videos",
        label="Fakes",
        framing="crop",
        codec=codec,
        source=hashlib.sha256(b"aligned").hexdigest(),
        shards=2,
        tool="0.0.0",
        aligned=size,
    )
    begin(folder, plan, replace=False)
    content: dict[SequenceKey, StreamFrames] = {}
    half = len(keys) // 2
    for number, part in enumerate((keys[:half], keys[half:])):
        path = folder / shard_name(number)
        with ShardWriter(path, codec, plan.shapes) as writer:
            for key in part:
                at = keys.index(key)
                frames = walker(key, LENGTHS[at % len(LENGTHS)])
                if codec == "none":
                    none = np.zeros((len(frames.valid), 0, 0, 3), np.uint8)
                    frames = SequenceFrames(none, frames.silhouettes, frames.valid)
                writer.add(key, iter([frames]))
                if size is not None and (count := DELIVERED[at % len(DELIVERED)]):
                    content[key] = delivered(at, size, len(frames.valid), count)
                    writer.add_stream("aligned", content[key])
        report = ShardFile(
            format=plan.format,
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
    finish(folder, plan, ())
    return content
