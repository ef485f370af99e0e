"""Walkers of the project's own renderer, whom no encoder saw in training, with exact labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pretraining.labels import Label, cells_of, part_labels
from core.pretraining.people import Image
from core.pretraining.scenes import COLUMNS, HEIGHT, ROWS, WIDTH
from core.records import FRAME_HEIGHT, FRAME_WIDTH, SequenceKey
from core.synthetic.datasets import DEFAULT_TYPES, VIEWS
from core.synthetic.paint import paint_labels
from core.synthetic.seeds import stream
from core.synthetic.shot import FPS, Shot, plan_shot, render_whole
from core.video.faults import FrameFault
from core.video.geometry import Box, fit_rgb, person_box

# No other seed of the project: the demo, tests and benchmarks use small ones.
UNSEEN_SEED = 9_000_000_001
DATASETS = ("casiab", "sustech1k")
_FRAMES = 3
_MARGIN = 0.05  # of the height, at most, that a box is larger than the person


@dataclass(frozen=True, slots=True)
class Unseen:
    """Frames of walkers.

    Attributes:
        images: RGB uint8 [n, 128, 64, 3].
        labels: uint8 [n, 64, 32]; the surroundings are ``WALL`` throughout, or ``PADDING``.
        subjects: int64 [n], numbers of the walkers.
    """

    images: Image
    labels: Image
    subjects: NDArray[np.int64]


def render_unseen(subjects: Sequence[str], seed: int = UNSEEN_SEED) -> Unseen:
    """A few frames of each subject in each dataset's look, of drawn views and recording types.

    Args:
        subjects: Ids of the datasets' layouts.
        seed: Of the walkers.
    """
    images, labels, numbers = [], [], []
    for number, subject in enumerate(subjects):
        for dataset in DATASETS:
            rng = stream(seed, "unseen", dataset, subject)
            kinds = DEFAULT_TYPES[dataset]
            key = SequenceKey(
                subject, str(rng.choice(kinds)), str(rng.choice(list(VIEWS[dataset])))
            )
            for image, shows in _frames(plan_shot(dataset, key, _FRAMES, seed), rng):
                images.append(image)
                labels.append(shows)
                numbers.append(number)
    return Unseen(np.stack(images), np.stack(labels), np.array(numbers))


def _frames(shot: Shot, rng: np.random.Generator) -> list[tuple[Image, Image]]:
    figure = shot.walker.figure(np.arange(_FRAMES) / FPS)
    label_of = np.append(np.uint8(0), part_labels(figure.pieces, figure.labels))
    numbers = np.arange(1, len(figure.labels) + 1, dtype=np.uint8)
    drawing = replace(shot.drawing, labels=numbers)
    left, top = shot.origin
    frames = []
    for number, (image, silhouette) in enumerate(render_whole(shot)):
        height, width = silhouette.shape
        area = (left, top, left + width, top + height)
        parts = paint_labels(drawing, number, area)[..., 0]
        labels = np.where(silhouette > 0, label_of[parts], np.uint8(Label.WALL)).astype(np.uint8)
        try:
            box = _wider(person_box(silhouette), silhouette.shape, rng)
        except FrameFault:
            continue  # hidden behind something, or outside the picture
        frames.append((_fitted(image, box), _fitted_labels(labels, box)))
    return frames


def _wider(box: Box, shape: tuple[int, ...], rng: np.random.Generator) -> Box:
    """A box a little larger than the person's, as a detector's is."""
    extra = int(rng.uniform(0, _MARGIN) * (box.bottom - box.top))
    return Box(
        max(box.top - extra, 0),
        min(box.bottom + extra, shape[0]),
        max(box.left - extra, 0),
        min(box.right + extra, shape[1]),
    )


def _fitted(image: Image, box: Box) -> Image:
    frame = np.zeros((FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
    fit_rgb(image, box, frame)
    return np.asarray(cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def _fitted_labels(labels: Image, box: Box) -> Image:
    """Labels in the geometry of :func:`core.video.geometry.fit_rgb`, as cells."""
    part = labels[box.top : box.bottom, box.left : box.right]
    tall = FRAME_HEIGHT
    wide = max(1, round(tall * part.shape[1] / part.shape[0]))
    resized = cv2.resize(part, (wide, tall), interpolation=cv2.INTER_NEAREST)
    frame = np.full((tall, FRAME_WIDTH), Label.PADDING, np.uint8)
    if wide > FRAME_WIDTH:
        start = (wide - FRAME_WIDTH) // 2
        frame[:] = resized[:, start : start + FRAME_WIDTH]
    else:
        start = (FRAME_WIDTH - wide) // 2
        frame[:, start : start + wide] = resized
    cells = cells_of(frame, tall // ROWS)
    assert cells.shape == (ROWS, COLUMNS)
    return cells
