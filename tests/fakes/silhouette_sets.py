"""Datasets of silhouettes in their delivered forms, of shapes that cost nothing to draw."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.records import SequenceKey
from core.synthetic.images import write_png
from core.synthetic.packed import write_array, write_ccgr_mini
from core.synthetic.silhouette_sets import layout_of
from core.synthetic.splits import PARTITIONS, partition_lists, sequence_keys
from core.video.cut import cut_labels

Image = NDArray[np.uint8]
Pair = tuple[Image, Image]

TRAIN = {"gait3d": ("0000",), "oumvlp": ("00001",), "grew": ("00001train",), "ccgr_mini": ("1",)}
TEST = {
    "gait3d": ("3000", "3001"),
    "oumvlp": ("00002", "10307"),
    "grew": ("00001", "00002"),
    "ccgr_mini": ("572", "1000"),
}
KINDS = {
    "gait3d": ("camid0_videoid2", "camid12_videoid0"),
    "oumvlp": ("00", "01"),
    "grew": ("00", "01", "02", "03"),
    "ccgr_mini": ("AS1", "BGCRCLSU1"),
}
VIEWS = {
    "gait3d": ("seq0", "seq10"),
    "oumvlp": ("000", "270"),
    "grew": ("1", "2"),
    "ccgr_mini": ("180_a", "over"),
}


def keys_of(dataset: str) -> list[SequenceKey]:
    """The sequences of three people, in all types, from two views."""
    return sequence_keys(dataset, TRAIN[dataset], TEST[dataset], KINDS[dataset], VIEWS[dataset])


def pairs_of(key: SequenceKey, frames: int = 3) -> list[Pair]:
    """Frames uint8 [H, W, 3] of noise and their silhouettes uint8 [H, W]; H and W differ."""
    random = np.random.default_rng([*"/".join(key).encode()])
    pairs = []
    for _ in range(frames):
        height, width = int(random.integers(60, 90)), int(random.integers(34, 50))
        silhouette = np.zeros((height, width), np.uint8)
        top, left = random.integers(2, 8, size=2)
        silhouette[top:-4, left + 6 : left + 14] = 255
        silhouette[top + 12 : top + 30, left : left + 20] = 255
        image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        pairs.append((image, silhouette))
    return pairs


def write_set(
    root: Path, dataset: str, form: str, keys: Sequence[SequenceKey] | None = None
) -> Path:
    """Write sequences of ``dataset`` in a form, and the partition file that comes with it."""
    keys = keys_of(dataset) if keys is None else keys
    for key, folder in _folders(root, dataset, form, keys):
        folder.parent.mkdir(parents=True, exist_ok=True)
        layout = layout_of(dataset, form, key)
        if layout is None:
            write_ccgr_mini(pairs_of(key), folder, key.view)
        else:
            layout.write(pairs_of(key), folder, key)
    if dataset in PARTITIONS:
        lists = partition_lists(dataset, TRAIN[dataset], TEST[dataset], keys_of(dataset))
        (root / PARTITIONS[dataset]).write_text(json.dumps(lists), encoding="utf-8")
    return root


def labels_of(key: SequenceKey, frames: int = 3) -> list[Image]:
    """Labels uint8 [H, W] of the figures of :func:`pairs_of`: a head, a torso and two legs."""
    images = []
    for _, silhouette in pairs_of(key, frames):
        rows = np.arange(len(silhouette))[:, None] * 4 // len(silhouette)
        left = np.arange(silhouette.shape[1]) < silhouette.shape[1] // 2
        body = np.where(rows == 0, 1, np.where(rows == 1, 2, np.where(left, 8, 7)))
        images.append(np.where(silhouette > 0, body, 0).astype(np.uint8))
    return images


def write_parsing_set(root: Path, form: str) -> Path:
    """Write Gait3D's parsing alone, as ``parsing-images`` or ``parsing-pickles``."""
    for key in keys_of("gait3d"):
        labels = labels_of(key)
        if form == "parsing-images":
            folder = root / "2D_Parsings" / Path(*key)
            folder.mkdir(parents=True)
            for number, image in enumerate(labels, 1):
                write_png(folder / f"{number:04d}.png", image)
            continue
        folder = root / Path(*key)
        folder.mkdir(parents=True)
        cuts = [cut_labels(image, 64) for image in labels]
        write_array(folder / f"{key.view}.pkl", np.stack([cut for cut in cuts if cut is not None]))
    lists = partition_lists("gait3d", TRAIN["gait3d"], TEST["gait3d"], keys_of("gait3d"))
    (root / PARTITIONS["gait3d"]).write_text(json.dumps(lists), encoding="utf-8")
    return root


def _folders(
    root: Path, dataset: str, form: str, keys: Sequence[SequenceKey]
) -> Iterator[tuple[SequenceKey, Path]]:
    for key in keys:
        layout = layout_of(dataset, form, key)
        yield key, root.joinpath(*key) if layout is None else layout.place(root, key)
