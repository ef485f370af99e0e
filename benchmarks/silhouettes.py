"""A clip of 30 cut silhouettes out of 100 frames: reading stored ones compared with cutting them.

Both start on the disk: ours with the chunks of cut silhouettes, the other with the store's packed
masks of 256 x 128. Ordered clips are 30 of 34 consecutive frames, unordered ones are random.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.encoder import interleaved
from benchmarks.inputs import ccpg_like
from core.data.clips import random_frames, window_frames
from core.inference.silhouettes import make_silhouettes, plan_silhouettes
from core.manifests.load import load_manifest
from core.progress import SilentProgress
from core.storage.store import Store
from core.training.engine import make_engine
from core.video.cut import SIZES, CutSize, cut_silhouettes
from core.workflows.prepare import prepare
from core.workspace import Workspace

FRAMES, CLIP, SKIP = 100, 30, 4


def measure(quick: bool) -> dict[str, Any]:
    """``ratio``: speed-up for an unordered clip of 64 x 64; the others are reported too."""
    rounds = 20 if quick else 100
    with TemporaryDirectory() as folder:
        base = Path(folder)
        source = ccpg_like(base / "raw", 4, FRAMES)
        workspace = Workspace(base / "workspace")
        store = Store.open(prepare("ccpg", source, workspace, codec="lossless", workers=0).store)
        sizes = {size: _compare(workspace, store, size, rounds) for size in SIZES}
    return {
        "name": "30 cut silhouettes of 100, unordered",
        "unit": "times faster",
        "baseline": "reading the masks of the same frames and cutting them",
        "ratio": sizes[64]["unordered"],
        "sizes": sizes,
    }


def _compare(workspace: Workspace, store: Store, size: CutSize, rounds: int) -> dict[str, float]:
    manifest = load_manifest("ccpg")
    cut, plan = manifest.silhouette_cut, plan_silhouettes(workspace, store, manifest, size)
    cuts = make_silhouettes(
        plan, store, manifest, workers=0, engine=make_engine(), progress=SilentProgress()
    )

    def cut_again(index: int, frames: NDArray[np.int64]) -> None:
        masks, _ = store.read_silhouettes(index, frames.tolist())
        grey = masks.view(np.uint8) * np.uint8(255)
        cut_silhouettes(grey, size, cut.interpolation, cut.drop_sum)

    def frames_of(number: int, ordered: bool) -> tuple[int, NDArray[np.int64]]:
        index, random = number % 4, np.random.default_rng(number)
        usable = cuts.usable(index)
        if ordered:
            return index, usable[window_frames(len(usable), CLIP, SKIP, random)]
        return index, usable[random_frames(len(usable), CLIP, random)]

    result = {}
    for name, ordered in (("ordered", True), ("unordered", False)):
        ours, other = count(), count()
        times = interleaved(
            lambda n=ours, o=ordered: cuts.read(*frames_of(next(n), o)),  # type: ignore[misc]
            lambda n=other, o=ordered: cut_again(*frames_of(next(n), o)),  # type: ignore[misc]
            rounds,
        )
        result[name] = 1 / times["ratio"]
    files = sum(path.stat().st_size for path in plan.path.glob("*.h5"))
    return {**result, "bytes_a_frame": files / plan.info.frames}
