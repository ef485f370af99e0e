"""Savings from skipping padding: a variant of the inference benchmark.

``python -m benchmarks.padding`` measures frames whose outer columns are black (a third of a
height-fit crop often is), with and without ``model.image.skip_padding``, side by side.

``python -m benchmarks.padding WORKSPACE RUN`` shows the effect on a trained model: its embeddings
of the test subjects and their Rank-1, with the same checkpoint both ways.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.encoder import FRAMES, frames, interleaved, paper_model
from core.evaluation.score import score
from core.inference.embed import embed_sequences
from core.inference.embed_run import used_sequences
from core.progress import SilentProgress
from core.records import EmbeddingSet
from core.runs.load import load_model
from core.runs.run import find_run
from core.runs.stores import open_store
from core.storage.store import Store
from core.training.engine import make_engine
from core.workspace import Workspace

BLACK = 20  # columns of 128 on each side: 31 % of the frame


def speed() -> dict[str, Any]:
    """Time without padding over time with all patches, at full size with random weights."""
    text = torch.randn(31, 1536)
    models = {}
    for skip in (True, False):
        models[skip] = paper_model(classes=None, with_text=False, padding=skip).eval()
        models[skip].use_cached_text(text)
    clips = frames()
    clips[..., :BLACK] = 0
    clips[..., -BLACK:] = 0

    def run(skip: bool) -> list[torch.Tensor]:
        with torch.inference_mode():
            return [models[skip].embed([clip]) for clip in clips.split(FRAMES)]

    pairs = zip(run(True), run(False), strict=True)
    cosine = min(torch.nn.functional.cosine_similarity(a, b, dim=0).min().item() for a, b in pairs)
    result = interleaved(lambda: run(True), lambda: run(False), 5)
    return {"name": "padding", "least_cosine_of_a_strip": cosine, **result}


def effect(workspace: Workspace, name: str) -> dict[str, Any]:
    """A trained model's embeddings and Rank-1 with and without padding."""
    run = find_run(workspace.runs, name=name, dataset=None)
    store, manifest = open_store(workspace, run.dataset)
    indices = used_sequences(store, manifest)
    engine = make_engine()
    loaded = load_model(run, device=engine.device)
    embeddings: dict[bool, EmbeddingSet] = {}
    for skip in (False, True):
        loaded.lmgait("views", "this benchmark").image.skip_padding = skip
        embeddings[skip] = embed_sequences(
            loaded, store, manifest, indices, engine, SilentProgress(), source=run.name
        )
    rank1 = {
        "left out" if skip else "all patches": {
            f"{protocol} {condition}": part.values["rank1"]
            for protocol, result in score(embeddings[skip], manifest).protocols.items()
            for condition, part in result.conditions.items()
        }
        for skip in (False, True)
    }
    return {
        "name": "padding",
        "run": run.name,
        "black_share_of_columns": black_columns(store, indices),
        "median_cosine_of_a_strip": float(np.median(cosines(embeddings[False], embeddings[True]))),
        "least_cosine_of_a_strip": float(cosines(embeddings[False], embeddings[True]).min()),
        "rank1": rank1,
    }


def cosines(one: EmbeddingSet, other: EmbeddingSet) -> NDArray[np.float32]:
    """Cosine of each strip of each sequence, float32 [n, P]."""
    a, b = one.embeddings, other.embeddings
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(1) / lengths, np.float32)


def black_columns(store: Store, indices: list[int]) -> float:
    """Share of the pixel columns of the middle frames that are black from top to bottom."""
    black = [
        (store.read(i, [store.sequences[i].frames // 2]).rgb.max(axis=(0, 1, 3)) == 0).mean()
        for i in indices
    ]
    return float(np.mean(black))


def main() -> None:
    """Print one JSON object."""
    arguments = sys.argv[1:]
    result = effect(Workspace(Path(arguments[0])), arguments[1]) if arguments else speed()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
