"""A training step at `--preset paper` over the bare encoder's forward pass."""

from __future__ import annotations

from typing import Any

from benchmarks.encoder import bare_encoder, interleaved, paper_model, peak_bytes, training_step


def measure(quick: bool) -> dict[str, Any]:
    """4 sequences x 8 frames, fp32; the peak is taken before the bare encoder runs."""
    model = paper_model(classes=100)
    ours = training_step(model)
    ours()
    peak = peak_bytes()
    result = interleaved(ours, bare_encoder(model), 3 if quick else 9)
    return {
        "name": "train-step", "unit": "times the bare DINOv2 ViT-S/14 forward pass",
        "baseline": "transformers Dinov2Model, SDPA, the same 32 frames at 448x224",
        **result, "peak_gigabytes": peak / 1e9,
    }  # fmt: skip
