"""Write the golden files of format 2: a store of delivered silhouettes without RGB, and their copy.

    python -m tests.golden.make_v2 FOLDER

See :mod:`tests.golden.make`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from core.records import SequenceFrames
from core.storage.build import begin, finish
from core.storage.layout import Plan, ShardFile, shard_name, shard_report_name, write_json
from core.storage.parts import part_name, write_part
from core.storage.shard import ShardWriter, file_hash
from core.storage.silhouettes import SilhouettesInfo, write_info
from core.storage.streams import StreamFrames
from tests.golden.make import KEYS, STORE, frames

SIZE = (64, 44)


def delivered(count: int) -> StreamFrames:
    """Bars with grey levels that follow from their numbers; the last has no frame."""
    images = np.zeros((count, *SIZE), np.uint8)
    for number in range(count):
        images[number, :, 15 + number : 30] = 200 + number
    numbers = np.arange(count, dtype=np.int32)
    numbers[-1] = -1
    return StreamFrames(images, numbers)


def store(home: Path) -> None:
    """Two sequences of two frames: with three delivered silhouettes, and with none."""
    folder = home / "stores" / "aligned"
    plan = Plan(
        format=2,
        dataset="casiab",
        form="videos",
        label="Golden",
        framing="crop",
        codec="none",
        source=STORE,
        shards=1,
        tool="0.1.0",
        aligned=SIZE,
    )
    begin(folder, plan, replace=False)
    path = folder / shard_name(0)
    with ShardWriter(path, "none", {"aligned": SIZE}) as writer:
        for seed, key in enumerate(KEYS):
            made = frames(2, seed)
            none = np.zeros((2, 0, 0, 3), np.uint8)
            writer.add(key, iter([SequenceFrames(none, made.silhouettes, made.valid)]))
            if not seed:
                writer.add_stream("aligned", delivered(3))
    report = ShardFile(
        format=2,
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


def silhouettes(home: Path) -> None:
    """The kept copy of the first sequence's delivered silhouettes."""
    folder = home / "silhouettes"
    folder.mkdir(parents=True)
    info = SilhouettesInfo(
        format=2,
        dataset="casiab",
        store=STORE,
        size=64,
        interpolation=None,
        drop_sum=None,
        silhouettes="aligned",
        columns=44,
        parts=(((0, 3),),),
    )
    content = {"silhouettes": delivered(3).rows, "usable": np.ones(3, np.uint8)}
    write_part(folder / part_name(0), [content], info.layouts)
    write_info(folder, info)


def make(home: Path) -> None:
    """Write both."""
    store(home)
    silhouettes(home)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
