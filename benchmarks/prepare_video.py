"""Frames per second of preparation from videos, compared with OpenCV and pickles.

The common way: in as many processes, read each video from its start with OpenCV, cut each frame by
its silhouette's box, resize it, stack a sequence and pickle it. It has no silhouettes, index,
checksums or resumption.
"""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import cv2
import numpy as np

from benchmarks.inputs import casiab_like
from benchmarks.prepare import WORKERS
from core.records import FRAME_HEIGHT, FRAME_WIDTH, SequenceKey
from core.synthetic.write import sequence_places
from core.video.decode import Video
from core.workflows.prepare import prepare
from core.workspace import Workspace

SEQUENCES, FRAMES = 80, 90


def measure(quick: bool) -> dict[str, Any]:
    """Compare medians of interleaved runs; ``ratio`` is our rate over that of the common way.

    ``reading_ratio`` is the rate of only reading a video's frames, in one process, over OpenCV's.
    """
    rounds = 1 if quick else 3
    total = SEQUENCES * FRAMES
    ours: list[float] = []
    common: list[float] = []
    with TemporaryDirectory() as folder:
        base = Path(folder)
        source = casiab_like(base / "raw", SEQUENCES, FRAMES)
        for number in range(rounds):
            start = perf_counter()
            prepare("casiab", source, Workspace(base / f"ours-{number}"), workers=WORKERS)
            ours.append(total / (perf_counter() - start))
            start = perf_counter()
            _pickle_all(source, base / f"common-{number}")
            common.append(total / (perf_counter() - start))
        own, opencv = _reading(sorted((source / "videos").iterdir()), rounds)
    return {
        "name": f"prepare {total:,} frames of CASIA-B-like videos in {WORKERS} processes",
        "ratio": median(ours) / median(common),
        "unit": "frames/s",
        "baseline": "OpenCV: read, cut, resize, stack, pickle; RGB only",
        "medians": {"lossless": median(ours), "pickles": median(common)},
        "reading_ratio": own / opencv,
        "reading": {"ours": own, "opencv": opencv},
    }


def _reading(paths: list[Path], rounds: int) -> tuple[float, float]:
    own: list[float] = []
    opencv: list[float] = []
    for _ in range(rounds):
        start = perf_counter()
        count = 0
        for path in paths:
            video = Video(path)
            count += sum(1 for _ in video.frames(range(len(video))))
        own.append(count / (perf_counter() - start))
        start = perf_counter()
        count = sum(len(_opencv_frames(path)) for path in paths)
        opencv.append(count / (perf_counter() - start))
    return median(own), median(opencv)


def _opencv_frames(path: Path) -> list[np.ndarray]:
    cv2.setNumThreads(1)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    frames: list[np.ndarray] = []
    while True:
        success, frame = capture.read()
        if not success:
            capture.release()
            return frames
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def _pickle_all(source: Path, out: Path) -> None:
    videos = sorted((source / "videos").iterdir())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        count = len(videos)
        list(pool.map(_pickle_one, [source] * count, videos, [out] * count, chunksize=4))


def _pickle_one(source: Path, video: Path, out: Path) -> None:
    subject, kind, number, view = video.stem.split("-")
    key = SequenceKey(subject, f"{kind}-{number}", view)
    masks, _ = sequence_places("casiab", source, key)
    fitted = []
    for frame, path in zip(_opencv_frames(video), sorted(masks.iterdir()), strict=True):
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        x, y, width, height = cv2.boundingRect(mask)
        if width:
            part = frame[y : y + height, x : x + width]
            fitted.append(cv2.resize(part, (FRAME_WIDTH, FRAME_HEIGHT)))
    target = out.joinpath(*key)
    target.mkdir(parents=True)
    content = pickle.dumps(np.stack(fitted), protocol=pickle.HIGHEST_PROTOCOL)
    (target / "rgb.pkl").write_bytes(content)
