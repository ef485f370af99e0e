"""Frames per second of preparation, compared with writing RGB crops into pickles.

The common way: in as many processes, read each RGB crop, resize it, stack a sequence and pickle it.
It has no silhouettes, index, checksums or resumption, and twice the bytes; ours adds silhouettes in
the same geometry, partial reads, checks and a store that survives a kill.
"""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any

import cv2
import numpy as np

from benchmarks.inputs import ccpg_like
from core.records import FRAME_HEIGHT, FRAME_WIDTH
from core.synthetic.write import CCPG_RGB
from core.workflows.prepare import prepare
from core.workspace import Workspace

WORKERS = 2
SEQUENCES, FRAMES = 240, 50


def measure(quick: bool) -> dict[str, Any]:
    """Compare medians of interleaved runs; ``ratio`` is our rate over that of the common way.

    The rates include everything, also the start of the worker processes.
    """
    rounds = 1 if quick else 3
    total = SEQUENCES * FRAMES
    ours: list[float] = []
    common: list[float] = []
    with TemporaryDirectory() as folder:
        base = Path(folder)
        source = ccpg_like(base / "raw", SEQUENCES, FRAMES)
        for number in range(rounds):
            start = perf_counter()
            result = prepare("ccpg", source, Workspace(base / f"ours-{number}"), workers=WORKERS)
            ours.append(total / (perf_counter() - start))
            start = perf_counter()
            _pickle_all(source / CCPG_RGB, base / f"common-{number}")
            common.append(total / (perf_counter() - start))
        peak = _peak_mib(source, Workspace(base / "watched"))
        assert result.info is not None
        size = result.info.bytes / result.info.frames
    return {
        "name": f"prepare {total:,} CCPG-like frames in {WORKERS} processes",
        "ratio": median(ours) / median(common),
        "unit": "frames/s",
        "baseline": "RGB only: read, resize, stack, pickle",
        "medians": {"lossless": median(ours), "pickles": median(common)},
        "bytes_per_frame": size,
        "peak_mib": peak,
    }


def _peak_mib(source: Path, workspace: Workspace) -> float | None:
    """Peak memory of a run and its workers, with shared pages counted once."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_prepare, args=(source, workspace))
    process.start()
    peak = 0.0
    while process.is_alive():
        peak = max(peak, _proportional_mib(process.pid or 0))
        sleep(0.05)
    return peak or None


def _prepare(source: Path, workspace: Workspace) -> None:
    prepare("ccpg", source, workspace, workers=WORKERS)


def _proportional_mib(pid: int) -> float:
    """Proportional set size of a process and its descendants (0 if not available)."""
    total = 0.0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) / 1024
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(
                _proportional_mib(int(child)) for child in (task / "children").read_text().split()
            )
    except OSError:
        return total
    return total


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
