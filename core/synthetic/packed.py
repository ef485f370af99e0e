"""Sequences in array files: crops squashed to squares, and silhouettes cut to be aligned."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.synthetic.scene import Image

# Columns that CASIA-B* leaves out at each side.
_SIDE = 10
_SUSTECH, _STAR = 64, 128


def write_sustech_pickles(pairs: Iterable[tuple[Image, Image]], folder: Path, view: str) -> None:
    """The files 04 to 07 of SUSTech1K's pickles: ratios, frames, aligned and raw silhouettes."""
    crops = list(pairs)
    content = {
        "Ratios-HW": np.array([image.shape[:2] for image, _ in crops]),
        "RGB_raw": _squares((image for image, _ in crops), _SUSTECH),
        "Sils_aligned": np.stack([align(silhouette) for _, silhouette in crops]),
        "Sils_raw": _squares((silhouette for _, silhouette in crops), _SUSTECH),
    }
    folder.mkdir()
    for number, (name, array) in enumerate(content.items(), 4):
        write_array(folder / f"{number:02d}-{view}-Camera-{name}.pkl", array)


def write_casiab_star(pairs: Iterable[tuple[Image, Image]], folder: Path, view: str) -> None:
    """CASIA-B*'s four files: frames with channels first, silhouettes, ratios, aligned ones."""
    crops = list(pairs)
    content = {
        "rgbs": _squares((image for image, _ in crops), _STAR).transpose(0, 3, 1, 2).copy(),
        "sils": _squares((silhouette for _, silhouette in crops), _STAR),
        "ratios": np.array([image.shape[1] / image.shape[0] for image, _ in crops]),
        "aligned-sils": np.stack([align(mask)[:, _SIDE:-_SIDE] for _, mask in crops]),
    }
    folder.mkdir()
    for name, array in content.items():
        write_array(folder / f"{view}-{name}.pkl", array)


def write_ccgr_mini(pairs: Iterable[tuple[Image, Image]], folder: Path, view: str) -> None:
    """CCGR-Mini's packed files 000 to 002: (height, width), frames with channels first, masks."""
    crops = list(pairs)
    content = {
        "ratios": np.array([image.shape[:2] for image, _ in crops]),
        "rgb": _squares((image for image, _ in crops), _STAR).transpose(0, 3, 1, 2).copy(),
        "sil": _squares((silhouette for _, silhouette in crops), _STAR),
    }
    folder.mkdir()
    for number, (name, array) in enumerate(content.items()):
        write_array(folder / f"{number:03d}-{view}-{name}.pkl", array)


def align(silhouette: Image, size: int = 64) -> Image:
    """Normalise a silhouette uint8 [H, W]: full height, centred on its mass.

    Args:
        silhouette: 0 or 255.
        size: Rows and columns.

    Returns:
        uint8 [size, size], 0 or 255; empty where the silhouette is.
    """
    height = width = size
    rows = np.flatnonzero(silhouette.any(axis=1))
    if not rows.size:
        return np.zeros((size, size), np.uint8)
    tight = silhouette[rows[0] : rows[-1] + 1]
    scale = height / len(tight)
    centre = float(np.average(np.arange(tight.shape[1]), weights=tight.sum(axis=0)))
    move = np.array([[scale, 0.0, width / 2 - scale * centre], [0.0, scale, 0.0]])
    moved = cv2.warpAffine(tight, move, (width, height), flags=cv2.INTER_LINEAR)
    return np.asarray(np.where(moved > 127, 255, 0), dtype=np.uint8)


def _squares(images: Iterable[Image], side: int) -> NDArray[np.uint8]:
    return np.stack(
        [
            np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
            for image in images
        ]
    )


def write_array(path: Path, content: NDArray[np.generic] | list[Image]) -> None:
    """Write an array, or a list of them, as a pickle."""
    path.write_bytes(pickle.dumps(content, protocol=4))
