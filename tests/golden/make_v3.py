"""Write the golden files of format 3: poses, parsing and flow beside frames, and skeleton maps.

    python -m tests.golden.make_v3 FOLDER

The committed ones (in `v3`) were written by lmgait 0.1.0 and are not written again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.records import SequenceFrames, StreamName
from core.storage.build import begin, finish
from core.storage.layout import Plan, ShardFile, shard_name, shard_report_name, write_json
from core.storage.parts import part_name, write_part
from core.storage.shard import ShardWriter, file_hash
from core.storage.silhouettes import SilhouettesInfo, write_info
from core.storage.stream_plan import StreamPlan
from core.storage.streams import StreamFrames
from tests.golden.make import KEYS, STORE, frames

SIZE = (64, 44)
STREAMS: tuple[StreamName, ...] = ("aligned", "pose", "parsing", "flow")


def rows(name: StreamName) -> StreamFrames:
    """Three rows that follow from their numbers; the last has no frame."""
    shape = {"pose": (17, 3), "flow": (3, 64, 64)}.get(name, SIZE)
    values = np.indices((3, *shape)).sum(0)
    content = values.astype(np.float32) / 4 if name == "pose" else (values % 12).astype(np.uint8)
    return StreamFrames(content, np.array([0, 1, -1], np.int32))


def store(home: Path) -> None:
    """Two sequences of two frames: with three rows of each stream, and with none."""
    folder = home / "stores" / "streams"
    plan = Plan(
        format=3,
        dataset="casiab",
        form="videos",
        label="Golden",
        framing="crop",
        codec="none",
        source=STORE,
        shards=1,
        tool="0.1.0",
        aligned=SIZE,
        streams={
            "pose": StreamPlan(shape=(17, 3), maker="HRNet", file="{subject}/{type}/{view}.pkl"),
            "parsing": StreamPlan(shape=SIZE, maker="a parser", file="{subject}/{frame}.png"),
            "flow": StreamPlan(shape=(3, 64, 64), maker="OpenCV DIS"),
        },
    )
    begin(folder, plan, replace=False)
    path = folder / shard_name(0)
    with ShardWriter(path, "none", plan.shapes) as writer:
        for seed, key in enumerate(KEYS):
            made = frames(2, seed)
            none = np.zeros((2, 0, 0, 3), np.uint8)
            writer.add(key, iter([SequenceFrames(none, made.silhouettes, made.valid)]))
            for name in STREAMS if not seed else ():
                writer.add_stream(name, rows(name), 18 if name == "pose" else None)
    report = ShardFile(
        format=3,
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


def maps() -> NDArray[np.uint8]:
    """Skeleton maps of three poses, the second of which has none."""
    values = np.asarray(np.indices((3, 2, 64, 64)).sum(0) % 251, np.uint8)
    values[1] = 0
    return values


def skeleton_maps(home: Path) -> None:
    """The kept maps of the first sequence's poses."""
    folder = home / "maps"
    folder.mkdir(parents=True)
    info = SilhouettesInfo(
        format=3,
        dataset="casiab",
        store=STORE,
        size=64,
        interpolation=None,
        drop_sum=None,
        silhouettes="maps",
        rules=1,
        parts=(((0, 3),),),
    )
    content = {"silhouettes": maps(), "usable": np.array([1, 0, 1], np.uint8)}
    write_part(folder / part_name(0), [content], info.layouts)
    write_info(folder, info)


def make(home: Path) -> None:
    """Write both."""
    store(home)
    skeleton_maps(home)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
