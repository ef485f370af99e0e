"""Time of a training step at `--preset paper` over the bare encoder's forward pass."""

from __future__ import annotations

from typing import Any

from benchmarks.device import Place
from benchmarks.encoder import (
    bare_encoder,
    interleaved,
    paper_model,
    peak_bytes,
    size_on,
    training_step,
)


def measure(quick: bool, place: Place) -> dict[str, Any]:
    """4 sequences x 8 frames (48 x 30 on a GPU); the peak is taken before the bare encoder runs."""
    size = size_on(place, quick)
    model = paper_model(classes=100).to(place.device)
    ours = training_step(model, size, place)
    ours()
    place.finish()
    peak = peak_bytes(place)
    chunk = None if size.clips * size.frames < 240 else 240
    base = bare_encoder(model, size, place, chunk)
    result = interleaved(ours, base, 3 if quick else 9, place)
    return {
        "name": "train-step",
        "unit": "times the bare DINOv2 ViT-S/14 forward pass",
        "baseline": f"transformers Dinov2Model, SDPA, the same {size} frames at 448x224",
        **result,
        "peak_gigabytes": peak / 1e9,
    }
