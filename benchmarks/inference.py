"""Inference with cached text at `--preset paper` over the bare encoder's forward pass."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.device import Place
from benchmarks.encoder import bare_encoder, frames, interleaved, paper_model, size_on


def measure(quick: bool, place: Place) -> dict[str, Any]:
    """4 sequences x 8 frames (48 x 30 on a GPU), text from a cache, frames on the device."""
    size = size_on(place, quick)
    model = paper_model(classes=None, with_text=False).eval().to(place.device)
    model.use_cached_text(torch.randn(31, model.image.channels).to(place.device))
    clips = frames(size).to(place.device).split(size.frames)
    assert len(clips) == size.clips

    def ours() -> None:
        with torch.inference_mode(), place.computing():
            for clip in clips:
                model.embed([clip])

    chunk = None if size.clips * size.frames < 240 else 240
    result = interleaved(ours, bare_encoder(model, size, place, chunk), 3 if quick else 9, place)
    return {
        "name": "inference",
        "unit": "times the bare DINOv2 ViT-S/14 forward pass",
        "baseline": f"transformers Dinov2Model, SDPA, the same {size} frames at 448x224",
        **result,
    }
