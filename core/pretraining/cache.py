"""Rendered pictures on disk, so that rendering happens once and resumes where it stopped."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from core.errors import OutputError
from core.pretraining.scenes import POSTURES, Pictures, people_of, render_pictures
from core.progress import Progress
from core.system.workers import serve_parent, undisturbed, worker_context
from core.training.checkpoint import load_header, load_tensors, save_tensors

PEOPLE_A_FILE = 32
# Changes with what a seed renders: pictures of another rendering are made again.
RENDERING = 1


def picture_tensors(pictures: Pictures) -> dict[str, Tensor]:
    """The arrays of pictures as tensors by name."""
    return {
        "images": torch.from_numpy(pictures.images),
        "labels": torch.from_numpy(pictures.labels),
        "depths": torch.from_numpy(pictures.depths),
    }


def load_pictures(
    folder: Path, seed: int, count: int, workers: int, progress: Progress
) -> Pictures:
    """The first ``count`` pictures of a seed, rendered where they are not in ``folder`` yet.

    Args:
        folder: Made where it is missing; has 27 kB a picture in the end.
        seed: Of everything random.
        count: How many.
        workers: Processes that render; 1 renders in this one.
        progress: Told of each file.

    Raises:
        OutputError: the folder cannot be written to, or a process was killed.
        CheckpointError: a file of pictures is damaged.
    """
    parts = _parts(count)
    folder.mkdir(parents=True, exist_ok=True)
    absent = [part for part in parts if not _there(folder, seed, part)]
    if absent:
        _render_all(folder, seed, absent, min(workers, len(absent)), progress)
    files = [load_tensors(_path(folder, part)) for part in parts]
    arrays = {
        name: np.concatenate([file.tensor(name).numpy() for file in files])[:count]
        for name in ("images", "labels", "depths")
    }
    return Pictures(**arrays)


def missing_people(folder: Path, seed: int, count: int) -> int:
    """Number of people that :func:`load_pictures` would render for ``count`` pictures."""
    return sum(len(part) for part in _parts(count) if not _there(folder, seed, part))


def _parts(count: int) -> list[range]:
    """Numbers of the people of each file, for ``count`` pictures."""
    people = people_of(count)
    starts = range(0, people, PEOPLE_A_FILE)
    return [range(start, min(start + PEOPLE_A_FILE, people)) for start in starts]


def _path(folder: Path, people: range) -> Path:
    return folder / f"people-{people.start:06d}.safetensors"


def _header(seed: int, people: range) -> dict[str, Any]:
    return {
        "kind": "pictures",
        "rendering": RENDERING,
        "seed": seed,
        "people": [people.start, people.stop],
        "postures": POSTURES,
    }


def _there(folder: Path, seed: int, people: range) -> bool:
    path = _path(folder, people)
    if not path.exists():
        return False
    header = load_header(path)
    return {**header, **_header(seed, people)} == header


def _render_all(
    folder: Path, seed: int, parts: list[range], workers: int, progress: Progress
) -> None:
    pictures = sum(len(part) for part in parts) * POSTURES
    with progress.task("Rendering", pictures, "pictures") as task:
        if workers <= 1:
            for part in parts:
                task.advance(_render(folder, seed, part))
            return
        context = worker_context()
        with ProcessPoolExecutor(workers, context, initializer=serve_parent) as pool:
            try:
                with undisturbed():
                    counts = pool.map(partial(_render, folder, seed), parts)
                for count in counts:
                    task.advance(count)
            except BrokenProcessPool as error:
                raise OutputError(
                    "A rendering process was killed, perhaps because memory ran out",
                    where=folder,
                    next_step="Run the same command again with fewer --workers: it resumes.",
                ) from error
            except BaseException:
                for process in list((pool._processes or {}).values()):
                    process.terminate()
                pool.shutdown(wait=True, cancel_futures=True)
                raise


def _render(folder: Path, seed: int, people: range) -> int:
    """Render some people into one file; returns the number of pictures."""
    cv2.setNumThreads(1)
    by_person = [render_pictures(seed, person) for person in people]
    joined = Pictures(
        *(
            np.concatenate([getattr(part, name) for part in by_person])
            for name in ("images", "labels", "depths")
        )
    )
    save_tensors(_path(folder, people), picture_tensors(joined), _header(seed, people))
    return len(joined.images)
