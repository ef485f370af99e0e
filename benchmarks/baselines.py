"""Nearest-neighbour baselines: gait-energy image and colour histogram.

``python -m benchmarks.baselines WORKSPACE [DATASET]`` scores both on the test subjects of a
prepared store, with the same protocols as models.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.evaluation.score import score
from core.inference.embed_run import used_sequences
from core.manifests.load import load_manifest
from core.records import EmbeddingSet, SequenceFrames
from core.storage.store import Store
from core.workspace import Workspace

Array = NDArray[np.float32]


def energy_image(clip: SequenceFrames) -> Array:
    """Gait-energy image (Han and Bhanu 2006): the mean silhouette, 64x32, as one vector."""
    mean = clip.silhouettes[clip.valid].mean(axis=0, dtype=np.float32)
    small: Array = cv2.resize(mean, (32, 64), interpolation=cv2.INTER_AREA)
    return small.reshape(-1)


def colour_histogram(clip: SequenceFrames) -> Array:
    """Shares of 16 levels of R, G and B over the person's pixels, 48 numbers."""
    pixels = clip.rgb[clip.silhouettes]
    counts = [np.bincount(pixels[:, c] >> 4, minlength=16) for c in range(3)]
    shares = np.concatenate(counts) / max(len(pixels), 1)
    return np.asarray(shares, np.float32)


def rank1(store: Store, dataset: str) -> dict[str, dict[str, tuple[float, float]]]:
    """Rank-1 and chance in percent, by baseline, then ``protocol condition``."""
    manifest = load_manifest(dataset)
    indices = used_sequences(store, manifest)
    keys = [store.sequences[index].key for index in indices]
    clips = [store.read(index) for index in indices]
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for name, describe in (("gait energy", energy_image), ("colour", colour_histogram)):
        vectors = np.stack([describe(clip) for clip in clips])[:, :, None]
        embeddings = EmbeddingSet(
            vectors,
            tuple(k.subject for k in keys),
            tuple(k.type for k in keys),
            tuple(k.view for k in keys),
            name,
        )
        result = score(embeddings, manifest)
        table[name] = {
            f"{protocol} {condition}": (part.values["rank1"] or 0.0, part.chance or 0.0)
            for protocol, scores in result.protocols.items()
            for condition, part in scores.conditions.items()
            if part.values["rank1"] is not None
        }
    return table


def main() -> None:
    """Print both baselines for a prepared dataset."""
    dataset = sys.argv[2] if len(sys.argv) > 2 else "casiab"
    store = Store.open(Workspace(Path(sys.argv[1])).store(dataset))
    for name, row in rank1(store, dataset).items():
        text = ", ".join(f"{c} {r:.1f} (chance {b:.1f})" for c, (r, b) in row.items())
        print(f"{name}: {text}")


if __name__ == "__main__":
    main()
