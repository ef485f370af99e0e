"""Frames a second of preparation: ours against RGB crops into pickles.

The common way: in as many processes, read each RGB crop, resize it, stack a sequence and pickle it.
No silhouettes, no index, no checksums, nothing to resume, twice the bytes; what our time buys is
the silhouettes in the same geometry, partial reads, checks and a store that survives a kill.
"""

from __future__ import annotations

import multiprocessing
import pickle
import resource
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import cv2
import numpy as np

from benchmarks.inputs import ccpg_like
from core.records import FRAME_HEIGHT, FRAME_WIDTH
from core.walkers.write import CCPG_RGB
from core.workflows.prepare import prepare
from core.workspace import Workspace

WORKERS = 2
FRAMES = 50


def measure(quick: bool) -> dict[str, Any]:
    """Compare medians of interleaved runs; ``ratio`` is our rate over that of the common way."""
    sequences, rounds = (48, 2) if quick else (240, 3)
    ours: list[float] = []
    common: list[float] = []
    with TemporaryDirectory() as folder:
        base = Path(folder)
        source = ccpg_like(base / "raw", sequences, FRAMES)
        for number in range(rounds):
            begun = perf_counter()
            result = prepare("ccpg", source, Workspace(base / f"ours-{number}"), workers=WORKERS)
            ours.append(sequences * FRAMES / (perf_counter() - begun))
            begun = perf_counter()
            _pickle_all(source / CCPG_RGB, base / f"common-{number}")
            common.append(sequences * FRAMES / (perf_counter() - begun))
        assert result.info is not None
        size = result.info.bytes / result.info.frames
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "name": f"prepare {sequences * FRAMES:,} CCPG-like frames on {WORKERS} cores",
        "ratio": median(ours) / median(common),
        "unit": "frames/s",
        "baseline": "RGB only: read, resize, stack, pickle",
        "medians": {"lossless": median(ours), "pickles": median(common)},
        "bytes_per_frame": size,
        "peak_mib_at_most": (own + WORKERS * child) / 1024,
    }


def _pickle_all(root: Path, out: Path) -> None:
    folders = sorted(path for path in root.glob("*/*/*") if path.is_dir())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        list(pool.map(_pickle_one, folders, [out] * len(folders), chunksize=4))


def _pickle_one(folder: Path, out: Path) -> None:
    cv2.setNumThreads(1)
    frames = []
    for path in sorted(folder.iterdir()):
        image = cv2.imread(str(path))
        assert image is not None
        resized = cv2.resize(image, (FRAME_WIDTH, FRAME_HEIGHT))
        frames.append(cv2.cvtColor(resized, cv2.COLOR_BGR2RGB))
    target = out.joinpath(*folder.parts[-3:])
    target.mkdir(parents=True)
    content = pickle.dumps(np.stack(frames), protocol=pickle.HIGHEST_PROTOCOL)
    (target / "rgb.pkl").write_bytes(content)
