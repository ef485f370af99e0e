"""Inference with cached text at `--preset paper` over the bare encoder's forward pass."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.encoder import CLIPS, FRAMES, bare_encoder, frames, interleaved, paper_model


def measure(quick: bool) -> dict[str, Any]:
    """4 sequences x 8 frames, fp32, text from a cache."""
    model = paper_model(classes=None, with_text=False).eval()
    model.use_cached_text(torch.randn(31, model.image.channels))
    clips = frames().split(FRAMES)
    assert len(clips) == CLIPS

    def ours() -> None:
        with torch.inference_mode():
            for clip in clips:
                model.embed([clip])

    result = interleaved(ours, bare_encoder(model), 3 if quick else 9)
    return {
        "name": "inference", "unit": "times the bare DINOv2 ViT-S/14 forward pass",
        "baseline": "transformers Dinov2Model, SDPA, the same 32 frames at 448x224", **result,
    }  # fmt: skip
